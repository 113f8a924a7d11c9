"""Count words, that is runs of anything but white space, in UTF-8 bytes: the kernel of `stats`.

The same number as Python's ``len(text.split())``, which a test holds it to, some eight times as
fast and without making the words.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

_njit: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_njit
def _wide_space(buffer: Any, i: int) -> int:
    """Return the bytes of the white space that begins at a byte from C2 to E3; 0 for a letter.

    U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F and U+3000.
    """
    first, second = buffer[i], buffer[i + 1]
    if first == 0xC2:
        return 2 if second == 0x85 or second == 0xA0 else 0
    if first == 0xE1:
        return 3 if second == 0x9A and buffer[i + 2] == 0x80 else 0
    if first == 0xE2:
        third = buffer[i + 2]
        if second == 0x80:
            return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
        return 3 if second == 0x81 and third == 0x9F else 0
    if first == 0xE3:
        return 3 if second == 0x80 and buffer[i + 2] == 0x80 else 0
    return 0


@_njit
def _count(buffer: Any, offsets: Any, words: Any) -> None:
    for t in range(len(offsets) - 1):
        count = 0
        inside = False
        i, end = offsets[t], offsets[t + 1]
        while i < end:
            byte = buffer[i]
            if byte <= 32:
                space = byte == 32 or 9 <= byte <= 13 or byte >= 28
                count += inside and space
                inside = not space
                i += 1
            elif byte < 0xC2 or byte > 0xE3:
                inside = True
                i += 1
            else:
                size = _wide_space(buffer, i)
                count += inside and size > 0
                inside = size == 0
                i += max(size, 1)
        words[t] = count + inside


def count_words(
    buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the words of each text.

    Args:
        buffer: The texts' valid UTF-8 end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
    """
    words = np.zeros(len(offsets) - 1, np.int64)
    _count(buffer, offsets, words)
    return words


def warm_up() -> None:
    """Compile the kernel."""
    count_words(np.frombuffer(b"a b", np.uint8), np.array([0, 3], np.int64))
