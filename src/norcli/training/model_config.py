"""Model directories as a start: their configuration, their weights, their fingerprint.

For continual pretraining and fine-tuning. Reading config.json needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from norcli.errors import DataError, missing_extra
from norcli.streams import require_directory

CONFIG_FILE = "config.json"


def read_model_config(directory: Path) -> dict[str, Any]:
    """Return the fields of a model directory's config.json.

    Raises:
        DataError: It is missing or damaged.
    """
    file = directory / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        unfinished = (directory / "run.json").is_file()
        raise DataError(
            f"holds no model: no {CONFIG_FILE}", path=directory,
            hint="its training is not finished; run the same command again" if unfinished else None,
        ) from None  # fmt: skip
    except ValueError:
        raise DataError("is not valid JSON", path=file) from None
    if not isinstance(config, dict) or "model_type" not in config or "vocab_size" not in config:
        raise DataError("does not describe a language model", path=file)
    return config


def context_of(config: dict[str, Any]) -> int:
    """Return the most tokens that a model of this configuration takes."""
    return int(config.get("n_positions") or config["max_position_embeddings"])


def load_model(directory: str, attention: str) -> Any:
    """Load a model's weights in float32 on the CPU.

    Args:
        directory: A Hugging Face model directory with safetensors.
        attention: ``sdpa``, ``eager`` or ``flash_attention_2``.

    Raises:
        DataError: The directory holds no usable model.
        UnavailableError: torch or transformers is not installed.
    """
    read_model_config(require_directory(directory, "a model directory"))
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise missing_extra("torch and transformers", "train") from error
    try:
        return AutoModelForCausalLM.from_pretrained(
            directory, attn_implementation=attention, dtype=torch.float32, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot be loaded: {reason}", path=directory) from error


def model_fingerprint(directory: Path) -> str:
    """Return a hash that tells models apart: of the configuration and the weight files' heads.

    The head of a safetensors file names and sizes its tensors; with the file's size and its last
    megabyte that is enough to notice another model, without reading all of a large one.
    """
    digest = hashlib.sha256((directory / CONFIG_FILE).read_bytes())
    for file in sorted(directory.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(1 << 20))
            stream.seek(max(size - (1 << 20), 0))
            digest.update(stream.read())
    return digest.hexdigest()[:32]
