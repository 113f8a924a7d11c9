"""From packed rows to tensors: inputs, targets and the positions that keep documents apart.

Takes the row table of `norcli.training.packing` and the tokens (memory-mapped shards, or the
examples of sft) and gives the model its batches. Documents of a row are kept apart by positions
that begin anew, never by a 2-D attention mask: with one, transformers would no longer look at the
positions and every document would see the ones before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from norcli.training.packing import IntArray, RowTable

IGNORED = -100

# Rows whose learnt part is smaller than this have the head applied to that part only.
SELECTING_SHARE = 0.8


@dataclass(slots=True)
class Batch:
    """Rows for one pass.

    Attributes:
        input_ids: (B, T) tokens.
        labels: (B, T) the token that follows each input; `IGNORED` where nothing is learnt.
        position_ids: (B, T) positions within each document, None for 0, 1, … along the row.
        targets: How many labels are not ignored.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor | None
    targets: int

    @property
    def learns_few(self) -> bool:
        """Whether so few labels are learnt that the head is worth applying to those only."""
        return self.targets < SELECTING_SHARE * self.labels.numel()

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if device.type == "cpu":
            return self
        positions = self.position_ids
        return Batch(
            self.input_ids.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            None if positions is None else positions.to(device, non_blocking=True),
            self.targets,
        )


class TokenSequence(Protocol):
    """Tokens by position, in memory or mapped from disk."""

    def __getitem__(self, where: slice, /) -> npt.NDArray[Any]:
        """Return a stretch of tokens."""


class PackedRows:
    """Training rows over a token sequence.

    Args:
        tokens: All tokens, by position.
        table: Which stretches make up each row.
        pad_id: Token that fills the rest of a row; never learnt and never seen by a document.
        document_mask: Whether positions begin anew at each piece.
        learn: Whether each token is a target; None when all are.
    """

    def __init__(
        self,
        tokens: TokenSequence,
        table: RowTable,
        *,
        pad_id: int,
        document_mask: bool,
        learn: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.tokens = tokens
        self.table = table
        self.pad_id = pad_id
        self.document_mask = document_mask
        self.learn = learn

    @property
    def rows(self) -> int:
        """Rows of one epoch."""
        return self.table.rows

    def batch(self, rows: IntArray) -> Batch:
        """Return rows as tensors, as wide as the fullest of them."""
        pieces = [self.table.pieces(int(row)) for row in rows]
        width = max(sum(length for _, length in row) for row in pieces)
        inputs = np.full((len(rows), width), self.pad_id, np.int64)
        labels = np.full((len(rows), width), IGNORED, np.int64)
        positions = np.zeros((len(rows), width), np.int64) if self.document_mask else None
        for line, row in enumerate(pieces):
            column = 0
            for start, length in row:
                stop = column + length
                stretch = self.tokens[start : start + length + 1]
                inputs[line, column:stop] = stretch[:-1]
                labels[line, column:stop] = stretch[1:]
                if self.learn is not None:
                    taught = self.learn[start + 1 : start + length + 1]
                    labels[line, column:stop][~taught] = IGNORED
                if positions is not None:
                    positions[line, column:stop] = np.arange(length)
                column = stop
            if positions is not None:
                positions[line, column:] = np.arange(width - column)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(labels),
            None if positions is None else torch.from_numpy(positions),
            int((labels != IGNORED).sum()),
        )
