"""A GGUF file back as a Hugging Face directory: weights decoded, names and rows as they were.

So that a published GGUF file can be looked into, tuned and converted again. What quantization took
does not come back; from a file of 16 or 32 bits the way there and back loses nothing. The
tokenizer is `tokenizer_export`'s.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.formats.gguf import GgmlType, GgufFile, TensorInfo, row_bytes
from norcli.quantize.gguf_source import gguf_config
from norcli.quantize.kernels.decode import DECODED_TYPES, decode
from norcli.quantize.kernels.encode import Bytes, encode
from norcli.quantize.model_config import ModelConfig
from norcli.quantize.options import OF_MODELS, QuantizeOptions
from norcli.quantize.report import RewriteReport
from norcli.quantize.tensor_names import checkpoint_name, llama3_factors
from norcli.quantize.tiles import TILE_WEIGHTS, rotary_order
from norcli.quantize.tokenizer_export import export_tokenizer
from norcli.streams import atomic_directory, check_output

EXACT = {"F32": GgmlType.F32, "F16": GgmlType.F16, "BF16": GgmlType.BF16}
_ROPE_FACTORS = "rope_freqs.weight"


@dataclass(frozen=True)
class Part:
    """One tensor to write: its name and shape, and where it comes from.

    Attributes:
        name: Hugging Face name.
        shape: As Hugging Face stores it.
        info: The tensor of the file.
        start: First of its rows.
        rows: Number of its rows.
        heads: Heads whose rotary rows are put back in order, 0 for none.
        transposed: Whether GPT-2 stores it the other way round.
    """

    name: str
    shape: tuple[int, ...]
    info: TensorInfo
    start: int
    rows: int
    heads: int = 0
    transposed: bool = False


def export_safetensors(options: QuantizeOptions, console: Console) -> RewriteReport:
    """Write a GGUF file as a model directory.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is damaged, of another architecture, or of a type that norcli cannot decode.
        UsageError: No output directory is named, or a type that weights are not stored in.
        CannotCreateError: The output exists.
    """
    started = time.perf_counter()
    options.refuse((*OF_MODELS, "base_model", "name"), "--to-safetensors")
    if options.output == "-":
        raise UsageError("--to-safetensors writes a directory: name it with -o DIR")
    file = GgufFile(options.model)
    config = gguf_config(file)
    kind = _stored_type(options, file)
    parts = list(_parts(file, config))
    check_output(options.output, options.overwrite)
    fields = _config_fields(file, config, kind)
    size = 0
    if not options.dry_run:
        with atomic_directory(options.output, overwrite=options.overwrite) as folder:
            with (folder / "model.safetensors").open("wb") as stream:
                size = _write_weights(stream, file, parts, kind, console)
            text = json.dumps(fields, indent=2) + "\n"
            (folder / "config.json").write_text(text, encoding="utf-8")
            export_tokenizer(file, folder, console)
    weights = sum(int(np.prod(part.shape)) for part in parts)
    return RewriteReport(options.output, kind.name, size, len(parts), weights,
                         time.perf_counter() - started)  # fmt: skip


def _stored_type(options: QuantizeOptions, file: GgufFile) -> GgmlType:
    """Return the type asked for; else the file's own where it is exact, F16 where not."""
    kinds = {tensor.kind for tensor in file.tensors if len(tensor.shape) > 1}
    unknown = kinds - set(DECODED_TYPES)
    if unknown:
        raise DataError(f"holds {next(iter(unknown)).name}, which norcli cannot decode",
                        path=file.path)  # fmt: skip
    # Routers and positions are kept in F32 whatever the file's type.
    matrices = kinds - {GgmlType.F32} or kinds
    own = next(iter(matrices)).name if len(matrices) == 1 else ""
    types = options.types(own if own in EXACT else "F16")
    if len(types) > 1 or types[0] not in EXACT:
        raise UsageError("--to-safetensors stores weights as one of F32, F16, BF16")
    return EXACT[types[0]]


def _parts(file: GgufFile, config: ModelConfig) -> Iterator[Part]:
    for info in file.tensors:
        if info.name == _ROPE_FACTORS:
            continue
        if len(info.shape) == 3:
            yield from _experts(info, config)
            continue
        name, transform, heads = checkpoint_name(info.name, config)
        rows = info.shape[0] if len(info.shape) == 2 or transform == "rotary" else 1
        transposed = transform == "transpose"
        shape = info.shape[::-1] if transposed else info.shape
        yield Part(name, shape, info, 0, rows, heads, transposed)


def _experts(info: TensorInfo, config: ModelConfig) -> Iterator[Part]:
    count, rows, columns = info.shape
    for expert in range(count):
        name, _, _ = checkpoint_name(info.name, config, expert)
        yield Part(name, (rows, columns), info, expert * rows, rows)


def _write_weights(
    stream: BinaryIO, file: GgufFile, parts: list[Part], kind: GgmlType, console: Console
) -> int:
    """Write a safetensors file, return its bytes; norms and biases take the matrices' type, too."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at, size = 0, 2 if kind is not GgmlType.F32 else 4
    for part in parts:
        end = at + size * int(np.prod(part.shape))
        header[part.name] = {"dtype": kind.name, "shape": list(part.shape),
                             "data_offsets": [at, end]}  # fmt: skip
        at = end
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    stream.write(struct.pack("<Q", len(raw)) + raw)
    total = sum(int(np.prod(part.shape)) for part in parts) / 1e6
    with console.progress("writing", total, "M weights") as progress:
        for part in parts:
            for data in _encoded(file, part, kind):
                stream.write(data.data)
            progress.advance(int(np.prod(part.shape)) / 1e6)
    return 8 + len(raw) + at


def _encoded(file: GgufFile, part: Part, kind: GgmlType) -> Iterator[Bytes]:
    """Yield a part's bytes, some rows at a time."""
    columns = part.info.elements // max(part.info.shape[0] * _depth(part.info), 1)
    if len(part.info.shape) == 1 and not part.heads:
        columns = part.info.shape[0]
    width = row_bytes(part.info.kind, columns)
    raw = np.frombuffer(file.tensor_data(part.info), np.uint8).reshape(-1, width)
    raw = raw[part.start : part.start + part.rows]
    if part.transposed:
        matrix = decode(np.ascontiguousarray(raw).reshape(-1), part.info.kind)
        turned = np.ascontiguousarray(matrix.reshape(part.rows, columns).T)
        yield encode(turned.reshape(-1), kind)
        return
    # Sorting an order gives the way back.
    order = np.argsort(rotary_order(part.rows, part.heads)) if part.heads else None
    step = max(1, TILE_WEIGHTS // columns)
    for first in range(0, part.rows, step):
        end = min(first + step, part.rows)
        rows = raw[first:end] if order is None else raw[order[first:end]]
        values = decode(np.ascontiguousarray(rows).reshape(-1), part.info.kind)
        yield encode(np.ascontiguousarray(values), kind)


def _depth(info: TensorInfo) -> int:
    return info.shape[1] if len(info.shape) == 3 else 1


def _config_fields(file: GgufFile, config: ModelConfig, kind: GgmlType) -> dict[str, Any]:
    known = file.metadata
    dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[kind.name]
    rows = next(t.shape[0] for t in file.tensors if t.name == "token_embd.weight")
    fields: dict[str, Any] = {
        "architectures": [config.model_class], "vocab_size": rows, "dtype": dtype,
        "bos_token_id": known.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": known.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": known.get("tokenizer.ggml.padding_token_id"),
        "tie_word_embeddings": config.tie_word_embeddings,
    }  # fmt: skip
    if config.architecture == "gpt2":
        return fields | {
            "model_type": "gpt2", "n_embd": config.hidden_size,
            "n_layer": config.num_hidden_layers, "n_head": config.num_attention_heads,
            "n_inner": config.intermediate_size, "n_positions": config.max_position_embeddings,
            "layer_norm_epsilon": config.norm_epsilon, "activation_function": "gelu_new",
        }  # fmt: skip
    fields |= {
        "model_type": "mixtral" if config.num_local_experts else "llama", "hidden_act": "silu",
        "hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers, "head_dim": config.head_dim,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.norm_epsilon, "rope_parameters": _rope(file, config),
    }  # fmt: skip
    if config.num_local_experts:
        fields |= {"num_local_experts": config.num_local_experts,
                   "num_experts_per_tok": config.num_experts_per_tok}  # fmt: skip
    return fields


def _rope(file: GgufFile, config: ModelConfig) -> dict[str, Any]:
    """Return rotary parameters; Llama 3's are found again by trying its published numbers."""
    known = file.metadata
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    factors = next((t for t in file.tensors if t.name == _ROPE_FACTORS), None)
    if factors is not None:
        stored = np.frombuffer(file.tensor_data(factors), "<f4")
        for original in (8192, 4096, 2048, 64):
            tried = rope | {
                "rope_type": "llama3", "factor": float(stored.max()), "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": original,
            }  # fmt: skip
            if np.allclose(llama3_factors(tried, config.head_dim), stored, rtol=1e-5):
                return tried
        raise DataError("scales rotary embedding by frequencies that no configuration gives",
                        path=file.path)  # fmt: skip
    prefix = f"{config.architecture}.rope.scaling."
    kind = known.get(prefix + "type", "none")
    if kind in ("linear", "yarn"):
        rope |= {"rope_type": kind, "factor": known.get(prefix + "factor"),
                 "original_max_position_embeddings": known.get(prefix + "original_context_length"),
                 "beta_fast": known.get(prefix + "yarn_beta_fast"),
                 "beta_slow": known.get(prefix + "yarn_beta_slow")}  # fmt: skip
    return {key: value for key, value in rope.items() if value is not None}
