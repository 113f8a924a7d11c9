"""Which lines of many texts may be on a list, by their first letters.

Comparing each line with lists in Python costs more than every other step of `crawl-filter`. One
compiled look at the line starts leaves few to compare; it may name too many, never too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.corpus.quality_kernel import MARKS, decode, letter_of

LETTERS = 12
_SLOTS = 1 << 16
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def _read_start(text: Any, i: int, edges: Any, keys: Any) -> tuple[int, int]:
    """Read the first letters of the line at a byte; edge characters do not count.

    Args:
        text: UTF-8 bytes, uint8.
        i: Where the line begins.
        edges: Which characters do not count, bool (MARKS,).
        keys: Output, uint64 (LETTERS + 1,): the key of the first n letters in place n.

    Returns:
        How many letters were read, and how far.
    """
    size = len(text)
    value: Any = np.uint64(0)
    read = 0
    while i < size and read < LETTERS and text[i] != 10:
        code, i = decode(text, i, size)
        if code < len(edges) and edges[code]:
            continue
        if 65 <= code <= 90:
            code += 32
        elif code >= 0x80:
            letter = letter_of(code)
            code = letter if letter else code
        value = (value * _SPREAD) ^ np.uint64(code)
        read += 1
        keys[read] = (value * _SPREAD) >> np.uint64(48)
    return read, i


@kernel
def _find_starts(buffer: Any, offsets: Any, edges: Any, whole: Any, begun: Any, found: Any) -> int:
    """Find lines that are one of `whole` or begin as one of `begun` does; return how many.

    Found, int64 (lines, 2), gets the number of the text and of the line in it.
    """
    keys = np.zeros(LETTERS + 1, np.uint64)
    count = 0
    for t in range(len(offsets) - 1):
        text = buffer[offsets[t] : offsets[t + 1]]
        i, size, line = 0, len(text), 0
        while i < size:
            read, i = _read_start(text, i, edges, keys)
            is_found = 0 < read < LETTERS and whole[keys[read]]
            for n in range(1, read + 1):
                is_found |= begun[n, keys[n]]
            if is_found:
                found[count, 0], found[count, 1] = t, line
                count += 1
            while i < size and text[i] != 10:
                i += 1
            i += 1
            line += 1
    return count


class LineStarts:
    """The first letters of the lines of some lists.

    Args:
        lines: Whole lines, small letters.
        prefixes: Beginnings of lines.
        edges: Characters that do not count at either end of a line.
    """

    def __init__(self, lines: Sequence[str], prefixes: Sequence[str], edges: str) -> None:
        self._edges = np.zeros(MARKS, np.bool_)
        self._edges[[ord(character) for character in edges]] = True
        self._whole = np.zeros(_SLOTS, np.bool_)
        self._begun = np.zeros((LETTERS + 1, _SLOTS), np.bool_)
        keys = np.zeros(LETTERS + 1, np.uint64)
        for number, start in enumerate((*lines, *prefixes)):
            data = np.frombuffer(start.encode("utf-8"), np.uint8)
            read, _ = _read_start(data, 0, self._edges, keys)
            if number < len(lines) and read < LETTERS:
                self._whole[int(keys[read])] = True
            else:
                self._begun[read, int(keys[read])] = True

    def find(
        self, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> dict[int, list[int]]:
        """Return which lines of which texts may be such lines; texts as `pack` lays them."""
        most = int(np.count_nonzero(buffer == 10)) + len(offsets)
        found = np.empty((most, 2), np.int64)
        count = _find_starts(buffer, offsets, self._edges, self._whole, self._begun, found)
        lines: dict[int, list[int]] = {}
        for text, line in found[:count].tolist():
            lines.setdefault(text, []).append(line)
        return lines


_LOWER = bytes(code + 32 if 65 <= code <= 90 else code for code in range(256))


def texts_with(
    words: Sequence[str], buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> set[int]:
    """Return which of some texts may hold one of some words in any case."""
    data = buffer.tobytes().translate(_LOWER)
    found: set[int] = set()
    for word in words:
        # Letters beyond ASCII have two cases; the longest part without them is looked for.
        part = max("".join(c if c < "\x80" else " " for c in word.lower()).split(" "), key=len)
        wanted = part.encode("ascii")
        at = data.find(wanted)
        while at >= 0:
            text = int(np.searchsorted(offsets, at, side="right")) - 1
            found.add(text)
            at = data.find(wanted, int(offsets[text + 1]))
    return found
