"""What a Hugging Face directory says of its model, read from its small files: no torch.

Says in one line what a directory lacks to be chatted with (configuration, weights, tokenizer)
before anything heavy is imported. A LoRA adapter's directory is described by its base model and
its own tokenizer files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from norcli.chat.engines import ModelDescription
from norcli.errors import DataError, InputMissingError
from norcli.training.templates import CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG, template_of

CONFIG_FILE = "config.json"
GENERATION_CONFIG_FILE = "generation_config.json"
ADAPTER_FILE = "adapter_config.json"
TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json")
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")


def describe_directory(path: str) -> ModelDescription:
    """Describe a model directory or a LoRA adapter's directory.

    Raises:
        DataError: It is no model, or lacks weights or a tokenizer.
        InputMissingError: The base model of an adapter is not there.
    """
    directory = Path(path)
    base = base_directory(directory)
    config = read_json(base / CONFIG_FILE)
    _check_weights(base)
    tokenizer = tokenizer_directory(directory)
    context = next((config[key] for key in CONTEXT_KEYS if isinstance(config.get(key), int)), None)
    if context is None:
        raise DataError("does not say how long its context is", path=base / CONFIG_FILE,
                        hint='it needs "max_position_embeddings"')  # fmt: skip
    architectures = config.get("architectures") or [config.get("model_type", "unknown")]
    return ModelDescription(
        path=path, engine="hf", architecture=str(architectures[0]), context_tokens=context,
        template=template_of(tokenizer), chat_template=_chat_template(tokenizer),
    )  # fmt: skip


def base_directory(directory: Path) -> Path:
    """Return where the weights and config.json are: the directory, or an adapter's base model.

    Raises:
        DataError: The directory holds neither a model nor an adapter.
        InputMissingError: The adapter's base model is not there.
    """
    if (directory / CONFIG_FILE).is_file():
        return directory
    if not (directory / ADAPTER_FILE).is_file():
        files = sorted(directory.glob("*.gguf"))
        hint = f"it holds a GGUF file: norcli chat {files[0]}" if files else None
        raise DataError(
            f"is no model directory: it has no {CONFIG_FILE}", path=directory, hint=hint
        )
    name = read_json(directory / ADAPTER_FILE).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise DataError("names no base model", path=directory / ADAPTER_FILE)
    for base in (Path(name), directory / name):
        if (base / CONFIG_FILE).is_file():
            return base
    raise InputMissingError(
        f'its base model "{name}" is not a directory here', path=directory / ADAPTER_FILE,
        hint="put the base model there, or change base_model_name_or_path",
    )  # fmt: skip


def tokenizer_directory(directory: Path) -> Path:
    """Return where the tokenizer is: with the model, or with an adapter's base model.

    Raises:
        DataError: There is none.
    """
    for place in (directory, base_directory(directory)):
        if any((place / name).is_file() for name in TOKENIZER_FILES):
            return place
    raise DataError(
        f"has no tokenizer: neither {' nor '.join(TOKENIZER_FILES)}", path=directory,
        hint="copy the files of the tokenizer it was trained with into it",
    )  # fmt: skip


def stop_ids(directory: Path) -> set[int]:
    """Return the end tokens that the model's configuration names."""
    found: set[int] = set()
    base = base_directory(directory)
    for file in (base / CONFIG_FILE, base / GENERATION_CONFIG_FILE):
        if file.is_file():
            value = read_json(file).get("eos_token_id")
            values = value if isinstance(value, list) else [value]
            found.update(item for item in values if isinstance(item, int))
    return found


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: The file holds something else.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError("is not valid JSON", path=file) from error
    if not isinstance(value, dict):
        raise DataError("holds no JSON object", path=file)
    return value


def _check_weights(base: Path) -> None:
    """Only safetensors are read: pickled weights can run code when they are loaded."""
    if any(base.glob("*.safetensors")):
        return
    if any(base.glob("*.bin")):
        raise DataError("has its weights in pickle files, which norcli does not open", path=base,
                        hint="save them as safetensors first")  # fmt: skip
    raise DataError("has no weights: no *.safetensors file", path=base)


def _chat_template(tokenizer: Path) -> str | None:
    file = tokenizer / CHAT_TEMPLATE_FILE
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = tokenizer / TOKENIZER_CONFIG
    stored = read_json(config).get("chat_template") if config.is_file() else None
    return stored if isinstance(stored, str) else None
