"""Q4_K and Q5_K: super-blocks of 256 weights, eight sub-blocks with a 6-bit scale and minimum.

The search tries some twenty scalings per sub-block and keeps the one of least weighted error. It
runs on 64 sub-blocks at once, one per lane, so that the compiler vectorizes over lanes while each
lane adds in the reference's order: same bits, several times the speed. Facts of the format and
the search: ggml-quants.c (quantize_row_q4_K_ref, make_qkx2_quants). No importance matrix here.
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

# One flat array per kind of data and literal offsets in it: the compiler then sees that rows
# cannot overlap, which it needs to vectorize without run-time checks. N is the lane count.
N = 64
SUB = 32  # weights in a sub-block
W, LEVEL = SUB * N, 2 * SUB * N  # rows of `cells`: values from 0, weights, levels tried
(LOW, HIGH, SUM_W, SUM_X, SCALE, MIN, ERROR, ISCALE, SUM_L, SUM_LL, SUM_XL, TRY_SCALE, TRY_MIN,
 TRY_ERROR, BEST_ISCALE, BEST_MIN) = (row * N for row in range(16))  # fmt: skip
LANE_ROWS = 16


@inlined
def _load_lanes(source: Any, start: int, count: int, cells: Any) -> None:
    """Transpose `count` sub-blocks into lanes; further lanes hold zeros."""
    for j in range(count):
        base = start + j * SUB
        for i in range(SUB):
            cells[i * N + j] = source[base + i]
    for j in range(count, N):
        for i in range(SUB):
            cells[i * N + j] = np.float32(0)


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
            level = nearest(np.float32(lane[ISCALE + j] * np.float32(x - lane[MIN + j])))
            level = np.int32(max(np.int32(0), min(top, level)))
            value = np.float32(level)
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
def _search(cells: Any, lane: Any, top: np.int32, first: np.float32, steps: int) -> None:
    """Leave each lane's SCALE, MIN (as found, at most 0), BEST_ISCALE and BEST_MIN."""
    _ranges_and_sums(cells, lane)
    levels = np.float32(top)
    for j in range(N):
        iscale = np.float32(levels / np.float32(lane[HIGH + j] - lane[LOW + j]))
        lane[MIN + j] = lane[LOW + j]
        lane[ISCALE + j] = iscale
        lane[BEST_ISCALE + j] = iscale
        lane[BEST_MIN + j] = lane[LOW + j]
        lane[SCALE + j] = np.float32(np.float32(1) / iscale)
        lane[TRY_SCALE + j] = lane[SCALE + j]
        lane[TRY_MIN + j] = lane[LOW + j]
    _try_levels(cells, lane, top)
    _measure_error(cells, lane)
    for j in range(N):
        lane[ERROR + j] = lane[TRY_ERROR + j]
    for step in range(steps + 1):
        offset = np.float32(first + np.float32(np.float32(0.1) * np.float32(step)))
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
    iscale, minimum = lane[BEST_ISCALE + j], lane[BEST_MIN + j]
    for i in range(SUB):
        value = np.float32(iscale * np.float32(source[base + i] - minimum))
        level[s * SUB + i] = np.uint8(max(np.int32(0), min(top, nearest(value))))


@inlined
def _pack_four_bits(level: Any, out: Any, at: int) -> None:
    for pair in range(4):
        for i in range(32):
            low, high = level[pair * 64 + i], level[pair * 64 + 32 + i]
            out[at + pair * 32 + i] = np.uint8((low & 15) | ((high & 15) << 4))


@kernel
def encode_q4_k(source: Any, out: Any) -> int:
    """Write Q4_K blocks of 144 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 144].
    """
    cells, lane = np.empty(3 * SUB * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    six, level = np.empty(18, np.int32), np.empty(256, np.uint8)
    top, bad, blocks = np.int32(15), 0, source.size // 256
    for group in range(0, blocks, 8):
        count = min(8, blocks - group)
        _load_lanes(source, group * 256, count * 8, cells)
        _set_weights(cells, lane)
        _search(cells, lane, top, np.float32(-1.0), 20)
        for b in range(count):
            at = (group + b) * 144
            bad += 0 if _write_scales(lane, b * 8, out, at, six) else 1
            for s in range(8):
                base = (group + b) * 256 + s * SUB
                _final_levels(source, base, lane, b * 8 + s, s, six, top, level)
            _pack_four_bits(level, out, at + 16)
    return bad


@kernel
def encode_q5_k(source: Any, out: Any) -> int:
    """Write Q5_K blocks of 176 bytes; return how many super-blocks leave half's range.

    Args:
        source: float32 [n], n a multiple of 256, finite.
        out: uint8 [n / 256 * 176].
    """
    cells, lane = np.empty(3 * SUB * N, np.float32), np.empty(LANE_ROWS * N, np.float32)
    six, level = np.empty(18, np.int32), np.empty(256, np.uint8)
    top, bad, blocks = np.int32(31), 0, source.size // 256
    for group in range(0, blocks, 8):
        count = min(8, blocks - group)
        _load_lanes(source, group * 256, count * 8, cells)
        _set_weights(cells, lane)
        _search(cells, lane, top, np.float32(-0.5), 15)
        for b in range(count):
            at = (group + b) * 176
            bad += 0 if _write_scales(lane, b * 8, out, at, six) else 1
            for s in range(8):
                base = (group + b) * 256 + s * SUB
                _final_levels(source, base, lane, b * 8 + s, s, six, top, level)
            for i in range(32):  # fifth bits: bit s of byte i belongs to sub-block s
                fifth = np.int32(0)
                for s in range(8):
                    fifth |= np.int32(level[s * SUB + i] >> 4) << np.int32(s)
                out[at + 16 + i] = np.uint8(fifth)
            _pack_four_bits(level, out, at + 48)
    return bad
