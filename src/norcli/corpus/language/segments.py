"""Stretches of one language within a text: a page half Nynorsk, half English says so.

The text is cut at line and sentence ends, every piece is scored, and the most likely sequence of
languages is found, where a change costs something: a short piece goes with its neighbours. This is
no sentence segmentation to keep; that is a stage of its own.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from norcli.corpus.language.identifier import Identification

# The cost, in log-probability, of another language in the next line, and in the same line.
CHANGE_AT_LINE = 3.0
CHANGE_IN_LINE = 6.0

_PIECE = re.compile(r"\S[^\n]*?(?:[.!?…]+[\"'»”)\]]*(?=\s)|(?=\s*(?:\n|\Z)))")


class Segment(NamedTuple):
    """A stretch of one language.

    Attributes:
        start: Its first character.
        end: One past its last character.
        lang: As in `Identification`.
        score: As in `Identification`, of the whole stretch.
    """

    start: int
    end: int
    lang: str
    score: float


class _Identifier(Protocol):
    def identify_batch(self, texts: Sequence[str]) -> list[Identification]: ...


def find_segments(identifier: _Identifier, text: str) -> list[Segment]:
    """Cut a text into stretches of one language; see `LanguageIdentifier.segments`."""
    spans = [match.span() for match in _PIECE.finditer(text)]
    if not spans:
        return []
    found = identifier.identify_batch([text[start:end] for start, end in spans])
    likelihoods = np.log(
        np.array([list(piece.probabilities.values()) for piece in found]).clip(1e-12)
    )
    at_line = ["\n" in text[a[1] : b[0]] for a, b in pairwise(spans)]
    path = best_path(likelihoods, np.where(at_line, CHANGE_AT_LINE, CHANGE_IN_LINE))
    stretches: list[tuple[int, int]] = []
    for i, (start, end) in enumerate(spans):
        if i and path[i] == path[i - 1]:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    whole = identifier.identify_batch([text[start:end] for start, end in stretches])
    return [
        Segment(start, end, piece.lang, piece.score)
        for (start, end), piece in zip(stretches, whole, strict=True)
    ]


def best_path(
    likelihoods: npt.NDArray[np.float64], costs: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return the class of each piece on the most likely path (Viterbi).

    Args:
        likelihoods: Log-probabilities of the classes for each piece, (P, classes).
        costs: What a change between piece i and i + 1 costs, (P - 1,).
    """
    pieces, classes = likelihoods.shape
    came_from = np.zeros((pieces, classes), np.int64)
    total = likelihoods[0].copy()
    for i in range(1, pieces):
        best = int(total.argmax())
        change = total[best] - costs[i - 1]
        came_from[i] = np.where(total >= change, np.arange(classes), best)
        total = np.maximum(total, change) + likelihoods[i]
    path = np.empty(pieces, np.int64)
    path[-1] = total.argmax()
    for i in range(pieces - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return path
