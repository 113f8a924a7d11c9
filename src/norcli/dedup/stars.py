"""Star clusters from pairs that were found elsewhere.

Each document, the best first, joins the kept one most similar to it, or is kept. What
`norcli.dedup.kept` decides while it searches is decided here once all similar pairs are known, as
when many tasks have compared a range of keys each. The pairs are of texts: copies of one text are
similar to the same others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.index import MAX_FAILURES
from norcli.dedup.minhash import agreeing_lanes

MAX_PARTNERS = MAX_FAILURES
"""Texts of one bucket that each is compared with, the best first."""


@kernel
def _compare_bucket(
    members: Any, lanes: Any, needed: int, most: int, pairs: Any, counters: Any
) -> int:
    """Fill the pairs of one bucket that are similar enough; return how many."""
    found = 0
    for later in range(1, members.size):
        for earlier in range(min(later, most)):
            counters[0] += 1
            agreement = agreeing_lanes(lanes, members[later], members[earlier])
            if agreement >= needed:
                pairs[found, 0], pairs[found, 1] = members[later], members[earlier]
                pairs[found, 2] = agreement
                found += 1
        counters[1] += later > most
    return found


def star_pairs(
    buckets: list[npt.NDArray[np.int64]], lanes: npt.NDArray[np.uint8], needed: int
) -> tuple[npt.NDArray[np.int64], int, int]:
    """Compare all texts that share a key.

    Args:
        buckets: int64 each, rows of the texts that share one key, the best first.
        lanes: uint8 [texts, num_perm].
        needed: Agreeing lanes that make a duplicate.

    Returns:
        int64 [pairs, 3]: two rows, the lanes that agree; each pair once. How many pairs were
        compared, and how often `MAX_PARTNERS` ended a search.
    """
    counters = np.zeros(2, np.int64)
    found = [np.empty((0, 3), np.int64)]
    for members in buckets:
        most = min(len(members), MAX_PARTNERS)
        pairs = np.empty((len(members) * most, 3), np.int64)
        count = _compare_bucket(members, lanes, needed, MAX_PARTNERS, pairs, counters)
        found.append(np.sort(pairs[:count, :2], axis=1))
        found[-1] = np.concatenate([found[-1], pairs[:count, 2:]], axis=1)
    return np.unique(np.concatenate(found), axis=0), int(counters[0]), int(counters[1])


@kernel
def _join_stars(
    order: Any, texts: Any, begins: Any, partners: Any, agreements: Any, kept: Any, ranks: Any,
    labels: Any,
) -> None:  # fmt: skip
    """Give each document, in order, the kept one it joins, or itself.

    Args:
        order: int64, documents, the best first.
        texts: int64 [documents], one document that stands for all with the same text.
        begins: int64 [documents + 1], where the pairs of each text begin.
        partners: int64, the other text of each pair.
        agreements: int64, in how many lanes they agree.
        kept: int64 [documents], filled: the document kept of each text, -1 for none.
        ranks: int64 [documents], room to work.
        labels: int64 [documents], filled.
    """
    for place in range(order.size):
        document = order[place]
        text = texts[document]
        chosen = kept[text]
        best = -1
        if chosen < 0:
            for pair in range(begins[text], begins[text + 1]):
                other = kept[partners[pair]]
                if other < 0 or agreements[pair] < best:
                    continue
                if agreements[pair] > best or ranks[other] < ranks[chosen]:
                    best, chosen = agreements[pair], other
        if chosen < 0:
            kept[text], chosen = document, document
        ranks[document] = place
        labels[document] = chosen


def join_stars(
    order: npt.NDArray[np.int64], texts: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return int64 [documents], the kept document that each joins; itself where it is kept.

    Args:
        order: int64, the documents to compare, the best first; all others stay alone.
        texts: int64 [documents], one document that stands for all with the same text.
        pairs: int64 [pairs, 3], two documents that stand for texts, agreeing lanes.
    """
    count = len(texts)
    ends = np.concatenate([pairs[:, 0], pairs[:, 1]])
    sorted_pairs = np.argsort(ends, kind="stable")
    begins = np.searchsorted(ends[sorted_pairs], np.arange(count + 1))
    partners = np.concatenate([pairs[:, 1], pairs[:, 0]])[sorted_pairs]
    agreements = np.concatenate([pairs[:, 2], pairs[:, 2]])[sorted_pairs]
    labels = np.arange(count, dtype=np.int64)
    _join_stars(
        order, texts, begins, partners, agreements, np.full(count, -1, np.int64),
        np.zeros(count, np.int64), labels,
    )  # fmt: skip
    return labels


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    two = np.arange(2, dtype=np.int64)
    pairs, _, _ = star_pairs([two], np.ones((2, 16), np.uint8), 16)
    join_stars(two, two, pairs)
