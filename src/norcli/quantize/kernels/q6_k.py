"""Q6_K: super-blocks of 256 weights, sixteen sub-blocks with a signed 8-bit scale.

Facts of the format: ggml-quants.c (quantize_row_q6_K_ref, quantize_row_q6_K_impl); the search is
in `scale_search`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.quantize.kernels.floats import half_bits, half_value, inlined, is_infinite_half, nearest
from norcli.quantize.kernels.importance import take_importance
from norcli.quantize.kernels.scale_search import (
    CELL_ROWS,
    LANE_ROWS,
    SCALE,
    TINY,
    N,
    load_lanes,
    search_level,
    search_scales,
    weigh_by_squares,
)

SUB = 16


@inlined
def _final_levels(source: Any, base: int, lane: Any, j: int, scale: np.float32, out: Any) -> None:
    """Round one sub-block at its stored scale; where that is 0 the search's levels stay."""
    low, high, middle = np.int32(-32), np.int32(31), np.int32(32)
    for i in range(SUB):
        if scale != np.float32(0):
            level = nearest(np.float32(source[base + i] / scale))
            out[i] = np.uint8(max(low, min(high, level)) + middle)
        else:
            out[i] = search_level(lane, j, source[base + i], middle)


@inlined
def _pack_six_bits(level: Any, out: Any, at: int) -> None:
    """Low four bits in 128 bytes, high two bits in 64."""
    for half in range(2):
        for i in range(32):
            a, b = level[half * 128 + i], level[half * 128 + 32 + i]
            c, d = level[half * 128 + 64 + i], level[half * 128 + 96 + i]
            out[at + half * 64 + i] = np.uint8((a & 15) | ((c & 15) << 4))
            out[at + half * 64 + 32 + i] = np.uint8((b & 15) | ((d & 15) << 4))
            out[at + 128 + half * 32 + i] = np.uint8(
                (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6)
            )


@inlined
def _encode_block(
    source: Any, base: int, lane: Any, first: int, out: Any, at: int, level: Any
) -> bool:
    """Write one super-block from its searched lanes; False if its scale overflows."""
    largest, magnitude = np.float32(0), np.float32(0)
    for s in range(16):
        scale = lane[SCALE + first + s]
        if np.float32(abs(scale)) > magnitude:
            magnitude, largest = np.float32(abs(scale)), scale
    if magnitude < np.float32(TINY):
        for i in range(210):
            out[at + i] = np.uint8(0)
        return True
    iscale = np.float32(np.float32(-128) / largest)
    d = half_bits(np.float32(np.float32(1) / iscale))
    out[at + 208], out[at + 209] = np.uint8(d & 255), np.uint8(d >> 8)
    for s in range(16):
        eight = np.int32(min(np.int32(127), nearest(np.float32(iscale * lane[SCALE + first + s]))))
        signed = np.int8(eight)
        out[at + 192 + s] = np.uint8(eight & 255)
        stored = np.float32(half_value(d) * np.float32(signed))
        _final_levels(
            source, base + s * SUB, lane, first + s, stored, level[s * SUB : s * SUB + SUB]
        )
    _pack_six_bits(level, out, at)
    return not is_infinite_half(d)


@inlined
def _write_blocks(source: Any, group: int, count: int, lane: Any, level: Any, out: Any) -> int:
    bad = 0
    for b in range(count):
        at, base = (group + b) * 210, (group + b) * 256
        good = _encode_block(source, base, lane, b * 16, out, at, level)
        bad += 0 if good else 1
    return bad


@kernel
def encode_q6_k(source: Any, out: Any) -> int:
    """Write Q6_K blocks of 210 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 210].
    """
    cells, lane = np.empty(CELL_ROWS * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    level = np.empty(256, np.uint8)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 4):
        count = min(4, blocks - group)
        load_lanes(source, group * 256, count * 16, SUB, cells, lane)
        weigh_by_squares(SUB, cells)
        search_scales(SUB, np.int32(32), cells, lane)
        bad += _write_blocks(source, group, count, lane, level, out)
    return bad


@kernel
def encode_weighted_q6_k(source: Any, importance: Any, out: Any) -> int:
    """As `encode_q6_k`, squares weighed by the importance of their column alone.

    Args:
        source: float32 [rows * columns], columns a multiple of 256, finite.
        importance: float32 [columns], mean square of the inputs.
        out: uint8 [n / 256 * 210].
    """
    cells, lane = np.empty(CELL_ROWS * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    level = np.empty(256, np.uint8)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 4):
        count = min(4, blocks - group)
        load_lanes(source, group * 256, count * 16, SUB, cells, lane)
        take_importance(importance, group * 256, count * 16, SUB, cells)
        search_scales(SUB, np.int32(32), cells, lane)
        bad += _write_blocks(source, group, count, lane, level, out)
    return bad
