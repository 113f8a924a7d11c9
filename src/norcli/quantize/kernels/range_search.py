"""The search for a scale and a minimum of 32 weights: what Q4_K, Q5_K, Q4_1 and Q5_1 share.

Some twenty to forty scalings are tried per sub-block and the one of least weighted error is kept.
It runs on 64 sub-blocks at once, one per lane, so that the compiler vectorizes over lanes while
each lane adds in the reference's order: same bits, several times the speed. Facts of the search:
ggml-quants.c (make_qkx2_quants, make_qkx3_quants).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.quantize.kernels.floats import inlined, nearest

# One flat array per kind of data and literal offsets in it: the compiler then sees that rows
# cannot overlap, which it needs to vectorize without run-time checks. N is the lane count.
N = 64
SUB = 32  # weights in a sub-block
W, LEVEL = SUB * N, 2 * SUB * N  # rows of `cells`: values from 0, weights, levels tried
(LOW, HIGH, SUM_W, SUM_X, SCALE, MIN, ERROR, ISCALE, SUM_L, SUM_LL, SUM_XL, TRY_SCALE, TRY_MIN,
 TRY_ERROR, BEST_ISCALE, BEST_MIN) = (row * N for row in range(16))  # fmt: skip
LANE_ROWS = 16


@inlined
def load_lanes(source: Any, start: int, count: int, cells: Any) -> None:
    """Transpose `count` sub-blocks into lanes; further lanes hold zeros."""
    for j in range(count):
        base = start + j * SUB
        for i in range(SUB):
            cells[i * N + j] = source[base + i]
    for j in range(count, N):
        for i in range(SUB):
            cells[i * N + j] = np.float32(0)


@inlined
def _ranges_and_sums(cells: Any, lane: Any) -> None:
    """Find each lane's lowest (at most 0) and highest value, and its weighted sums."""
    for j in range(N):
        lane[LOW + j] = cells[j]
        lane[HIGH + j] = cells[j]
        lane[SUM_W + j] = cells[W + j]
        lane[SUM_X + j] = np.float32(cells[W + j] * cells[j])
    for i in range(1, SUB):
        for j in range(N):
            x = cells[i * N + j]
            w = cells[W + i * N + j]
            lane[LOW + j] = x if x < lane[LOW + j] else lane[LOW + j]
            lane[HIGH + j] = x if x > lane[HIGH + j] else lane[HIGH + j]
            lane[SUM_W + j] = np.float32(lane[SUM_W + j] + w)
            lane[SUM_X + j] = np.float32(lane[SUM_X + j] + np.float32(w * x))
    for j in range(N):
        lane[LOW + j] = np.float32(0) if lane[LOW + j] > np.float32(0) else lane[LOW + j]


@inlined
def _within(scaled: np.float32, top: np.int32) -> np.int32:
    """Round to a level from 0 to `top`, bounded first: a far value cannot be rounded by its bits.

    A minimum that has moved up leaves values far below it where few weights count.
    """
    above = scaled if scaled > np.float32(0) else np.float32(0)
    return np.int32(nearest(above if above < np.float32(top) else np.float32(top)))


@inlined
def _try_levels(cells: Any, lane: Any, top: np.int32) -> None:
    """Round every value at the lane's ISCALE and MIN, and sum what the fit needs."""
    for j in range(N):
        lane[SUM_L + j] = np.float32(0)
        lane[SUM_LL + j] = np.float32(0)
        lane[SUM_XL + j] = np.float32(0)
    for i in range(SUB):
        for j in range(N):
            x = cells[i * N + j]
            w = cells[W + i * N + j]
            scaled = np.float32(lane[ISCALE + j] * np.float32(x - lane[MIN + j]))
            value = np.float32(_within(scaled, top))
            cells[LEVEL + i * N + j] = value
            wl = np.float32(w * value)
            lane[SUM_L + j] = np.float32(lane[SUM_L + j] + wl)
            lane[SUM_LL + j] = np.float32(lane[SUM_LL + j] + np.float32(wl * value))
            lane[SUM_XL + j] = np.float32(lane[SUM_XL + j] + np.float32(wl * x))


@inlined
def _measure_error(cells: Any, lane: Any) -> None:
    """Sum the weighted squared error of the levels at TRY_SCALE and TRY_MIN."""
    for j in range(N):
        lane[TRY_ERROR + j] = np.float32(0)
    for i in range(SUB):
        for j in range(N):
            fitted = np.float32(lane[TRY_SCALE + j] * cells[LEVEL + i * N + j])
            difference = np.float32(np.float32(fitted + lane[TRY_MIN + j]) - cells[i * N + j])
            square = np.float32(difference * difference)
            lane[TRY_ERROR + j] = np.float32(
                lane[TRY_ERROR + j] + np.float32(cells[W + i * N + j] * square)
            )


@inlined
def _fit(lane: Any) -> None:
    """Solve the weighted least squares for scale and minimum, the minimum kept at most 0."""
    zero = np.float32(0)
    for j in range(N):
        sum_w, sum_x = lane[SUM_W + j], lane[SUM_X + j]
        sum_l, sum_ll, sum_xl = lane[SUM_L + j], lane[SUM_LL + j], lane[SUM_XL + j]
        determinant = np.float32(np.float32(sum_w * sum_ll) - np.float32(sum_l * sum_l))
        scale = np.float32(
            np.float32(np.float32(sum_w * sum_xl) - np.float32(sum_x * sum_l)) / determinant
        )
        minimum = np.float32(
            np.float32(np.float32(sum_ll * sum_x) - np.float32(sum_l * sum_xl)) / determinant
        )
        through_zero = np.float32(sum_xl / sum_ll)
        scale = through_zero if minimum > zero else scale
        minimum = zero if minimum > zero else minimum
        lane[TRY_SCALE + j] = scale
        lane[TRY_MIN + j] = minimum
        # A singular fit is no candidate; its row of L sums is reused as the mark.
        lane[SUM_L + j] = np.float32(1) if determinant > zero else zero


@inlined
def _keep_better(lane: Any) -> None:
    """Take the candidate where its error is lower.

    The new minimum also serves the next candidates: the reference reuses the variable.
    """
    for j in range(N):
        better = (lane[SUM_L + j] > np.float32(0)) and (lane[TRY_ERROR + j] < lane[ERROR + j])
        lane[BEST_ISCALE + j] = lane[ISCALE + j] if better else lane[BEST_ISCALE + j]
        lane[BEST_MIN + j] = lane[MIN + j] if better else lane[BEST_MIN + j]
        lane[ERROR + j] = lane[TRY_ERROR + j] if better else lane[ERROR + j]
        lane[SCALE + j] = lane[TRY_SCALE + j] if better else lane[SCALE + j]
        lane[MIN + j] = lane[TRY_MIN + j] if better else lane[MIN + j]


@inlined
def search_ranges(
    cells: Any, lane: Any, top: np.int32, first: np.float32, step_size: np.float32, steps: int
) -> None:
    """Leave each lane's SCALE, MIN (as found, at most 0), BEST_ISCALE and BEST_MIN.

    Args:
        cells: Values and weights of 64 sub-blocks, see the module's offsets.
        lane: Numbers of each lane.
        top: Highest level.
        first: What the first candidate's range differs from `top` by.
        step_size: Between two candidates.
        steps: Candidates after the first.
    """
    _ranges_and_sums(cells, lane)
    levels = np.float32(top)
    for j in range(N):
        iscale = np.float32(levels / np.float32(lane[HIGH + j] - lane[LOW + j]))
        lane[MIN + j] = lane[LOW + j]
        lane[ISCALE + j] = iscale
        # A range of subnormal numbers: the reference's first levels are all 0.
        lane[BEST_ISCALE + j] = iscale if iscale < np.float32(np.inf) else np.float32(0)
        lane[BEST_MIN + j] = lane[LOW + j]
        lane[SCALE + j] = np.float32(np.float32(1) / iscale)
        lane[TRY_SCALE + j] = lane[SCALE + j]
        lane[TRY_MIN + j] = lane[LOW + j]
    _try_levels(cells, lane, top)
    _measure_error(cells, lane)
    for j in range(N):
        lane[ERROR + j] = lane[TRY_ERROR + j]
    for step in range(steps + 1):
        offset = np.float32(first + np.float32(step_size * np.float32(step)))
        wanted = np.float32(offset + levels)
        for j in range(N):
            lane[ISCALE + j] = np.float32(wanted / np.float32(lane[HIGH + j] - lane[MIN + j]))
        _try_levels(cells, lane, top)
        _fit(lane)
        _measure_error(cells, lane)
        _keep_better(lane)
    for j in range(N):
        flat = lane[HIGH + j] == lane[LOW + j]
        lane[SCALE + j] = np.float32(0) if flat else lane[SCALE + j]
        lane[MIN + j] = lane[LOW + j] if flat else lane[MIN + j]
        lane[BEST_ISCALE + j] = np.float32(0) if flat else lane[BEST_ISCALE + j]
        lane[BEST_MIN + j] = lane[LOW + j] if flat else lane[BEST_MIN + j]


@inlined
def search_level(lane: Any, j: int, value: np.float32, top: np.int32) -> np.uint8:
    """Return the level that the best candidate of lane `j` gave a value."""
    shifted = np.float32(value - lane[BEST_MIN + j])
    return np.uint8(_within(np.float32(lane[BEST_ISCALE + j] * shifted), top))
