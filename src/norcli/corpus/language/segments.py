"""Stretches of one language within a text: a page half Nynorsk, half English says so.

The text is cut at line and sentence ends, every piece is scored, and the most likely sequence of
languages is found, where a change costs something: a short piece goes with its neighbours. This is
no sentence segmentation to keep; that is a stage of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

# The cost, in log-probability, of another language in the next line, and in the same line.
CHANGE_AT_LINE = 4.0
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


def find_segments(
    text: str,
    score: Callable[[Sequence[str]], npt.NDArray[np.float64]],
    label: Callable[[Sequence[str]], tuple[list[str], list[float]]],
) -> list[Segment]:
    """Cut a text into stretches of one language; see `LanguageIdentifier.segments`.

    Args:
        text: The text.
        score: Gives the log-probabilities of the classes for each piece, (P, classes).
        label: Gives the language of each stretch, and its probability.
    """
    spans = [match.span() for match in _PIECE.finditer(text)]
    if not spans:
        return []
    likelihoods = score([text[start:end] for start, end in spans])
    at_line = ["\n" in text[a[1] : b[0]] for a, b in pairwise(spans)]
    path = best_path(likelihoods, np.where(at_line, CHANGE_AT_LINE, CHANGE_IN_LINE))
    stretches: list[tuple[int, int]] = []
    for i, (start, end) in enumerate(spans):
        if i and path[i] == path[i - 1]:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    names, scores = label([text[start:end] for start, end in stretches])
    return [
        Segment(start, end, name, score)
        for (start, end), name, score in zip(stretches, names, scores, strict=True)
    ]


@numba.njit(cache=True, nogil=True)
def best_path(likelihoods: Any, costs: Any) -> Any:
    """Return the class of each piece on the most likely path (Viterbi).

    Args:
        likelihoods: Log-probabilities of the classes for each piece, float64 (P, classes).
        costs: What a change between piece i and i + 1 costs, float64 (P - 1,).

    Returns:
        int64 (P,).
    """
    pieces, classes = likelihoods.shape
    came_from = np.zeros((pieces, classes), np.int64)
    total = likelihoods[0].copy()
    for i in range(1, pieces):
        best = total.argmax()
        change = total[best] - costs[i - 1]
        for c in range(classes):
            came_from[i, c] = c if total[c] >= change else best
            total[c] = max(total[c], change) + likelihoods[i, c]
    path = np.empty(pieces, np.int64)
    path[-1] = total.argmax()
    for i in range(pieces - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return path
