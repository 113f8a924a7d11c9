"""AdamW for every training command, with its state as named tensors.

Used by pretrain, sft, the reward model and PPO. Matrices are decayed, vectors (norms, biases)
are not. The state is kept under the parameters' names, so that checkpoints hold plain tensors and
never a pickle.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")


class OptimizerSettings(Protocol):
    """What the optimizer needs to know; any options object with these fields."""

    @property
    def lr(self) -> float:
        """The highest learning rate; set again at each step by the schedule."""

    @property
    def weight_decay(self) -> float:
        """Decoupled weight decay of the matrices."""

    @property
    def beta1(self) -> float:
        """Decay of the first moment."""

    @property
    def beta2(self) -> float:
        """Decay of the second moment."""


def build_optimizer(
    model: nn.Module, options: OptimizerSettings, *, fused: bool | None = None
) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters of a model.

    Args:
        model: The model; frozen parameters are left out.
        options: Learning rate, weight decay and betas.
        fused: One kernel for all parameters; by default where torch has it for their device.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for _, p in trainable if p.ndim >= 2]
    others = [p for _, p in trainable if p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=options.lr,
        betas=(options.beta1, options.beta2),
        eps=1e-8,
        fused=True if fused is None else fused,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's moments under ``<parameter>.<moment>``, whole and on the CPU.

    Sharded parameters are gathered, so every rank of an FSDP2 group must call it.
    """
    state: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        entry = optimizer.state.get(parameter)
        if not entry:
            continue
        for moment in MOMENTS:
            state[f"{name}.{moment}"] = whole_tensor(entry[moment])
        state[f"{name}.step"] = torch.as_tensor(entry["step"]).detach().cpu().reshape(1)
    return state


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Tensor]
) -> None:
    """Put the moments of `optimizer_state` back.

    Raises:
        KeyError: The state belongs to other parameters.
    """
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        entry = optimizer.state[parameter]
        for moment in MOMENTS:
            entry[moment] = placed_like(parameter, state[f"{name}.{moment}"])
        entry["step"] = state[f"{name}.step"].reshape(()).clone()
        # The fused kernel wants the counter where the parameter is.
        entry["step"] = entry["step"].to(parameter.device)


def whole_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor gathered from its shards (FSDP2), detached and on the CPU."""
    gathered: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered.detach().cpu().contiguous()


def placed_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Return a whole tensor put where a parameter is: its device, dtype and shards."""
    if hasattr(parameter, "full_tensor"):
        from torch.distributed.tensor import DTensor, distribute_tensor

        assert isinstance(parameter, DTensor)
        moved = tensor.to(parameter.device, parameter.dtype)
        return distribute_tensor(moved, parameter.device_mesh, parameter.placements)
    return tensor.to(parameter.device, parameter.dtype).clone()
