"""Which documents are duplicates: exact ones by hash, near ones by bands and verification.

Third step of dedup. Band keys are sorted band by band; documents with the same key are compared
by the agreement of all their 8-bit lanes, and joined when it is enough. Documents are taken in
the order of their content hash, so neither the order of the input nor the number of jobs can
change the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from norcli.dedup.banding import Banding
from norcli.dedup.clusters import find_root, join, roots_of
from norcli.dedup.minhash import agreeing_lanes
from norcli.dedup.signatures import Signatures

MAX_FAILURES = 1000
"""Failed comparisons of one document in one bucket before the rest of the bucket is left out.

Boilerplate can put 100 000 documents into one bucket; a true duplicate shares most bands, so it
is all but certain to be met in another.
"""

_njit: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


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


@_njit
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


def content_order(
    hashes: npt.NDArray[np.uint64], active: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return documents sorted by content hash, equal ones in the order of the input."""
    chosen = hashes[active]
    return active[np.lexsort((chosen[:, 1], chosen[:, 0]))]


def group_exact(
    hashes: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return for each document the first one with the same text hash, itself if not in order.

    Args:
        hashes: uint64 [documents, 2].
        order: From `content_order`.
    """
    representatives = np.arange(len(hashes), dtype=np.int64)
    if not len(order):
        return representatives
    ordered = hashes[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    heads = order[begins]
    representatives[order] = heads[np.cumsum(begins) - 1]
    return representatives


def match_documents(
    signatures: Signatures, banding: Banding | None, active: npt.NDArray[np.int64]
) -> Matches:
    """Find the clusters of duplicates.

    Args:
        signatures: Of all documents.
        banding: How to find near duplicates; None for exact ones only.
        active: The documents to compare; the others stay alone.
    """
    order = content_order(signatures.text_hashes, active)
    exact = group_exact(signatures.text_hashes, order)
    if banding is None:
        return Matches(exact)
    parents = np.arange(len(signatures), dtype=np.int64)
    distinct = order[(exact[order] == order) & (signatures.shingles[order] > 0)]
    counters = np.zeros(3, np.int64)
    for band in range(banding.bands):
        keys = signatures.keys[distinct, band]
        by_key = np.argsort(keys, kind="stable")
        join_buckets(
            distinct[by_key], keys[by_key], signatures.lanes, banding.needed_lanes, parents,
            MAX_FAILURES, counters,
        )  # fmt: skip
    labels = roots_of(parents)[exact]
    return Matches(labels, int(counters[0]), int(counters[1]), int(counters[2]))


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    two = Signatures(
        np.array([[1, 1], [2, 2]], np.uint64), np.ones(2, np.int64), np.ones((2, 16), np.uint8),
        np.ones((2, 4), np.uint64),
    )  # fmt: skip
    match_documents(two, Banding(0.7, 16, 4, 4), np.arange(2))
