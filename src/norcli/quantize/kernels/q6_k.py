"""Q6_K: super-blocks of 256 weights, sixteen sub-blocks with a signed 8-bit scale.

Nineteen scalings are tried per sub-block, 64 sub-blocks at once in lanes (see q4_k for why), and
the one that explains most of the squared weights is kept. Facts of the format and the search:
ggml-quants.c (quantize_row_q6_K_ref, make_qx_quants). No importance matrix here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.quantize.kernels.floats import (
    half_bits,
    half_value,
    inlined,
    is_infinite_half,
    kernel,
    nearest,
)

N = 64
SUB = 16
XX, XXX = SUB * N, 2 * SUB * N  # rows of `cells`: values from 0, their squares, their cubes
(MAX, AMAX, ISCALE, SUM_LX, SUM_LL, SCALE, BEST, BEST_ISCALE) = (row * N for row in range(8))
LANE_ROWS = 8
TINY = 1e-15  # a sub-block below this is taken as zero


@inlined
def _load_lanes(source: Any, start: int, count: int, cells: Any, lane: Any) -> None:
    """Transpose sub-blocks into lanes and find each lane's value of largest magnitude."""
    for j in range(count):
        for i in range(SUB):
            cells[i * N + j] = source[start + j * SUB + i]
    for j in range(count, N):
        for i in range(SUB):
            cells[i * N + j] = np.float32(0)
    for j in range(N):
        lane[MAX + j] = np.float32(0)
        lane[AMAX + j] = np.float32(0)
    for i in range(SUB):
        for j in range(N):
            x = cells[i * N + j]
            # The reference weighs by x*x and multiplies left to right, hence these products.
            square = np.float32(x * x)
            cells[XX + i * N + j] = square
            cells[XXX + i * N + j] = np.float32(square * x)
            magnitude = np.float32(abs(x))
            larger = magnitude > lane[AMAX + j]
            lane[MAX + j] = x if larger else lane[MAX + j]
            lane[AMAX + j] = magnitude if larger else lane[AMAX + j]


@inlined
def _try_scale(cells: Any, lane: Any) -> None:
    """Round at the lane's ISCALE and sum weighted level*value and level*level."""
    low, high = np.int32(-32), np.int32(31)
    for j in range(N):
        lane[SUM_LX + j] = np.float32(0)
        lane[SUM_LL + j] = np.float32(0)
    for i in range(SUB):
        for j in range(N):
            level = nearest(np.float32(lane[ISCALE + j] * cells[i * N + j]))
            value = np.float32(np.int32(max(low, min(high, level))))
            lx = np.float32(cells[XXX + i * N + j] * value)
            ll = np.float32(np.float32(cells[XX + i * N + j] * value) * value)
            lane[SUM_LX + j] = np.float32(lane[SUM_LX + j] + lx)
            lane[SUM_LL + j] = np.float32(lane[SUM_LL + j] + ll)


@inlined
def _search(cells: Any, lane: Any) -> None:
    """Leave each lane's SCALE, and the BEST_ISCALE its levels come from (0 for a zero lane)."""
    zero = np.float32(0)
    for j in range(N):
        lane[ISCALE + j] = np.float32(np.float32(-32) / lane[MAX + j])
        lane[BEST_ISCALE + j] = lane[ISCALE + j]
    _try_scale(cells, lane)
    for j in range(N):
        lx, ll = lane[SUM_LX + j], lane[SUM_LL + j]
        ratio = np.float32(lx / ll)
        lane[SCALE + j] = ratio if ll != zero else zero
        lane[BEST + j] = np.float32(lane[SCALE + j] * lx)
    for step in range(-9, 10):
        if step == 0:
            continue
        wanted = np.float32(-np.float32(np.float32(32) + np.float32(0.1) * np.float32(step)))
        for j in range(N):
            lane[ISCALE + j] = np.float32(wanted / lane[MAX + j])
        _try_scale(cells, lane)
        for j in range(N):
            lx, ll = lane[SUM_LX + j], lane[SUM_LL + j]
            better = (ll > zero) and (np.float32(lx * lx) > np.float32(lane[BEST + j] * ll))
            ratio = np.float32(lx / ll)
            lane[SCALE + j] = ratio if better else lane[SCALE + j]
            lane[BEST_ISCALE + j] = lane[ISCALE + j] if better else lane[BEST_ISCALE + j]
            lane[BEST + j] = np.float32(ratio * lx) if better else lane[BEST + j]
    for j in range(N):
        empty = lane[AMAX + j] < np.float32(TINY)
        lane[SCALE + j] = zero if empty else lane[SCALE + j]
        lane[BEST_ISCALE + j] = zero if empty else lane[BEST_ISCALE + j]


@inlined
def _final_levels(source: Any, base: int, lane: Any, j: int, scale: np.float32, out: Any) -> None:
    """Round one sub-block at its stored scale; where that is 0 the search's levels stay."""
    low, high, middle = np.int32(-32), np.int32(31), np.int32(32)
    if scale != np.float32(0):
        for i in range(SUB):
            level = nearest(np.float32(source[base + i] / scale))
            out[i] = np.uint8(max(low, min(high, level)) + middle)
        return
    iscale = lane[BEST_ISCALE + j]
    empty = iscale == np.float32(0)  # the reference leaves 0 here, not the middle
    for i in range(SUB):
        level = nearest(np.float32(iscale * source[base + i]))
        out[i] = np.uint8(0) if empty else np.uint8(max(low, min(high, level)) + middle)


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


@kernel
def encode_q6_k(source: Any, out: Any) -> int:
    """Write Q6_K blocks of 210 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 210].
    """
    cells, lane = np.empty(3 * SUB * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    level = np.empty(256, np.uint8)
    bad, blocks = 0, source.size // 256
    for group in range(0, blocks, 4):
        count = min(4, blocks - group)
        _load_lanes(source, group * 256, count * 16, cells, lane)
        _search(cells, lane)
        for b in range(count):
            at = (group + b) * 210
            good = _encode_block(source, (group + b) * 256, lane, b * 16, out, at, level)
            bad += 0 if good else 1
    return bad
