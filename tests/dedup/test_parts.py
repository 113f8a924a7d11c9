"""Dedup in parts: the clusters of one process, however documents and keys are shared out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup.banding import Banding
from norcli.dedup.index import match_documents
from norcli.dedup.minhash import estimate_jaccard
from norcli.dedup.parts import (
    DOCUMENT,
    KEY,
    Entries,
    Forest,
    NotedPolicy,
    cut_at,
    entries_by_range,
    exact_pairs,
    near_pairs,
    shared_keys,
    similarity,
)
from norcli.dedup.signatures import Signatures
from norcli.dedup.survivors import Policy

LANES, BANDS = 16, 4
BANDING = Banding(0.7, LANES, BANDS, 4)


def make_signatures(count: int, seed: int) -> Signatures:
    """Make documents with few different keys and lanes, so that chains and near misses occur."""
    chance = np.random.default_rng(seed)
    bases = chance.integers(0, 256, (max(count // 4, 1), LANES), np.uint8)
    owners = chance.integers(0, len(bases), count)
    lanes = bases[owners]
    changed = chance.random((count, LANES)) < chance.choice([0.0, 0.1, 0.2, 0.4], (count, 1))
    lanes = np.where(changed, chance.integers(0, 256, lanes.shape, np.uint8), lanes)
    # Keys agree more often than lanes, as keys of near misses do; some lie at the edges.
    pool = chance.integers(0, 2**64, 12, np.uint64)
    pool[:3] = 0, 2**64 - 1, 2**63
    keys = pool[(owners[:, None] + np.arange(BANDS)) % len(pool)]
    hashes = np.ascontiguousarray(lanes).view(np.uint64)[:, :2].copy()
    shingles = np.where(hashes[:, 0] % np.uint64(10) == 0, 0, 5)  # alike for equal texts
    return Signatures(hashes, shingles.astype(np.int32), lanes, keys)


def labels_in_parts(
    signatures: Signatures, active: npt.NDArray[np.int64], ranges: int, jumble: int
) -> npt.NDArray[np.int64]:
    """Find clusters as the stages of a run of many tasks do, ranges in any order."""
    near = active[signatures.shingles[active] > 0]
    keys = [*signatures.keys.T, signatures.text_hashes[:, 0]]
    chosen = [near] * BANDS + [active]
    found = [
        entries_by_range(np.ascontiguousarray(one), signatures.text_hashes, documents, ranges)
        for one, documents in zip(keys, chosen, strict=True)
    ]
    forest = Forest(len(signatures))
    for key_range in np.random.default_rng(jumble).permutation(ranges):
        cut: list[Entries] = [
            entries[begins[key_range] : begins[key_range + 1]] for entries, begins in found
        ]
        forest.join(exact_pairs(cut[-1]))
        shared = [shared_keys(entries) for entries in cut[:-1]]
        documents = np.unique(np.concatenate([one[:, DOCUMENT] for one in shared])).astype(np.int64)
        lanes = signatures.lanes[documents]
        forest.join(near_pairs(shared, documents, lanes, BANDING).pairs)
    return forest.labels()


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(1, 60), seed=st.integers(0, 10**6), ranges=st.sampled_from([1, 2, 3, 7, 64]),
    skipped=st.integers(0, 3),
)  # fmt: skip
def test_clusters_are_those_of_one_process(
    count: int, seed: int, ranges: int, skipped: int
) -> None:
    signatures = make_signatures(count, seed)
    active = np.flatnonzero(np.arange(count) % 5 >= skipped)
    expected = match_documents(signatures, BANDING, active).labels
    found = labels_in_parts(signatures, active, ranges, seed)
    same = [expected[a] == expected[b] for a in range(count) for b in range(count)]
    assert same == [found[a] == found[b] for a in range(count) for b in range(count)]


def test_every_entry_lies_in_the_range_of_its_key() -> None:
    signatures = make_signatures(500, 1)
    documents = np.arange(0, 500, 3)
    for ranges in (1, 5, 64):
        entries, begins = entries_by_range(
            signatures.keys[:, 0], signatures.text_hashes, documents, ranges
        )
        assert begins[0] == 0
        assert begins[-1] == len(documents)
        assert sorted(entries[:, DOCUMENT].tolist()) == documents.tolist()
        for key_range in range(ranges):
            for entry in entries[begins[key_range] : begins[key_range + 1]].tolist():
                assert (entry[KEY] >> 32) * ranges >> 32 == key_range
                assert entry[KEY] == signatures.keys[entry[DOCUMENT], 0]


def test_no_entries_give_no_pairs() -> None:
    nothing = np.empty((0, 4), np.uint64)
    assert exact_pairs(nothing).shape == (0, 2)
    assert shared_keys(nothing).shape == (0, 4)
    found = near_pairs([nothing], np.empty(0, np.int64), np.empty((0, LANES), np.uint8), BANDING)
    assert found.pairs.shape == (0, 2)


def test_similarity_of_parts_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("norcli.dedup.parts.JACCARD_ROWS", 3)
    lanes = make_signatures(40, 2).lanes
    firsts, seconds = np.arange(11), np.arange(20, 31)
    found = similarity(firsts, seconds, lambda documents: lanes[documents])
    assert (found == estimate_jaccard(lanes[firsts], lanes[seconds])).all()


def test_merits_noted_elsewhere_decide_alike() -> None:
    policy = Policy("longest")
    policy.note([], np.array([3, 9, 5]))
    noted = NotedPolicy("longest", 0, policy.merits())
    assert noted.merits().tolist() == [3.0, 9.0, 5.0]
    assert NotedPolicy("first", 0, np.empty(0)).by_order


def test_documents_are_given_to_their_parts() -> None:
    ends = np.array([3, 3, 10])
    found: dict[int, Any] = {
        part: rows.tolist() for part, rows in cut_at(ends, np.array([9, 0, 2, 3]))
    }
    assert found == {0: [1, 2], 2: [0, 3]}
