"""Sorting hashes against numpy's stable sort, also where they are not spread."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup.index import content_order
from norcli.dedup.sorting import sort_hashes


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2000), st.integers(0, 99), st.sampled_from([2, 50, 2**40, 2**64]),
    st.booleans(),
)  # fmt: skip
def test_order_is_that_of_a_stable_sort(size: int, seed: int, most: int, high: bool) -> None:
    keys = np.random.default_rng(seed).integers(0, most, size, np.uint64, endpoint=False)
    if high:
        keys = ~keys
    order, found = sort_hashes(keys)
    assert order.tolist() == np.argsort(keys, kind="stable").tolist()
    assert found.tolist() == np.sort(keys).tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 500), st.integers(0, 99), st.sampled_from([2, 30, 2**64]))
def test_content_order_is_that_of_both_halves_then_of_the_input(
    size: int, seed: int, most: int
) -> None:
    generator = np.random.default_rng(seed)
    hashes = generator.integers(0, most, (size, 2), np.uint64, endpoint=False)
    active = np.flatnonzero(generator.random(size) < 0.8)
    expected = sorted(active.tolist(), key=lambda one: (*hashes[one].tolist(), one))
    assert content_order(hashes, active).tolist() == expected
