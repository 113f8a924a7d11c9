"""One process or many: where a run executes, and how its model is spread.

`Placement` says which process this is (the command line reads SLURM's and torchrun's variables);
`LocalEngine` runs forward, backward and update on one device, under DDP or under FSDP2 (the
default for several). DeepSpeed has its own engine in `norcli.training.deepspeed_engine`. The loop
sees engines only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.errors import ConfigError, UnavailableError
from norcli.memory import keep_tensors_at_hand
from norcli.training.batches import Batch
from norcli.training.loss import LanguageModelLoss
from norcli.training.optimizer import (
    build_optimizer,
    optimizer_state,
    placed_like,
    restore_optimizer,
    set_learning_rate,
    whole_tensor,
)
from norcli.training.settings import TrainingSettings

# Rows up to this length are attended to without the fused kernel on a CPU.
SHORT_ROW = 512


class Engine(Protocol):
    """What the loop needs of a model that may be spread over devices."""

    device: torch.device

    def accumulate(self, batch: Batch, scale: float, last: bool) -> Tensor:
        """Run forward and backward; return the summed loss of this process's rows."""
        ...

    def update(self, lr: float, grad_clip: float) -> Tensor:
        """Apply the gathered gradients; return their norm before clipping."""
        ...

    def measure(self, batch: Batch) -> Tensor:
        """Return the summed loss without learning."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Return the whole weights on the CPU; every process must call it."""
        ...

    def optimizer_state(self) -> dict[str, Tensor]:
        """Return the whole optimizer state on the CPU; every process must call it."""
        ...

    def restore(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """Put weights and optimizer state back."""
        ...

    def train(self, mode: bool) -> None:
        """Switch dropout on or off."""
        ...


def choose_device(placement: Placement, jobs: int | None) -> torch.device:
    """Return the GPU of this process, or the CPU where there is none, and make torch ready for it.

    Args:
        placement: Which of the processes this one is.
        jobs: Threads for what runs on the CPU, one if not given.
    """
    torch.set_num_threads(jobs or 1)
    if torch.cuda.is_available():
        device = torch.device("cuda", placement.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device
    keep_tensors_at_hand()
    return torch.device("cpu")


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return ``fp32`` or ``bf16``; auto takes bf16 where the device has instructions for it.

    Measured on one Zen 4 core: bf16 trains the nano models 1.2 to 1.4 times as fast as fp32.
    Without AVX512-BF16 or AMX it is emulated and slower.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native else "fp32"


def choose_attention(wanted: str, device: torch.device, precision: str, seq_len: int) -> str:
    """Return transformers' name of the attention kernel to use.

    On a CPU short rows are left to plain matrix products: torch's fused kernel is slower there in
    the backward pass (measured on one Zen 4 core in bf16, rows of 256: 10.4 against 8.2 thousand
    tokens a second for norgpt-nano).

    Raises:
        UnavailableError: flash-attn was asked for and is not there.
    """
    if wanted in ("sdpa", "eager"):
        return wanted
    if wanted == "auto" and device.type == "cpu":
        return "eager" if precision == "bf16" and seq_len <= SHORT_ROW else "sdpa"
    import importlib.util

    installed = importlib.util.find_spec("flash_attn") is not None
    fits = device.type == "cuda" and precision == "bf16"
    fits = fits and torch.cuda.get_device_capability(device) >= (8, 0)
    if wanted == "flash":
        if not installed:
            raise UnavailableError("needs flash-attn", hint="pip install 'norcli[flash]'")
        if not fits:
            raise UnavailableError(
                "flash attention needs bf16 on an Ampere GPU or newer",
                hint="give --attention sdpa",
            )
        return "flash_attention_2"
    return "flash_attention_2" if installed and fits else "sdpa"


def choose_distribution(wanted: str, placement: Placement) -> str:
    """Return ``none``, ``ddp``, ``fsdp2`` or ``deepspeed``.

    Raises:
        ConfigError: Several processes run without a way to share the work.
    """
    if wanted == "auto":
        return "fsdp2" if placement.world_size > 1 else "none"
    if wanted == "none" and placement.world_size > 1:
        raise ConfigError(f"{placement.world_size} processes run, but --distributed is none")
    return wanted


@contextmanager
def process_group(placement: Placement, device: torch.device, mode: str) -> Iterator[None]:
    """Connect the processes of a run for its duration; nothing for a single process."""
    if mode == "none":
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend,
        init_method=f"tcp://{placement.master_address}:{placement.master_port}",
        rank=placement.rank,
        world_size=placement.world_size,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def summed_over_processes(value: Tensor) -> Tensor:
    """Return the sum over all processes; the value itself for a single one."""
    if dist.is_initialized():
        dist.all_reduce(value)
    return value


def wait_for_all() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        dist.barrier()


class LocalEngine:
    """Train a model on this process's device, alone or with others (DDP, FSDP2).

    Args:
        model: A transformers or peft model in float32, on the CPU.
        settings: Optimizer settings.
        device: Where to train.
        precision: ``fp32`` or ``bf16``; weights and optimizer stay float32.
        mode: ``none``, ``ddp`` or ``fsdp2``.
        compiles: Whether to compile the model.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: TrainingSettings,
        device: torch.device,
        precision: str,
        mode: str,
        compiles: bool = False,
    ) -> None:
        self.device = device
        self.model = model.to(device)
        self.precision = precision
        self.mode = mode
        self.selects = not compiles
        loss = LanguageModelLoss(self.model)
        self.module: Any = loss
        if mode == "fsdp2":
            shard_model(loss, precision)
        elif mode == "ddp":
            ids = [device.index] if device.type == "cuda" else None
            self.module = nn.parallel.DistributedDataParallel(loss, device_ids=ids)
        if compiles:
            self.module = torch.compile(self.module)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = build_optimizer(self.model, settings, fused=mode != "fsdp2" or None)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "fp32" or self.mode == "fsdp2":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _loss(self, batch: Batch) -> Tensor:
        local = batch.to(self.device)
        with self._autocast():
            loss: Tensor = self.module(
                local.input_ids, local.labels, local.position_ids, self.selects and batch.learns_few
            )
        return loss

    def accumulate(self, batch: Batch, scale: float, last: bool) -> Tensor:
        """Run forward and backward on one batch.

        Args:
            batch: Rows of this process.
            scale: What the summed loss is multiplied with before the backward pass.
            last: Whether this is the step's last batch; gradients travel then only.

        Returns:
            The summed loss, detached.
        """
        if self.mode == "ddp" and not last:
            with self.module.no_sync():
                loss = self._loss(batch)
                (loss * scale).backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        if self.mode == "fsdp2":
            self.module.set_requires_gradient_sync(last)
        loss = self._loss(batch)
        (loss * scale).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def update(self, lr: float, grad_clip: float) -> Tensor:
        """Clip, step and clear; returns the gradients' norm before clipping."""
        most = grad_clip if grad_clip > 0 else float("inf")
        norm = nn.utils.clip_grad_norm_(self.parameters, most)
        set_learning_rate(self.optimizer, lr)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        full: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        return full

    @torch.no_grad()
    def measure(self, batch: Batch) -> Tensor:
        """Return the summed loss without learning."""
        return self._loss(batch).detach()

    def weights(self) -> dict[str, Tensor]:
        """Return the whole weights on the CPU; every process must call it."""
        return {name: whole_tensor(value) for name, value in self.model.state_dict().items()}

    def optimizer_state(self) -> dict[str, Tensor]:
        """Return the whole optimizer state on the CPU; every process must call it."""
        return optimizer_state(self.model, self.optimizer)

    def restore(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """Put weights and optimizer state back; missing names are tied or frozen weights."""
        own = self.model.state_dict()
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(placed_like(own[name], value))
        restore_optimizer(self.model, self.optimizer, optimizer)

    def train(self, mode: bool) -> None:
        """Switch dropout on or off."""
        self.module.train(mode)


def shard_model(loss: LanguageModelLoss, precision: str) -> None:
    """Shard a model's layers and the rest over all processes (FSDP2)."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy()
    if precision == "bf16":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in transformer_layers(loss.causal):
        fully_shard(layer, mp_policy=policy)
    fully_shard(loss, mp_policy=policy)


def transformer_layers(causal: Any) -> list[nn.Module]:
    """Return the blocks of a transformers model: its longest module list."""
    lists = [module for module in causal.modules() if isinstance(module, nn.ModuleList)]
    return list(max(lists, key=lambda blocks: len(list(blocks))))


def build_engine(
    model: nn.Module,
    settings: TrainingSettings,
    device: torch.device,
    precision: str,
    mode: str,
    *,
    compiles: bool,
    console: Console,
) -> Engine:
    """Return the engine for a way of distributing.

    Raises:
        UnavailableError: DeepSpeed was asked for and is not installed.
    """
    if mode == "deepspeed":
        from norcli.training.deepspeed_engine import DeepSpeedEngine

        return DeepSpeedEngine(model, settings, device, precision)
    if compiles and device.type == "cpu":
        console.warn("--compile takes about two minutes on a CPU before the first step")
    return LocalEngine(model, settings, device, precision, mode, compiles)
