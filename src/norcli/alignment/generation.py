"""Sampling from a policy: batches padded on the left, key-value cache, a seed for every batch.

Used by rlhf sample and by the rollouts of PPO. Returns token ids; what ended by itself carries
the end token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def seeded_generator(*numbers: int) -> torch.Generator:
    """Return a generator whose state is a function of the numbers alone, such as seed and step."""
    seed = 0
    for number in numbers:
        # splitmix64's odd constant spreads neighbouring numbers apart.
        seed = (seed * 0x9E3779B97F4A7C15 + number + 1) & 0x7FFF_FFFF_FFFF_FFFF
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def pad_left(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask of shape (B, T), padding in front."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


@torch.inference_mode()
def sample_answers(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    eos_id: int,
    generator: torch.Generator,
) -> list[list[int]]:
    """Let a causal model continue each prompt.

    Args:
        model: A transformers causal language model.
        prompts: Token ids; their lengths may differ.
        max_new_tokens: Most tokens of an answer.
        temperature: Divides the logits; 0 takes the likeliest token.
        eos_id: Token that ends an answer.
        generator: Where the randomness comes from.

    Returns:
        The new tokens of each prompt, with the end token where it was reached.
    """
    was_training = model.training
    model.eval()
    ids, mask = pad_left(prompts, eos_id)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache: Any = None
    answers: list[list[int]] = [[] for _ in prompts]
    alive = torch.ones(len(prompts), dtype=torch.bool)
    for _ in range(max_new_tokens):
        result = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        cache = result.past_key_values
        chosen = _choose(result.logits[:, -1].float(), temperature, generator)
        for row in torch.nonzero(alive).flatten().tolist():
            answers[row].append(int(chosen[row]))
        alive &= chosen != eos_id
        if not alive.any():
            break
        ids = chosen.unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
    model.train(was_training)
    return answers


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Return one token for each row of logits (B, V)."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
