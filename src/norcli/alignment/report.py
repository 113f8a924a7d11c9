"""What optimization did: the policy before and after, and whether the reward can be gamed.

The canaries are texts that no reader would prefer, made from the references. A reward that likes
them invites hacking: their scores stand in every report, beside the reference's own.
"""

from __future__ import annotations

from typing import Any

import torch

from norcli.alignment.generation import sample_answers, seeded_generator
from norcli.alignment.ppo import Learner
from norcli.alignment.prompts import Prompt
from norcli.alignment.rewards import SimilarityReward
from norcli.alignment.sample import decode_answer
from norcli.evaluation.metrics.rouge import f_measure, unicode_words
from norcli.training.instructions import continuation

BATCH = 32


def canaries(prompts: list[Prompt], seed: int) -> dict[str, list[str]]:
    """Return, for each kind of canary, one text for each prompt."""
    generator = seeded_generator(seed, 104_729)
    result: dict[str, list[str]] = {
        name: []
        for name in (
            "reference",
            "words shuffled",
            "negated",
            "three times",
            "first half",
            "other article",
        )
    }
    for index, prompt in enumerate(prompts):
        words = prompt.reference.split()
        order = torch.randperm(len(words), generator=generator).tolist()
        middle = max(1, len(words) // 2)
        result["reference"].append(prompt.reference)
        result["words shuffled"].append(" ".join(words[i] for i in order))
        result["negated"].append(" ".join([*words[:middle], "ikke", *words[middle:]]))
        result["three times"].append(" ".join([prompt.reference] * 3))
        result["first half"].append(" ".join(words[:middle]))
        result["other article"].append(prompts[(index + 1) % len(prompts)].reference)
    return result


def canary_scores(reward: SimilarityReward, prompts: list[Prompt], seed: int) -> dict[str, float]:
    """Return the mean score of each kind of canary."""
    references = [prompt.reference for prompt in prompts]
    scores = {}
    for name, texts in canaries(prompts, seed).items():
        values = reward.score(texts, references)
        scores[name] = round(sum(values) / len(values), 4)
    return scores


def canary_rewards(learner: Learner, prompts: list[Prompt], seed: int) -> dict[str, float]:
    """Return the mean reward of each kind of canary, as finished answers to the prompts."""
    tokenizer = learner.tokenizer
    end = [tokenizer.eos_id or 0]
    requests = [tokenizer.encode(prompt.text) for prompt in prompts]
    rewards = {}
    for name, texts in canaries(prompts, seed).items():
        values: list[float] = []
        for start in range(0, len(prompts), BATCH):
            some = slice(start, start + BATCH)
            answers = [
                continuation(tokenizer, prompt.text, request, f" {text}") + end
                for prompt, request, text in zip(
                    prompts[some], requests[some], texts[some], strict=True
                )
            ]
            values += learner.score(prompts[some], answers)
        rewards[name] = round(sum(values) / len(values), 4)
    return rewards


def distinct_4(text: str) -> float:
    """Return the share of different 4-grams of words among all; 1 for texts too short for any."""
    words = unicode_words(text)
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return len(set(grams)) / len(grams) if grams else 1.0


def describe_policy(
    model: Any, learner: Learner, prompts: list[Prompt], reward: SimilarityReward,
    max_new_tokens: int,
) -> dict[str, float]:  # fmt: skip
    """Let a policy answer every prompt greedily, and return means over the answers."""
    texts: list[str] = []
    rewards: list[float] = []
    tokenizer = learner.tokenizer
    for start in range(0, len(prompts), BATCH):
        some = prompts[start : start + BATCH]
        answers = sample_answers(
            model, [p.ids for p in some], temperature=0.0, max_new_tokens=max_new_tokens,
            eos_id=tokenizer.eos_id or 0,
        )  # fmt: skip
        texts += [decode_answer(tokenizer, answer) for answer in answers]
        rewards += learner.score(some, answers)
    references = [prompt.reference for prompt in prompts]
    similarity = reward.score(texts, references)
    pairs = list(zip(texts, references, strict=True))
    lengths = [len(t.split()) / max(len(r.split()), 1) for t, r in pairs]
    rouge = [f_measure("rouge-L", t, r, unicode_words) for t, r in pairs]
    count = len(prompts)
    return {
        "reward": round(sum(rewards) / count, 4),
        "similarity": round(sum(similarity) / count, 4),
        "rouge-L": round(100 * sum(rouge) / count, 2),
        "length ratio": round(sum(lengths) / count, 3),
        "dist-4": round(100 * sum(distinct_4(text) for text in texts) / count, 2),
    }


def as_lines(report: dict[str, Any]) -> list[str]:
    """Return the report as aligned lines for a person."""
    lines = [f"{'':<16}{'before':>9}{'after':>9}"]
    for name, before in report["before"].items():
        lines.append(f"{name:<16}{before:>9}{report['after'][name]:>9}")
    rewards = report.get("canary_rewards", {})
    lines += [f"{'canaries':<16}{'similar':>9}{'reward' if rewards else '':>9}"]
    lines += [
        f"  {name:<14}{value:>9}{rewards.get(name, ''):>9}"
        for name, value in report["canaries"].items()
    ]
    return [line.rstrip() for line in lines]
