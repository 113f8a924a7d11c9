"""One fast look at a batch of texts, to find the few that normalization has anything to do in.

Most crawled text is clean; Python's character functions cost more than everything else on the way
of a record. This kernel reads the UTF-8 bytes once and says per text which kinds of repair could
change it. It may say too much, never too little: a test holds it to `normalize_text`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from norcli.corpus.quality_kernel import decode

CHARACTERS = 1
"""Control, zero-width or bidirectional characters, soft hyphens, unusual spaces, line ends."""
SPACES = 2
"""White space at the ends of a line or the text, doubled spaces, tabs, blank lines in a row."""
COMPOSITION = 4
"""Characters that may not be in normalization form C."""
MOJIBAKE = 8
"""UTF-8 that was read as Latin-1 or Windows-1252 and written as UTF-8 again."""
MARKERS = 16
"""An @, a run of eight digits but for single separators, or what may be an IP address."""

_njit: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")

_SPACE = 32
_NEWLINE = 10


@_njit
def _wide_flags(code: int) -> int:
    """Return the flags of a character from U+0080 up, mojibake left aside."""
    if code < 0x300:
        return 1 if code <= 0xA0 or code == 0xAD else 0
    if code < 0x2000:
        # Combining marks and other scripts: let Python's tables decide.
        return 5 if code in (0x061C, 0x1680, 0x180E) else 4
    if code < 0x2070:
        plain = 0x2010 <= code <= 0x2027 or 0x2030 <= code <= 0x205E
        return 0 if plain else 1
    if code == 0x20AC:
        return 0
    if code == 0x3000 or 0xFEFF <= code <= 0xFFFF:
        return 5
    return 4


@_njit
def _flags_of(buffer: Any, start: int, end: int) -> int:
    """Return the flags of the text in bytes [start, end)."""
    found = 0
    last: Any = _NEWLINE  # so that white space at the start counts as doubled
    newlines = 2
    digits = dots = colons = 0
    i = start
    while i < end:
        byte: Any = buffer[i]
        if byte == _NEWLINE or byte == _SPACE:  # noqa: SIM109 -- faster than a tuple
            if byte == _NEWLINE:
                found |= SPACES if last == _SPACE or newlines >= 2 else 0
                newlines += 1
                digits = 0
            else:
                if last == _SPACE or last == _NEWLINE:  # noqa: SIM109
                    found |= SPACES
                    digits = 0
                newlines = 0
            dots = colons = 0
            last = byte
            i += 1
            continue
        newlines = 0
        previous, last = last, byte
        if byte >= 0x80:
            code, i = decode(buffer, i, end)
            found |= _wide_flags(code) | _mojibake_flag(buffer, start, i, code)
            # Odd spaces part groups of digits as plain ones do.
            digits = digits if code == 0xA0 or 0x2000 <= code <= 0x202F else 0
            dots = 0
            continue
        i += 1
        if 48 <= byte <= 57:
            digits += 1
            found |= MARKERS if digits >= 8 or dots >= 3 else 0
        elif byte == 46:  # a full stop parts groups of digits, and those of an address
            dots = dots + 1 if 48 <= previous <= 57 else 0
            digits = digits if dots else 0
        else:
            digits = dots = 0
            colons += byte == 58
            found |= MARKERS if byte == 64 or colons >= 3 else 0
            if byte < 32 or byte == 127:
                found |= SPACES if byte == 9 else CHARACTERS
    if last == _SPACE or last == _NEWLINE:  # noqa: SIM109
        found |= SPACES
    return found if end > start else 0


@_njit
def _mojibake_flag(buffer: Any, start: int, stop: int, code: int) -> int:
    """Return MOJIBAKE for what C3, C2 and E2 80 look like when read as Windows-1252."""
    if code == 0xC3 or code == 0xC2:
        return MOJIBAKE
    # The euro sign, three bytes, after a with circumflex, C3 A2.
    after_circumflex = stop - 5 >= start and buffer[stop - 5] == 0xC3 and buffer[stop - 4] == 0xA2
    return MOJIBAKE if code == 0x20AC and after_circumflex else 0


@_njit
def scan_texts(buffer: Any, offsets: Any, flags: Any) -> None:
    """Set the flags of each text.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        flags: Output, uint8 (T,).
    """
    for t in range(len(offsets) - 1):
        flags[t] = _flags_of(buffer, offsets[t], offsets[t + 1])


def scan(buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the flags of each text of a batch, uint8 (T,); see `scan_texts`."""
    flags = np.zeros(len(offsets) - 1, np.uint8)
    scan_texts(buffer, offsets, flags)
    return flags


@_njit
def tidy_spaces(buffer: Any, offsets: Any, chosen: Any, output: Any, ends: Any) -> None:
    """Collapse spaces, tabs and newlines of some texts as `normalize_text` would.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        chosen: Numbers of the texts to tidy, int64 (C,).
        output: Room for the tidied bytes, which come end to end, uint8.
        ends: Output, int64 (C,): where each tidied text ends.
    """
    written = 0
    for c in range(len(chosen)):
        begin = written
        space = False
        newlines = 0
        for i in range(offsets[chosen[c]], offsets[chosen[c] + 1]):
            byte = buffer[i]
            if byte == 32 or byte == 9:
                space = True
            elif byte == 10:
                newlines += 1
            else:
                if written > begin:
                    if newlines:
                        for _ in range(min(newlines, 2)):
                            output[written] = 10
                            written += 1
                    elif space:
                        output[written] = 32
                        written += 1
                space = False
                newlines = 0
                output[written] = byte
                written += 1
        ends[c] = written
