"""Dedup in parts: what one part hands to those that compare, and how their finds are put together.

Each document becomes one entry for each band, its key, and one for its text as a whole. Whoever
compares gets all entries whose keys lie in one range, from all parts, and finds the pairs in it;
the pairs of all ranges make the clusters. The kernels are those of `norcli.dedup.index`, so that
the clusters are those of one process. Reading and writing is `norcli.cluster.dedup_stages`'.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.banding import Banding
from norcli.dedup.clusters import join, roots_of
from norcli.dedup.index import MAX_FAILURES, join_buckets
from norcli.dedup.minhash import estimate_jaccard
from norcli.dedup.survivors import Policy

Entries = npt.NDArray[np.uint64]
"""uint64 [entries, 4]: key, the two halves of the text hash, document number."""

KEY, HASH, DOCUMENT = 0, slice(1, 3), 3
JACCARD_ROWS = 1 << 18
"""Pairs whose lanes are gathered at a time: 128 MiB with 256 lanes."""


def entries_by_range(
    keys: npt.NDArray[np.uint64], hashes: npt.NDArray[np.uint64],
    documents: npt.NDArray[np.int64], ranges: int,
) -> tuple[Entries, npt.NDArray[np.int64]]:  # fmt: skip
    """Return the entries of one band, those of one range of keys after those of another.

    Args:
        keys: uint64 [documents], the band's.
        hashes: uint64 [documents, 2], of the texts.
        documents: int64, which of them are to be compared.
        ranges: How many ranges of keys there are, of equal width.

    Returns:
        The entries, and int64 [ranges + 1] where the entries of each range begin.
    """
    chosen = keys[documents]
    places = range_of(chosen, ranges)
    order = np.argsort(places, kind="stable")
    found = np.empty((len(documents), 4), np.uint64)
    found[:, KEY] = chosen[order]
    found[:, HASH] = hashes[documents[order]]
    found[:, DOCUMENT] = documents[order]
    begins = np.searchsorted(places[order], np.arange(ranges + 1, dtype=np.uint64))
    return found, begins.astype(np.int64)


def range_of(keys: npt.NDArray[np.uint64], ranges: int) -> npt.NDArray[np.uint64]:
    """Return in which of so many ranges of equal width each key lies."""
    # The upper halves alone, so that the product stays within 64 bits.
    return (keys >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32)


def in_content_order(entries: Entries) -> tuple[Entries, npt.NDArray[np.bool_]]:
    """Sort entries by key, content and number; tell which repeat the text of the one before."""
    order = np.lexsort((entries[:, DOCUMENT], entries[:, 2], entries[:, 1], entries[:, KEY]))
    entries = entries[order]
    repeats = np.zeros(len(entries), np.bool_)
    repeats[1:] = (entries[1:, :DOCUMENT] == entries[:-1, :DOCUMENT]).all(axis=1)
    return entries, repeats


def exact_pairs(entries: Entries) -> npt.NDArray[np.int64]:
    """Return int64 [pairs, 2]: each document that repeats a text, and the first with that text."""
    entries, repeats = in_content_order(entries)
    heads = np.flatnonzero(~repeats)
    firsts = entries[heads[np.cumsum(~repeats) - 1], DOCUMENT]
    pairs = np.stack([entries[repeats, DOCUMENT], firsts[repeats]], axis=1)
    return pairs.astype(np.int64)


def shared_keys(entries: Entries) -> Entries:
    """Return the entries of keys that several different texts share, one for each text."""
    entries, repeats = in_content_order(entries)
    entries = entries[~repeats]
    keys = entries[:, KEY]
    same = keys[1:] == keys[:-1]
    shared = np.zeros(len(entries), np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    return entries[shared]


@dataclass(slots=True)
class Pairs:
    """The duplicates found in one range of keys.

    Attributes:
        pairs: int64 [pairs, 2], enough of them to join what belongs together.
        compared: Candidates verified.
        cut: Times that `MAX_FAILURES` ended the search in a bucket.
    """

    pairs: npt.NDArray[np.int64]
    compared: int = 0
    cut: int = 0


def near_pairs(
    bands: list[Entries], documents: npt.NDArray[np.int64], lanes: npt.NDArray[np.uint8],
    banding: Banding,
) -> Pairs:  # fmt: skip
    """Compare the documents that share a key.

    Args:
        bands: For each band, from `shared_keys`.
        documents: int64, the numbers of all documents in them, sorted.
        lanes: uint8 [documents, num_perm], theirs.
        banding: Says how many lanes have to agree.
    """
    parents = np.arange(len(documents), dtype=np.int64)
    counters = np.zeros(3, np.int64)
    for entries in bands:
        members = np.searchsorted(documents, entries[:, DOCUMENT].astype(np.int64))
        join_buckets(
            members, np.ascontiguousarray(entries[:, KEY]), lanes, banding.needed_lanes, parents,
            MAX_FAILURES, counters,
        )  # fmt: skip
    roots = roots_of(parents)
    joined = np.flatnonzero(roots != np.arange(len(roots)))
    pairs = np.stack([documents[joined], documents[roots[joined]]], axis=1)
    return Pairs(pairs, int(counters[0]), int(counters[2]))


@kernel
def _join_all(parents: Any, pairs: Any) -> None:
    for row in range(len(pairs)):
        join(parents, pairs[row, 0], pairs[row, 1])


class Forest:
    """The clusters of all documents while pairs come in."""

    def __init__(self, documents: int) -> None:
        self._parents = np.arange(documents, dtype=np.int64)

    def join(self, pairs: npt.NDArray[np.int64]) -> None:
        """Join the documents of pairs, int64 [pairs, 2]."""
        _join_all(self._parents, pairs)

    def labels(self) -> npt.NDArray[np.int64]:
        """Return int64 [documents], equal within a cluster."""
        return roots_of(self._parents)


def warm_up() -> None:
    """Compile the kernel, or load it from the cache."""
    Forest(2).join(np.array([[0, 1]], np.int64))


class NotedPolicy(Policy):
    """A survivor policy whose merits were noted elsewhere.

    Args:
        keep: As for `Policy`.
        known: Documents of earlier indexes.
        merits: float64 [documents], as `Policy.merits` gave them, those of the indexes first;
            empty for ``first``.
    """

    def __init__(self, keep: str, known: int, merits: npt.NDArray[np.float64]) -> None:
        super().__init__(keep)
        self._known = known
        self._merits = array("d", merits.tobytes())


def similarity(
    firsts: npt.NDArray[np.int64], seconds: npt.NDArray[np.int64],
    lanes_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]],
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return the estimated Jaccard similarity of pairs of documents, some at a time.

    Args:
        firsts: int64 [pairs].
        seconds: int64 [pairs].
        lanes_of: Takes document numbers and returns their lanes.
    """
    found = np.empty(len(firsts))
    for begin in range(0, len(firsts), JACCARD_ROWS):
        rows = slice(begin, begin + JACCARD_ROWS)
        found[rows] = estimate_jaccard(lanes_of(firsts[rows]), lanes_of(seconds[rows]))
    return found


def cut_at(
    ends: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
) -> Iterator[tuple[int, Any]]:
    """Yield, for each part that documents are of, its index and which of the numbers are its own.

    Args:
        ends: int64 [parts], the number behind the last document of each.
        numbers: int64, documents.
    """
    owners = np.searchsorted(ends, numbers, side="right")
    for part in np.unique(owners).tolist():
        yield part, np.flatnonzero(owners == part)
