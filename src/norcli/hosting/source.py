"""What an export needs to know of a model: its words, its sizes, where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from norcli.chat.engines import check_context
from norcli.errors import DataError
from norcli.formats.gguf import GgufFile, TextArray
from norcli.formats.tensors import Checkpoint
from norcli.hosting.options import ExportOptions
from norcli.quantize.gguf_source import gguf_config
from norcli.quantize.model_config import ModelConfig, read_model_config
from norcli.quantize.vocabulary import (
    SETTINGS_FILE,
    TEKKEN_FILE,
    optional_json,
    read_chat_template,
    special_text,
)
from norcli.streams import require_directory

_PREFIX = "tokenizer.ggml."


@dataclass(frozen=True)
class GgufModel:
    """A GGUF file to be served by another program."""

    path: str
    name: str
    context: int
    eos_token: str
    chat_template: str | None


@dataclass(frozen=True)
class DirectoryModel:
    """A Hugging Face directory to be served by another program.

    Attributes:
        weights_bytes: Of all tensors in 16 bits, as vLLM loads them.
        is_mistral: Whether it is in Mistral's own form (params.json and tekken.json).
    """

    path: Path
    name: str
    config: ModelConfig
    weights_bytes: int
    dtype: str
    chat_template: str | None
    eos_token: str
    is_mistral: bool


def open_gguf_model(options: ExportOptions) -> GgufModel:
    """Read a GGUF file's header.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is a directory, no GGUF file, or has no end token.
        UsageError: More context is wanted than it has.
    """
    path = Path(options.model)
    if path.is_dir():
        raise DataError(f"is a directory; {options.for_} takes a GGUF file", path=path,
                        hint="norcli quantize makes one")  # fmt: skip
    file = GgufFile(options.model)
    config = gguf_config(file)
    words, end = file.metadata.get(_PREFIX + "tokens"), file.metadata.get(_PREFIX + "eos_token_id")
    if not isinstance(words, TextArray) or not isinstance(end, int) or end >= len(words):
        raise DataError("has no end token, so that no answer would end", path=path)
    template = file.metadata.get("tokenizer.chat_template")
    check_context(options.context or 0, config.max_position_embeddings)
    return GgufModel(
        options.model, options.name or path.stem, config.max_position_embeddings, words[end],
        template if isinstance(template, str) else None,
    )  # fmt: skip


def open_directory_model(options: ExportOptions) -> DirectoryModel:
    """Read a model directory's configuration and the headers of its weights.

    Raises:
        InputMissingError: There is no such directory.
        DataError: It is a file, or no model directory.
        UsageError: More context is wanted than it has.
    """
    directory = require_directory(options.model, "a Hugging Face model directory")
    config = read_model_config(directory)
    checkpoint = Checkpoint(directory)
    check_context(options.context or 0, config.max_position_embeddings)
    settings = optional_json(directory / SETTINGS_FILE)
    kinds = {entry.dtype for entry in checkpoint.entries.values()}
    return DirectoryModel(
        directory, options.name or directory.resolve().name, config, 2 * checkpoint.parameters,
        "float16" if kinds == {"F16"} else "bfloat16",
        read_chat_template(directory, settings), special_text(settings, "eos") or "</s>",
        (directory / "params.json").is_file() and (directory / TEKKEN_FILE).is_file(),
    )  # fmt: skip
