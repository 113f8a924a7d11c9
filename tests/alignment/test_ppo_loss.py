"""The formulas of PPO against slow readable references."""

from __future__ import annotations

import math

import pytest
import torch

from norcli.alignment.ppo_loss import (
    advantages_and_returns,
    policy_loss,
    token_log_probs,
    token_rewards,
    value_loss,
    whiten,
)
from norcli.alignment.reward_model import pairwise_loss


def slow_advantages(
    rewards: list[float], values: list[float], gamma: float, gae_lambda: float
) -> list[float]:
    """Sum the discounted temporal differences term by term, as in eq. 16 of the GAE paper."""
    count = len(rewards)
    deltas = [
        rewards[t] + gamma * (values[t + 1] if t + 1 < count else 0.0) - values[t]
        for t in range(count)
    ]
    return [
        sum((gamma * gae_lambda) ** k * deltas[t + k] for k in range(count - t))
        for t in range(count)
    ]


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (1.0, 0)])
def test_advantages_equal_the_sum_of_the_paper(gamma: float, gae_lambda: float) -> None:
    generator = torch.Generator().manual_seed(3)
    rewards = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    values = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    lengths = [7, 4, 1]
    mask = torch.tensor([[1.0] * n + [0.0] * (7 - n) for n in lengths], dtype=torch.float64)
    advantages, returns = advantages_and_returns(rewards * mask, values, mask, gamma, gae_lambda)
    for row, length in enumerate(lengths):
        slow = slow_advantages(
            rewards[row, :length].tolist(), values[row, :length].tolist(), gamma, gae_lambda
        )
        assert advantages[row, :length].tolist() == pytest.approx(slow, abs=1e-9)
        assert advantages[row, length:].abs().sum() == 0
        expected = [a + v for a, v in zip(slow, values[row, :length].tolist(), strict=True)]
        assert returns[row, :length].tolist() == pytest.approx(expected, abs=1e-9)


def test_policy_loss_equals_the_clipped_surrogate() -> None:
    new = torch.tensor([[-1.0, -0.2, -3.0]], dtype=torch.float64)
    old = torch.tensor([[-1.5, -0.1, -1.0]], dtype=torch.float64)
    advantages = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64)
    mask = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    terms = []
    for n, o, a in [(-1.0, -1.5, 2.0), (-0.2, -0.1, -1.0)]:
        ratio = math.exp(n - o)
        terms.append(-min(ratio * a, max(0.8, min(1.2, ratio)) * a))
    loss = policy_loss(new, old, advantages, mask, 0.2)
    assert float(loss) == pytest.approx(sum(terms) / 2, abs=1e-9)


def test_value_loss_takes_the_worse_of_both() -> None:
    values = torch.tensor([[1.0, 0.0]])
    old = torch.tensor([[0.0, 0.0]])
    returns = torch.tensor([[2.0, 1.0]])
    mask = torch.ones(1, 2)
    # 1.0 is clipped to 0.2: (0.2 - 2)^2 = 3.24 beats (1 - 2)^2; the second term is 1.
    assert float(value_loss(values, old, returns, mask, 0.2)) == pytest.approx(0.5 * 4.24 / 2)


def test_the_score_comes_at_the_last_token_and_distance_costs() -> None:
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    log_probs = torch.full((2, 3), -1.0)
    reference = torch.full((2, 3), -1.5)
    rewards = token_rewards(torch.tensor([1.0, 2.0]), log_probs, reference, mask, 0.1)
    expected = torch.tensor([[-0.05, 0.95, 0.0], [-0.05, -0.05, 1.95]])
    assert torch.allclose(rewards, expected)


def test_log_probs_are_those_of_log_softmax() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 4, 2], [1, 1, 3]])
    slow = torch.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(token_log_probs(logits, targets), slow, atol=1e-6)


def test_whitening_looks_at_answers_only() -> None:
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    white = whiten(torch.tensor([[1.0, 3.0, 1000.0]]), mask)
    assert white.tolist() == [[pytest.approx(-1.0), pytest.approx(1.0), 0.0]]


def test_pairwise_loss_is_bradley_terry_over_all_pairs() -> None:
    rewards = torch.tensor([0.5, -0.5, 1.0])
    scores = torch.tensor([0.9, 0.1, 0.9])
    # The pairs are (0, 1) and (2, 1); equal scores make none.
    slow = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(-1.5))) / 2
    assert float(pairwise_loss(rewards, scores)) == pytest.approx(slow, abs=1e-6)
    assert float(pairwise_loss(rewards, torch.ones(3))) == 0.0
