"""Stretches of one language within a text: a page half Nynorsk, half English says so.

The text is cut at line and sentence ends (kernel.py), every piece is scored, and the most likely
sequence of languages is found, where a change costs something: a short piece goes with its
neighbours. All of it is compiled, so that whole pages cost little more than a label. This is no
sentence segmentation to keep; that is a stage of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from norcli.compiled import kernel
from norcli.corpus.language.kernel import (
    FEATURES,
    LANES,
    SHORTEST_PIECE,
    add_words,
    read_symbols,
)

# The cost, in log-probability, of another language in the next line, and in the same line.
CHANGE_AT_LINE = 4.0
CHANGE_IN_LINE = 6.0


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


class SegmentedText(NamedTuple):
    """The language of a text, and of its parts.

    Attributes:
        lang: As in `Identification`, of the whole text.
        score: As in `Identification`.
        segments: Stretches of one language, in order; none if nothing but white space is there.
            What lies between two is white space.
    """

    lang: str
    score: float
    segments: list[Segment]


@kernel
def best_path(likelihoods: Any, costs: Any, pieces: int, came_from: Any, path: Any) -> None:
    """Find the class of each piece on the most likely path (Viterbi).

    Args:
        likelihoods: Of the classes for each piece, float64 (>= pieces, classes): logarithms, but
            for a constant of each piece.
        costs: What a change between piece i and i + 1 costs, float64 (>= pieces,).
        pieces: How many there are.
        came_from: Scratch, int8 (>= pieces, classes).
        path: Output, int64 (>= pieces,).
    """
    classes = likelihoods.shape[1]
    total = likelihoods[0].copy()
    for i in range(1, pieces):
        best = total.argmax()
        change = total[best] - costs[i - 1]
        for c in range(classes):
            came_from[i, c] = c if total[c] >= change else best
            total[c] = max(total[c], change) + likelihoods[i, c]
    path[pieces - 1] = total.argmax()
    for i in range(pieces - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]


@kernel
def join_pieces(
    pieces: Any, piece_sums: Any, count: int, path: Any, spans: Any, sums: Any, stretches: int
) -> int:
    """Join pieces of one class to stretches; return how many stretches there are then.

    Args:
        pieces: As `read_symbols` gives them.
        piece_sums: int64 (>= count, 16).
        count: How many pieces.
        path: Class of each piece.
        spans: Output, int64 (S, 2): first character, one past the last.
        sums: Output, int64 (S, 16).
        stretches: How many stretches are in the outputs already.
    """
    for i in range(count):
        if i == 0 or path[i] != path[i - 1]:
            spans[stretches, 0] = pieces[i, 1]
            sums[stretches] = 0
            stretches += 1
        spans[stretches - 1, 1] = pieces[i, 2]
        sums[stretches - 1] += piece_sums[i]
    return stretches


@kernel
def weigh_piece(
    sums: Any, scales: Any, bias: Any, length_exponent: float, likelihoods: Any
) -> None:
    """Turn the sums of a piece into log-probabilities, but for a constant; see `cut_texts`."""
    features = sums[FEATURES]
    weight = max(features, 1) ** -length_exponent
    for c in range(len(bias)):
        likelihoods[c] = sums[c] * scales[c] * weight + bias[c] if features else 0.0


@kernel
def cut_texts(
    buffer: Any, offsets: Any, rows: Any, bits: int, keys: Any, remembered: Any, scales: Any,
    bias: Any, length_exponent: float, sums: Any, first: Any, spans: Any, stretch_sums: Any,
) -> None:  # fmt: skip
    """Sum the weights of each text of a batch, and of its stretches of one language.

    Args:
        buffer: The texts' UTF-8 bytes one after the other, uint8 (N,).
        offsets: Where each text starts, and the end of the last, int64 (T + 1,).
        rows: The table, as `bits`, `keys` and `remembered` see `kernel.add_words`.
        bits: log2 of its number of buckets.
        keys: Of the remembered words.
        remembered: Their sums.
        scales: What a unit of a class's weights is worth in log-probability, float64 (classes,).
        bias: Of the classes, in log-probability, float64 (classes,).
        length_exponent: See `Calibration`.
        sums: Output, int64 (T, 16); the last lane counts features.
        first: Output, int64 (T + 1,): the first stretch of each text, and the end of the last's.
        spans: Output, int64 (S, 2), in characters of each text; S up to
            ``N // SHORTEST_PIECE + 2 * T``.
        stretch_sums: Output, int64 (S, 16).
    """
    longest = 0
    for t in range(len(offsets) - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    symbols = np.empty(longest + 2, np.uint16)
    buckets = np.empty(7 * (longest + 2), np.uint32)
    most = longest // SHORTEST_PIECE + 2
    pieces = np.empty((most, 4), np.int64)
    piece_sums = np.empty((most, LANES), np.int64)
    likelihoods = np.empty((most, len(bias)))
    costs = np.empty(most)
    came_from = np.empty((most, len(bias)), np.int8)
    path = np.empty(most, np.int64)
    sums[:] = 0
    stretches = 0
    first[0] = 0
    for t in range(len(offsets) - 1):
        _, count = read_symbols(buffer, offsets[t], offsets[t + 1], symbols, pieces)
        start = 0
        for i in range(count):
            piece_sums[i] = 0
            end = pieces[i, 0] - 1
            add_words(
                symbols, start, end, rows, bits, keys, remembered, buckets, piece_sums[i]
            )  # fmt: skip
            start = end
            weigh_piece(piece_sums[i], scales, bias, length_exponent, likelihoods[i])
            for lane in range(LANES):
                sums[t, lane] += piece_sums[i, lane]
            costs[i] = CHANGE_AT_LINE if pieces[i, 3] else CHANGE_IN_LINE
        if count:
            best_path(likelihoods, costs, count, came_from, path)
            stretches = join_pieces(
                pieces, piece_sums, count, path, spans, stretch_sums, stretches
            )  # fmt: skip
        first[t + 1] = stretches


def find_pieces(text: str) -> list[tuple[int, int, bool]]:
    """Return the pieces of a text: first character, one past the last, whether a line ends then."""
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    pieces = np.empty((len(data) // SHORTEST_PIECE + 2, 4), np.int64)
    _, count = read_symbols(data, 0, len(data), np.empty(len(data) + 2, np.uint16), pieces)
    return [(start, end, bool(line)) for _, start, end, line in pieces[:count].tolist()]
