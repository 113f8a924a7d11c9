"""One fast look at a batch of texts, to find the few that normalization has anything to do in.

Most crawled text is clean; Python's character functions cost more than everything else on the way
of a record. A kernel reads the UTF-8 bytes once and says per text which kinds of repair could
change it. It may say too much, never too little: a test holds it to `normalize_text`. A second one
does the repairs that need no more than a look at one character at a time.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.corpus.legacy_sami import trigger_codes
from norcli.corpus.quality_kernel import decode

CHARACTERS = 1
"""Control, zero-width or bidirectional characters, soft hyphens, unusual spaces, line ends."""
SPACES = 2
"""White space at the ends of a line or the text, doubled spaces, tabs, blank lines in a row."""
COMPOSITION = 4
"""Characters that may not be in normalization form C."""
MOJIBAKE = 8
"""UTF-8 that was read in another character set and written as UTF-8 again."""
MARKERS = 16
"""An @, a + before a digit, a run of eight digits but for single separators, or what may be an
IP address."""
LEGACY = 32
"""Inside words, two different signs that stood for Sámi letters in an old character set."""

# What tidying does with a character.
PLAIN, SPACE, NEWLINE, RETURN, DROP, JOINER = range(6)

TABLE_SIZE = 0x3000


LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
WIDE_SPACES = (
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"
)
_DROPPED = (
    (0x00, 0x08), (0x0E, 0x1B), (0x1F, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD),
    (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200C), (0x200E, 0x200F), (0x202A, 0x202E),
    (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xFFFE, 0xFFFF),
)  # fmt: skip
# What C3, C2, E2 80 and C4 look like when they are read as Windows-1252, Mac Roman or DOS text.
_MOJIBAKE = "ÃÂ√├"


class Tables(NamedTuple):
    """What the kernels know of the characters below TABLE_SIZE."""

    flags: npt.NDArray[np.uint8]
    actions: npt.NDArray[np.uint8]


def dropped_pattern() -> str:
    """Return the characters that normalization drops, as the inside of a pattern's []."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _DROPPED)


@cache
def load_tables() -> Tables:
    """Make the kernels' tables, once per process."""
    flags = np.zeros(TABLE_SIZE, np.uint8)
    actions = np.zeros(TABLE_SIZE, np.uint8)
    # Behind another character these may become one with it; for the rest of the blocks below
    # TABLE_SIZE, form C is what stands there.
    seconds = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    for code in range(TABLE_SIZE):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<":
            seconds.add(int(parts[1], 16))
    for code in range(0x80, TABLE_SIZE):
        character = chr(code)
        stable = unicodedata.is_normalized("NFC", character)
        if not stable or code in seconds or unicodedata.combining(character):
            flags[code] |= COMPOSITION
    for first, last in _DROPPED:
        actions[first : last + 1] = DROP
    for characters, action in (
        ("\t ", SPACE), (WIDE_SPACES, SPACE), ("\n", NEWLINE), (LINE_ENDS, NEWLINE),
        ("\r", RETURN), ("\u200d", JOINER),
    ):  # fmt: skip
        actions[[ord(character) for character in characters]] = action
    flags[actions != PLAIN] |= CHARACTERS
    flags[[9, 10, 32]] = 0
    flags[[ord(character) for character in _MOJIBAKE]] |= MOJIBAKE
    flags[sorted(trigger_codes())] |= LEGACY
    return Tables(flags, actions)


@kernel
def _wide_flags(buffer: Any, i: int, code: int, start: int, stop: int, end: int, flags: Any) -> Any:
    """Return the flags of a character from U+0080 up, in bytes [i, stop) of a text."""
    if code >= TABLE_SIZE:
        if buffer[i] == 0xF0 and buffer[i + 1] == 0x9F:
            return 0  # emoji and the like
        return CHARACTERS | COMPOSITION if code >= 0xF900 or code == 0x3000 else COMPOSITION
    found = np.int64(flags[code])
    if code == 0x20AC and i - 2 >= start and buffer[i - 2] == 0xC3 and buffer[i - 1] == 0xA2:
        return found | MOJIBAKE  # the euro sign after a with circumflex: E2 80 as Windows-1252
    if found & LEGACY:
        inside = i > start and stop < end
        if not inside or not (_may_be_letter(buffer[i - 1]) and _may_be_letter(buffer[stop])):
            found &= ~LEGACY
    return found


@kernel
def _may_be_letter(byte: int) -> bool:
    """Whether a byte belongs to a letter, or to something that may be dropped beside one."""
    return byte >= 0x7F or 97 <= byte <= 122 or 65 <= byte <= 90 or (byte < 32 and byte != 10)


@kernel
def _is_letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122


@kernel
def _end_of_letters(buffer: Any, i: int, end: int) -> int:
    while i < end and _is_letter(buffer[i]):
        i += 1
    return i


@kernel
def _flags_of(buffer: Any, start: int, end: int, flags: Any) -> Any:
    """Return the flags of the text in bytes [start, end)."""
    found = sign = 0
    last: Any = 10  # so that white space at the start counts as doubled
    newlines = 2
    digits = dots = colons = 0
    i = start
    while i < end:
        byte: Any = buffer[i]
        if _is_letter(byte):  # most of a text
            digits = dots = newlines = 0
            i = _end_of_letters(buffer, i, end)
            last = buffer[i - 1]
            continue
        if byte == 10 or byte == 32:
            if byte == 10:
                found |= SPACES if last == 32 or newlines >= 2 else 0
                newlines += 1
                digits = 0
            else:
                if last == 32 or last == 10:
                    found |= SPACES
                    digits = 0
                newlines = 0
            dots = colons = 0
            last, i = byte, i + 1
            continue
        newlines, previous, last = 0, last, byte
        if byte >= 0x80:
            code, stop = decode(buffer, i, end)
            more = _wide_flags(buffer, i, code, start, stop, end, flags)
            # One sign is no evidence: `may_be_legacy` asks for LEAST_LETTERS, two.
            if more & LEGACY and (sign == 0 or sign == code):
                more, sign = more & ~LEGACY, code
            found |= more
            i = stop
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
            # "010190-12345" has a hyphen behind the date.
            digits = digits if byte == 45 and digits == 6 else 0
            dots = 0
            colons += byte == 58
            country = byte == 43 and i < end and 48 <= buffer[i] <= 57
            found |= MARKERS if byte == 64 or colons >= 3 or country else 0
            if byte < 32 or byte == 127:
                found |= SPACES if byte == 9 else CHARACTERS
    if last == 32 or last == 10:
        found |= SPACES
    return found if end > start else 0


@kernel
def scan_texts(buffer: Any, offsets: Any, table: Any, flags: Any) -> None:
    """Set the flags of each text.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        table: Flags of each character, uint8 (TABLE_SIZE,).
        flags: Output, uint8 (T,).
    """
    for t in range(len(offsets) - 1):
        flags[t] = _flags_of(buffer, offsets[t], offsets[t + 1], table)


def scan(buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the flags of each text of a batch, uint8 (T,); see `scan_texts`."""
    flags = np.zeros(len(offsets) - 1, np.uint8)
    scan_texts(buffer, offsets, load_tables().flags, flags)
    return flags


@kernel
def _joins_pictures(buffer: Any, i: int, end: int) -> bool:
    """Whether a picture stands at byte i, which a zero-width joiner joins to the one before."""
    if i + 3 < end and buffer[i] == 0xF0:
        return buffer[i + 1] == 0x9F and buffer[i + 2] <= 0xAB
    if i >= end or buffer[i] != 0xE2:
        return False
    code, _ = decode(buffer, i, end)
    return 0x2600 <= code <= 0x27BF or 0x2B00 <= code <= 0x2BFF


@kernel
def _action(buffer: Any, i: int, stop: int, code: int, end: int, actions: Any) -> Any:
    """Return what is done with the character in bytes [i, stop)."""
    if code >= TABLE_SIZE:
        if code == 0x3000:
            return SPACE
        odd = code == 0xFEFF or 0xFFF9 <= code <= 0xFFFB or code == 0xFFFE or code == 0xFFFF
        return DROP if odd else PLAIN
    action = np.int64(actions[code])
    if action == JOINER:
        return PLAIN if _joins_pictures(buffer, stop, end) else DROP
    if action == RETURN:
        # The newline of a pair stands for both.
        return DROP if stop < end and buffer[stop] == 10 else NEWLINE
    return action


@kernel
def tidy_texts(
    buffer: Any, offsets: Any, chosen: Any, actions: Any, output: Any, ends: Any
) -> None:
    """Drop invisible characters and collapse white space of some texts as `normalize_text` would.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        chosen: Numbers of the texts to tidy, int64 (C,).
        actions: What to do with each character, uint8 (TABLE_SIZE,).
        output: Room for the tidied bytes, which come end to end, uint8.
        ends: Output, int64 (C,): where each tidied text ends.
    """
    written = 0
    for c in range(len(chosen)):
        begin = written
        space = False
        newlines = 0
        i, end = offsets[chosen[c]], offsets[chosen[c] + 1]
        while i < end:
            byte: Any = buffer[i]
            if 32 < byte < 127:
                stop = i + 1
            else:
                code, stop = decode(buffer, i, end)
                action = _action(buffer, i, stop, code, end, actions)
                if action != PLAIN:
                    space = space or action == SPACE
                    newlines += action == NEWLINE
                    i = stop
                    continue
            if (space or newlines) and written > begin:
                for _ in range(max(min(newlines, 2), 1)):
                    output[written] = 10 if newlines else 32
                    written += 1
            space = False
            newlines = 0
            while i < stop:
                output[written] = buffer[i]
                written += 1
                i += 1
        ends[c] = written
