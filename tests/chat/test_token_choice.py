"""The choice of a token: each filter by itself, and their order."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from norcli.chat.engines import Sampling
from norcli.chat.sampling import choose_token

OPEN = Sampling(top_k=1000, top_p=1.0, min_p=0.0, temperature=1.0)
LOGITS = np.log(np.array([0.05, 0.5, 0.3, 0.15], dtype=np.float32))


def draws(sampling: Sampling, previous: list[int] | None = None, count: int = 4000):
    generator = np.random.default_rng(3)
    chosen = Counter(
        choose_token(LOGITS, previous or [], sampling, generator) for _ in range(count)
    )
    return {token: number / count for token, number in sorted(chosen.items())}


def test_open_sampling_follows_the_probabilities() -> None:
    expected = {0: 0.05, 1: 0.5, 2: 0.3, 3: 0.15}
    assert draws(OPEN) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"top_k": 2}, {1, 2}),
        ({"top_p": 0.6}, {1, 2}),
        ({"top_p": 0.45}, {1}),
        ({"min_p": 0.25}, {1, 2, 3}),
        ({"min_p": 0.7}, {1}),
        ({"temperature": 0.0}, {1}),
        ({"temperature": 0.01}, {1}),
    ],
)
def test_filters_leave_the_likeliest(change: dict[str, float], left: set[int]) -> None:
    assert set(draws(dataclasses.replace(OPEN, **change))) == left


def test_temperature_applies_after_the_filters() -> None:
    hot = dataclasses.replace(OPEN, top_p=0.6, temperature=5.0)
    assert set(draws(hot)) == {1, 2}


def test_repeat_penalty_turns_from_what_was_said() -> None:
    greedy = dataclasses.replace(OPEN, temperature=0.0, repeat_penalty=2.0)
    assert set(draws(greedy, [1], 1)) == {2}
    assert set(draws(greedy, [1, *[3] * 64], 1)) == {1}


def test_top_p_does_not_suffer_from_rounding() -> None:
    logits = np.zeros(1000, dtype=np.float32)
    generator = np.random.default_rng(0)
    nearly = dataclasses.replace(OPEN, top_p=float(np.nextafter(1.0, 0.0)))
    assert {choose_token(logits, [], nearly, generator) for _ in range(50)} <= set(range(1000))


def test_same_seed_same_choice_and_extreme_logits_are_harmless() -> None:
    wild = np.array([-np.inf, 3e38, -3e38, 1.0], dtype=np.float32)
    assert choose_token(wild, [], OPEN, np.random.default_rng(1)) == 1
    picks = [[choose_token(LOGITS, [], OPEN, g) for _ in range(20)]
             for g in (np.random.default_rng(9), np.random.default_rng(9))]  # fmt: skip
    assert picks[0] == picks[1]
