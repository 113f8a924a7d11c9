"""The learning rate of each step: cosine, warmup-stable-decay, or constant after a warmup.

A pure function of the step, so that a resumed run needs no scheduler state. Used by pretrain,
sft, the reward model and PPO. Cosine with a warmup of one hundredth is what the report's NorGPT
runs used (published launch scripts); WSD as in arXiv 2404.06395.
"""

from __future__ import annotations

import math
from typing import Protocol


class ScheduleSettings(Protocol):
    """What a learning-rate schedule needs to know; any options object with these fields."""

    @property
    def schedule(self) -> str:
        """``cosine``, ``wsd`` or ``constant``."""

    @property
    def lr(self) -> float:
        """The highest learning rate."""

    @property
    def min_lr(self) -> float:
        """The learning rate at the last step."""

    @property
    def warmup_steps(self) -> int:
        """Steps over which the rate rises from zero."""

    @property
    def max_steps(self) -> int:
        """Steps of the whole run."""

    @property
    def decay_fraction(self) -> float:
        """Last part of the run over which WSD falls."""


def learning_rate(step: int, settings: ScheduleSettings) -> float:
    """Return the learning rate of a step.

    Args:
        step: 0-based; the first step already has a rate above zero.
        settings: The schedule.
    """
    lr, min_lr = settings.lr, settings.min_lr
    if step < settings.warmup_steps:
        return lr * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return lr
    last = max(settings.max_steps - 1, 1)
    if settings.schedule == "wsd":
        decay_steps = max(round(settings.decay_fraction * settings.max_steps), 1)
        begin = max(settings.max_steps - decay_steps, settings.warmup_steps)
        if step < begin:
            return lr
        done = min((step - begin + 1) / max(settings.max_steps - begin, 1), 1.0)
        return lr + (min_lr - lr) * done
    done = (step - settings.warmup_steps) / max(last - settings.warmup_steps, 1)
    return min_lr + (lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
