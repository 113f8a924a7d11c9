"""Q4_K and Q5_K: super-blocks of 256 weights, eight sub-blocks with a 6-bit scale and minimum.

With an importance matrix the sub-blocks' errors are weighed by it, more candidates are tried, and
the 6-bit scales themselves are fitted. Facts of the formats: ggml-quants.c (quantize_row_q4_K_ref,
quantize_row_q4_K_impl); the search is in `range_search`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.quantize.kernels.floats import half_bits, half_value, inlined, is_infinite_half, nearest
from norcli.quantize.kernels.importance import fit_positive, super_block_powers, weigh_lanes
from norcli.quantize.kernels.range_search import (
    LANE_ROWS,
    MIN,
    SCALE,
    SUB,
    SUM_W,
    N,
    W,
    load_lanes,
    search_level,
    search_ranges,
)


@inlined
def _set_weights(cells: Any, lane: Any) -> None:
    """Weigh each value by the root mean square of its sub-block plus its magnitude."""
    for j in range(N):
        lane[SUM_W + j] = np.float32(0)
    for i in range(SUB):
        for j in range(N):
            x = cells[i * N + j]
            lane[SUM_W + j] = np.float32(lane[SUM_W + j] + np.float32(x * x))
    for j in range(N):
        lane[SUM_W + j] = np.float32(np.sqrt(np.float32(lane[SUM_W + j] / np.float32(SUB))))
    for i in range(SUB):
        for j in range(N):
            cells[W + i * N + j] = np.float32(lane[SUM_W + j] + np.float32(abs(cells[i * N + j])))


@inlined
def _six_bits(inverse: np.float32, value: np.float32) -> np.int32:
    return np.int32(min(np.int32(63), np.int32(nearest(np.float32(inverse * value)) & 0xFF)))


@inlined
def _write_scales(lane: Any, first: int, out: Any, at: int, six: Any) -> bool:
    """Write d, dmin and the packed 6-bit scales of one super-block; False if d overflows."""
    zero, full = np.float32(0), np.float32(63)
    max_scale, max_min = zero, zero
    for s in range(8):
        scale = lane[SCALE + first + s]
        minimum = np.float32(-lane[MIN + first + s])
        max_scale = scale if scale > max_scale else max_scale
        max_min = minimum if minimum > max_min else max_min
    inverse_scale = np.float32(full / max_scale) if max_scale > zero else zero
    inverse_min = np.float32(full / max_min) if max_min > zero else zero
    for s in range(8):
        six[s] = _six_bits(inverse_scale, lane[SCALE + first + s])
        six[8 + s] = _six_bits(inverse_min, np.float32(-lane[MIN + first + s]))
    d, dmin = half_bits(np.float32(max_scale / full)), half_bits(np.float32(max_min / full))
    return _put_scales(d, dmin, six, out, at)


@inlined
def _put_scales(d: np.int32, dmin: np.int32, six: Any, out: Any, at: int) -> bool:
    """Write d, dmin and twelve bytes of packed scales and minima; False if one overflows."""
    out[at], out[at + 1] = np.uint8(d & 255), np.uint8(d >> 8)
    out[at + 2], out[at + 3] = np.uint8(dmin & 255), np.uint8(dmin >> 8)
    # Bytes 0-3 and 4-7: scales and minima of sub-blocks 0-3, whose top two bits carry the top two
    # bits of sub-blocks 4-7; bytes 8-11: the low four bits of those.
    for s in range(4):
        out[at + 4 + s] = np.uint8(six[s] | ((six[4 + s] >> 4) << 6))
        out[at + 8 + s] = np.uint8(six[8 + s] | ((six[12 + s] >> 4) << 6))
        out[at + 12 + s] = np.uint8((six[4 + s] & 15) | ((six[12 + s] & 15) << 4))
    six[16], six[17] = d, dmin
    return not (is_infinite_half(d) or is_infinite_half(dmin))


@inlined
def _write_weighted_scales(
    lane: Any, first: int, top: np.int32, out: Any, at: int, six: Any
) -> bool:
    """As `_write_scales`, the 6-bit scales and minima fitted to the sub-blocks' weights.

    Where few weights count, a fitted scale can be negative. The reference keeps levels in bytes;
    Q5_K caps them, Q4_K packs them as they are, so that neighbours share bits. Hence what the
    bytes hold is what levels are rounded at.
    """
    highest = np.int32(63) if top == np.int32(31) else np.int32(255)
    values, weights = np.empty(8, np.float32), np.empty(8, np.float32)
    levels = np.empty(8, np.int32)
    for s in range(8):
        values[s] = lane[SCALE + first + s]
        weights[s] = lane[SUM_W + first + s]
    d = half_bits(fit_positive(values, weights, np.int32(63), levels))
    for s in range(8):
        six[s] = min(highest, levels[s])
        values[s] = np.float32(-lane[MIN + first + s])
    dmin = half_bits(fit_positive(values, weights, np.int32(63), levels))
    for s in range(8):
        six[8 + s] = min(highest, levels[s])
    good = _put_scales(d, dmin, six, out, at)
    for s in range(4):
        scale, minimum, low = out[at + 4 + s], out[at + 8 + s], out[at + 12 + s]
        six[s], six[8 + s] = scale & 63, minimum & 63
        six[4 + s] = (low & 15) | ((scale >> 6) << 4)
        six[12 + s] = (low >> 4) | ((minimum >> 6) << 4)
    return good


@inlined
def _final_levels(
    source: Any, base: int, lane: Any, j: int, s: int, six: Any, top: np.int32, level: Any
) -> None:
    """Round one sub-block at its stored scale; where that is 0 the search's levels stay."""
    scale = np.float32(half_value(six[16]) * np.float32(six[s]))
    shift = np.float32(half_value(six[17]) * np.float32(six[8 + s]))
    if scale != np.float32(0):
        for i in range(SUB):
            value = np.float32(np.float32(source[base + i] + shift) / scale)
            level[s * SUB + i] = np.uint8(max(np.int32(0), min(top, nearest(value))))
        return
    for i in range(SUB):
        level[s * SUB + i] = search_level(lane, j, source[base + i], top)


@inlined
def _pack_four_bits(level: Any, out: Any, at: int) -> None:
    for pair in range(4):
        for i in range(32):
            low, high = level[pair * 64 + i], level[pair * 64 + 32 + i]
            out[at + pair * 32 + i] = np.uint8((low & 15) | ((high & 15) << 4))


@inlined
def _pack_fifth_bits(level: Any, out: Any, at: int) -> None:
    """Bit s of byte i belongs to weight i of sub-block s."""
    for i in range(32):
        fifth = np.int32(0)
        for s in range(8):
            fifth |= np.int32(level[s * SUB + i] >> 4) << np.int32(s)
        out[at + i] = np.uint8(fifth)


@inlined
def _put_levels(
    source: Any, base: int, lane: Any, first: int, six: Any, top: np.int32, level: Any, out: Any,
    at: int,
) -> None:  # fmt: skip
    """Write the levels of one super-block after its scales; `top` tells Q4_K from Q5_K."""
    for s in range(8):
        _final_levels(source, base + s * SUB, lane, first + s, s, six, top, level)
    if top == np.int32(31):
        _pack_fifth_bits(level, out, at + 16)
        _pack_four_bits(level, out, at + 48)
    else:
        _pack_four_bits(level, out, at + 16)


@inlined
def _encode(source: Any, out: Any, size: int, top: np.int32, first: np.float32, steps: int) -> int:
    cells, lane = np.empty(3 * SUB * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    six, level = np.empty(18, np.int32), np.empty(256, np.uint8)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 8):
        count = min(8, blocks - group)
        load_lanes(source, group * 256, count * 8, cells)
        _set_weights(cells, lane)
        search_ranges(cells, lane, top, first, np.float32(0.1), steps)
        for b in range(count):
            at = (group + b) * size
            bad += 0 if _write_scales(lane, b * 8, out, at, six) else 1
            _put_levels(source, (group + b) * 256, lane, b * 8, six, top, level, out, at)
    return bad


@inlined
def _encode_weighted(source: Any, importance: Any, out: Any, size: int, top: np.int32) -> int:
    cells, lane = np.empty(3 * SUB * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    six, level = np.empty(18, np.int32), np.empty(256, np.uint8)
    powers = super_block_powers(source)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 8):
        count = min(8, blocks - group)
        load_lanes(source, group * 256, count * 8, cells)
        weigh_lanes(importance, group * 256, count * 8, SUB, powers, 256, cells)
        search_ranges(cells, lane, top, np.float32(-0.9), np.float32(0.05), 36)
        for b in range(count):
            at = (group + b) * size
            bad += 0 if _write_weighted_scales(lane, b * 8, top, out, at, six) else 1
            _put_levels(source, (group + b) * 256, lane, b * 8, six, top, level, out, at)
    return bad


@kernel
def encode_q4_k(source: Any, out: Any) -> int:
    """Write Q4_K blocks of 144 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 144].
    """
    return int(_encode(source, out, 144, np.int32(15), np.float32(-1.0), 20))


@kernel
def encode_q5_k(source: Any, out: Any) -> int:
    """Write Q5_K blocks of 176 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 176].
    """
    return int(_encode(source, out, 176, np.int32(31), np.float32(-0.5), 15))


@kernel
def encode_weighted_q4_k(source: Any, importance: Any, out: Any) -> int:
    """As `encode_q4_k`, errors weighed by the importance of their column.

    Args:
        source: float32 [rows * columns], columns a multiple of 256, finite.
        importance: float32 [columns], mean square of the inputs.
        out: uint8 [n / 256 * 144].
    """
    return int(_encode_weighted(source, importance, out, 144, np.int32(15)))


@kernel
def encode_weighted_q5_k(source: Any, importance: Any, out: Any) -> int:
    """As `encode_weighted_q4_k`, for Q5_K blocks of 176 bytes."""
    return int(_encode_weighted(source, importance, out, 176, np.int32(31)))
