"""Q4_K and Q6_K encoded slowly and readably with numpy, one sub-block at a time.

Written from the formats' description to check the fast kernels by a second road; every operation
is on float32 scalars in the order the formats' reference adds in.
"""

from __future__ import annotations

import numpy as np

F = np.float32


def rounded(value: np.float32) -> int:
    return int(np.rint(value))  # ties to even


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def weighted_fit(x: np.ndarray, w: np.ndarray, levels: list[int]) -> tuple[F, F, bool]:
    """Least squares of scale * level + minimum, the minimum at most 0."""
    sum_w = sum_x = sum_l = sum_ll = sum_xl = F(0)
    for xi, wi, level in zip(x, w, levels, strict=True):
        li = F(level)
        sum_w, sum_x = sum_w + wi, sum_x + wi * xi
        sum_l, sum_ll, sum_xl = sum_l + wi * li, sum_ll + wi * li * li, sum_xl + wi * li * xi
    determinant = sum_w * sum_ll - sum_l * sum_l
    if not determinant > 0:
        return F(0), F(0), False
    scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
    minimum = (sum_ll * sum_x - sum_l * sum_xl) / determinant
    if minimum > 0:
        return sum_xl / sum_ll, F(0), True
    return scale, minimum, True


def squared_error(x: np.ndarray, w: np.ndarray, levels: list[int], scale: F, minimum: F) -> F:
    total = F(0)
    for xi, wi, level in zip(x, w, levels, strict=True):
        difference = scale * F(level) + minimum - xi
        total = total + wi * (difference * difference)
    return total


def search_scale_and_minimum(x: np.ndarray) -> tuple[F, F, list[int]]:
    """Try 21 scalings of a Q4_K sub-block; return scale, minimum (at most 0), levels."""
    total = F(0)
    for xi in x:
        total = total + xi * xi
    w = np.sqrt(total / F(32)) + np.abs(x)
    low, high = min(F(0), x.min()), x.max()
    if low == high:
        return F(0), low, [0] * 32
    iscale = F(15) / (high - low)
    scale, minimum = F(1) / iscale, low
    levels = [clamp(rounded(iscale * (xi - minimum)), 0, 15) for xi in x]
    error = squared_error(x, w, levels, scale, minimum)
    for step in range(21):
        iscale = (F(-1) + F(0.1) * F(step) + F(15)) / (high - minimum)
        tried = [clamp(rounded(iscale * (xi - minimum)), 0, 15) for xi in x]
        new_scale, new_minimum, solvable = weighted_fit(x, w, tried)
        if not solvable:
            continue
        new_error = squared_error(x, w, tried, new_scale, new_minimum)
        if new_error < error:
            error, scale, minimum, levels = new_error, new_scale, new_minimum, tried
    return scale, minimum, levels


def encode_q4_k(x: np.ndarray) -> bytes:
    """Encode one super-block of 256 weights."""
    found = [search_scale_and_minimum(x[s * 32 : s * 32 + 32]) for s in range(8)]
    max_scale = max(F(0), *(scale for scale, _, _ in found))
    max_min = max(F(0), *(-minimum for _, minimum, _ in found))
    inverse_scale = F(63) / max_scale if max_scale > 0 else F(0)
    inverse_min = F(63) / max_min if max_min > 0 else F(0)
    scales = [min(63, rounded(inverse_scale * scale)) for scale, _, _ in found]
    minima = [min(63, rounded(inverse_min * -minimum)) for _, minimum, _ in found]
    d, dmin = np.float16(max_scale / F(63)), np.float16(max_min / F(63))
    packed = bytearray(12)
    for s in range(4):
        packed[s] = scales[s] | (scales[4 + s] >> 4) << 6
        packed[4 + s] = minima[s] | (minima[4 + s] >> 4) << 6
        packed[8 + s] = scales[4 + s] & 15 | (minima[4 + s] & 15) << 4
    levels: list[int] = []
    for s, (_, _, kept) in enumerate(found):
        scale, shift = F(d) * F(scales[s]), F(dmin) * F(minima[s])
        block = x[s * 32 : s * 32 + 32]
        levels += [clamp(rounded((xi + shift) / scale), 0, 15) for xi in block] if scale else kept
    nibbles = bytes(
        levels[pair * 64 + i] | levels[pair * 64 + 32 + i] << 4
        for pair in range(4)
        for i in range(32)
    )
    return d.tobytes() + dmin.tobytes() + bytes(packed) + nibbles


def search_signed_scale(x: np.ndarray) -> tuple[F, list[int]]:
    """Try 19 scalings of a Q6_K sub-block; return scale and levels from 0 to 63."""
    extreme = x[np.argmax(np.abs(x))]
    if abs(extreme) < F(1e-15):
        return F(0), [0] * 16
    best: tuple[F, F, list[int]] | None = None
    for step in (0, *range(-9, 0), *range(1, 10)):
        iscale = -(F(32) + F(0.1) * F(step)) / extreme
        levels = [clamp(rounded(iscale * xi), -32, 31) for xi in x]
        lx = ll = F(0)
        for xi, level in zip(x, levels, strict=True):
            w, li = xi * xi, F(level)
            lx, ll = lx + w * xi * li, ll + w * li * li
        if best is None:
            scale = lx / ll if ll else F(0)
        elif ll > 0 and lx * lx > best[1] * ll:
            scale = lx / ll
        else:
            continue
        best = (scale, scale * lx, [level + 32 for level in levels])
    assert best is not None
    return best[0], best[2]


def encode_q6_k(x: np.ndarray) -> bytes:
    """Encode one super-block of 256 weights."""
    found = [search_signed_scale(x[s * 16 : s * 16 + 16]) for s in range(16)]
    extreme = max((scale for scale, _ in found), key=abs)
    if abs(extreme) < F(1e-15):
        return bytes(210)
    iscale = F(-128) / extreme
    d = np.float16(F(1) / iscale)
    scales = [min(127, rounded(iscale * scale)) for scale, _ in found]
    levels: list[int] = []
    for s, (_, kept) in enumerate(found):
        scale = F(d) * F(scales[s])
        block = x[s * 16 : s * 16 + 16]
        levels += [clamp(rounded(xi / scale), -32, 31) + 32 for xi in block] if scale else kept
    low, high = bytearray(), bytearray()
    for half in (0, 128):
        a, b, c, e = (levels[half + k : half + k + 32] for k in (0, 32, 64, 96))
        low += bytes(p & 15 | (q & 15) << 4 for p, q in zip(a + b, c + e, strict=True))
        high += bytes(
            p >> 4 | (q >> 4) << 2 | (r >> 4) << 4 | (t >> 4) << 6
            for p, q, r, t in zip(a, b, c, e, strict=True)
        )
    return bytes(low) + bytes(high) + np.array(scales, np.int8).tobytes() + d.tobytes()
