"""A GGUF file as the source of others: its weights, shape and metadata taken over.

For models that are published as GGUF in F32, F16 or BF16 only. Metadata is copied byte for byte,
but for what the new types change. Files that are quantized already are refused: rounding twice
loses more than either type promises.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.formats.gguf import MAGIC, GgmlType, GgufFile, Metadata, TensorInfo, TextArray
from norcli.formats.tensors import TensorEntry
from norcli.quantize.model_config import ModelConfig, check_heads, count_of, number_of
from norcli.quantize.tensor_names import PlannedTensor, check_tensors
from norcli.quantize.vocabulary import Vocabulary
from norcli.quantize.words import Words

_STORED = {
    GgmlType.F32: np.dtype("<f4"), GgmlType.F16: np.dtype("<f2"), GgmlType.BF16: np.dtype("<u2"),
}  # fmt: skip
_CLASSES = {"llama": "LlamaForCausalLM", "gpt2": "GPT2LMHeadModel"}
# Written anew, or true of the source file alone.
_NOT_COPIED = ("general.file_type", "general.quantization_version", "general.alignment")
_DROPPED_PREFIX = "quantize.imatrix."


class GgufCheckpoint:
    """The tensors of a GGUF file, seen as those of a checkpoint.

    Attributes:
        directory: The file's folder.
        entries: Tensors by GGUF name.
    """

    def __init__(self, file: GgufFile) -> None:
        self._file = file
        self._infos = {tensor.name: tensor for tensor in file.tensors}
        self.directory = Path(file.path).parent
        self.entries = {name: self._entry(info) for name, info in self._infos.items()}

    def _entry(self, info: TensorInfo) -> TensorEntry:
        start = self._file.data_start + info.offset
        return TensorEntry(
            info.name, info.kind.name, info.shape, self._file.path, start, info.size_bytes
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(info.size_bytes for info in self._infos.values())

    def stored(self, name: str) -> npt.NDArray[Any]:
        """Return a tensor's stored values, mapped from the file."""
        info = self._infos[name]
        kind: Any = _STORED[info.kind]
        return np.frombuffer(self._file.tensor_data(info), kind).reshape(info.shape)

    def release(self, name: str) -> None:
        """Let go of the memory pages of a tensor."""
        entry = self.entries[name]
        if entry.size_bytes and hasattr(self._file.data, "madvise"):
            first = entry.start // mmap.PAGESIZE * mmap.PAGESIZE
            size = entry.start + entry.size_bytes - first
            self._file.data.madvise(mmap.MADV_DONTNEED, first, size)


@dataclass(frozen=True)
class GgufSource:
    """An opened GGUF file."""

    file: GgufFile
    name: str
    config: ModelConfig
    checkpoint: GgufCheckpoint
    tensors: list[PlannedTensor]
    vocabulary: Vocabulary

    def metadata(self, name: str | None) -> Metadata:
        """Return the pairs that files made from this one take over.

        Args:
            name: Another name for the model, None for its own.
        """
        metadata = Metadata()
        for key in self.file.metadata:
            if key not in _NOT_COPIED and not key.startswith(_DROPPED_PREFIX):
                metadata.copy(key, self.file.raw_pair(key))
        metadata.text("general.name", name)
        metadata.text("tokenizer.chat_template", self.vocabulary.chat_template)
        return metadata


def is_gguf(path: str) -> bool:
    """Whether a path is a file that begins like GGUF, or is named like one."""
    if not Path(path).is_file():
        return path.endswith(".gguf") and not Path(path).is_dir()
    with open(path, "rb") as stream:
        return stream.read(4) == MAGIC or path.endswith(".gguf")


def open_gguf(path: str) -> GgufSource:
    """Open a GGUF file to make others from it.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is damaged, quantized already, or of another architecture.
    """
    file = GgufFile(path)
    config = gguf_config(file)
    for tensor in file.tensors:
        if tensor.kind not in _STORED:
            raise DataError(
                f'is quantized already: "{tensor.name}" is {tensor.kind.name}', path=path,
                hint="start from the model directory, or from its F32, F16 or BF16 file",
            )  # fmt: skip
    if file.metadata.get("split.count", 1) != 1:
        raise DataError("is one part of several", path=path,
                        hint="join them with llama-gguf-split --merge")  # fmt: skip
    tensors = [PlannedTensor(t.name, t.shape, (t.name,)) for t in file.tensors]
    check_tensors({tensor.name: tensor for tensor in tensors}, config)
    name = str(file.metadata.get("general.name", Path(path).stem))
    return GgufSource(file, name, config, GgufCheckpoint(file), tensors, _vocabulary(file))


def gguf_config(file: GgufFile) -> ModelConfig:
    """Read the shape of a model from a file's metadata.

    Raises:
        DataError: It is of another architecture, or a number is missing.
    """
    known = file.metadata
    architecture = known.get("general.architecture")
    if architecture not in _CLASSES:
        raise DataError(
            f'has architecture "{architecture}", which norcli does not quantize', path=file.path,
            hint=f"supported: {', '.join(_CLASSES)}",
        )  # fmt: skip

    def count(key: str, default: int | None = None) -> int:
        return count_of(known, f"{architecture}.{key}", file.path, default)

    hidden, heads = count("embedding_length"), count("attention.head_count")
    experts = count("expert_count", 0) if known.get(f"{architecture}.expert_count") else 0
    epsilon = "layer_norm_epsilon" if architecture == "gpt2" else "layer_norm_rms_epsilon"
    is_llama = architecture == "llama"
    config = ModelConfig(
        path=Path(file.path),
        model_class="MixtralForCausalLM" if experts else _CLASSES[architecture],
        architecture=str(architecture),
        hidden_size=hidden,
        num_hidden_layers=count("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=count("attention.head_count_kv", heads),
        intermediate_size=count("feed_forward_length"),
        max_position_embeddings=count("context_length"),
        norm_epsilon=number_of(known, f"{architecture}.attention.{epsilon}", file.path),
        tie_word_embeddings=all(tensor.name != "output.weight" for tensor in file.tensors),
        head_dim=count("attention.key_length", hidden // heads),
        has_head_dim=f"{architecture}.attention.key_length" in known,
        rope_theta=number_of(known, "llama.rope.freq_base", file.path, 10000.0)
        if is_llama
        else None,
        num_local_experts=experts,
        num_experts_per_tok=count("expert_used_count") if experts else 0,
    )
    check_heads(config)
    return config


def _vocabulary(file: GgufFile) -> Vocabulary:
    """Return what the file says of its tokenizer; it is copied, not written from this.

    Its chat template is None as long as no other is taken.
    """
    known, prefix = file.metadata, "tokenizer.ggml."
    tokens = known.get(prefix + "tokens", ())
    raw = [tokens.raw(i) for i in range(len(tokens))] if isinstance(tokens, TextArray) else []
    types = known.get(prefix + "token_type")
    words = Words(
        model=str(known.get(prefix + "model", "")), pre=str(known.get(prefix + "pre", "")),
        tokens=raw, types=list(types) if isinstance(types, tuple) else [],
    )  # fmt: skip
    begins = known.get(prefix + "add_bos_token")
    return Vocabulary(
        words, add_bos=begins if isinstance(begins, bool) else None, source=Path(file.path).name
    )
