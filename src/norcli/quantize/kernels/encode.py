"""From float32 weights to the bytes of any supported type: the door to the kernels.

Each kernel module is imported when its type is first asked for, so that a run loads from numba's
cache only what it uses.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.formats.gguf import BLOCKS, GgmlType

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Kernel = Callable[..., int]

_KERNELS: dict[GgmlType, str] = {
    GgmlType.Q4_0: "blocks_of_32.encode_q4_0",
    GgmlType.Q4_1: "blocks_of_32.encode_q4_1",
    GgmlType.Q5_0: "blocks_of_32.encode_q5_0",
    GgmlType.Q5_1: "blocks_of_32.encode_q5_1",
    GgmlType.Q8_0: "blocks_of_32.encode_q8_0",
    GgmlType.Q3_K: "q3_k.encode_q3_k",
    GgmlType.Q4_K: "q4_k.encode_q4_k",
    GgmlType.Q5_K: "q4_k.encode_q5_k",
    GgmlType.Q6_K: "q6_k.encode_q6_k",
}
# Kernels that weigh errors by an importance matrix; Q8_0 has none.
_WEIGHTED: dict[GgmlType, str] = {
    GgmlType.Q4_0: "weighted_blocks_of_32.encode_weighted_q4_0",
    GgmlType.Q4_1: "weighted_blocks_of_32.encode_weighted_q4_1",
    GgmlType.Q5_0: "weighted_blocks_of_32.encode_weighted_q5_0",
    GgmlType.Q5_1: "weighted_blocks_of_32.encode_weighted_q5_1",
    GgmlType.Q3_K: "q3_k.encode_weighted_q3_k",
    GgmlType.Q4_K: "q4_k.encode_weighted_q4_k",
    GgmlType.Q5_K: "q4_k.encode_weighted_q5_k",
    GgmlType.Q6_K: "q6_k.encode_weighted_q6_k",
}
# Halfway between the largest BF16 and what would come next; a tie goes up, to infinity.
_LARGEST_BFLOAT16 = np.nextafter(np.float32(3.3961775e38), np.float32(0))
ENCODED_TYPES = (GgmlType.F32, GgmlType.F16, GgmlType.BF16, *_KERNELS)


@cache
def _kernel(name: str) -> Kernel:
    module, _, function = name.partition(".")
    loaded = importlib.import_module(f"norcli.quantize.kernels.{module}")
    return cast(Kernel, getattr(loaded, function))


def encode(values: Floats, kind: GgmlType, importance: Floats | None = None) -> Bytes:
    """Return the bytes of weights in a type.

    Args:
        values: float32 [n], contiguous and finite; n fills whole blocks.
        kind: One of `ENCODED_TYPES`.
        importance: float32 [columns] of the rows that `values` holds, mean squares of the model's
            inputs; types that make no use of it ignore it.

    Raises:
        DataError: A weight, or a block's scale, is too large for half precision.
    """
    if kind is GgmlType.F32:
        return values.view(np.uint8)
    if kind is GgmlType.F16:
        return _to_half(values)
    if kind is GgmlType.BF16:
        return _to_bfloat16(values)
    block, size = BLOCKS[kind]
    out = np.empty(values.size // block * size, np.uint8)
    if importance is not None and kind in _WEIGHTED:
        overflows = _kernel(_WEIGHTED[kind])(values, importance, out)
    else:
        overflows = _kernel(_KERNELS[kind])(values, out)
    if overflows:
        raise DataError(f"weights too large for {kind.name}, whose scales are half precision")
    return out


def _to_half(values: Floats) -> Bytes:
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        raise DataError("weights beyond 65504, too large for F16")
    return halves.view(np.uint8)


def _to_bfloat16(values: Floats) -> Bytes:
    """Round to the upper 16 bits, ties to even."""
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + (np.uint32(0x7FFF) + odd)) >> np.uint32(16)
    if values.size and max(values.max(), -values.min()) > _LARGEST_BFLOAT16:
        raise DataError("weights beyond 3.39e38, too large for BF16")
    return rounded.astype(np.uint16).view(np.uint8)
