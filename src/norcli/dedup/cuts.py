"""What the methods that look for repeated passages hand to the one that writes: cuts in a text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Cuts(NamedTuple):
    """What to cut out of a text.

    Attributes:
        ranges: int64 [_, 2], where each cut begins and ends, from the text's first byte.
        passages: How many lines, paragraphs or spans that is.
        words_left: Words in what remains.
    """

    ranges: npt.NDArray[np.int64]
    passages: int
    words_left: int

    def apply(self, text: bytes) -> bytes:
        """Return the text without them; no white space stays behind at its end."""
        pieces, begin = [], 0
        for start, stop in self.ranges.tolist():
            pieces.append(text[begin:start])
            begin = stop
        if begin < len(text):
            return b"".join(pieces) + text[begin:]
        return b"".join(pieces).rstrip()
