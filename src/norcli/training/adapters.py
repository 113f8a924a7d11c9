"""LoRA adapters through peft: adding, saving, reading back and merging them.

Report section 3.3.1, parameter-efficient fine-tuning. An adapter is saved as peft's own files, so
that it can be moved, stacked and served on; ``--merge`` also writes a plain model.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from norcli.errors import UsageError, missing_extra
from norcli.training.checkpoint import copy_tokenizer

if TYPE_CHECKING:
    from norcli.training.options import SftOptions

ADAPTER_FILE = "adapter_model.safetensors"
ATTENTION_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj"]


def add_adapter(model: Any, options: SftOptions) -> Any:
    """Wrap a model so that only a LoRA adapter is trained.

    Args:
        model: A transformers model.
        options: Rank, alpha, dropout and target modules.

    Raises:
        UnavailableError: peft is not installed.
        UsageError: A target module is not in the model.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise missing_extra("peft", "train") from error
    targets: str | list[str] = list(options.target_modules)
    if not targets:
        # On Mixtral "all-linear" would adapt experts and router too: many times the parameters.
        targets = ATTENTION_LAYERS if model.config.model_type == "mixtral" else "all-linear"
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout,
        target_modules=targets, task_type="CAUSAL_LM",
        # GPT-2 keeps its linear layers transposed.
        fan_in_fan_out=model.config.model_type == "gpt2",
    )  # fmt: skip
    try:
        # The same first adapter for the same seed, whatever was drawn before.
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            # peft still asks transformers under an old name, which is no user's business.
            warnings.simplefilter("ignore", FutureWarning)
            return get_peft_model(model, config)
    except ValueError as error:
        raise UsageError(
            f"--target-modules: {', '.join(options.target_modules)} is not in the model",
            hint="give names of linear layers, such as q_proj,v_proj",
        ) from error


def save_adapter(model: Any, tokenizer_dir: str, path: Path, weights: dict[str, Tensor]) -> None:
    """Write an adapter directory: peft's configuration and weights, and the tokenizer."""
    model.save_pretrained(path, state_dict=weights, save_embedding_layers=False)
    (path / "README.md").unlink(missing_ok=True)
    copy_tokenizer(tokenizer_dir, path)


def read_adapter(checkpoint: Path) -> dict[str, Tensor]:
    """Return an adapter's weights under their names in the wrapped model."""
    saved = load_file(checkpoint / ADAPTER_FILE)
    return {_inner_name(name): value for name, value in saved.items()}


def _inner_name(name: str) -> str:
    """Put the adapter's own name back, which peft leaves out of its files."""
    for kind in ("lora_A", "lora_B"):
        name = name.replace(f".{kind}.weight", f".{kind}.default.weight")
    return name


def merged_model(model: Any) -> Any:
    """Return the plain model with the adapter added into its weights; the adapter is gone."""
    return model.merge_and_unload()
