"""What a conversion will write: the source taken apart, and each file laid out to the byte.

`open_source` reads headers and the tokenizer; `lay_out` decides each tensor's type and offset.
Both are quick and touch no weights, so that --dry-run is this file alone; `convert` does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.console import Console
from norcli.errors import UsageError
from norcli.formats.gguf import (
    BLOCKS,
    GgmlType,
    Metadata,
    TensorInfo,
    encode_header,
    place_tensors,
)
from norcli.formats.tensors import Checkpoint
from norcli.quantize.adapter import AdaptedCheckpoint, Adapter, read_adapter
from norcli.quantize.gguf_source import GgufCheckpoint, is_gguf, open_gguf
from norcli.quantize.importance import ImportanceMatrix
from norcli.quantize.metadata import QUANTIZATION_VERSION, model_metadata
from norcli.quantize.model_config import ModelConfig, read_model_config
from norcli.quantize.options import QuantizeOptions
from norcli.quantize.tensor_names import PlannedTensor, plan_tensors
from norcli.quantize.types import (
    QUANTIZATIONS,
    ModelShape,
    Quantization,
    TypeChoice,
    choose_type,
)
from norcli.quantize.vocabulary import Vocabulary, read_vocabulary
from norcli.streams import require_directory

Weights = Checkpoint | AdaptedCheckpoint | GgufCheckpoint


@dataclass(frozen=True)
class Source:
    """A model directory, or a GGUF file, ready to be converted.

    Attributes:
        adapter: What is added to the weights as they are read.
        importance: What weighs the errors, None to weigh them alike.
        copied: Metadata of a GGUF source, which the files made from it keep.
    """

    name: str
    config: ModelConfig
    checkpoint: Weights
    tensors: list[PlannedTensor]
    vocabulary: Vocabulary
    adapter: Adapter | None = None
    importance: ImportanceMatrix | None = None
    copied: Metadata | None = None

    @property
    def parameters(self) -> int:
        """Number of weights in the tensors to write."""
        return sum(tensor.rows * tensor.columns for tensor in self.tensors)


@dataclass(frozen=True)
class Layout:
    """One file to write: where, the type and place of every tensor, and its header."""

    path: str
    quantization: Quantization
    choices: list[TypeChoice]
    infos: list[TensorInfo]
    header: bytes

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole file."""
        last = self.infos[-1]
        return len(self.header) + last.offset + -(-last.size_bytes // 32) * 32


def open_source(options: QuantizeOptions, console: Console) -> Source:
    """Read the headers, configuration and tokenizer of a model directory, or a GGUF file's header.

    Raises:
        InputMissingError: There is nothing there, or a shard is missing.
        DataError: It is no model, or one that cannot be converted.
    """
    if is_gguf(options.model):
        if options.adapter is not None:
            raise UsageError("--adapter merges into a model directory, not into a GGUF file")
        file = open_gguf(options.model)
        if options.chat_template is not None:
            file.vocabulary.take_conversation(options.chat_template)
        return Source(file.name, file.config, file.checkpoint, file.tensors, file.vocabulary,
                      copied=file.metadata(options.name))  # fmt: skip
    directory = require_directory(options.model, "a Hugging Face model directory")
    config = read_model_config(directory)
    base = Checkpoint(directory)
    adapter = read_adapter(options.adapter) if options.adapter is not None else None
    checkpoint = base if adapter is None else AdaptedCheckpoint(base, adapter)
    tensors = plan_tensors(config, checkpoint)
    rows = next(t.rows for t in tensors if t.name == "token_embd.weight")
    vocabulary = read_vocabulary(config, rows)
    if options.chat_template is not None:
        vocabulary.take_conversation(options.chat_template)
    window = config.sliding_window
    if window is not None and window < config.max_position_embeddings:
        console.warn(
            f"the model attends to {window} tokens; llama.cpp will use the whole context of "
            f"{config.max_position_embeddings}"
        )
    name = options.name or directory.resolve().name
    return Source(name, config, checkpoint, tensors, vocabulary, adapter)


def lay_out(options: QuantizeOptions, source: Source) -> list[Layout]:
    """Decide what each file holds.

    Raises:
        UsageError: Several types are to go into one file.
    """
    names = options.types()
    if len(names) > 1 and "{type}" not in options.output:
        raise UsageError(
            f"{len(names)} types need {len(names)} files", hint="-o 'model-{type}.gguf'"
        )
    return [_lay_out_one(options, source, QUANTIZATIONS[name]) for name in names]


def base_type(name: str, columns: int) -> GgmlType:
    """Return the type that rows of a length get by a plain type, F16 where they do not fill it."""
    kind = QUANTIZATIONS[name].base
    return kind if columns % BLOCKS[kind][0] == 0 else GgmlType.F16


def _metadata(source: Source, quantization: Quantization) -> Metadata:
    if source.copied is not None:
        metadata = Metadata(dict(source.copied.pairs))
        metadata.uint32("general.file_type", quantization.file_type)
        metadata.uint32("general.quantization_version", QUANTIZATION_VERSION)
        return metadata
    metadata = model_metadata(
        source.config, quantization, name=source.name, parameters=source.parameters,
        vocab_size=len(source.vocabulary.words.tokens),
    )  # fmt: skip
    source.vocabulary.write(metadata)
    return metadata


def _lay_out_one(options: QuantizeOptions, source: Source, quantization: Quantization) -> Layout:
    config = source.config
    grouped = config.num_attention_heads != config.num_key_value_heads
    shape = ModelShape(
        layers=config.num_hidden_layers,
        experts=config.num_local_experts,
        has_output=any(t.name == "output.weight" for t in source.tensors),
        is_70b=config.num_hidden_layers == 80 and grouped and config.architecture == "llama",
        has_importance=source.importance is not None,
    )
    choices = [choose_type(t.name, t.shape, quantization, shape) for t in source.tensors]
    infos = place_tensors(
        TensorInfo(tensor.name, tensor.shape, choice.kind)
        for tensor, choice in zip(source.tensors, choices, strict=True)
    )
    metadata = _metadata(source, quantization)
    if source.importance is not None:
        source.importance.describe(metadata)
    path = options.output.replace("{type}", quantization.name)
    return Layout(path, quantization, choices, infos, encode_header(metadata, infos))
