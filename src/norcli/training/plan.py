"""What a training run would do and need, without torch: the content of ``--dry-run``.

Sums up the plans of pretrain and sft with the estimates of `norcli.model.estimate`. Memory is an
estimate; GPU hours assume 40 % of the peak, which well-kept runs of this family's sizes reach.
"""

from __future__ import annotations

from typing import Any

from norcli.cluster.placement import Placement
from norcli.model.estimate import (
    activation_bytes,
    count_active_parameters,
    count_parameters,
    gpu_hours,
    gpus_for_training,
    training_flops_per_token,
    training_state_bytes,
)
from norcli.training.options import PretrainOptions, SftOptions
from norcli.training.pretrain import PretrainPlan
from norcli.training.settings import TrainingSettings
from norcli.training.sft import SftPlan

ASSUMED_MFU = 0.4
ACCELERATORS = ("A100", "H100")


def describe_pretrain(
    plan: PretrainPlan, options: PretrainOptions, placement: Placement
) -> dict[str, Any]:
    """Return the plan of a pretraining run as named facts."""
    table = plan.corpus.table
    facts = {
        "output": options.output,
        "start": f"preset {options.preset}" if options.preset else str(options.base_model),
        "documents": plan.corpus.documents,
        "tokens_per_epoch": table.targets,
        "rows_per_epoch": table.rows,
        "row_filling": round(table.targets / (table.rows * table.seq_len), 4),
        "held_out_rows": plan.corpus.eval_table.rows if plan.corpus.eval_table else 0,
    }
    epochs = plan.settings.max_steps * plan.settings.global_batch_size / table.rows
    facts["epochs"] = round(epochs, 3)
    return facts | _costs(plan.config, plan.settings, placement.world_size)


def describe_sft(plan: SftPlan, options: SftOptions) -> dict[str, Any]:
    """Return the plan of a fine-tuning run as named facts."""
    facts = {
        "output": options.output,
        "start": options.model,
        "template": options.template,
        "method": f"lora, rank {options.rank}" if options.lora else "all weights",
        "examples": len(plan.train.bounds),
        "tokens_per_epoch": len(plan.train.tokens),
        "learnt_tokens_per_epoch": plan.train.targets,
        "rows_per_epoch": plan.train_table.rows,
        "held_out_examples": 0 if plan.held_out is None else len(plan.held_out.bounds),
    }
    costs = _costs(plan.config, plan.settings, 1)
    if options.lora:
        # An adapter has hardly any states of its own; the frozen weights are all that counts.
        costs["state_gb_per_device"] = round(2 * count_parameters(plan.config) / 1e9, 3)
        del costs["gpus_of_80_gb"]
    return facts | costs


def _costs(config: dict[str, Any], settings: TrainingSettings, devices: int) -> dict[str, Any]:
    tokens = settings.max_steps * settings.global_batch_size * settings.seq_len
    flops = training_flops_per_token(config, settings.seq_len) * tokens
    states = training_state_bytes(config) / devices
    activations = activation_bytes(config, settings.seq_len, settings.micro_batch_size)
    return {
        "parameters": count_parameters(config),
        "active_parameters": count_active_parameters(config),
        "steps": settings.max_steps,
        "warmup_steps": settings.warmup_steps,
        "tokens": tokens,
        "seq_len": settings.seq_len,
        "global_batch_size": settings.global_batch_size,
        "micro_batch_size": settings.micro_batch_size,
        "schedule": settings.schedule,
        "lr": settings.lr,
        "min_lr": settings.min_lr,
        "devices": devices,
        "state_gb_per_device": round(states / 1e9, 3),
        "activation_gb_per_device": round(activations / 1e9, 3),
        "flops": float(f"{flops:.4g}"),
        "gpus_of_80_gb": gpus_for_training(config, "A100"),
        **{
            f"gpu_hours_{name.lower()}": float(
                f"{gpu_hours(config, tokens, name, ASSUMED_MFU):.3g}"
            )
            for name in ACCELERATORS
        },
    }
