"""Which documents are duplicates: exact ones by hash, near ones by bands and verification.

Third step of dedup. Band keys are sorted band by band; documents with the same key are compared
by the agreement of all their 8-bit lanes, and joined when it is enough. Documents are taken in
the order of their content hash, so neither the order of the input nor the number of jobs can
change the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.ahead import map_ahead
from norcli.compiled import kernel
from norcli.dedup.banding import Banding
from norcli.dedup.clusters import find_root, join, roots_among, roots_of
from norcli.dedup.minhash import agreeing_lanes
from norcli.dedup.signatures import Signatures
from norcli.dedup.sorting import sort_hashes
from norcli.dedup.spilling import SpilledSignatures

MAX_FAILURES = 1000
"""Failed comparisons of one document in one bucket before the rest of the bucket is left out.

Boilerplate can put 100 000 documents into one bucket; a true duplicate shares most bands, so it
is all but certain to be met in another.
"""


@dataclass(slots=True)
class Matches:
    """The duplicates found.

    Attributes:
        labels: int64 [documents], equal for the documents of one cluster.
        compared: Candidate pairs verified.
        joined: Of these, pairs that joined two clusters.
        cut_buckets: Times that `MAX_FAILURES` ended the search in a bucket.
    """

    labels: npt.NDArray[np.int64]
    compared: int = 0
    joined: int = 0
    cut_buckets: int = 0


@kernel
def join_buckets(
    members: Any, keys: Any, lanes: Any, needed: int, parents: Any, most: int, counters: Any
) -> None:
    """Verify and join the documents of each bucket of one band.

    Args:
        members: int64, documents sorted by key, then by content.
        keys: uint64, their keys.
        lanes: uint8 [documents, num_perm].
        needed: Agreeing lanes that make a duplicate.
        parents: int64 [documents], the forest of clusters, changed.
        most: `MAX_FAILURES`.
        counters: int64 [3], added to: compared, joined, cut.
    """
    begin = 0
    while begin < keys.size:
        end = begin + 1
        while end < keys.size and keys[end] == keys[begin]:
            end += 1
        for later in range(begin + 1, end):
            document, failures = members[later], 0
            for earlier in range(begin, later):
                other = members[earlier]
                if find_root(parents, document) == find_root(parents, other):
                    continue
                counters[0] += 1
                if agreeing_lanes(lanes, document, other) >= needed:
                    join(parents, document, other)
                    counters[1] += 1
                    continue
                failures += 1
                if failures >= most:
                    counters[2] += 1
                    break
        begin = end


@kernel
def _mark_open(members: Any, keys: Any, parents: Any, marks: Any) -> None:
    """Mark the documents of buckets whose documents are not all of one cluster yet."""
    begin = 0
    while begin < keys.size:
        end, is_open = begin + 1, False
        root = find_root(parents, members[begin])
        while end < keys.size and keys[end] == keys[begin]:
            is_open |= find_root(parents, members[end]) != root
            end += 1
        marks[begin:end] = is_open
        begin = end


@kernel
def _join_rows(members: Any, rows: Any, parents: Any) -> None:
    """Join each document with the one that stands in the row given for it."""
    for row in range(members.size):
        join(parents, members[row], members[rows[row]])


@kernel
def _group_equal(hashes: Any, order: Any, representatives: Any) -> None:
    """Give documents of equal hash, neighbours in `order`, the first of them."""
    head = order[0]
    for place in range(order.size):
        document = order[place]
        if hashes[document, 0] != hashes[head, 0] or hashes[document, 1] != hashes[head, 1]:
            head = document
        representatives[document] = head


def content_order(
    hashes: npt.NDArray[np.uint64], active: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return documents sorted by content hash, equal ones in the order of the input."""
    chosen = hashes if len(active) == len(hashes) else hashes[active]
    order, firsts = sort_hashes(chosen[:, 0])
    seconds = chosen[order, 1]
    if ((firsts[1:] == firsts[:-1]) & (seconds[1:] != seconds[:-1])).any():
        order = np.lexsort((chosen[:, 1], chosen[:, 0]))  # half a hash is almost always enough
    return active[order]


def group_exact(
    hashes: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return for each document the first one with the same text hash, itself if not in order.

    Args:
        hashes: uint64 [documents, 2].
        order: From `content_order`.
    """
    representatives = np.arange(len(hashes), dtype=np.int64)
    if len(order):
        _group_equal(hashes, order, representatives)
    return representatives


class _Joiner:
    """Joins documents that share a band key and agree in enough lanes."""

    def __init__(self, signatures: Signatures | SpilledSignatures, needed: int) -> None:
        self._signatures = signatures
        self._needed = needed
        self.parents = np.arange(len(signatures), dtype=np.int64)
        self.counters = np.zeros(3, np.int64)

    def join(self, members: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64]) -> None:
        """Join documents (int64) given with their keys of one band, sorted by key and content."""
        signatures = self._signatures
        if isinstance(signatures, Signatures):
            join_buckets(members, keys, signatures.lanes, self._needed, self.parents,
                         MAX_FAILURES, self.counters)  # fmt: skip
            return
        marks = np.empty(len(members), np.bool_)
        _mark_open(members, keys, self.parents, marks)
        members, keys = members[marks], keys[marks]
        begin = 0
        while begin < len(members):
            end = begin + signatures.batch_rows
            if end < len(members):
                # A bucket is never cut; one too large for the memory allowed is taken whole.
                end = int(np.searchsorted(keys, keys[end], "left"))
                if end <= begin:
                    end = int(np.searchsorted(keys, keys[begin], "right"))
            self._join_gathered(members[begin:end], keys[begin:end], signatures)
            begin = end

    def _join_gathered(
        self, members: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64],
        signatures: SpilledSignatures,
    ) -> None:  # fmt: skip
        """Join documents whose lanes are read from disk, by their rows among those read."""
        # What is joined already begins as one tree, so the same pairs are compared as in memory.
        _, heads, trees = np.unique(
            roots_among(self.parents, members), return_index=True, return_inverse=True
        )
        rows = heads[trees]
        join_buckets(np.arange(len(members)), keys, signatures.gather(members), self._needed, rows,
                     MAX_FAILURES, self.counters)  # fmt: skip
        _join_rows(members, roots_of(rows), self.parents)


def sorted_bands(
    signatures: Signatures | SpilledSignatures, bands: int, documents: npt.NDArray[np.int64],
    jobs: int,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]]:  # fmt: skip
    """Yield for each band the documents and their keys, sorted by key.

    Threads sort the next bands while the caller works on one.
    """
    if isinstance(signatures, SpilledSignatures):
        for band in range(bands):
            yield from signatures.band_keys(band, documents)
        return

    def sort(keys: npt.NDArray[np.uint64]) -> tuple[Any, npt.NDArray[np.uint64]]:
        order, keys = sort_hashes(keys)
        return documents[order], keys

    yield from map_ahead(sort, signatures.band_columns(documents), jobs)


def match_documents(
    signatures: Signatures | SpilledSignatures, banding: Banding | None,
    active: npt.NDArray[np.int64], jobs: int = 1,
) -> Matches:  # fmt: skip
    """Find the clusters of duplicates.

    Args:
        signatures: Of all documents.
        banding: How to find near duplicates; None for exact ones only.
        active: The documents to compare; the others stay alone.
        jobs: Threads that sort bands.
    """
    order = content_order(signatures.text_hashes, active)
    exact = group_exact(signatures.text_hashes, order)
    if banding is None:
        return Matches(exact)
    distinct = order[(exact[order] == order) & (signatures.shingles[order] > 0)]
    del order
    joiner = _Joiner(signatures, banding.needed_lanes)
    for members, keys in sorted_bands(signatures, banding.bands, distinct, jobs):
        joiner.join(members, keys)
    compared, joined, cut = joiner.counters.tolist()
    return Matches(roots_of(joiner.parents)[exact], compared, joined, cut)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    two = Signatures(
        np.array([[1, 1], [2, 2]], np.uint64), np.ones(2, np.int32), np.ones((2, 16), np.uint8),
        np.ones((2, 4), np.uint64),
    )  # fmt: skip
    match_documents(two, Banding(0.7, 16, 4, 4), np.arange(2))
    spilled = SpilledSignatures(16, 4, 1 << 20)
    spilled.append(two)
    spilled.hold(two.text_hashes, two.shingles)
    match_documents(spilled, Banding(0.7, 16, 4, 4), np.arange(2))
