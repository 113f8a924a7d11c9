"""What an importance matrix adds to the block formats: weights of errors, scales fitted to them.

The importance of a column is the mean square of what the model feeds into it; a weight's error
counts by that and by its own size. Facts: ggml-quants.c (quantize_row_*_impl, make_qp_quants).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.quantize.kernels.floats import inlined, nearest

N = 64
W = 32 * N  # offset of the weights in `cells`, in every search
TINY = 1e-15  # a group whose values stay below this is taken as zero


@inlined
def super_block_powers(source: Any) -> Any:
    """Return twice the mean square of each 256 weights, float32 [n / 256]."""
    powers = np.empty(source.size // 256, np.float32)
    for b in range(powers.size):
        total = np.float32(0)
        for i in range(256):
            x = source[b * 256 + i]
            total = np.float32(total + np.float32(x * x))
        powers[b] = np.float32(np.float32(np.float32(2) * total) / np.float32(256))
    return powers


@inlined
def row_powers(source: Any, columns: int) -> Any:
    """Return the mean square of each row, float32 [n / columns]."""
    powers = np.empty(source.size // columns, np.float32)
    for row in range(powers.size):
        total = np.float32(0)
        for i in range(columns):
            x = source[row * columns + i]
            total = np.float32(total + np.float32(x * x))
        powers[row] = np.float32(total / np.float32(columns))
    return powers


@inlined
def weigh_lanes(
    importance: Any, start: int, count: int, sub: int, powers: Any, span: int, cells: Any
) -> None:
    """Set the weights of `count` sub-blocks: importance times sqrt(power + x²).

    Args:
        importance: float32 [columns].
        start: Position of the first sub-block in the matrix.
        count: Sub-blocks; the weights of further lanes are 0.
        sub: Weights in a sub-block.
        powers: float32, of each `span` weights.
        span: Weights that share a power.
        cells: Holds the values; gets the weights.
    """
    columns = importance.size
    for j in range(count):
        base = start + j * sub
        power, column = powers[base // span], base % columns
        for i in range(sub):
            x = cells[i * N + j]
            root = np.float32(np.sqrt(np.float32(power + np.float32(x * x))))
            cells[W + i * N + j] = np.float32(importance[column + i] * root)
    for j in range(count, N):
        for i in range(sub):
            cells[W + i * N + j] = np.float32(0)


@inlined
def take_importance(importance: Any, start: int, count: int, sub: int, cells: Any) -> None:
    """Set the weights of `count` sub-blocks to the importance alone; see `weigh_lanes`."""
    for j in range(N):
        column = (start + j * sub) % importance.size
        for i in range(sub):
            cells[W + i * N + j] = importance[column + i] if j < count else np.float32(0)


@inlined
def fit_positive(values: Any, weights: Any, top: np.int32, levels: Any) -> np.float32:
    """Fit `scale * level` to values from 0; leave the levels, return the scale.

    Nine scalings are tried, then up to five passes move single levels where that explains more.

    Args:
        values: float32 [n].
        weights: float32 [n].
        top: Highest level.
        levels: Output, int32 [n], 0 to `top`.
    """
    zero, highest = np.float32(0), np.float32(0)
    for i in range(values.size):
        highest = highest if highest > values[i] else values[i]
    if highest < np.float32(TINY):
        levels[:] = 0
        return zero
    iscale = _best_inverse(values, weights, top, highest)
    sum_lx, sum_ll = zero, zero
    for i in range(values.size):
        level = min(top, nearest(np.float32(iscale * values[i])))
        levels[i] = level & np.int32(255)
        value = np.float32(level)
        wx = np.float32(weights[i] * values[i])
        sum_lx = np.float32(sum_lx + np.float32(wx * value))
        sum_ll = np.float32(sum_ll + np.float32(np.float32(weights[i] * value) * value))
    for _ in range(5):
        moved = False
        for i in range(values.size):
            x, w, old = values[i], weights[i], np.float32(levels[i])
            wx = np.float32(w * x)
            lx = np.float32(sum_lx - np.float32(wx * old))
            ll = np.float32(sum_ll - np.float32(np.float32(w * old) * old))
            if not (lx > zero and ll > zero):
                continue
            level = min(top, nearest(np.float32(np.float32(x * ll) / lx)))
            if level == levels[i]:
                continue
            value = np.float32(level)
            lx = np.float32(lx + np.float32(wx * value))
            ll = np.float32(ll + np.float32(np.float32(w * value) * value))
            gained = np.float32(np.float32(lx * lx) * sum_ll)
            if gained > np.float32(np.float32(sum_lx * sum_lx) * ll):
                levels[i] = level & np.int32(255)
                sum_lx, sum_ll, moved = lx, ll, True
        if not moved:
            break
    return np.float32(sum_lx / sum_ll) if sum_ll > zero else zero


@inlined
def _best_inverse(values: Any, weights: Any, top: np.int32, highest: np.float32) -> np.float32:
    """Return the best of nine inverse scales, by weighted squared error."""
    best_inverse, best = np.float32(0), np.float32(0)
    for order in range(9):
        step = 0 if order == 0 else (order - 5 if order < 5 else order - 4)
        offset = np.float32(np.float32(0.1) * np.float32(step))
        inverse = np.float32(np.float32(offset + np.float32(top)) / highest)
        if order == 0:
            inverse = np.float32(np.float32(top) / highest)
        scale, error = np.float32(np.float32(1) / inverse), np.float32(0)
        for i in range(values.size):
            level = nearest(np.float32(inverse * values[i]))
            # The reference stores the first candidate's levels in a byte, the others in an int.
            level = level & np.int32(255) if order == 0 else min(top, level)
            difference = np.float32(values[i] - np.float32(scale * np.float32(level)))
            error = np.float32(error + np.float32(np.float32(weights[i] * difference) * difference))
        if order == 0 or error < best:
            best, best_inverse = error, inverse
    return best_inverse


@inlined
def fit_signed(values: Any, weights: Any, middle: np.int32, levels: Any) -> np.float32:
    """Fit `scale * level` to signed values; leave the levels, return the scale.

    The scalar form of `scale_search.search_scales`, for the few scales of a super-block.

    Args:
        values: float32 [n].
        weights: float32 [n].
        middle: Levels go from -middle to middle - 1.
        levels: Output, int32 [n]; -middle throughout where all values are zero.
    """
    extreme, magnitude = np.float32(0), np.float32(0)
    for i in range(values.size):
        if np.float32(abs(values[i])) > magnitude:
            magnitude, extreme = np.float32(abs(values[i])), values[i]
    if magnitude < np.float32(TINY):
        levels[:] = -middle
        return np.float32(0)
    scale, best, full = np.float32(0), np.float32(0), np.float32(middle)
    for order in range(19):
        step = 0 if order == 0 else (order - 10 if order < 10 else order - 9)
        wanted = np.float32(full + np.float32(np.float32(0.1) * np.float32(step)))
        iscale = np.float32(-(full if order == 0 else wanted) / extreme)
        lx, ll = np.float32(0), np.float32(0)
        for i in range(values.size):
            value = np.float32(_signed_level(iscale, values[i], middle))
            wx = np.float32(weights[i] * values[i])
            lx = np.float32(lx + np.float32(wx * value))
            ll = np.float32(ll + np.float32(np.float32(weights[i] * value) * value))
        if order == 0:
            scale = np.float32(lx / ll) if ll != np.float32(0) else np.float32(0)
        elif ll > np.float32(0) and np.float32(lx * lx) > np.float32(best * ll):
            scale = np.float32(lx / ll)
        else:
            continue
        best = np.float32(scale * lx)
        for i in range(values.size):
            levels[i] = _signed_level(iscale, values[i], middle)
    return scale


@inlined
def _signed_level(iscale: np.float32, value: np.float32, middle: np.int32) -> np.int32:
    level = nearest(np.float32(iscale * value))
    return np.int32(max(np.int32(-middle), min(np.int32(middle - 1), level)))
