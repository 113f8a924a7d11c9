"""The DeepSpeed way of spreading a model: ZeRO stage 3, behind the extra of its name.

The report's NorGPT models were trained with Megatron-DeepSpeed (section 3.2). FSDP2 is the default
here; this engine is for those who need ZeRO. The optimizer is torch's own AdamW: one named in the
configuration would be compiled on first use, minutes on a CPU and with a lock that a killed run
leaves behind.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from norcli.errors import missing_extra
from norcli.training.batches import Batch
from norcli.training.loss import LanguageModelLoss
from norcli.training.optimizer import MOMENTS, build_optimizer, set_learning_rate
from norcli.training.settings import TrainingSettings


def configuration(settings: TrainingSettings, precision: str, world_size: int) -> dict[str, Any]:
    """Return DeepSpeed's configuration of a run.

    Args:
        settings: Batch sizes and clipping.
        precision: ``fp32`` or ``bf16``.
        world_size: Processes that share the work.
    """
    passes = settings.global_batch_size // (settings.micro_batch_size * world_size)
    return {
        "train_micro_batch_size_per_gpu": settings.micro_batch_size,
        "gradient_accumulation_steps": passes,
        "gradient_clipping": settings.grad_clip,
        "bf16": {"enabled": precision == "bf16"},
        "zero_optimization": {
            "stage": 3,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        # The loop works out its own scale from the targets of the whole step.
        "prescale_gradients": False,
        "zero_allow_untested_optimizer": True,
    }


class DeepSpeedEngine:
    """Train a model under DeepSpeed's ZeRO stage 3.

    Args:
        model: A transformers or peft model in float32.
        settings: Optimizer settings and batch sizes.
        device: Where to train.
        precision: ``fp32`` or ``bf16``.

    Raises:
        UnavailableError: deepspeed is not installed.
    """

    def __init__(
        self, model: nn.Module, settings: TrainingSettings, device: torch.device, precision: str
    ) -> None:
        try:
            import deepspeed
        except ImportError as error:
            raise missing_extra("deepspeed", "deepspeed") from error
        self.device = device
        self.model = model
        self.zero: Any = deepspeed.zero
        world_size = torch.distributed.get_world_size()
        config = configuration(settings, precision, world_size)
        self.accumulation = int(config["gradient_accumulation_steps"])
        self.engine, self.optimizer, _, _ = deepspeed.initialize(
            model=LanguageModelLoss(model.to(device)),
            optimizer=build_optimizer(model, settings, fused=device.type == "cuda"),
            config=config,
            dist_init_required=False,
        )

    def accumulate(self, batch: Batch, scale: float, last: bool) -> Tensor:
        """Run forward and backward on one batch; the engine counts the passes itself."""
        loss = self._loss(batch)
        # DeepSpeed divides by the number of passes; the scale here is of the whole step already.
        self.engine.backward(loss * (scale * self.accumulation))
        if not last:
            self.engine.step()
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        local = batch.to(self.device)
        loss: Tensor = self.engine(
            local.input_ids, local.labels, local.position_ids, batch.learns_few
        )
        return loss

    def update(self, lr: float, grad_clip: float) -> Tensor:
        """Apply the gathered gradients; clipping is part of DeepSpeed's configuration."""
        set_learning_rate(self.optimizer, lr)
        self.engine.step()
        norm = self.engine.get_global_grad_norm()
        return torch.as_tensor(0.0 if norm is None else float(norm))

    @torch.no_grad()
    def measure(self, batch: Batch) -> Tensor:
        """Return the summed loss without learning."""
        return self._loss(batch).detach()

    def weights(self) -> dict[str, Tensor]:
        """Return the whole weights in float32 on the CPU; every process must call it."""
        from deepspeed.utils import safe_get_full_fp32_param

        state: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            master = safe_get_full_fp32_param(parameter) if parameter.requires_grad else None
            if master is None:
                with self.zero.GatheredParameters([parameter]):
                    master = parameter.detach().float().clone()
            state[name] = master.detach().cpu()
        return state

    def optimizer_state(self) -> dict[str, Tensor]:
        """Return the whole optimizer state on the CPU; every process must call it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        state: dict[str, Tensor] = {}
        steps = float(next(iter(self.optimizer.optimizer.state.values()))["step"])
        for name, parameter in self.model.named_parameters():
            if not parameter.requires_grad:
                continue
            for moment in MOMENTS:
                whole = safe_get_full_optimizer_state(parameter, moment)
                state[f"{name}.{moment}"] = whole.detach().cpu()
            state[f"{name}.step"] = torch.tensor([steps])
        return state

    def restore(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """Put weights and optimizer state back."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        self._make_moments(max(v.item() for k, v in optimizer.items() if k.endswith(".step")))
        for name, parameter in self.model.named_parameters():
            if name in weights and parameter.requires_grad:
                # Both copies: the one that computes, and the master the optimizer works on.
                with self.zero.GatheredParameters([parameter], modifier_rank=0):
                    parameter.data.copy_(weights[name])
                safe_set_full_fp32_param(parameter, weights[name].to(self.device))
                for moment in MOMENTS:
                    value = optimizer[f"{name}.{moment}"].to(self.device)
                    safe_set_full_optimizer_state(parameter, value, moment)

    def _make_moments(self, step: float) -> None:
        """Give this process's partitions empty moments; AdamW makes its own at the first step."""
        for flat in self.optimizer.fp32_partitioned_groups_flat:
            entry = self.optimizer.optimizer.state[flat]
            entry["step"] = torch.tensor(step, device=flat.device)
            for moment in MOMENTS:
                entry[moment] = torch.zeros_like(flat)

    def train(self, mode: bool) -> None:
        """Switch dropout on or off."""
        self.engine.train(mode)
