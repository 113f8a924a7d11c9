"""How answers are drawn: against one token at a time without a cache, and without company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from norcli.alignment.generation import (
    choose_tokens,
    sample_answers,
    seeded_generator,
    text_number,
)
from norcli.training.model_config import load_model

PROMPTS = [[1, 5, 9, 30, 31], [1, 7], [1, 20, 21, 22, 23, 24, 25, 26, 27]]
END = 2


@pytest.fixture(scope="module")
def model(policy: Path) -> Any:
    return load_model(str(policy), "sdpa").eval()


def generators(numbers: list[int]) -> list[torch.Generator]:
    return [seeded_generator(3, number) for number in numbers]


def draw(model: Any, which: list[int], temperature: float, top_p: float = 1.0) -> list[list[int]]:
    return sample_answers(
        model, [PROMPTS[i] for i in which], max_new_tokens=12, temperature=temperature,
        eos_id=END, generators=generators(which), top_p=top_p,
    )  # fmt: skip


def slow_answer(model: Any, prompt: list[int], number: int, temperature: float) -> list[int]:
    """Continue one prompt without cache, mask or padding, by a loop over the vocabulary."""
    numbers = torch.rand(12, generator=seeded_generator(3, number), dtype=torch.float64).tolist()
    answer: list[int] = []
    for wanted in numbers:
        with torch.no_grad():
            logits = model(torch.tensor([prompt + answer])).logits[0, -1]
        token = int(logits.argmax())
        if temperature:
            total = 0.0
            shares = torch.softmax((logits / temperature).double(), -1).tolist()
            for token, p in enumerate(shares):  # noqa: B007
                total += p
                if total > wanted:
                    break
        answer.append(token)
        if token == END:
            break
    return answer


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_batch_equals_one_token_at_a_time(model: Any, temperature: float) -> None:
    slow = [slow_answer(model, prompt, i, temperature) for i, prompt in enumerate(PROMPTS)]
    assert draw(model, [0, 1, 2], temperature) == slow


def test_answers_do_not_depend_on_their_company(model: Any) -> None:
    together = draw(model, [0, 1, 2], 1.0)
    assert together[0] != together[2]
    assert [draw(model, [i], 1.0)[0] for i in range(3)] == together
    assert draw(model, [2, 0], 1.0) == [together[2], together[0]]


def test_top_p_keeps_the_likeliest_tokens() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.5, 0.15, 0.25]])).repeat(1000, 1)
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    whole = torch.bincount(choose_tokens(logits, draws), minlength=4)
    assert whole.tolist() == [100, 500, 150, 250]
    # .5 and .25 do not reach .8, .5 + .25 + .15 do; the shares are taken out of .9.
    kept = torch.bincount(choose_tokens(logits, draws, top_p=0.8), minlength=4)
    assert kept[0] == 0
    assert kept.tolist() == pytest.approx([0, 1000 * 5 / 9, 1000 * 1.5 / 9, 1000 * 2.5 / 9], abs=1)
    assert torch.bincount(choose_tokens(logits, draws, top_p=0.0), minlength=4)[1] == 1000


def test_seeds_of_texts_and_numbers_differ() -> None:
    assert text_number("elv") != text_number("elg")
    states = {seeded_generator(0, a, b).initial_seed() for a in range(30) for b in range(30)}
    assert len(states) == 900
