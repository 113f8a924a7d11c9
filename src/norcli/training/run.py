"""From a planned task to a finished model directory: device, engine, loop, saving.

What pretrain and sft have in common around `norcli.training.loop`. They decide what is learnt;
this decides where, opens the run directory, and writes the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from norcli import __version__
from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.locks import output_lock
from norcli.model.estimate import training_flops_per_token
from norcli.options import options_as_toml
from norcli.training.batches import PackedRows, TokenSequence
from norcli.training.checkpoint import RunDirectory, load_weights, save_model_directory
from norcli.training.distributed import (
    build_engine,
    choose_attention,
    choose_device,
    choose_distribution,
    choose_precision,
    process_group,
    wait_for_all,
)
from norcli.training.loop import Cadence, TrainingResult, TrainingRun, train
from norcli.training.metrics import peak_flops
from norcli.training.packing import RowTable
from norcli.training.settings import TrainingSettings

# With more parameters than this a CPU needs about a minute for a thousand tokens.
LARGE_FOR_CPU = 300_000_000

RowParts = tuple[TokenSequence, RowTable, npt.NDArray[np.bool_] | None]


@dataclass(kw_only=True)
class Task:
    """What is to be trained, as pretrain and sft decided it.

    Attributes:
        command: ``pretrain`` or ``sft``.
        options: The command's options.
        settings: The numbers of the run.
        build: Makes the model for an attention kernel.
        rows: Tokens, row table, and which tokens are targets (None for all).
        held_out: The same for measuring, or None.
        pad_id: Token that fills rows.
        tokenizer_dir: Where the tokenizer's files are.
        identity: What else a resumed run must have in common.
        facts: Counts for the report.
        finish: Last touches to a model directory (the chat template), or None.
        write_weights: Writes a checkpoint's model; `save_model_directory` by default.
        read_weights: Reads it back.
        write_model: Writes the finished model where that differs from a checkpoint.
    """

    command: str
    options: Any
    settings: TrainingSettings
    build: Callable[[str], Any]
    rows: RowParts
    held_out: RowParts | None
    pad_id: int
    tokenizer_dir: str
    identity: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[Path], None] | None = None
    write_weights: Callable[[Any, Path, dict[str, Tensor]], None] | None = None
    read_weights: Callable[[Path], dict[str, Tensor]] = load_weights
    write_model: Callable[[Any, Path, dict[str, Tensor]], None] | None = None


def run_training(task: Task, console: Console, placement: Placement) -> TrainingResult:
    """Train, and write the model into the run directory.

    Raises:
        NorcliError: As `norcli.training.checkpoint.RunDirectory.open` and
            `norcli.training.loop.train`.
    """
    from transformers.utils import logging

    # Its own bars would write between the lines of the console.
    logging.disable_progress_bar()
    options = task.options
    device = choose_device(placement, options.jobs)
    precision = choose_precision(task.settings.precision, device)
    settings = replace(task.settings, precision=precision)
    attention = choose_attention(options.attention, device, precision, settings.seq_len)
    mode = choose_distribution(options.distributed, placement)
    identity = {"command": task.command, "settings": settings.as_dict(), **task.identity}
    directory = RunDirectory(options.output, identity, console)
    with process_group(placement, device, mode):
        if not placement.is_first:
            wait_for_all()
            return _train(task, settings, directory, console, placement, device, mode, attention)
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        with output_lock(options.output):
            directory.open(options.overwrite)
            wait_for_all()
            return _train(task, settings, directory, console, placement, device, mode, attention)


def _train(
    task: Task,
    settings: TrainingSettings,
    directory: RunDirectory,
    console: Console,
    placement: Placement,
    device: torch.device,
    mode: str,
    attention: str,
) -> TrainingResult:
    options = task.options
    model = task.build(attention)
    if options.recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    fuse_activations(model)
    parameters = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if device.type == "cpu" and parameters > LARGE_FOR_CPU:
        console.warn(f"no GPU found: {parameters:,} parameters on a CPU will be very slow; "
                     "norgpt-nano is the size for CPUs")  # fmt: skip
    console.info(
        f"{parameters:,} parameters, {trainable:,} trained; {device}, {settings.precision},"
        f" {attention} attention, distributed {mode}"
    )
    engine = build_engine(
        model, settings, device, settings.precision, mode, compiles=options.compile,
        console=console,
    )  # fmt: skip
    run = TrainingRun(
        engine=engine,
        settings=settings,
        rows=_packed(task, task.rows, settings),
        held_out=None if task.held_out is None else _packed(task, task.held_out, settings),
        directory=directory,
        write_weights=lambda path, weights: _write(task, model, path, weights),
        read_weights=task.read_weights,
        cadence=_cadence(options, settings.max_steps),
        log=options.log,
        placement=placement,
        flops_per_token=training_flops_per_token(model.config.to_dict(), settings.seq_len),
        peak_flops=peak_flops(torch.cuda.get_device_name(device))
        if device.type == "cuda"
        else None,
    )
    result = train(run, console)
    weights = engine.weights()
    if placement.is_first:
        report = _report(task, settings, result, parameters, trainable)
        write = task.write_model or (lambda m, path, w: _write(task, m, path, w))
        toml = options_as_toml(task.command, options)

        def write_model(path: Path) -> None:
            write(model, path, weights)
            (path / "norcli.toml").write_text(toml, encoding="utf-8")

        directory.finish(write_model, report)
        directory.prune(options.keep_checkpoints or 0)
    wait_for_all()
    return result


def fuse_activations(model: torch.nn.Module) -> None:
    """Put torch's one-kernel GELU where transformers spells the same formula in eight."""
    from transformers.activations import NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def _packed(task: Task, parts: RowParts, settings: TrainingSettings) -> PackedRows:
    tokens, table, learn = parts
    return PackedRows(
        tokens, table, pad_id=task.pad_id, document_mask=settings.document_mask, learn=learn
    )


def _write(task: Task, model: Any, path: Path, weights: dict[str, Tensor]) -> None:
    if task.write_weights is not None:
        task.write_weights(model, path, weights)
        return
    save_model_directory(model, task.tokenizer_dir, path, weights=weights)
    if task.finish is not None:
        task.finish(path)


def _cadence(options: Any, max_steps: int) -> Cadence:
    save_every = options.save_every or min(max(max_steps // 10, 50), 1000)
    return Cadence(
        log_every=options.log_every, save_every=save_every, eval_every=options.eval_every,
        keep_checkpoints=options.keep_checkpoints,
    )  # fmt: skip


def _report(
    task: Task, settings: TrainingSettings, result: TrainingResult, parameters: int, trainable: int
) -> dict[str, Any]:
    """Return the content of training.json: no times in it, so that equal runs have equal bytes."""
    perplexity = None if result.eval_loss is None else round(float(np.exp(result.eval_loss)), 4)
    return {
        "norcli": __version__,
        "command": task.command,
        "parameters": parameters,
        "trained_parameters": trainable,
        "steps": result.steps,
        "tokens": result.tokens,
        "loss": round(result.loss, 6),
        "eval_loss": None if result.eval_loss is None else round(result.eval_loss, 6),
        "eval_perplexity": perplexity,
        **task.facts,
        "settings": settings.as_dict(),
        **task.identity,
    }
