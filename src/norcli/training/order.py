"""Which row of the data each step sees: a pure function of the seed and the position.

A keyed Feistel network permutes the row numbers of an epoch, so that no list of them is kept and
a run that resumes at any step needs nothing but the step. The same on every platform and for any
number of devices. Integer arithmetic only; it hides nothing and is no cipher.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ROUNDS = 4
# Odd constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014), which mixes every bit.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SALTS = [np.uint64((n + 1) * 0x9E3779B97F4A7C15 % (1 << 64)) for n in range(ROUNDS)]

UInt = npt.NDArray[np.uint64]


def mixed(values: UInt) -> UInt:
    """Return splitmix64's finish of 64-bit values: a hash that is the same everywhere."""
    x = values + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def row_order(positions: npt.NDArray[np.int64], rows: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows at positions of the endless data sequence.

    Each stretch of ``rows`` positions is one epoch and holds every row once, in an order of its
    own.

    Args:
        positions: 0-based positions, counted over all epochs.
        rows: Rows of an epoch.
        seed: Chooses the orders.
    """
    epochs, places = np.divmod(positions, rows)
    half = np.uint64(max((max(rows - 1, 1).bit_length() + 1) // 2, 1))
    mask = np.uint64((1 << int(half)) - 1)
    keys = mixed(mixed(np.full(len(positions), seed, np.uint64)) ^ epochs.astype(np.uint64))
    result = places.astype(np.uint64)
    outside = np.ones(len(positions), bool)
    # The network permutes the next power of four; walking the cycle stays within the rows.
    while outside.any():
        result[outside] = _feistel(result[outside], keys[outside], half, mask)
        outside = result >= rows
    return result.astype(np.int64)


def _feistel(values: UInt, keys: UInt, half: np.uint64, mask: np.uint64) -> UInt:
    left, right = values >> half, values & mask
    for salt in _SALTS:
        left, right = right, left ^ (mixed(right + (keys ^ salt)) & mask)
    return (left << half) | right
