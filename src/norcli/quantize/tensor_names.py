"""From the tensors of a checkpoint to those of a GGUF file: names, order, what to do with each.

A Llama-family or GPT-2 checkpoint is matched against tables of names; every tensor must find its
place, and every place its tensor, so that nothing is dropped in silence. Facts of the names and
transformations: llama.cpp's converter (see docs/design/0005-gguf.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.formats.tensors import TensorEntry
from norcli.quantize.model_config import ModelConfig

# rotary: rows of each head are reordered from two halves to neighbouring pairs, the form of
# rotary embedding that llama.cpp's graph computes. transpose: GPT-2 stores [in, out].
Transform = Literal["none", "transpose", "rotary"]


class HasEntries(Protocol):
    """Tensors by name; all that planning asks of a checkpoint."""

    entries: dict[str, TensorEntry]


@dataclass(frozen=True)
class Place:
    """Where a checkpoint tensor goes in the file."""

    name: str
    transform: Transform = "none"


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of the file to write.

    Args:
        name: Its GGUF name.
        shape: Extents after the transformation, the row length last.
        sources: Checkpoint tensors; several (experts) are stacked along a new first axis.
        transform: What happens to each source.
        heads: Heads of a rotary tensor.
        row_start: First row of the sources to take, for parts of a fused tensor.
        values: Computed values instead of sources.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()
    transform: Transform = "none"
    heads: int = 0
    row_start: int = 0
    values: npt.NDArray[np.float32] | None = None

    @property
    def columns(self) -> int:
        """Length of a row."""
        return self.shape[-1]

    @property
    def rows(self) -> int:
        """Number of rows over all leading extents."""
        return math.prod(self.shape[:-1])


_GPT2 = {
    "wte.weight": Place("token_embd.weight"),
    "wpe.weight": Place("position_embd.weight"),
    "ln_f.weight": Place("output_norm.weight"),
    "ln_f.bias": Place("output_norm.bias"),
    "lm_head.weight": Place("output.weight"),
}
_GPT2_LAYER = {
    "ln_1.weight": Place("attn_norm.weight"),
    "ln_1.bias": Place("attn_norm.bias"),
    "attn.c_attn.weight": Place("attn_qkv.weight", "transpose"),
    "attn.c_attn.bias": Place("attn_qkv.bias"),
    "attn.c_proj.weight": Place("attn_output.weight", "transpose"),
    "attn.c_proj.bias": Place("attn_output.bias"),
    "ln_2.weight": Place("ffn_norm.weight"),
    "ln_2.bias": Place("ffn_norm.bias"),
    "mlp.c_fc.weight": Place("ffn_up.weight", "transpose"),
    "mlp.c_fc.bias": Place("ffn_up.bias"),
    "mlp.c_proj.weight": Place("ffn_down.weight", "transpose"),
    "mlp.c_proj.bias": Place("ffn_down.bias"),
}
_LLAMA = {
    "embed_tokens.weight": Place("token_embd.weight"),
    "norm.weight": Place("output_norm.weight"),
    "lm_head.weight": Place("output.weight"),
}
_LLAMA_LAYER = {
    "input_layernorm.weight": Place("attn_norm.weight"),
    "self_attn.q_proj.weight": Place("attn_q.weight", "rotary"),
    "self_attn.q_proj.bias": Place("attn_q.bias", "rotary"),
    "self_attn.k_proj.weight": Place("attn_k.weight", "rotary"),
    "self_attn.k_proj.bias": Place("attn_k.bias", "rotary"),
    "self_attn.v_proj.weight": Place("attn_v.weight"),
    "self_attn.v_proj.bias": Place("attn_v.bias"),
    "self_attn.o_proj.weight": Place("attn_output.weight"),
    "self_attn.o_proj.bias": Place("attn_output.bias"),
    "post_attention_layernorm.weight": Place("ffn_norm.weight"),
    "mlp.gate_proj.weight": Place("ffn_gate.weight"),
    "mlp.gate_proj.bias": Place("ffn_gate.bias"),
    "mlp.up_proj.weight": Place("ffn_up.weight"),
    "mlp.up_proj.bias": Place("ffn_up.bias"),
    "mlp.down_proj.weight": Place("ffn_down.weight"),
    "mlp.down_proj.bias": Place("ffn_down.bias"),
    # Mixtral: older and newer names of the router; experts are gathered separately.
    "block_sparse_moe.gate.weight": Place("ffn_gate_inp.weight"),
    "mlp.gate.weight": Place("ffn_gate_inp.weight"),
}
_EXPERT = re.compile(r"(?:block_sparse_moe|mlp)\.experts\.(\d+)\.(w1|w2|w3)\.weight")
_FUSED_EXPERTS = re.compile(r"(?:block_sparse_moe|mlp)\.experts\.(gate_up_proj|down_proj)")
_EXPERT_NAMES = {"w1": "ffn_gate_exps.weight", "w2": "ffn_down_exps.weight",
                 "w3": "ffn_up_exps.weight"}  # fmt: skip
# Buffers that older versions saved with the weights.
_IGNORED = re.compile(r"(?:\.attn\.(?:bias|masked_bias)|\.rotary_emb\.inv_freq)$")
_LAYER = re.compile(r"(?:h|layers)\.(\d+)\.(.+)")
_BLOCK = re.compile(r"blk\.(\d+)\.")
_REQUIRED = {
    "gpt2": ("attn_norm.weight", "attn_norm.bias", "attn_qkv.weight", "attn_qkv.bias",
             "attn_output.weight", "attn_output.bias", "ffn_norm.weight", "ffn_norm.bias",
             "ffn_up.weight", "ffn_up.bias", "ffn_down.weight", "ffn_down.bias"),
    "llama": ("attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight",
              "attn_output.weight", "ffn_norm.weight"),
}  # fmt: skip
_DENSE_FFN = ("ffn_gate.weight", "ffn_up.weight", "ffn_down.weight")
_EXPERT_FFN = ("ffn_gate_inp.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight",
               "ffn_down_exps.weight")  # fmt: skip


def plan_tensors(config: ModelConfig, checkpoint: HasEntries) -> list[PlannedTensor]:
    """Return the tensors of the file in their order: embeddings and output, then layers.

    Raises:
        DataError: A tensor has no place, is missing, or has a shape that does not fit.
    """
    planned: dict[str, PlannedTensor] = {}
    experts: dict[str, dict[int, TensorEntry]] = {}
    for name, entry in checkpoint.entries.items():
        short = name.removeprefix("transformer.").removeprefix("model.")
        if _IGNORED.search(name) or (short == "lm_head.weight" and config.tie_word_embeddings):
            continue
        for tensor in _place(short, entry, config, experts):
            if tensor.name in planned:
                raise DataError(f'two tensors become "{tensor.name}"', path=entry.path)
            planned[tensor.name] = tensor
    for name, members in experts.items():
        planned[name] = _stack_experts(name, members, config)
    check_tensors(planned, config)
    factors = _rope_factors(config)
    if factors is not None:
        planned["rope_freqs.weight"] = PlannedTensor(
            "rope_freqs.weight", factors.shape, values=factors
        )
    return sorted(planned.values(), key=_file_order)


def _place(
    short: str, entry: TensorEntry, config: ModelConfig,
    experts: dict[str, dict[int, TensorEntry]],
) -> Iterator[PlannedTensor]:  # fmt: skip
    is_gpt2 = config.architecture == "gpt2"
    in_layer = _LAYER.fullmatch(short)
    if in_layer is None:
        table: Mapping[str, Place] = _GPT2 if is_gpt2 else _LLAMA
        prefix, rest = "", short
    else:
        table = _GPT2_LAYER if is_gpt2 else _LLAMA_LAYER
        prefix, rest = f"blk.{in_layer[1]}.", in_layer[2]
    if rest in table:
        yield _plan_one(prefix, table[rest], entry, config)
        return
    if not is_gpt2 and config.num_local_experts:
        if expert := _EXPERT.fullmatch(rest):
            experts.setdefault(prefix + _EXPERT_NAMES[expert[2]], {})[int(expert[1])] = entry
            return
        if fused := _FUSED_EXPERTS.fullmatch(rest):
            yield from _split_fused(prefix, fused[1], entry)
            return
    raise DataError(
        f'tensor "{entry.name}" has no place in architecture {config.architecture}',
        path=entry.path,
    )


def checkpoint_name(
    name: str, config: ModelConfig, expert: int | None = None
) -> tuple[str, Transform, int]:
    """Return what a tensor of a GGUF file is called in a checkpoint: the way back.

    Args:
        name: GGUF name.
        config: The model.
        expert: Which expert of a stacked tensor.

    Returns:
        The Hugging Face name, the transformation on the way here, and the heads of a rotary one.

    Raises:
        DataError: The architecture has no such tensor.
    """
    is_gpt2 = config.architecture == "gpt2"
    layer = re.fullmatch(r"blk\.(\d+)\.(.+)", name)
    rest = layer[2] if layer else name
    if expert is not None and layer:
        part = next((key for key, value in _EXPERT_NAMES.items() if value == rest), None)
        if part is not None:
            prefix = f"model.layers.{layer[1]}.block_sparse_moe.experts"
            return f"{prefix}.{expert}.{part}.weight", "none", 0
    table = (_GPT2_LAYER if layer else _GPT2) if is_gpt2 else (_LLAMA_LAYER if layer else _LLAMA)
    found = next((key for key, place in table.items() if place.name == rest), None)
    if found is None:
        raise DataError(f'tensor "{name}" has no place in a checkpoint', path=config.path)
    place = table[found]
    heads = config.num_attention_heads if rest.startswith("attn_q.") else config.num_key_value_heads
    prefix = "" if found == "lm_head.weight" else ("transformer." if is_gpt2 else "model.")
    inner = f"{'h' if is_gpt2 else 'layers'}.{layer[1]}." if layer else ""
    return prefix + inner + found, place.transform, heads if place.transform == "rotary" else 0


def _plan_one(prefix: str, place: Place, entry: TensorEntry, config: ModelConfig) -> PlannedTensor:
    shape = entry.shape[::-1] if place.transform == "transpose" else entry.shape
    is_query = place.name.startswith("attn_q.")
    heads = config.num_attention_heads if is_query else config.num_key_value_heads
    return PlannedTensor(
        prefix + place.name, shape, (entry.name,), place.transform,
        heads if place.transform == "rotary" else 0,
    )  # fmt: skip


def _split_fused(prefix: str, part: str, entry: TensorEntry) -> Iterator[PlannedTensor]:
    """Plan experts saved as one tensor: [E, 2*F, H] holds gates, then ups; [E, H, F] downs."""
    if len(entry.shape) != 3:
        raise DataError(f'tensor "{entry.name}" is not 3-dimensional', path=entry.path)
    if part == "down_proj":
        yield PlannedTensor(prefix + "ffn_down_exps.weight", entry.shape, (entry.name,))
        return
    count, both, hidden = entry.shape
    for half, name in enumerate(("ffn_gate_exps.weight", "ffn_up_exps.weight")):
        yield PlannedTensor(
            prefix + name, (count, both // 2, hidden), (entry.name,), row_start=half * both // 2
        )


def _stack_experts(
    name: str, members: dict[int, TensorEntry], config: ModelConfig
) -> PlannedTensor:
    wanted = config.num_local_experts
    if sorted(members) != list(range(wanted)):
        raise DataError(f'"{name}" needs experts 0 to {wanted - 1}; found {sorted(members)}',
                        path=config.path.parent)  # fmt: skip
    entries = [members[index] for index in range(wanted)]
    if len({entry.shape for entry in entries}) > 1:
        raise DataError(f'the experts of "{name}" differ in shape', path=config.path.parent)
    sources = tuple(entry.name for entry in entries)
    return PlannedTensor(name, (wanted, *entries[0].shape), sources)


def check_tensors(planned: Mapping[str, PlannedTensor], config: ModelConfig) -> None:
    """Check that the tensors of a file are those of its model, so that llama.cpp need not.

    Raises:
        DataError: One is missing, of a layer too many, or of another shape.
    """
    _check_complete(planned, config)
    _check_shapes(planned, config)


def _check_complete(planned: Mapping[str, PlannedTensor], config: ModelConfig) -> None:
    for name in _required_names(config):
        if name not in planned:
            raise DataError(
                f'the weights have nothing for "{name}"', path=config.place,
                hint="is a shard missing, or config.json of another model?",
            )  # fmt: skip
    for name in planned:
        layer = _BLOCK.match(name)
        if layer is not None and int(layer[1]) >= config.num_hidden_layers:
            raise DataError(
                f'the weights hold "{name}", the configuration has '
                f"{config.num_hidden_layers} layers",
                path=config.place,
            )


def _required_names(config: ModelConfig) -> Iterator[str]:
    yield from ("token_embd.weight", "output_norm.weight")
    if config.architecture == "gpt2":
        yield "position_embd.weight"
    if not config.tie_word_embeddings:
        yield "output.weight"
    names = list(_REQUIRED[config.architecture])
    if config.architecture == "llama":
        names += _EXPERT_FFN if config.num_local_experts else _DENSE_FFN
    for layer in range(config.num_hidden_layers):
        yield from (f"blk.{layer}.{name}" for name in names)


def _check_shapes(planned: Mapping[str, PlannedTensor], config: ModelConfig) -> None:
    """Check shapes against the configuration, so that a wrong one is not found by llama.cpp."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    vocab = planned["token_embd.weight"].rows
    wanted = {
        "token_embd": (vocab, hidden), "output": (vocab, hidden), "output_norm": (hidden,),
        "position_embd": (config.max_position_embeddings, hidden), "attn_norm": (hidden,),
        "ffn_norm": (hidden,), "attn_q": (queries, hidden), "attn_k": (keys, hidden),
        "attn_v": (keys, hidden), "attn_qkv": (3 * hidden, hidden),
        "attn_output": (hidden, queries), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
        "ffn_gate_inp": (config.num_local_experts, hidden),
        "ffn_gate_exps": (config.num_local_experts, inner, hidden),
        "ffn_up_exps": (config.num_local_experts, inner, hidden),
        "ffn_down_exps": (config.num_local_experts, hidden, inner),
    }  # fmt: skip
    for name, tensor in planned.items():
        part, _, kind = name.removeprefix("blk.").rpartition(".")
        part = part.rpartition(".")[2]
        if part not in wanted:  # computed, as rotary factors are
            continue
        shape = wanted[part][:1] if kind == "bias" else wanted[part]
        if tensor.shape != shape:
            raise DataError(
                f'"{name}" has shape {list(tensor.shape)}, the configuration asks for '
                f"{list(shape)}",
                path=config.place,
            )


def _rope_factors(config: ModelConfig) -> npt.NDArray[np.float32] | None:
    """Return Llama 3's factors per frequency, None for other scalings (they are metadata)."""
    if config.rope_type != "llama3" or config.rope_theta is None:
        return None
    return llama3_factors(config.rope | {"rope_theta": config.rope_theta}, config.head_dim)


def llama3_factors(rope: Mapping[str, Any], head_dim: int) -> npt.NDArray[np.float32]:
    """Return what divides each frequency under Llama 3's rotary scaling.

    Args:
        rope: Hugging Face's ``rope_parameters``.
        head_dim: Width of a head.

    Returns:
        float32 [head_dim / 2].
    """
    low = float(rope.get("low_freq_factor", 1.0))
    high = float(rope.get("high_freq_factor", 4.0))
    factor = float(rope.get("factor", 8.0))
    original = float(rope.get("original_max_position_embeddings", 8192))
    exponents = np.arange(0, head_dim, 2, dtype=np.float64) / head_dim
    wavelengths = 2 * np.pi * float(rope["rope_theta"]) ** exponents
    # Long waves are slowed by the factor, short ones left, those between blended.
    blend = (original / wavelengths - low) / (high - low)
    between = 1 / ((1 - blend) / factor + blend)
    factors = np.where(wavelengths < original / high, 1.0, between)
    return np.where(wavelengths > original / low, factor, factors).astype(np.float32)


_FIRST = ("token_embd.weight", "position_embd.weight", "rope_freqs.weight", "output_norm.weight",
          "output_norm.bias", "output.weight")  # fmt: skip


def _file_order(tensor: PlannedTensor) -> tuple[int, int, str]:
    if tensor.name in _FIRST:
        return -1, _FIRST.index(tensor.name), tensor.name
    return int(tensor.name.split(".")[1]), 0, tensor.name
