"""The formulas of PPO: advantages, policy loss, value loss, KL. Tensors in, tensors out.

Schulman et al. 2017 (arXiv 1707.06347, eq. 7), generalized advantage estimation (arXiv
1506.02438, eq. 16), per-token KL in the reward as Ouyang et al. 2022 (arXiv 2203.02155, eq. 2).
"""

from __future__ import annotations

import torch
from torch import Tensor


def token_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log-probabilities of the targets, shape (B, T), from logits (B, T, V)."""
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(dim=-1)


def token_rewards(
    scores: Tensor, log_probs: Tensor, reference_log_probs: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    """Return rewards (B, T): a price on distance at every token, the score at the last one.

    Args:
        scores: One for each answer, (B,).
        log_probs: Of the policy that wrote the answers, (B, T).
        reference_log_probs: Of the frozen reference policy, (B, T).
        mask: 1 for the tokens of the answer, padding behind, (B, T).
        kl_coef: Price of a nat.
    """
    rewards = -kl_coef * (log_probs - reference_log_probs) * mask
    last = mask.sum(1).long() - 1
    rewards[torch.arange(len(scores), device=scores.device), last] += scores
    return rewards


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Return generalized advantages and the values' targets, both (B, T).

    A_t = sum_l (gamma lambda)^l delta_{t+l}, delta_t = r_t + gamma V_{t+1} - V_t, with V = 0
    after the last token.
    """
    values = values * mask
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = (delta + gamma * gae_lambda * running) * mask[:, t]
        advantages[:, t] = running
    return advantages, advantages + values


def next_kl_coef(kl_coef: float, kl: float, target: float | None) -> float:
    """Return the price of the next round: higher where the policy was too far, else lower.

    Ziegler et al. 2019 (arXiv 1909.08593), section 2.2; without a target the price stays.
    """
    if not target:
        return kl_coef
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return kl_coef * (1.0 + 0.1 * error)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens of the answers."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the tokens of the answers."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return (values - mean) * torch.rsqrt(variance + 1e-8) * mask


def policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, clip_range: float
) -> Tensor:
    """Return the clipped surrogate loss, a scalar."""
    ratio = torch.exp(log_probs - old_log_probs)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * clipped), mask)


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, value_clip: float
) -> Tensor:
    """Return half the squared error, the change of the value clipped, a scalar."""
    clipped = old_values + (values - old_values).clamp(-value_clip, value_clip)
    worse = torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)
    return 0.5 * masked_mean(worse, mask)
