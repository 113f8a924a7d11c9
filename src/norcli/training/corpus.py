"""Token shards as training rows: several directories as one sequence, documents held out.

Between `norcli.formats.shards` and the batches of pretrain. No torch, so that plans can count
rows and tokens on a login node.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.formats.shards import METADATA_FILE, TokenShards
from norcli.training.order import mixed
from norcli.training.packing import IntArray, RowTable, cut_documents, pack_rows


class JoinedShards:
    """Several shard directories as one sequence of tokens.

    Args:
        shards: The directories in order.
    """

    def __init__(self, shards: Sequence[TokenShards]) -> None:
        self.shards = shards
        self._starts = [0, *accumulate(len(part) for part in shards)]

    def __getitem__(self, where: slice, /) -> npt.NDArray[Any]:
        """Return a stretch of tokens that lies within one directory."""
        index = min(bisect_right(self._starts, where.start) - 1, len(self.shards) - 1)
        offset = self._starts[index]
        return self.shards[index].slice(where.start - offset, where.stop - offset)

    def bounds(self) -> IntArray:
        """Return (N, 2): first token and one past the last of each document."""
        parts = []
        for shard, offset in zip(self.shards, self._starts, strict=False):
            ends = shard.document_ends()
            starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
            parts.append(np.stack([starts, ends], axis=1) + offset)
        return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Training and held-out rows over the same kind of tokens.

    Attributes:
        tokens: The training shards.
        table: Their rows.
        eval_tokens: The shards to measure on; the same ones when documents are held out.
        eval_table: Rows to measure on; None for nothing.
        documents: Documents trained on.
        identity: Fingerprint of the data, for resuming.
    """

    tokens: JoinedShards
    table: RowTable
    eval_tokens: JoinedShards
    eval_table: RowTable | None
    documents: int
    identity: dict[str, Any]


def open_corpus(
    paths: Sequence[str],
    eval_paths: Sequence[str],
    *,
    tokenizer_sha256: str,
    seq_len: int,
    held_out: float,
) -> Corpus:
    """Open token shards and pack their documents into rows.

    Args:
        paths: Shard directories to train on.
        eval_paths: Shard directories to measure on.
        tokenizer_sha256: The tokenizer all of them must have been made with.
        seq_len: Inputs per row.
        held_out: Part of the training documents to measure on instead.

    Raises:
        DataError: There is no document, or a directory was made with another tokenizer.
    """
    tokens = JoinedShards([TokenShards.open(p, tokenizer_sha256=tokenizer_sha256) for p in paths])
    bounds = tokens.bounds()
    kept = ~_held_out(len(bounds), held_out)
    table = pack_rows(*cut_documents(bounds[kept], seq_len), seq_len)
    if table.rows == 0:
        raise DataError("no documents to train on", path=paths[0] if paths else None)
    eval_tokens, eval_table = tokens, None
    if eval_paths:
        eval_tokens = JoinedShards(
            [TokenShards.open(p, tokenizer_sha256=tokenizer_sha256) for p in eval_paths]
        )
        eval_table = pack_rows(*cut_documents(eval_tokens.bounds(), seq_len), seq_len)
    elif held_out:
        eval_table = pack_rows(*cut_documents(bounds[~kept], seq_len), seq_len)
    if eval_table is not None and eval_table.rows == 0:
        raise DataError("no documents to measure on",
                        hint="raise --held-out, or name others with --eval-shards")  # fmt: skip
    identity = {
        "train": [_fingerprint(path) for path in paths],
        "eval": [_fingerprint(path) for path in eval_paths],
        "held_out": held_out,
        "tokenizer": tokenizer_sha256,
    }
    return Corpus(tokens, table, eval_tokens, eval_table, int(kept.sum()), identity)


def _held_out(documents: int, fraction: float) -> npt.NDArray[np.bool_]:
    """Choose documents by a hash of their number, so that no seed or order moves them."""
    numbers = mixed(np.arange(documents, dtype=np.uint64))
    chosen: npt.NDArray[np.bool_] = (numbers >> np.uint64(11)) < np.uint64(fraction * 2**53)
    return chosen


def _fingerprint(path: str) -> str:
    """Return a hash of a shard directory's descriptions, which hold the data's own hashes."""
    digest = hashlib.sha256()
    for file in sorted(Path(path).rglob(METADATA_FILE)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]
