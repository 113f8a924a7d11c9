"""Q3_K: super-blocks of 256 weights, sixteen sub-blocks with a signed 6-bit scale.

Each sub-block starts from plain rounding; then up to five passes move single levels where that
explains more of the squared weights. The passes are sequential within a sub-block, so 64
sub-blocks run side by side in lanes (see range_search for why). With an importance matrix the
search is that of `scale_search`. Facts of the format and the search: ggml-quants.c
(quantize_row_q3_K_ref, make_q3_quants, quantize_row_q3_K_impl).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.quantize.kernels.floats import half_bits, half_value, inlined, is_infinite_half, nearest
from norcli.quantize.kernels.importance import fit_signed, super_block_powers, weigh_lanes
from norcli.quantize.kernels.scale_search import (
    AMAX,
    CELL_ROWS,
    MAX,
    TINY,
    N,
    W,
    load_lanes,
    search_level,
    search_scales,
)
from norcli.quantize.kernels.scale_search import LANE_ROWS as SEARCH_ROWS
from norcli.quantize.kernels.scale_search import SCALE as SEARCH_SCALE

SUB = 16
LEVEL = SUB * N  # rows of `cells`: values from 0, then levels (floats from -4 to 3)
# Rows of `lane` after MAX and AMAX, which loading fills.
(ISCALE, SUM_LX, SUM_LL, SCALE, CHANGED) = (row * N for row in range(2, 7))
LANE_ROWS = 7


@inlined
def _round_plainly(cells: Any, lane: Any) -> None:
    low, high = np.int32(-4), np.int32(3)
    for j in range(N):
        lane[ISCALE + j] = np.float32(np.float32(-4) / lane[MAX + j])
        lane[SUM_LX + j] = np.float32(0)
        lane[SUM_LL + j] = np.float32(0)
    for i in range(SUB):
        for j in range(N):
            x = cells[i * N + j]
            level = nearest(np.float32(lane[ISCALE + j] * x))
            value = np.float32(np.int32(max(low, min(high, level))))
            cells[LEVEL + i * N + j] = value
            weight = np.float32(x * x)
            lx = np.float32(np.float32(weight * x) * value)
            ll = np.float32(np.float32(weight * value) * value)
            lane[SUM_LX + j] = np.float32(lane[SUM_LX + j] + lx)
            lane[SUM_LL + j] = np.float32(lane[SUM_LL + j] + ll)


@inlined
def _move_levels(cells: Any, lane: Any) -> bool:
    """Do one pass over all lanes; whether any level moved.

    A lane without a move repeats its pass unchanged, so that stopping all lanes together gives
    what stopping each alone would.
    """
    zero, low, high = np.float32(0), np.int32(-4), np.int32(3)
    for j in range(N):
        lane[CHANGED + j] = zero
    for i in range(SUB):
        for j in range(N):
            x, old = cells[i * N + j], cells[LEVEL + i * N + j]
            all_lx, all_ll = lane[SUM_LX + j], lane[SUM_LL + j]
            weight = np.float32(x * x)
            wx = np.float32(weight * x)
            lx = np.float32(all_lx - np.float32(wx * old))
            ll = np.float32(all_ll - np.float32(np.float32(weight * old) * old))
            level = nearest(np.float32(np.float32(x * ll) / lx))
            new = np.float32(np.int32(max(low, min(high, level))))
            new_lx = np.float32(lx + np.float32(wx * new))
            new_ll = np.float32(ll + np.float32(np.float32(weight * new) * new))
            gain = np.float32(np.float32(new_lx * new_lx) * all_ll) > np.float32(
                np.float32(all_lx * all_lx) * new_ll
            )
            moves = (lx > zero) & (new != old) & (new_ll > zero) & gain
            cells[LEVEL + i * N + j] = new if moves else old
            lane[SUM_LX + j] = new_lx if moves else all_lx
            lane[SUM_LL + j] = new_ll if moves else all_ll
            lane[CHANGED + j] = np.float32(1) if moves else lane[CHANGED + j]
    moved = False
    for j in range(N):
        moved |= lane[CHANGED + j] != zero
    return moved


@inlined
def _search(cells: Any, lane: Any) -> None:
    """Leave each lane's SCALE, and its levels in `cells`."""
    _round_plainly(cells, lane)
    for _ in range(5):
        if not _move_levels(cells, lane):
            break
    zero = np.float32(0)
    for j in range(N):
        ratio = np.float32(lane[SUM_LX + j] / lane[SUM_LL + j])
        scale = ratio if lane[SUM_LL + j] > zero else zero
        lane[SCALE + j] = zero if lane[AMAX + j] < np.float32(TINY) else scale


@inlined
def _write_scales(lane: Any, first: int, out: Any, at: int, six: Any) -> np.int32:
    """Write the packed 6-bit scales and d; return d's bits, leave signed scales in `six`."""
    largest, magnitude = np.float32(0), np.float32(0)
    for s in range(16):
        scale = lane[SCALE + first + s]
        if np.float32(abs(scale)) > magnitude:
            magnitude, largest = np.float32(abs(scale)), scale
    if largest == np.float32(0):
        six[:] = -32
        return _put_scales(np.int32(0), six, out, at)
    iscale = np.float32(np.float32(-32) / largest)
    for s in range(16):
        level = nearest(np.float32(iscale * lane[SCALE + first + s]))
        six[s] = np.int32(max(np.int32(-32), min(np.int32(31), level)))
    return _put_scales(half_bits(np.float32(np.float32(1) / iscale)), six, out, at)


@inlined
def _put_scales(d: np.int32, six: Any, out: Any, at: int) -> np.int32:
    """Write d and the packed scales; return d's bits."""
    for i in range(12):
        out[at + 96 + i] = np.uint8(0)
    for s in range(16):
        bits = np.int32(six[s] + np.int32(32))
        # Low four bits of scales s and s+8 share a byte; four high pairs share one after those.
        out[at + 96 + (s & 7)] |= np.uint8((bits & 15) << (4 * (s >> 3)))
        out[at + 104 + (s & 3)] |= np.uint8((bits >> 4) << (2 * (s >> 2)))
    out[at + 108], out[at + 109] = np.uint8(d & 255), np.uint8(d >> 8)
    return d


@inlined
def _encode_block(
    source: Any, base: int, cells: Any, lane: Any, first: int, out: Any, at: int, six: Any,
    level: Any,
) -> bool:  # fmt: skip
    """Write one super-block from its searched lanes; False if its scale overflows."""
    d = _write_scales(lane, first, out, at, six)
    for s in range(16):
        empty = lane[AMAX + first + s] < np.float32(TINY)
        for i in range(SUB):  # a zero sub-block has level 0, not the middle
            kept = np.int32(cells[LEVEL + i * N + first + s]) + np.int32(4)
            level[s * SUB + i] = np.uint8(0) if empty else np.uint8(kept)
    _round_at_stored(source, base, d, six, level)
    _pack_three_bits(level, out, at)
    return not is_infinite_half(d)


@inlined
def _round_at_stored(source: Any, base: int, d: np.int32, six: Any, level: Any) -> None:
    """Round at the stored scales; where one is 0 the search's levels stay."""
    low, high, middle = np.int32(-4), np.int32(3), np.int32(4)
    for s in range(16):
        scale = np.float32(half_value(d) * np.float32(six[s]))
        if scale != np.float32(0):
            for i in range(SUB):
                rounded = nearest(np.float32(source[base + s * SUB + i] / scale))
                level[s * SUB + i] = np.uint8(max(low, min(high, rounded)) + middle)


@inlined
def _pack_three_bits(level: Any, out: Any, at: int) -> None:
    """Third bits in 32 bytes, low two bits in 64."""
    for i in range(32):  # third bits: bit k of byte i belongs to weight k * 32 + i
        third = 0
        for k in range(8):
            third |= (1 if level[k * 32 + i] > 3 else 0) << k
        out[at + i] = np.uint8(third)
    for half in range(2):
        for i in range(32):
            packed = 0
            for k in range(4):
                packed |= (level[half * 128 + k * 32 + i] & 3) << (2 * k)
            out[at + 32 + half * 32 + i] = np.uint8(packed)


@kernel
def encode_q3_k(source: Any, out: Any) -> int:
    """Write Q3_K blocks of 110 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 110].
    """
    cells, lane = np.empty(2 * SUB * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    six, level = np.empty(16, np.int32), np.empty(256, np.uint8)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 4):
        count = min(4, blocks - group)
        load_lanes(source, group * 256, count * 16, SUB, cells, lane)
        _search(cells, lane)
        for b in range(count):
            at, base = (group + b) * 110, (group + b) * 256
            good = _encode_block(source, base, cells, lane, b * 16, out, at, six, level)
            bad += 0 if good else 1
    return bad


@inlined
def _encode_weighted_block(
    source: Any, base: int, cells: Any, lane: Any, first: int, out: Any, at: int, six: Any,
    level: Any,
) -> bool:  # fmt: skip
    """Write one super-block from its weighted search; False if its scale overflows."""
    values, weights = np.empty(16, np.float32), np.empty(16, np.float32)
    for s in range(16):
        values[s], total = lane[SEARCH_SCALE + first + s], np.float32(0)
        for i in range(SUB):
            total = np.float32(total + cells[W + i * N + first + s])
            x = source[base + s * SUB + i]
            level[s * SUB + i] = search_level(lane, first + s, x, np.int32(4))
        weights[s] = total
    d = _put_scales(half_bits(fit_signed(values, weights, np.int32(32), six)), six, out, at)
    _round_at_stored(source, base, d, six, level)
    _pack_three_bits(level, out, at)
    return not is_infinite_half(d)


@kernel
def encode_weighted_q3_k(source: Any, importance: Any, out: Any) -> int:
    """As `encode_q3_k`, errors weighed by the importance of their column.

    Args:
        source: float32 [rows * columns], columns a multiple of 256, finite.
        importance: float32 [columns], mean square of the inputs.
        out: uint8 [n / 256 * 110].
    """
    cells, lane = np.empty(CELL_ROWS * N, np.float32), np.empty(SEARCH_ROWS * N, np.float32)
    six, level = np.empty(16, np.int32), np.empty(256, np.uint8)
    powers = super_block_powers(source)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 4):
        count = min(4, blocks - group)
        load_lanes(source, group * 256, count * 16, SUB, cells, lane)
        weigh_lanes(importance, group * 256, count * 16, SUB, powers, 256, cells)
        search_scales(SUB, np.int32(4), cells, lane)
        for b in range(count):
            at, base = (group + b) * 110, (group + b) * 256
            good = _encode_weighted_block(source, base, cells, lane, b * 16, out, at, six, level)
            bad += 0 if good else 1
    return bad
