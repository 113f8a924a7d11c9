"""The search for a signed scale of 16 or 32 weights: what Q6_K and the weighted types share.

Nineteen scalings are tried per sub-block, 64 sub-blocks at once in lanes (see `range_search` for
why), and the one that explains most of the weighted squares is kept. Facts of the search:
ggml-quants.c (make_qx_quants).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.quantize.kernels.floats import inlined, nearest

N = 64
W, WX = 32 * N, 64 * N  # rows of `cells`: values from 0, their weights, weight times value
CELL_ROWS = 96
(MAX, AMAX, ISCALE, SUM_LX, SUM_LL, SCALE, BEST, BEST_ISCALE) = (row * N for row in range(8))
LANE_ROWS = 8
TINY = 1e-15  # a sub-block below this is taken as zero


@inlined
def load_lanes(source: Any, start: int, count: int, sub: int, cells: Any, lane: Any) -> None:
    """Transpose sub-blocks into lanes and find each lane's value of largest magnitude."""
    for j in range(count):
        for i in range(sub):
            cells[i * N + j] = source[start + j * sub + i]
    for j in range(count, N):
        for i in range(sub):
            cells[i * N + j] = np.float32(0)
    for j in range(N):
        lane[MAX + j] = np.float32(0)
        lane[AMAX + j] = np.float32(0)
    for i in range(sub):
        for j in range(N):
            x = cells[i * N + j]
            magnitude = np.float32(abs(x))
            larger = magnitude > lane[AMAX + j]
            lane[MAX + j] = x if larger else lane[MAX + j]
            lane[AMAX + j] = magnitude if larger else lane[AMAX + j]


@inlined
def weigh_by_squares(sub: int, cells: Any) -> None:
    """Set each weight to its value's square."""
    for i in range(sub):
        for j in range(N):
            x = cells[i * N + j]
            cells[W + i * N + j] = np.float32(x * x)


@inlined
def _multiply_weights(sub: int, cells: Any) -> None:
    # The reference multiplies weight, value and level from left to right, hence this product.
    for i in range(sub):
        for j in range(N):
            cells[WX + i * N + j] = np.float32(cells[W + i * N + j] * cells[i * N + j])


@inlined
def _try_scale(sub: int, middle: np.int32, cells: Any, lane: Any) -> None:
    """Round at the lane's ISCALE and sum weighted level*value and level*level."""
    low, high = np.int32(-middle), np.int32(middle - 1)
    for j in range(N):
        lane[SUM_LX + j] = np.float32(0)
        lane[SUM_LL + j] = np.float32(0)
    for i in range(sub):
        for j in range(N):
            level = nearest(np.float32(lane[ISCALE + j] * cells[i * N + j]))
            value = np.float32(np.int32(max(low, min(high, level))))
            lx = np.float32(cells[WX + i * N + j] * value)
            ll = np.float32(np.float32(cells[W + i * N + j] * value) * value)
            lane[SUM_LX + j] = np.float32(lane[SUM_LX + j] + lx)
            lane[SUM_LL + j] = np.float32(lane[SUM_LL + j] + ll)


@inlined
def search_scales(sub: int, middle: np.int32, cells: Any, lane: Any) -> None:
    """Leave each lane's SCALE, and the BEST_ISCALE its levels come from (0 for a zero lane).

    Args:
        sub: Weights in a sub-block, 16 or 32.
        middle: Levels go from -middle to middle - 1.
        cells: Values and weights.
        lane: Numbers of each lane.
    """
    zero, full = np.float32(0), np.float32(middle)
    _multiply_weights(sub, cells)
    for j in range(N):
        lane[ISCALE + j] = np.float32(-full / lane[MAX + j])
        lane[BEST_ISCALE + j] = lane[ISCALE + j]
    _try_scale(sub, middle, cells, lane)
    for j in range(N):
        lx, ll = lane[SUM_LX + j], lane[SUM_LL + j]
        ratio = np.float32(lx / ll)
        lane[SCALE + j] = ratio if ll != zero else zero
        lane[BEST + j] = np.float32(lane[SCALE + j] * lx)
    for step in range(-9, 10):
        if step == 0:
            continue
        wanted = np.float32(-np.float32(full + np.float32(0.1) * np.float32(step)))
        for j in range(N):
            lane[ISCALE + j] = np.float32(wanted / lane[MAX + j])
        _try_scale(sub, middle, cells, lane)
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
def search_level(lane: Any, j: int, value: np.float32, middle: np.int32) -> np.uint8:
    """Return the level from 0 that the best candidate of lane `j` gave a value.

    A zero sub-block has level 0 in the reference, not the middle.
    """
    iscale = lane[BEST_ISCALE + j]
    if iscale == np.float32(0):
        return np.uint8(0)
    level = nearest(np.float32(iscale * value))
    return np.uint8(max(np.int32(-middle), min(np.int32(middle - 1), level)) + middle)
