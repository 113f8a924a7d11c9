"""The one training loop: steps, checkpoints, measurements, and stopping when asked.

Pretrain and sft both end here with rows, an engine and a run directory. The state of a run is its
step, its weights and its optimizer: data order and dropout are functions of (seed, step), so a
resumed run goes on bit for bit. What is learnt, and from which rows, is decided elsewhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.console import Progress as ProgressBar
from norcli.errors import NorcliError, ResumableStopError
from norcli.streams import StopRequest, stop_requests
from norcli.training.batches import Batch
from norcli.training.checkpoint import Progress, RunDirectory, load_optimizer_state
from norcli.training.distributed import Engine, summed_over_processes, wait_for_all
from norcli.training.metrics import StepLog
from norcli.training.order import row_order
from norcli.training.packing import IntArray
from norcli.training.schedule import learning_rate
from norcli.training.settings import TrainingSettings

# Before a job's end there must be time for a save; this many times the last one took.
SAVE_MARGIN = 1.5


class Rows(Protocol):
    """Training data as numbered rows."""

    @property
    def rows(self) -> int:
        """Rows of one epoch."""
        ...

    def batch(self, rows: IntArray) -> Batch:
        """Return rows as tensors."""
        ...


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often a run logs, measures and saves, in steps; and how many checkpoints it keeps."""

    log_every: int
    save_every: int
    eval_every: int | None
    keep_checkpoints: int | None


@dataclass(kw_only=True)
class TrainingRun:
    """All that one run is made of.

    Attributes:
        engine: The model on its devices.
        settings: The numbers it goes by.
        rows: What it learns.
        held_out: What it is measured on, None for nothing.
        directory: Where it saves.
        write_weights: Writes a model directory from the engine's whole weights.
        read_weights: Reads them back from a checkpoint.
        cadence: When to log, measure and save.
        log: Another file for the step log, or None.
        placement: Which process this is.
        flops_per_token: Of forward and backward, for the MFU.
        peak_flops: Of one device, None where not known.
    """

    engine: Engine
    settings: TrainingSettings
    rows: Rows
    held_out: Rows | None
    directory: RunDirectory
    write_weights: Callable[[Path, dict[str, Tensor]], None]
    read_weights: Callable[[Path], dict[str, Tensor]]
    cadence: Cadence
    log: str | None
    placement: Placement
    flops_per_token: float = 0.0
    peak_flops: float | None = None


@dataclass(slots=True)
class TrainingResult:
    """What came of a run.

    Attributes:
        steps: Optimizer steps in all, resumed ones included.
        tokens: Targets learnt in all.
        loss: Mean over the last logged stretch.
        eval_loss: On the held-out rows at the end; None without any.
        seconds: Of this process's part.
        tokens_per_second: Of this process's part.
        curve: Logged (step, loss) pairs of this process's part.
    """

    steps: int
    tokens: int
    loss: float
    eval_loss: float | None
    seconds: float
    tokens_per_second: float
    curve: list[tuple[int, float]] = field(default_factory=list)

    def summary(self) -> str:
        """Return the result as one line."""
        parts = [f"{self.steps} steps", f"{_spaced(self.tokens)} tokens", f"loss {self.loss:.3f}"]
        if self.eval_loss is not None:
            parts.append(f"held-out loss {self.eval_loss:.3f}")
        parts += [f"{_spaced(self.tokens_per_second)} tokens/s", f"{self.seconds:.1f} s"]
        return ", ".join(parts)

    def stats(self) -> dict[str, Any]:
        """Return the result for ``--stats``."""
        return {
            "steps": self.steps, "tokens": self.tokens, "loss": self.loss,
            "eval_loss": self.eval_loss, "seconds": round(self.seconds, 3),
            "tokens_per_second": round(self.tokens_per_second, 1), "curve": self.curve,
        }  # fmt: skip


def train(run: TrainingRun, console: Console) -> TrainingResult:
    """Train to the end, or until asked to stop.

    Raises:
        ResumableStopError: A signal came or the job's time ends; a checkpoint was written.
        NorcliError: The loss is no longer a number.
    """
    return _Training(run, console).run()


class _Training:
    """The moving parts of one run; see `train`."""

    def __init__(self, run: TrainingRun, console: Console) -> None:
        self.plan = run
        self.console = console
        self.progress = Progress()
        self.curve: list[tuple[int, float]] = []
        self.last_loss = math.nan
        self.last_eval: tuple[int, float] | None = None
        self.save_seconds = 0.0
        self.started = time.monotonic()
        self._reset_window()

    def _reset_window(self) -> None:
        self.window_loss: Tensor | None = None
        self.window_tokens = 0
        self.window_started = time.monotonic()

    def run(self) -> TrainingResult:
        """Resume, step to the end, measure."""
        plan, settings = self.plan, self.plan.settings
        self._resume()
        first = self.progress
        log = StepLog(plan.directory.path, plan.log, first.step, plan.placement.is_first)
        self.log = log
        plan.engine.train(True)
        try:
            with (
                stop_requests() as stop,
                self.console.progress("train", settings.max_steps, "steps") as bar,
            ):
                bar.advance(first.step)
                while self.progress.step < settings.max_steps:
                    self._step()
                    self._after_step(bar)
                    if self.progress.step < settings.max_steps:
                        self._stop_if_asked(stop)
            eval_loss = self._final_measurement()
        finally:
            log.close()
        seconds = time.monotonic() - self.started
        learnt = self.progress.tokens - first.tokens
        return TrainingResult(
            self.progress.step, self.progress.tokens, self.last_loss, eval_loss, seconds,
            learnt / max(seconds, 1e-9), self.curve,
        )  # fmt: skip

    def _resume(self) -> None:
        found = self.plan.directory.newest()
        if found is None:
            return
        folder, self.progress = found
        if self.plan.placement.is_first:
            self.window_loss = torch.tensor(
                self.progress.unlogged_loss, device=self.plan.engine.device
            )
        self.window_tokens = self.progress.unlogged_tokens
        self.plan.engine.restore(self.plan.read_weights(folder), load_optimizer_state(folder))
        self.console.say(
            f"continuing from step {self.progress.step} of {self.plan.settings.max_steps}"
        )

    def _batches(self, step: int) -> list[Batch]:
        """Return this process's batches of a step."""
        settings, placement = self.plan.settings, self.plan.placement
        begin = step * settings.global_batch_size
        positions = np.arange(begin, begin + settings.global_batch_size, dtype=np.int64)
        rows = row_order(positions, self.plan.rows.rows, settings.seed)
        split = rows.reshape(-1, placement.world_size, settings.micro_batch_size)
        return [self.plan.rows.batch(part) for part in split[:, placement.rank]]

    def _step(self) -> None:
        plan, settings, step = self.plan, self.plan.settings, self.progress.step
        world = plan.placement.world_size
        # Dropout too is a function of the step, so that there is no random state to save.
        torch.manual_seed((settings.seed << 32) + step * world + plan.placement.rank)
        batches = self._batches(step)
        targets = sum(batch.targets for batch in batches)
        if world > 1:
            counted = torch.tensor(targets, device=plan.engine.device)
            targets = int(summed_over_processes(counted).item())
        # Gradients are averaged over processes, the loss over all targets of the step.
        scale = world / max(targets, 1)
        loss: Tensor | None = None
        for number, batch in enumerate(batches):
            part = plan.engine.accumulate(batch, scale, number == len(batches) - 1)
            loss = part if loss is None else loss + part
        assert loss is not None, "a step has at least one batch"
        self.learning_rate = learning_rate(step, settings)
        self.grad_norm = plan.engine.update(self.learning_rate, settings.grad_clip)
        self.window_loss = loss if self.window_loss is None else self.window_loss + loss
        self.window_tokens += targets
        self.progress = Progress(step + 1, self.progress.tokens + targets)

    def _after_step(self, bar: ProgressBar) -> None:
        step, cadence = self.progress.step, self.plan.cadence
        last = step == self.plan.settings.max_steps
        due_eval = cadence.eval_every is not None and step % cadence.eval_every == 0
        if step % cadence.log_every == 0 or last or due_eval or step == 1:
            self._log(due_eval and not last)
        bar.advance(1, f"loss {self.last_loss:.3f}")
        if step % cadence.save_every == 0 and not last:
            self._save()

    def _log(self, measures: bool) -> None:
        plan, step = self.plan, self.progress.step
        assert self.window_loss is not None, "logging follows a step"
        total = summed_over_processes(self.window_loss.clone()).item()
        seconds = max(time.monotonic() - self.window_started, 1e-9)
        rate = self.window_tokens / seconds
        self.last_loss = total / max(self.window_tokens, 1)
        grad_norm = float(self.grad_norm)
        if not math.isfinite(self.last_loss) or not math.isfinite(grad_norm):
            raise NorcliError(
                f"the loss is no longer a number at step {step}",
                hint="lower --lr, or lengthen --warmup-steps, and start anew with --overwrite",
            )
        entry: dict[str, Any] = {
            "step": step, "loss": round(self.last_loss, 6), "lr": self.learning_rate,
            "tokens": self.progress.tokens, "tokens_per_second": round(rate, 1),
            "grad_norm": round(grad_norm, 6),
        }  # fmt: skip
        if plan.peak_flops is not None:
            per_device = rate / plan.placement.world_size
            entry["mfu"] = round(per_device * plan.flops_per_token / plan.peak_flops, 4)
        if measures:
            entry["eval_loss"] = round(self._measure(), 6)
        self.log.write(entry)
        self.curve.append((step, self.last_loss))
        self.console.info(
            f"step {step}: loss {self.last_loss:.4f}, lr {self.learning_rate:.2e},"
            f" {rate:.0f} tokens/s"
        )
        self._reset_window()

    def _measure(self) -> float:
        """Return the mean loss on the held-out rows."""
        plan = self.plan
        assert plan.held_out is not None, "measuring needs held-out rows"
        plan.engine.train(False)
        size, world = plan.settings.micro_batch_size, plan.placement.world_size
        count = -(-plan.held_out.rows // size)
        sums = torch.zeros(2, dtype=torch.float64, device=plan.engine.device)
        # FSDP2 gathers weights in every pass, so all processes run equally many: one without a
        # batch of its own in the last round repeats the last batch and does not count it.
        for number in range(plan.placement.rank, -(-count // world) * world, world):
            first = min(number, count - 1) * size
            rows = np.arange(first, min(first + size, plan.held_out.rows), dtype=np.int64)
            batch = plan.held_out.batch(rows)
            loss = plan.engine.measure(batch)
            if number < count:
                sums += torch.stack([loss.double(), torch.full_like(loss, batch.targets).double()])
        plan.engine.train(True)
        total, targets = summed_over_processes(sums).tolist()
        mean = float(total / max(targets, 1.0))
        self.last_eval = (self.progress.step, mean)
        return mean

    def _final_measurement(self) -> float | None:
        if self.plan.held_out is None:
            return None
        if self.last_eval is not None and self.last_eval[0] == self.progress.step:
            return self.last_eval[1]
        return self._measure()

    def _stop_if_asked(self, stop: StopRequest) -> None:
        """Save and raise when a signal came or the job's end is near; all processes agree."""
        placement = self.plan.placement
        reason = ""
        if stop.requested:
            reason = "asked to stop"
        elif placement.deadline is not None:
            left = placement.deadline - time.time()
            steps_done = max(self.progress.step, 1)
            step_seconds = (time.monotonic() - self.started) / steps_done
            if left < SAVE_MARGIN * max(self.save_seconds, 5.0) + 2 * step_seconds:
                reason = "the job's time ends"
        if placement.world_size > 1:
            asked = torch.tensor(1 if reason else 0, device=self.plan.engine.device)
            if summed_over_processes(asked).item() and not reason:
                reason = "another process was asked to stop"
        if not reason:
            return
        self._save()
        raise ResumableStopError(
            f"{reason}; saved step {self.progress.step} of {self.plan.settings.max_steps}",
            hint="run the same command again to go on",
        )

    def _save(self) -> None:
        plan, began = self.plan, time.monotonic()
        weights, optimizer = plan.engine.weights(), plan.engine.optimizer_state()
        unlogged = 0.0
        if self.window_loss is not None:
            unlogged = summed_over_processes(self.window_loss.clone()).item()
        self.progress = replace(
            self.progress, unlogged_loss=unlogged, unlogged_tokens=self.window_tokens
        )
        if plan.placement.is_first:
            keep = plan.cadence.keep_checkpoints
            plan.directory.save(
                self.progress,
                lambda path: plan.write_weights(path, weights),
                optimizer,
                2 if keep is None else keep,
            )
        wait_for_all()
        self.save_seconds = time.monotonic() - began
        self.console.info(f"saved step {self.progress.step} in {self.save_seconds:.1f} s")


def _spaced(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")
