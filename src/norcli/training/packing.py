"""Where each training row's tokens lie: documents cut into pieces, pieces packed into rows.

Between the token shards and the batches. A document of n tokens gives n - 1 pairs of input and
target; it is cut every T inputs, with one token of overlap, so that no target is lost and none is
learnt twice. Short pieces fill the rows best-fit, so every row begins at the beginning of a piece
and most at that of a document. The table depends on lengths and T only, never on the seed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowTable:
    """Rows as lists of pieces.

    Attributes:
        starts: Position of each piece's first token in the token sequence, pieces of a row
            together.
        lengths: Inputs of each piece; its tokens are one more.
        first_piece: Index into `starts` of each row's first piece, and one past the end.
        seq_len: Inputs a row has room for.
    """

    starts: IntArray
    lengths: IntArray
    first_piece: IntArray
    seq_len: int

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.first_piece) - 1

    @property
    def targets(self) -> int:
        """Tokens that are learnt in one pass over all rows."""
        return int(self.lengths.sum())

    def pieces(self, row: int) -> list[tuple[int, int]]:
        """Return ``(start, inputs)`` of the pieces of a row."""
        low, high = int(self.first_piece[row]), int(self.first_piece[row + 1])
        return [(int(self.starts[i]), int(self.lengths[i])) for i in range(low, high)]


def cut_documents(bounds: IntArray, seq_len: int) -> tuple[IntArray, IntArray]:
    """Cut documents into pieces of at most ``seq_len`` inputs.

    Args:
        bounds: (N, 2) first token and one past the last token of each document.
        seq_len: Most inputs of a piece.

    Returns:
        Start and inputs of each piece, in document order. A document of one token gives none.
    """
    inputs = np.maximum(bounds[:, 1] - bounds[:, 0] - 1, 0)
    counts = -(-inputs // seq_len)
    total = int(counts.sum())
    document = np.repeat(np.arange(len(bounds)), counts)
    first = np.cumsum(counts) - counts
    within = np.arange(total) - first[document]
    starts = bounds[document, 0] + within * seq_len
    lengths = np.minimum(inputs[document] - within * seq_len, seq_len)
    return starts.astype(np.int64), lengths.astype(np.int64)


def pack_rows(starts: IntArray, lengths: IntArray, seq_len: int) -> RowTable:
    """Fill rows with pieces, longest first, each into the fullest row it fits.

    Args:
        starts: First token of each piece.
        lengths: Inputs of each piece, at most ``seq_len``.
        seq_len: Room of a row.
    """
    order = np.argsort(-lengths, kind="stable")
    whole = int((lengths == seq_len).sum())
    rows: list[list[int]] = [[int(i)] for i in order[:whole]]
    # Open rows by room left; a sorted list of the distinct rooms finds the tightest one.
    open_rows: dict[int, list[int]] = {}
    rooms: list[int] = []
    for index in order[whole:].tolist():
        length = int(lengths[index])
        position = bisect_left(rooms, length)
        if position < len(rooms):
            room = rooms[position]
            row = open_rows[room].pop()
            if not open_rows[room]:
                del open_rows[room], rooms[position]
            rows[row].append(index)
        else:
            row, room = len(rows), seq_len
            rows.append([index])
        left = room - length
        if left:
            if left not in open_rows:
                insort(rooms, left)
                open_rows[left] = []
            open_rows[left].append(row)
    return _table(rows, starts, lengths, seq_len)


def single_rows(starts: IntArray, lengths: IntArray, seq_len: int) -> RowTable:
    """Give each piece a row of its own; the rest of the row is padding."""
    rows = [[i] for i in range(len(starts))]
    return _table(rows, starts, lengths, seq_len)


def _table(rows: list[list[int]], starts: IntArray, lengths: IntArray, seq_len: int) -> RowTable:
    counts = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    flat: npt.NDArray[Any] = np.fromiter((i for row in rows for i in row), np.int64)
    first_piece = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(counts, out=first_piece[1:])
    return RowTable(starts[flat], lengths[flat], first_piece, seq_len)
