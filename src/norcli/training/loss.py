"""The loss of a language model: summed cross-entropy of the next token.

The module that is wrapped for several devices. The head is applied here and not in transformers'
forward: only to positions that are learnt, and in chunks where the logits of a large vocabulary
would not fit. Mixture-of-experts models add their router's balancing loss.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from norcli.training.batches import IGNORED

# Logits in float32 that may exist at once: 64 Mi values are 256 MiB, and as much for gradients.
MOST_LOGITS = 1 << 26


class LanguageModelLoss(nn.Module):
    """A causal language model with its loss as the only output.

    Args:
        model: A transformers model, or one wrapped by peft.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        causal: Any = model
        # A peft model keeps the adapted transformers model inside.
        self._causal = [causal.get_base_model() if hasattr(causal, "peft_config") else causal]

    @property
    def causal(self) -> Any:
        """The transformers model, held in a list so that it is no second submodule."""
        return self._causal[0]

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        position_ids: Tensor | None = None,
        selects: bool = False,
    ) -> Tensor:
        """Return the summed loss.

        Args:
            input_ids: (B, T) tokens.
            labels: (B, T) the token after each, `IGNORED` where nothing is learnt.
            position_ids: (B, T) positions that begin anew with each document, or None.
            selects: Apply the head to learnt positions only; worth it when they are few.

        Returns:
            Scalar, float32: the sum over the learnt positions.
        """
        causal = self.causal
        body = getattr(causal, causal.base_model_prefix)
        routed = getattr(causal.config, "num_local_experts", 0) > 1
        extra = {"output_router_logits": True} if routed else {}
        outputs = body(input_ids=input_ids, position_ids=position_ids, use_cache=False, **extra)
        hidden = outputs.last_hidden_state.flatten(0, 1)  # (B*T, C)
        targets = labels.flatten()  # (B*T,)
        if selects:
            learnt = torch.nonzero(targets != IGNORED).squeeze(1)  # (N,)
            hidden, targets = hidden[learnt], targets[learnt]
        loss = self._summed(causal.get_output_embeddings(), hidden, targets)
        if routed:
            loss = loss + self._router_loss(outputs.router_logits, labels)
        return loss

    def _summed(self, head: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
        vocabulary = int(self.causal.config.vocab_size)
        step = max(MOST_LOGITS // vocabulary, 1)
        if len(hidden) <= step:
            return _cross_entropy(head, hidden, targets)
        parts = [
            checkpoint(_cross_entropy, head, h, t, use_reentrant=False)
            for h, t in zip(torch.split(hidden, step), torch.split(targets, step), strict=True)
        ]
        return torch.stack(parts).sum()

    def _router_loss(self, router_logits: Any, labels: Tensor) -> Tensor:
        from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

        config = self.causal.config
        balance = load_balancing_loss_func(
            router_logits, config.num_local_experts, config.num_experts_per_tok
        )
        targets = (labels != IGNORED).sum()
        scaled: Tensor = config.router_aux_loss_coef * balance * targets
        return scaled


def _cross_entropy(head: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
    logits = head(hidden).float()  # (N, V)
    return F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
