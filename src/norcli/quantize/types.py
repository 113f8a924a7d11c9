"""Which type each tensor gets: the mixtures that names such as Q4_K_M stand for.

The rules are those of llama.cpp b9190 (src/llama-quant.cpp), so that a file has the size and
quality that the name promises everywhere; a test compares every tensor with llama.cpp's own
choice. The IQ mixtures and Q2_K are not offered.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.formats.gguf import BLOCKS, GgmlType


@dataclass(frozen=True, slots=True)
class Quantization:
    """A mixture: its number in ``general.file_type`` and the type most tensors get."""

    name: str
    file_type: int
    base: GgmlType


QUANTIZATIONS: dict[str, Quantization] = {
    name: Quantization(name, number, base)
    for name, number, base in (
        ("F32", 0, GgmlType.F32),
        ("BF16", 32, GgmlType.BF16),
        ("F16", 1, GgmlType.F16),
        ("Q8_0", 7, GgmlType.Q8_0),
        ("Q6_K", 18, GgmlType.Q6_K),
        ("Q5_K_M", 17, GgmlType.Q5_K),
        ("Q5_K_S", 16, GgmlType.Q5_K),
        ("Q5_1", 9, GgmlType.Q5_1),
        ("Q5_0", 8, GgmlType.Q5_0),
        ("Q4_K_M", 15, GgmlType.Q4_K),
        ("Q4_K_S", 14, GgmlType.Q4_K),
        ("Q4_1", 3, GgmlType.Q4_1),
        ("Q4_0", 2, GgmlType.Q4_0),
        ("Q3_K_L", 13, GgmlType.Q3_K),
        ("Q3_K_M", 12, GgmlType.Q3_K),
        ("Q3_K_S", 11, GgmlType.Q3_K),
    )
}

_UNQUANTIZED = (GgmlType.F32, GgmlType.F16, GgmlType.BF16)

# Where a row does not fill blocks of 256: the type of 32-weight blocks next in size.
_FALLBACKS = {
    GgmlType.Q3_K: GgmlType.Q4_0,
    GgmlType.Q4_K: GgmlType.Q5_0,
    GgmlType.Q5_K: GgmlType.Q5_1,
    GgmlType.Q6_K: GgmlType.Q8_0,
}

# What the first layers' ffn_down gets where an importance matrix could mislead the plain type.
_GUARDED = {"Q4_0": GgmlType.Q4_1, "Q5_0": GgmlType.Q5_1}

# Small tensors whose precision matters more than their bytes.
_KEPT_FLOAT32 = ("_norm.weight", "ffn_gate_inp.weight", "position_embd.weight")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the rules ask about a model, and whether an importance matrix is at hand."""

    layers: int
    experts: int
    has_output: bool
    is_70b: bool = False
    has_importance: bool = False


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """The type of a tensor, and the one the rules wanted where the row length forbade it."""

    kind: GgmlType
    wanted: GgmlType

    @property
    def fell_back(self) -> bool:
        """Whether the row length forbade the wanted type."""
        return self.kind is not self.wanted


def choose_type(
    name: str, shape: tuple[int, ...], quantization: Quantization, model: ModelShape
) -> TypeChoice:
    """Return the type of one tensor.

    Args:
        name: GGUF name, ``blk.3.attn_v.weight``.
        shape: Extents, the row length last.
        quantization: The mixture asked for.
        model: Facts of the whole model.
    """
    float32 = len(shape) < 2 or not name.endswith("weight") or name.endswith(_KEPT_FLOAT32)
    if float32 or quantization.base is GgmlType.F32:
        return TypeChoice(GgmlType.F32, GgmlType.F32)
    if quantization.base in _UNQUANTIZED:
        return TypeChoice(quantization.base, quantization.base)
    columns = shape[-1]
    wanted = _mixture_type(name, quantization, model)
    kind = wanted
    if columns % BLOCKS[kind][0]:
        kind = _FALLBACKS.get(kind, kind)
    if columns % BLOCKS[kind][0]:
        kind = GgmlType.F16
    return TypeChoice(kind, wanted)


def _mixture_type(name: str, quantization: Quantization, model: ModelShape) -> GgmlType:
    base = quantization.base
    is_output = name == "output.weight" or (name == "token_embd.weight" and not model.has_output)
    if is_output:
        return base if base is GgmlType.Q8_0 else GgmlType.Q6_K
    part = name.split(".")[-2]
    layer = int(name.split(".")[1]) if name.startswith("blk.") else 0
    if part in ("attn_v", "attn_qkv"):  # GPT-2's fused tensor holds the values too
        return _value_type(quantization, layer, model)
    if part == "attn_k" and model.experts == 8:
        return GgmlType.Q8_0
    if part.startswith("ffn_down"):
        return _down_type(quantization, layer, model)
    if part == "attn_output":
        return _attention_output_type(quantization, model)
    return base


def _uses_more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth of the layers, and every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _value_type(quantization: Quantization, layer: int, model: ModelShape) -> GgmlType:
    name, kind = quantization.name, quantization.base
    if name == "Q3_K_M":
        kind = GgmlType.Q5_K if layer < 2 else GgmlType.Q4_K
    elif name == "Q3_K_L" or (name == "Q4_K_S" and layer < 4):
        kind = GgmlType.Q5_K
    elif name in ("Q4_K_M", "Q5_K_M") and _uses_more_bits(layer, model.layers):
        kind = GgmlType.Q6_K
    if model.is_70b and kind in (GgmlType.Q3_K, GgmlType.Q4_K):
        kind = GgmlType.Q5_K  # eight query heads share each value head there
    return GgmlType.Q8_0 if model.experts == 8 else kind


def _down_type(quantization: Quantization, layer: int, model: ModelShape) -> GgmlType:
    name = quantization.name
    if name == "Q3_K_M":
        return GgmlType.Q5_K if layer < model.layers // 16 else GgmlType.Q4_K
    if name == "Q3_K_L" or (name == "Q4_K_S" and layer < model.layers // 8):
        return GgmlType.Q5_K
    if name in ("Q4_K_M", "Q5_K_M") and _uses_more_bits(layer, model.layers):
        return GgmlType.Q6_K
    if model.has_importance and layer < model.layers // 8 and name in _GUARDED:
        return _GUARDED[name]
    return quantization.base


def _attention_output_type(quantization: Quantization, model: ModelShape) -> GgmlType:
    name = quantization.name
    if model.experts == 8:
        raised = ("Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M")
        return GgmlType.Q5_K if name in raised else quantization.base
    kinds = {"Q3_K_M": GgmlType.Q4_K, "Q3_K_L": GgmlType.Q5_K}
    return kinds.get(name, quantization.base)
