"""Sampling from a policy: batches padded on the left, key-value cache, a seed for every answer.

Used by rlhf sample and by the rollouts of PPO. Returns token ids; what ended by itself carries
the end token. The draws of an answer are a function of its own seed, so they do not depend on
which answers share its batch.
"""

from __future__ import annotations

import hashlib
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


def text_number(text: str) -> int:
    """Return a number that stands for a text in seeds."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:7], "big")


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
    generators: Sequence[torch.Generator] = (),
    top_p: float = 1.0,
) -> list[list[int]]:
    """Let a causal model continue each prompt.

    Args:
        model: A transformers causal language model.
        prompts: Token ids; their lengths may differ.
        max_new_tokens: Most tokens of an answer.
        temperature: Divides the logits; 0 takes the likeliest token.
        eos_id: Token that ends an answer.
        generators: One for each answer; not needed at temperature 0.
        top_p: Choose among the likeliest tokens that together reach this probability.

    Returns:
        The new tokens of each prompt, with the end token where it was reached.
    """
    was_training = model.training
    model.eval()
    ids, mask = pad_left(prompts, eos_id)
    ids, mask = ids.to(model.device), mask.to(model.device)
    draws = None
    if temperature:
        # All at once: (B, T) uniform numbers, a row from each answer's own stream.
        rows = [
            torch.rand(max_new_tokens, generator=own, dtype=torch.float64) for own in generators
        ]
        draws = torch.stack(rows).to(model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache: Any = None
    answers: list[list[int]] = [[] for _ in prompts]
    alive = torch.ones(len(prompts), dtype=torch.bool)
    for step in range(max_new_tokens):
        result = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        cache = result.past_key_values
        logits = result.logits[:, -1].float()
        chosen = logits.argmax(-1)
        if draws is not None:
            chosen = choose_tokens(logits / temperature, draws[:, step], top_p)
        drawn = chosen.tolist()
        for row in torch.nonzero(alive).flatten().tolist():
            answers[row].append(drawn[row])
        alive &= torch.tensor([token != eos_id for token in drawn])
        if not alive.any():
            break
        ids = chosen.unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
    model.train(was_training)
    return answers


def choose_tokens(logits: Tensor, draws: Tensor, top_p: float = 1.0) -> Tensor:
    """Return one token for each row, by the inverse of the cumulative distribution.

    Args:
        logits: Divided by the temperature already, (B, V).
        draws: Uniform numbers from 0 to 1, (B,).
        top_p: 1 keeps the whole vocabulary.
    """
    probabilities = torch.softmax(logits.double(), dim=-1)
    order = None
    if top_p < 1.0:
        probabilities, order = probabilities.sort(dim=-1, descending=True, stable=True)
        # A token stays while those before it have not reached top_p; the first always does.
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill((before >= top_p) & (before > 0), 0.0)
    cumulative = probabilities.cumsum(-1)
    wanted = draws.unsqueeze(1) * cumulative[:, -1:]
    chosen = (cumulative <= wanted).sum(-1, keepdim=True).clamp(max=logits.shape[1] - 1)
    return (chosen if order is None else order.gather(1, chosen)).squeeze(1)
