"""MinHash against a plain reference, its estimates against true similarity, and the banding."""

from __future__ import annotations

import itertools
import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shingle_reference import reference_mix

from norcli.dedup.banding import choose_banding
from norcli.dedup.minhash import (
    cut_signature,
    estimate_jaccard,
    minimum_hashes,
    multipliers,
)
from norcli.dedup.signatures import Signer
from norcli.errors import UsageError

MASK = (1 << 64) - 1


def sign(
    documents: list[npt.NDArray[np.uint64]], num_perm: int, seed: int, bands: int, rows: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
    lanes = np.empty((len(documents), num_perm), np.uint8)
    keys = np.empty((len(documents), bands), np.uint64)
    for index, shingles in enumerate(documents):
        signature = np.full(num_perm, 0xFFFFFFFF, np.uint32)
        # In two steps, as long texts come.
        half = len(shingles) // 2
        minimum_hashes(shingles, 0, half, multipliers(num_perm, seed), signature)
        minimum_hashes(shingles, half, len(shingles), multipliers(num_perm, seed), signature)
        cut_signature(signature, rows, lanes[index], keys[index])
    return lanes, keys


def reference_signature(shingles: list[int], factors: list[int]) -> list[int]:
    lowest = []
    for factor in factors:
        values = [(factor * (s & 0xFFFFFFFF) + (s >> 32)) & 0xFFFFFFFF for s in shingles]
        lowest.append(min(values, default=0xFFFFFFFF))
    return lowest


def reference_key(values: list[int], band: int) -> int:
    key = 0x452821E638D01377 + band
    for value in values:
        key = reference_mix(((key ^ value) * 0x100000001B3) & MASK)
    return key


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, MASK), max_size=12), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_kernel_equals_the_reference(documents: list[list[int]], seed: int) -> None:
    factors = multipliers(16, seed)
    lanes, keys = sign([np.array(d, np.uint64) for d in documents], 16, seed, 5, 3)
    for index, shingles in enumerate(documents):
        signature = reference_signature(shingles, [int(f) for f in factors])
        assert lanes[index].tolist() == [value & 0xFF for value in signature]
        expected = [reference_key(signature[3 * b : 3 * b + 3], b) for b in range(5)]
        assert keys[index].tolist() == expected


def test_multipliers_are_odd_distinct_and_fixed() -> None:
    factors = multipliers(256, 0)
    assert (factors & 1).all()
    assert len(set(factors.tolist())) == 256
    # The first outputs of SplitMix64 from seed 0 (Vigna's reference code), upper halves.
    assert factors[:2].tolist() == [0xE220A839 | 1, 0x6E789E6A | 1]
    assert multipliers(4, 1).tolist() != factors[:4].tolist()


@pytest.mark.parametrize("jaccard", [0.2, 0.5, 0.7, 0.8, 0.95])
def test_estimates_are_unbiased_and_as_narrow_as_theory_says(jaccard: float) -> None:
    generator = np.random.default_rng(7)
    size, pairs = 300, 200
    shared = round(2 * size * jaccard / (1 + jaccard))
    truth = shared / (2 * size - shared)
    parts = []
    for _ in range(pairs):
        words = generator.integers(0, MASK, 2 * size - shared, dtype=np.uint64, endpoint=True)
        parts += [words[:size], words[size - shared :]]
    lanes, _ = sign(parts, 256, 0, 1, 4)
    estimates = estimate_jaccard(lanes[::2], lanes[1::2])
    deviation = (truth * (1 - truth) / 256) ** 0.5
    assert abs(estimates.mean() - truth) < 5 * deviation / pairs**0.5 + 0.002
    assert estimates.std() < 1.25 * deviation + 0.002


def test_scopes_keep_equal_texts_apart() -> None:
    signer = Signer(5, choose_banding(0.7, 256), 0)
    text = "det regner mye i bergen om høsten".encode()
    apart = signer.sign([text, text], np.array([1, 2], np.uint64))
    assert apart.text_hashes[0].tolist() != apart.text_hashes[1].tolist()
    assert not (apart.keys[0] == apart.keys[1]).any()


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("num_perm", [16, 128, 256, 512])
def test_chosen_bands_fit_and_grow_more_selective(threshold: float, num_perm: int) -> None:
    banding = choose_banding(threshold, num_perm)
    assert 1 <= banding.bands * banding.rows <= num_perm
    points = [banding.match_probability(j / 20) for j in range(21)]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(points))


def test_default_banding_promises_the_recall_it_is_measured_against() -> None:
    banding = choose_banding(0.7, 256)
    assert banding.candidate_probability(0.7) >= 0.999
    assert banding.match_probability(0.8) >= 0.999
    assert banding.match_probability(0.6) <= 0.001


def test_candidate_probability_is_what_random_signatures_show() -> None:
    banding = choose_banding(0.6, 64, bands=8, rows=4)
    random_ = random.Random(3)
    trials = 20_000
    hits = sum(
        any(all(random_.random() < 0.6 for _ in range(4)) for _ in range(8)) for _ in range(trials)
    )
    assert hits / trials == pytest.approx(banding.candidate_probability(0.6), abs=0.015)


def test_too_many_bands_are_refused() -> None:
    with pytest.raises(UsageError, match="need 300 MinHash values"):
        choose_banding(0.7, 256, bands=30, rows=10)
