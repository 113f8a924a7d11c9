"""The numbers a training run goes by, worked out once from flags, preset and data size.

A flag wins over the preset, the preset over a general default. Standard library only, so that
``--dry-run`` shows the same numbers as the run, without torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from norcli.errors import ConfigError
from norcli.training.options import TrainingOptions

# Rows of a pass are chosen to hold about this many tokens where --micro-batch-size is not given.
MICRO_BATCH_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Everything that decides the weights of a run, apart from the data and the first weights.

    Attributes:
        seq_len: Input tokens per row.
        micro_batch_size: Rows per device and pass.
        global_batch_size: Rows per step over all devices.
        max_steps: Optimizer steps of the whole run.
        warmup_steps: Steps over which the learning rate rises.
        schedule: ``cosine``, ``wsd`` or ``constant``.
        decay_fraction: Last part of the run over which wsd falls.
        lr: Highest learning rate.
        min_lr: Learning rate at the end.
        weight_decay: Of the matrices.
        grad_clip: Largest gradient norm; 0 for none.
        beta1: Of AdamW.
        beta2: Of AdamW.
        precision: ``auto``, ``fp32`` or ``bf16``.
        document_mask: Whether documents of a row are kept apart.
        seed: Of data order, first weights and dropout.
    """

    seq_len: int
    micro_batch_size: int
    global_batch_size: int
    max_steps: int
    warmup_steps: int
    schedule: str
    decay_fraction: float
    lr: float
    min_lr: float
    weight_decay: float
    grad_clip: float
    beta1: float
    beta2: float
    precision: str
    document_mask: bool
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for files and comparisons."""
        return asdict(self)


def resolve_settings(
    options: TrainingOptions,
    *,
    rows: int,
    seq_len: int,
    seed: int,
    document_mask: bool,
    default_epochs: float,
    defaults: Mapping[str, Any],
    max_tokens: int | None = None,
    devices: int = 1,
) -> TrainingSettings:
    """Work out the settings of a run.

    Args:
        options: The flags; None where the preset decides.
        rows: Rows of training data per epoch.
        seq_len: Input tokens per row.
        seed: Of everything random.
        document_mask: Whether documents of a row are kept apart.
        default_epochs: Length where neither steps, tokens nor epochs are given.
        defaults: The preset's training table, or the stage's.
        max_tokens: Another way to give the length.
        devices: Processes that share the global batch.

    Raises:
        ConfigError: The lengths contradict each other, or the batches do not divide.
    """
    micro_batch, global_batch = _batches(options, seq_len, defaults, devices)
    steps = _steps(options, rows, global_batch, seq_len, default_epochs, max_tokens)

    def chosen(name: str, fallback: Any) -> Any:
        given = getattr(options, name)
        return defaults.get(name, fallback) if given is None else given

    lr = float(chosen("lr", 3e-4))
    # A rate given by hand does not go with the end that the preset planned for its own.
    preset_end = defaults.get("min_lr") if options.lr is None else None
    min_lr = options.min_lr if options.min_lr is not None else preset_end
    fraction = float(defaults.get("warmup_fraction", 0.01))
    warmup = options.warmup_steps
    return TrainingSettings(
        seq_len=seq_len, micro_batch_size=micro_batch, global_batch_size=global_batch,
        max_steps=steps,
        warmup_steps=max(round(fraction * steps), 1) if warmup is None else warmup,
        schedule=str(chosen("schedule", "cosine")), decay_fraction=options.decay_fraction,
        lr=lr, min_lr=lr / 10 if min_lr is None else float(min_lr),
        weight_decay=float(chosen("weight_decay", 0.1)),
        grad_clip=float(chosen("grad_clip", 1.0)), beta1=options.beta1, beta2=options.beta2,
        precision=options.precision, document_mask=document_mask, seed=seed,
    )  # fmt: skip


def _batches(
    options: TrainingOptions, seq_len: int, defaults: Mapping[str, Any], devices: int
) -> tuple[int, int]:
    """Return rows per device and pass, and rows per step over all devices.

    Raises:
        ConfigError: The second is no multiple of the first.
    """
    global_batch = int(options.global_batch_size or defaults.get("global_batch_size", 16))
    micro_batch = options.micro_batch_size or _micro_batch(global_batch // devices, seq_len)
    if global_batch % (micro_batch * devices):
        raise ConfigError(
            f"a global batch of {global_batch} rows is no multiple of {micro_batch} rows"
            f" on {devices} device{'s' if devices > 1 else ''}",
            hint="change --global-batch-size or --micro-batch-size",
        )
    return micro_batch, global_batch


def _steps(
    options: TrainingOptions, rows: int, global_batch: int, seq_len: int, default_epochs: float,
    max_tokens: int | None,
) -> int:  # fmt: skip
    """Return the length of a run, which may be given in one of three ways."""
    lengths = {"--max-steps": options.max_steps, "--max-tokens": max_tokens,
               "--epochs": options.epochs}  # fmt: skip
    given = [flag for flag, value in lengths.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} both set the length of the run",
                          hint="give one of them")  # fmt: skip
    if options.max_steps is not None:
        return options.max_steps
    if max_tokens is not None:
        return math.ceil(max_tokens / (global_batch * seq_len))
    epochs = default_epochs if options.epochs is None else options.epochs
    return max(math.ceil(rows * epochs / global_batch), 1)


def _micro_batch(rows: int, seq_len: int) -> int:
    """Return the largest divisor of a device's rows that holds about MICRO_BATCH_TOKENS."""
    most = max(MICRO_BATCH_TOKENS // seq_len, 1)
    return max((n for n in range(1, max(rows, 1) + 1) if rows % n == 0 and n <= most), default=1)
