"""Q4_0, Q4_1, Q5_0 and Q5_1 with an importance matrix: the searches of the K types, per 32 weights.

Facts of the formats: ggml-quants.c (quantize_row_q4_0_impl and its siblings). Q8_0 takes no notice
of an importance matrix. A row's mean square stands where the K types take their super-block's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.quantize.kernels import range_search, scale_search
from norcli.quantize.kernels.blocks_of_32 import BLOCK, pack, pack_fifth_bits, put_half
from norcli.quantize.kernels.floats import inlined
from norcli.quantize.kernels.importance import N, row_powers, weigh_lanes

SCALE, RANGE_SCALE, RANGE_MIN = scale_search.SCALE, range_search.SCALE, range_search.MIN
SCALE_CELLS, SCALE_LANES = scale_search.CELL_ROWS * N, scale_search.LANE_ROWS * N
RANGE_CELLS, RANGE_LANES = 3 * BLOCK * N, range_search.LANE_ROWS * N

_load_scales, _search_scales = scale_search.load_lanes, scale_search.search_scales
_load_ranges, _search_ranges = range_search.load_lanes, range_search.search_ranges
_scale_level, _range_level = scale_search.search_level, range_search.search_level


@inlined
def _signed(source: Any, importance: Any, out: Any, size: int, middle: np.int32) -> int:
    """Write a scale and levels around `middle`: Q4_0 (18 bytes) or Q5_0 (22 bytes)."""
    cells, lane = np.empty(SCALE_CELLS, np.float32), np.empty(SCALE_LANES, np.float32)
    level, powers = np.empty(BLOCK, np.uint8), row_powers(source, importance.size)
    bad, blocks = 0, source.size // BLOCK
    for group in range(0, blocks, N):
        count, start = min(N, blocks - group), group * BLOCK
        _load_scales(source, start, count, BLOCK, cells, lane)
        weigh_lanes(importance, start, count, BLOCK, powers, importance.size, cells)
        _search_scales(BLOCK, middle, cells, lane)
        for j in range(count):
            at = (group + j) * size
            for i in range(BLOCK):
                level[i] = _scale_level(lane, j, source[start + j * BLOCK + i], middle)
            bad += 0 if put_half(out, at, lane[SCALE + j]) else 1
            if middle == np.int32(16):
                pack_fifth_bits(level, out, at + 2)
            pack(level, out, at + size - 16)
    return bad


@inlined
def _ranged(source: Any, importance: Any, out: Any, size: int, top: np.int32) -> int:
    """Write a scale, a minimum and levels from 0 to `top`: Q4_1 (20 bytes) or Q5_1 (24 bytes)."""
    cells, lane = np.empty(RANGE_CELLS, np.float32), np.empty(RANGE_LANES, np.float32)
    level, powers = np.empty(BLOCK, np.uint8), row_powers(source, importance.size)
    bad, blocks = 0, source.size // BLOCK
    for group in range(0, blocks, N):
        count, start = min(N, blocks - group), group * BLOCK
        _load_ranges(source, start, count, cells)
        weigh_lanes(importance, start, count, BLOCK, powers, importance.size, cells)
        _search_ranges(cells, lane, top, np.float32(-0.9), np.float32(0.05), 36)
        for j in range(count):
            at = (group + j) * size
            for i in range(BLOCK):
                level[i] = _range_level(lane, j, source[start + j * BLOCK + i], top)
            good = put_half(out, at, lane[RANGE_SCALE + j])
            good &= put_half(out, at + 2, lane[RANGE_MIN + j])
            bad += 0 if good else 1
            if top == np.int32(31):
                pack_fifth_bits(level, out, at + 4)
            pack(level, out, at + size - 16)
    return bad


@kernel
def encode_weighted_q4_0(source: Any, importance: Any, out: Any) -> int:
    """Write Q4_0 blocks of 18 bytes; return how many scales leave half's range.

    Args:
        source: float32 [rows * columns], columns a multiple of 32, finite.
        importance: float32 [columns], mean square of the inputs.
        out: uint8 [n / 32 * 18].
    """
    return int(_signed(source, importance, out, 18, np.int32(8)))


@kernel
def encode_weighted_q5_0(source: Any, importance: Any, out: Any) -> int:
    """As `encode_weighted_q4_0`, for Q5_0 blocks of 22 bytes."""
    return int(_signed(source, importance, out, 22, np.int32(16)))


@kernel
def encode_weighted_q4_1(source: Any, importance: Any, out: Any) -> int:
    """As `encode_weighted_q4_0`, for Q4_1 blocks of 20 bytes."""
    return int(_ranged(source, importance, out, 20, np.int32(15)))


@kernel
def encode_weighted_q5_1(source: Any, importance: Any, out: Any) -> int:
    """As `encode_weighted_q4_0`, for Q5_1 blocks of 24 bytes."""
    return int(_ranged(source, importance, out, 24, np.int32(31)))
