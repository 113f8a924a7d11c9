"""The searches behind the K types in torch, for GPUs: the same operations in the same order.

All sub-blocks of a tile lie side by side, [weights of a sub-block, sub-blocks]; what the reference
adds in a loop is added in that loop here, so that the bits are the same. Three habits keep them
so: no fused multiply-add (every product is an operation of its own), no division by a Python
number (torch multiplies by its reciprocal), and square roots through float64 (torch's float32 root
is not always the nearest). Facts of the searches: ggml-quants.c, as in `range_search`,
`scale_search` and `q3_k`, which a test holds this to.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TINY = 1e-15
_ROUNDING = 12582912.0  # see norcli.quantize.kernels.floats


def nearest(values: Tensor) -> Tensor:
    """Round to the nearest integer, ties to even, through the float whose last place is one."""
    return ((values + _ROUNDING).view(torch.int32) & 0x007FFFFF) - 0x00400000


def filled(like: Tensor, value: float) -> Tensor:
    """Return a tensor of one value, so that a division by it is a division."""
    return torch.full_like(like, value, dtype=torch.float32)


def root(values: Tensor) -> Tensor:
    """Return square roots rounded correctly."""
    return values.double().sqrt().float()


def summed(rows: Tensor) -> Tensor:
    """Add rows one after the other, [S, L] → [L]."""
    total = torch.zeros_like(rows[0])
    for row in rows:
        total = total + row
    return total


class RangeSearch:
    """Scale and minimum of each sub-block: Q4_K and Q5_K.

    Attributes:
        scale: float32 [L].
        minimum: float32 [L], at most 0.
    """

    def __init__(
        self, x: Tensor, w: Tensor, top: int, first: float, step_size: float, steps: int
    ) -> None:
        self._x, self._w, self._top = x, w, top
        self.sum_w, self._sum_x = summed(w), summed(w * x)
        low = torch.minimum(x.amin(0), torch.zeros_like(x[0]))
        high = x.amax(0)
        levels = filled(high, top)
        iscale = levels / (high - low)
        self.minimum, self._best_min = low, low
        self._best_iscale = torch.where(iscale.isinf(), torch.zeros_like(iscale), iscale)
        self.scale = filled(iscale, 1.0) / iscale
        error = self._error(self._levels(iscale, low), self.scale, low)
        for step in range(steps + 1):
            size = torch.tensor(step_size, dtype=torch.float32)
            offset = torch.tensor(first, dtype=torch.float32) + size * step
            wanted = filled(high, float(offset + top))
            iscale = wanted / (high - self.minimum)
            error = self._try(iscale, error)
        flat, zero = high == low, torch.zeros_like(low)
        self.scale = torch.where(flat, zero, self.scale)
        self.minimum = torch.where(flat, low, self.minimum)
        self._best_iscale = torch.where(flat, zero, self._best_iscale)
        self._best_min = torch.where(flat, low, self._best_min)

    def _levels(self, iscale: Tensor, minimum: Tensor) -> Tensor:
        return nearest((iscale * (self._x - minimum)).clamp(0, self._top)).float()

    def _error(self, levels: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
        difference = (scale * levels + minimum) - self._x
        return summed(self._w * (difference * difference))

    def _try(self, iscale: Tensor, error: Tensor) -> Tensor:
        """Fit one candidate and keep it where its error is lower; return the errors kept."""
        levels = self._levels(iscale, self.minimum)
        wl = self._w * levels
        sum_l, sum_ll, sum_xl = summed(wl), summed(wl * levels), summed(wl * self._x)
        determinant = self.sum_w * sum_ll - sum_l * sum_l
        scale = (self.sum_w * sum_xl - self._sum_x * sum_l) / determinant
        minimum = (sum_ll * self._sum_x - sum_l * sum_xl) / determinant
        above = minimum > 0
        scale = torch.where(above, sum_xl / sum_ll, scale)
        minimum = torch.where(above, torch.zeros_like(minimum), minimum)
        tried = self._error(levels, scale, minimum)
        better = (determinant > 0) & (tried < error)
        self._best_iscale = torch.where(better, iscale, self._best_iscale)
        self._best_min = torch.where(better, self.minimum, self._best_min)
        self.scale = torch.where(better, scale, self.scale)
        self.minimum = torch.where(better, minimum, self.minimum)
        return torch.where(better, tried, error)

    def kept_levels(self) -> Tensor:
        """Return the levels of the best candidates, int32 [S, L]."""
        shifted = self._best_iscale * (self._x - self._best_min)
        return nearest(shifted.clamp(0, self._top))


def first_largest(x: Tensor) -> Tensor:
    """Return each sub-block's value of largest magnitude, [S, L] → [L].

    The first of equals: argmax does not promise that, and signs may differ.
    """
    magnitude, result = torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for row in x:
        larger = row.abs() > magnitude
        magnitude = torch.where(larger, row.abs(), magnitude)
        result = torch.where(larger, row, result)
    return result


class ScaleSearch:
    """Signed scale of each sub-block: Q6_K, and Q3_K with an importance matrix.

    Attributes:
        scale: float32 [L].
    """

    def __init__(self, x: Tensor, w: Tensor, middle: int) -> None:
        self._x, self._w, self._wx, self._middle = x, w, w * x, middle
        extreme = first_largest(x)
        self._iscale = filled(extreme, -float(middle)) / extreme
        lx, ll = self._sums(self._iscale)
        self.scale = torch.where(ll != 0, lx / ll, torch.zeros_like(ll))
        best = self.scale * lx
        for step in [*range(-9, 0), *range(1, 10)]:
            tenth = torch.tensor(0.1, dtype=torch.float32) * step
            iscale = filled(extreme, -float(tenth + middle)) / extreme
            lx, ll = self._sums(iscale)
            better = (ll > 0) & (lx * lx > best * ll)
            ratio = lx / ll
            self.scale = torch.where(better, ratio, self.scale)
            self._iscale = torch.where(better, iscale, self._iscale)
            best = torch.where(better, ratio * lx, best)
        self._empty = extreme.abs() < TINY
        self.scale = torch.where(self._empty, torch.zeros_like(self.scale), self.scale)

    def _sums(self, iscale: Tensor) -> tuple[Tensor, Tensor]:
        levels = nearest(iscale * self._x).clamp(-self._middle, self._middle - 1).float()
        return summed(self._wx * levels), summed(self._w * levels * levels)

    def kept_levels(self) -> Tensor:
        """Return the levels of the best candidates from 0, int32 [S, L]; 0 for zero sub-blocks."""
        levels = nearest(self._iscale * self._x).clamp(-self._middle, self._middle - 1)
        return torch.where(self._empty, torch.zeros_like(levels), levels + self._middle)


class MoveSearch:
    """Signed scale of each sub-block by moving single levels: Q3_K without importance matrix.

    Attributes:
        scale: float32 [L].
    """

    def __init__(self, x: Tensor) -> None:
        extreme = first_largest(x)
        iscale = filled(extreme, -4.0) / extreme
        self._levels = list(nearest(iscale * x).clamp(-4, 3).float())
        w = x * x
        wx = w * x
        stacked = torch.stack(self._levels)
        self._lx, self._ll = summed(wx * stacked), summed(w * stacked * stacked)
        for _ in range(5):
            if not self._move(x, w, wx):
                break
        zero = torch.zeros_like(self._lx)
        scale = torch.where(self._ll > 0, self._lx / self._ll, zero)
        self._empty = extreme.abs() < TINY
        self.scale = torch.where(self._empty, zero, scale)

    def _move(self, x: Tensor, w: Tensor, wx: Tensor) -> bool:
        moved = torch.zeros((), dtype=torch.bool, device=x.device)
        for i, old in enumerate(self._levels):
            lx = self._lx - wx[i] * old
            ll = self._ll - w[i] * old * old
            new = nearest((x[i] * ll) / lx).clamp(-4, 3).float()
            new_lx, new_ll = lx + wx[i] * new, ll + w[i] * new * new
            gain = new_lx * new_lx * self._ll > self._lx * self._lx * new_ll
            moves = (lx > 0) & (new != old) & (new_ll > 0) & gain
            self._levels[i] = torch.where(moves, new, old)
            self._lx = torch.where(moves, new_lx, self._lx)
            self._ll = torch.where(moves, new_ll, self._ll)
            moved = moved | moves.any()
        return bool(moved)

    def kept_levels(self) -> Tensor:
        """Return the levels from 0, int32 [S, L]; 0 for zero sub-blocks."""
        levels = torch.stack(self._levels).int() + 4
        return torch.where(self._empty, torch.zeros_like(levels), levels)


def fit_positive(values: Tensor, weights: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Fit `scale * level` to values from 0, for all super-blocks at once.

    Args:
        values: float32 [N, B].
        weights: float32 [N, B].
        top: Highest level.

    Returns:
        Scales float32 [B] and levels int32 [N, B] as bytes hold them.
    """
    highest = torch.maximum(values.amax(0), torch.zeros_like(values[0]))
    iscale = _best_inverse(values, weights, top, highest)
    levels = nearest(iscale * values).clamp(max=top)
    lx = summed(weights * values * levels.float())
    ll = summed(weights * levels.float() * levels.float())
    rows = list(levels & 255)
    going = torch.ones_like(highest, dtype=torch.bool)
    for _ in range(5):
        moved = torch.zeros_like(going)
        for i, old in enumerate(rows):
            x, w, level = values[i], weights[i], old.float()
            less_lx, less_ll = lx - w * x * level, ll - w * level * level
            new = nearest(x * less_ll / less_lx).clamp(max=top)
            value = new.float()
            new_lx, new_ll = less_lx + w * x * value, less_ll + w * value * value
            moves = going & (less_lx > 0) & (less_ll > 0) & (new != old)
            moves = moves & (new_lx * new_lx * ll > lx * lx * new_ll)
            rows[i] = torch.where(moves, new & 255, old)
            lx, ll = torch.where(moves, new_lx, lx), torch.where(moves, new_ll, ll)
            moved = moved | moves
        going = moved
        if not bool(going.any()):
            break
    zero = torch.zeros_like(lx)
    empty = highest < TINY
    scale = torch.where(empty | ~(ll > 0), zero, lx / ll)
    found = torch.stack(rows)
    return scale, torch.where(empty, torch.zeros_like(found), found)


def _best_inverse(values: Tensor, weights: Tensor, top: int, highest: Tensor) -> Tensor:
    best: Any = None
    best_inverse = torch.zeros_like(highest)
    for step in [0, *range(-4, 0), *range(1, 5)]:
        tenth = torch.tensor(0.1, dtype=torch.float32) * step
        inverse = filled(highest, float(tenth + top)) / highest
        levels = nearest(inverse * values)
        levels = levels & 255 if step == 0 else levels.clamp(max=top)
        scale = filled(inverse, 1.0) / inverse
        difference = values - scale * levels.float()
        error = summed(weights * difference * difference)
        if best is None:
            best, best_inverse = error, inverse
        else:
            better = error < best
            best = torch.where(better, error, best)
            best_inverse = torch.where(better, inverse, best_inverse)
    return best_inverse


def fit_signed(values: Tensor, weights: Tensor, middle: int) -> tuple[Tensor, Tensor]:
    """Fit `scale * level` to signed values; scales [B], levels from -middle int32 [N, B]."""
    search = ScaleSearch(values, weights, middle)
    return search.scale, search.kept_levels() - middle
