"""Learning rates of the schedules, and which of flag, preset and default wins."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from norcli.errors import ConfigError
from norcli.training.options import PretrainOptions
from norcli.training.schedule import learning_rate
from norcli.training.settings import TrainingSettings, resolve_settings

PRESET = {"lr": 1.5e-4, "min_lr": 1e-5, "global_batch_size": 24, "warmup_fraction": 0.01}


def settings(**flags: object) -> TrainingSettings:
    options = PretrainOptions(output="out", **flags)  # type: ignore[arg-type]
    return resolve_settings(
        options, rows=2400, seq_len=64, seed=0, document_mask=False, default_epochs=1.0,
        defaults=PRESET, max_tokens=options.max_tokens,
    )  # fmt: skip


def test_preset_then_flag_then_default() -> None:
    chosen = settings()
    assert (chosen.lr, chosen.min_lr, chosen.global_batch_size) == (1.5e-4, 1e-5, 24)
    assert (chosen.max_steps, chosen.warmup_steps, chosen.weight_decay) == (100, 1, 0.1)
    chosen = settings(lr=2e-3, max_steps=40, weight_decay=0.0, warmup_steps=0)
    assert (chosen.lr, chosen.min_lr, chosen.weight_decay) == (2e-3, 2e-4, 0.0)
    assert (chosen.max_steps, chosen.warmup_steps) == (40, 0)
    assert settings(max_tokens=24 * 64 * 7).max_steps == 7
    assert settings(epochs=2.5).max_steps == 250


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="--max-steps and --epochs both set"):
        settings(max_steps=3, epochs=1.0)
    with pytest.raises(ConfigError, match="no multiple"):
        settings(micro_batch_size=7)


def test_cosine_rises_falls_and_ends_at_min_lr() -> None:
    plan = replace(settings(max_steps=100, warmup_steps=10), lr=1.0, min_lr=0.1)
    rates = [learning_rate(step, plan) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0 and max(rates) == 1.0
    assert rates[-1] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_wsd_is_flat_then_falls_linearly() -> None:
    plan = replace(
        settings(max_steps=100, warmup_steps=10), lr=1.0, min_lr=0.0, schedule="wsd",
        decay_fraction=0.2,
    )  # fmt: skip
    rates = [learning_rate(step, plan) for step in range(100)]
    assert set(rates[10:80]) == {1.0} and rates[-1] == 0.0
    assert rates[89] == pytest.approx(0.5)


def test_constant_keeps_its_rate_after_the_warmup() -> None:
    plan = replace(settings(max_steps=20, warmup_steps=4), lr=1.0, schedule="constant")
    assert [learning_rate(s, plan) for s in (0, 3, 4, 19)] == [0.25, 1.0, 1.0, 1.0]
