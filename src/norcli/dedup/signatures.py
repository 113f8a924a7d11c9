"""The signatures of documents: made a batch at a time, and kept for a whole run.

Between reading and the index. The kernels run without Python's lock, so several threads can sign
batches at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.banding import Banding
from norcli.dedup.contamination import EvaluationTexts
from norcli.dedup.minhash import multipliers, sign_texts
from norcli.dedup.shingles import CODES, PLAIN_BYTES, joined

RUN_DOCUMENTS = 1 << 15
"""Signatures are handed on in runs of at most so many documents where memory is bounded."""
BANDS_AT_ONCE = 8
"""Bands taken out of the keys together: as many as fit a line of the processor's cache."""

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@kernel
def _take_columns(keys: Any, first: int, rows: Any, columns: Any) -> None:
    """Fill uint64 [columns, rows] with neighbouring columns of some rows."""
    for place in range(rows.size):
        for column in range(columns.shape[0]):
            columns[column, place] = keys[rows[place], first + column]


@dataclass(slots=True)
class Signatures:
    """What is known of some documents: one row each.

    Attributes:
        text_hashes: uint64 [documents, 2], the hash of the folded text.
        shingles: int32 [documents], how many n-grams the text has.
        lanes: uint8 [documents, num_perm].
        keys: uint64 [documents, bands].
    """

    text_hashes: npt.NDArray[np.uint64]
    shingles: npt.NDArray[np.int32]
    lanes: npt.NDArray[np.uint8]
    keys: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.shingles)

    def set_apart(self, scopes: npt.NDArray[np.uint64] | None) -> None:
        """Mix a hash of each document's scope into hashes and keys, so that scopes never meet."""
        if scopes is not None:
            self.text_hashes ^= scopes[:, None]
            self.keys ^= scopes[:, None]

    def band_columns(self, documents: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.uint64]]:
        """Yield the keys of documents, uint64 [documents], band by band."""
        bands = self.keys.shape[1]
        for first in range(0, bands, BANDS_AT_ONCE):
            columns = np.empty((min(BANDS_AT_ONCE, bands - first), len(documents)), np.uint64)
            _take_columns(self.keys, first, documents, columns)
            yield from columns

    def gather(self, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the lanes of documents, uint8 [documents, num_perm]."""
        return self.lanes[documents]

    def take(self, rows: npt.NDArray[np.int64]) -> Signatures:
        """Return the signatures of some of the documents."""
        return Signatures(
            self.text_hashes[rows], self.shingles[rows], self.lanes[rows], self.keys[rows]
        )


class Signer:
    """Turn texts into signatures.

    Args:
        ngram: Words in a shingle.
        banding: Bands and rows; None makes no MinHash, for exact matching.
        seed: Of the permutations.
        evaluation: Whose passages are looked for in the texts as well.
    """

    def __init__(
        self,
        ngram: int,
        banding: Banding | None,
        seed: int,
        evaluation: EvaluationTexts | None = None,
    ) -> None:
        self.ngram = ngram
        self.evaluation = evaluation
        self.num_perm = banding.num_perm if banding else 0
        self.bands = banding.bands if banding else 0
        self.rows = banding.rows if banding else 0
        self._factors = multipliers(self.num_perm, seed)

    def sign(self, texts: list[bytes], scopes: npt.NDArray[np.uint64] | None) -> Signatures:
        """Sign texts.

        Args:
            texts: Valid UTF-8.
            scopes: uint64 [texts], mixed into hashes and keys so that only documents of one
                scope can meet; None for one scope.
        """
        data, offsets = joined(texts)
        signatures, _ = self.sign_ranges(data, offsets[:-1], offsets[1:], PLAIN_BYTES)
        signatures.set_apart(scopes)
        return signatures

    def sign_ranges(
        self, data: npt.NDArray[np.uint8], begins: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64], table: npt.NDArray[np.uint64],
    ) -> tuple[Signatures, npt.NDArray[np.int64]]:  # fmt: skip
        """Sign the texts that stand in a buffer; return also how many characters each has.

        Args:
            data: uint8, the buffer.
            begins: int64 [texts], where each begins.
            ends: int64 [texts], where each ends.
            table: `PLAIN_BYTES` for UTF-8, `JSON_BYTES` for the insides of JSON strings.
        """
        count = len(begins)
        letters = np.empty(count, np.int64)
        signatures = Signatures(
            np.empty((count, 2), np.uint64), np.empty(count, np.int32),
            np.empty((count, self.num_perm), np.uint8), np.empty((count, self.bands), np.uint64),
        )  # fmt: skip
        sign_texts(
            data, begins, ends, table, CODES, self.ngram, self._factors, self.rows,
            signatures.text_hashes, letters, signatures.shingles, signatures.lanes,
            signatures.keys,
        )  # fmt: skip
        return signatures, letters

    def examine(
        self, texts: list[bytes], scopes: npt.NDArray[np.uint64] | None
    ) -> tuple[Signatures, Found | None]:
        """Sign texts, and count the evaluation passages in them (and whose the first is)."""
        found = None if self.evaluation is None else self.evaluation.count(texts)
        return self.sign(texts, scopes), found


def scope_hashes(values: list[str]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each document's scope (its language or source)."""
    import hashlib

    known = {
        value: int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little")
        for value in set(values)
    }
    return np.array([known[value] for value in values], np.uint64)
