"""Star clusters from pairs are those that the index of kept documents finds as it goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup import stars
from norcli.dedup.banding import Banding
from norcli.dedup.kept import KeptIndex
from norcli.dedup.signatures import Signatures
from norcli.dedup.stars import join_stars, star_pairs

BANDING = Banding(0.5, 16, 4, 4)


def made_signatures(seed: int, count: int) -> Signatures:
    """Make texts in few bytes, some of them twice, with few values in each lane and key."""
    chance = np.random.default_rng(seed)
    texts = chance.integers(0, max(count * 2 // 3, 1), count)
    lanes = chance.integers(0, 2, (count, 16), np.uint8)[texts]
    keys = chance.integers(1, 8, (count, 4)).astype(np.uint64)[texts]
    keys += np.arange(4, dtype=np.uint64) * np.uint64(100)  # no band shares a key with another
    hashes = np.stack([texts, texts], axis=1).astype(np.uint64) + np.uint64(1)
    return Signatures(hashes, np.ones(count, np.int32), lanes, keys)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
def test_stars_are_those_of_the_index_of_kept_documents(seed: int, count: int) -> None:
    signatures = made_signatures(seed, count)
    order = np.random.default_rng(seed + 1).permutation(count)
    expected, _ = KeptIndex(BANDING).offer(signatures, order, order)
    labels = np.empty(count, np.int64)
    labels[order] = expected
    _, first, text = np.unique(signatures.text_hashes[:, 0], return_index=True, return_inverse=True)
    buckets = [
        rows
        for band in range(4)
        for key in np.unique(signatures.keys[:, band])
        if len(rows := first[signatures.keys[first, band] == key]) > 1
    ]
    pairs, compared, cut = star_pairs(buckets, signatures.lanes, BANDING.needed_lanes)
    assert cut == 0
    assert compared == sum(len(rows) * (len(rows) - 1) // 2 for rows in buckets)
    assert np.array_equal(join_stars(order, first[text], pairs), labels)


def test_a_bucket_of_very_many_texts_is_compared_with_the_best_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stars, "MAX_PARTNERS", 3)
    lanes = np.zeros((8, 16), np.uint8)
    pairs, compared, cut = star_pairs([np.arange(8)], lanes, 16)
    assert (compared, cut) == (1 + 2 + 3 * 5, 4)
    assert set(pairs[:, 0].tolist()) == {0, 1, 2}
    labels = join_stars(np.arange(8), np.arange(8), pairs)
    assert labels.tolist() == [0] * 8
