"""The index of documents kept so far: each new one is dropped if it repeats a kept one.

Behind ``--online`` (documents in the order they are read) and ``--cluster star`` (best first).
One hash table with open addressing maps the band keys of kept documents, and the hash of their
text as a key before the first band, to chains of documents. Candidates are verified: exact ones
by all 128 bits, near ones by all lanes; the most similar kept document is the survivor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.banding import Banding
from norcli.dedup.minhash import jaccard_of_lanes
from norcli.dedup.shingles import mix
from norcli.dedup.signatures import Signatures

MAX_CHAIN = 1000
"""Kept documents looked at per key, the latest first; see `norcli.dedup.index`."""

EXACT = -1.0
"""Similarity of an exact copy, told apart from near duplicates that agree in all lanes."""
_EMPTY = np.int32(-1)


@kernel
def _slot(table_keys: Any, table_rows: Any, key: int) -> int:
    """Return where a key is, or the free slot where it belongs."""
    mask = np.uint64(table_keys.size - 1)
    slot = mix(key) & mask
    while table_rows[slot] != _EMPTY and table_keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def _insert_rows(
    first: int, stop: int, keys: Any, used: Any, table_keys: Any, table_rows: Any, chains: Any
) -> None:
    """Put kept documents [first, stop) into the table, each in front of its keys' chains."""
    for row in range(first, stop):
        for band in range(used[row]):
            slot = _slot(table_keys, table_rows, keys[row, band])
            chains[row, band] = table_rows[slot]
            table_keys[slot] = keys[row, band]
            table_rows[slot] = row


@kernel
def _search_exact(
    keys: Any, hashes: Any, row: int, kept_hashes: Any, table_keys: Any, table_rows: Any,
    chains: Any,
) -> int:  # fmt: skip
    """Return the kept row with the same text hash, -1 for none."""
    kept = table_rows[_slot(table_keys, table_rows, keys[row, 0])]
    while kept != _EMPTY:
        if kept_hashes[kept, 0] == hashes[row, 0] and kept_hashes[kept, 1] == hashes[row, 1]:
            return kept
        kept = chains[kept, 0]
    return -1


@kernel
def _search_near(
    keys: Any, lanes: Any, row: int, kept_lanes: Any, table_keys: Any, table_rows: Any,
    chains: Any, seen: Any, needed: int, counters: Any,
) -> Any:  # fmt: skip
    """Return the kept row most similar to a document, and in how many lanes they agree."""
    best, best_agreement = np.int64(-1), np.int64(needed - 1)
    counters[0] += 1
    for band in range(1, keys.shape[1]):
        kept = table_rows[_slot(table_keys, table_rows, keys[row, band])]
        steps = 0
        while kept != _EMPTY:
            if seen[kept] != counters[0]:
                seen[kept] = counters[0]
                counters[1] += 1
                agreement = 0
                for lane in range(lanes.shape[1]):
                    agreement += lanes[row, lane] == kept_lanes[kept, lane]
                if agreement > best_agreement or (agreement == best_agreement and kept < best):
                    best, best_agreement = np.int64(kept), np.int64(agreement)
            steps += 1
            if steps >= MAX_CHAIN:
                counters[2] += 1
                break
            kept = chains[kept, band]
    return best, best_agreement


@kernel
def _offer_batch(
    rows: Any, size: int, hashes: Any, lanes: Any, keys: Any, used: Any, kept_hashes: Any,
    kept_lanes: Any, kept_keys: Any, kept_used: Any, table_keys: Any, table_rows: Any,
    chains: Any, seen: Any, needed: int, counters: Any, found: Any, agreements: Any,
) -> int:  # fmt: skip
    """Offer documents one after another; return how many are kept then.

    Fills `found` with the kept row each document repeats, or -1 - its own new row, and
    `agreements` with the agreeing lanes, -1 for an exact copy.
    """
    for index in range(rows.size):
        row = rows[index]
        agreements[index] = -1
        found[index] = _search_exact(keys, hashes, row, kept_hashes, table_keys, table_rows, chains)
        if found[index] < 0 and used[row] > 1:
            best, agreement = _search_near(
                keys, lanes, row, kept_lanes, table_keys, table_rows, chains, seen, needed,
                counters,
            )  # fmt: skip
            found[index], agreements[index] = best, agreement
        if found[index] >= 0:
            continue
        kept_hashes[size], kept_lanes[size] = hashes[row], lanes[row]
        kept_keys[size], kept_used[size] = keys[row], used[row]
        seen[size] = 0
        found[index] = -1 - size
        size += 1
        _insert_rows(size - 1, size, kept_keys, kept_used, table_keys, table_rows, chains)
    return size


class KeptIndex:
    """Kept documents, found again by text hash or by similarity.

    Args:
        banding: How to find near duplicates; None for exact ones only.
    """

    def __init__(self, banding: Banding | None) -> None:
        self._needed = banding.needed_lanes if banding else 1
        keys = 1 + (banding.bands if banding else 0)
        lanes = banding.num_perm if banding else 0
        self._size = 0
        # Hash, lanes, keys and number of keys of each kept document; the next of each chain; the
        # search that saw the document last.
        self._kept: list[Any] = [
            np.empty((0, 2), np.uint64), np.empty((0, lanes), np.uint8),
            np.empty((0, keys), np.uint64), np.empty(0, np.int64),
        ]  # fmt: skip
        self._chains = np.empty((0, keys), np.int32)
        self._seen = np.empty(0, np.int64)
        self._numbers = np.empty(0, np.int64)
        self._table_keys = np.empty(2, np.uint64)
        self._table_rows = np.full(2, _EMPTY, np.int32)
        self._counters = np.zeros(3, np.int64)

    @property
    def compared(self) -> int:
        """Pairs of documents verified so far."""
        return int(self._counters[1])

    @property
    def cut(self) -> int:
        """Times that `MAX_CHAIN` ended a search."""
        return int(self._counters[2])

    def offer(
        self, signatures: Signatures, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Offer documents, one after another.

        Args:
            signatures: That hold them.
            rows: int64, their rows there.
            numbers: int64, what each is called when a later one repeats it.

        Returns:
            The number of the document that each repeats (its own when it is kept), and the
            estimated similarity: `EXACT` for exact copies, NaN for kept ones.
        """
        self._reserve(self._size + len(rows))
        exact_keys = mix_hashes(signatures.text_hashes)
        keys = np.concatenate([exact_keys[:, None], signatures.keys], axis=1)
        used = np.where(signatures.shingles > 0, keys.shape[1], 1)
        found = np.empty(len(rows), np.int64)
        agreements = np.empty(len(rows), np.int64)
        before = self._size
        self._size = _offer_batch(
            rows, before, signatures.text_hashes, signatures.lanes, keys, used, *self._kept,
            self._table_keys, self._table_rows, self._chains, self._seen, self._needed,
            self._counters, found, agreements,
        )  # fmt: skip
        kept = found < 0
        self._numbers[-1 - found[kept]] = numbers[kept]
        survivors = np.where(kept, numbers, self._numbers[np.where(kept, 0, found)])
        similarity = np.ones(len(rows))
        if signatures.lanes.shape[1]:
            similarity = jaccard_of_lanes(agreements, signatures.lanes.shape[1])
        similarity[agreements < 0] = EXACT
        similarity[kept] = np.nan
        return survivors, similarity

    def _reserve(self, size: int) -> None:
        """Make room; a table more than half full is doubled and filled anew."""
        if size > len(self._seen):
            room = max(size, len(self._seen) * 3 // 2, 4096)
            for array in (*self._kept, self._chains, self._seen, self._numbers):
                array.resize((room, *array.shape[1:]), refcheck=False)
        keys = self._chains.shape[1]
        if 2 * size * keys > len(self._table_rows):
            slots = 1 << (4 * size * keys - 1).bit_length()
            self._table_keys = np.empty(slots, np.uint64)
            self._table_rows = np.full(slots, _EMPTY, np.int32)
            _, _, kept_keys, kept_used = self._kept
            _insert_rows(
                0, self._size, kept_keys, kept_used, self._table_keys, self._table_rows,
                self._chains,
            )  # fmt: skip


def mix_hashes(text_hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the table key of text hashes, set apart from band keys."""
    return text_hashes[:, 0] ^ np.uint64(0x13198A2E03707344)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    index = KeptIndex(None)
    empty = Signatures(
        np.zeros((1, 2), np.uint64), np.zeros(1, np.int64), np.zeros((1, 0), np.uint8),
        np.zeros((1, 0), np.uint64),
    )  # fmt: skip
    index.offer(empty, np.zeros(1, np.int64), np.zeros(1, np.int64))
