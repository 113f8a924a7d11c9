"""A set of 64-bit hashes in one array: 16 to 32 bytes a member, for tens of millions of them.

Open addressing with linear probing; members are taken out again only in the reverse order of
their coming, which leaves every chain whole. Used for lines and paragraphs seen before, and for
anchors that are repeated. 0 marks a free slot, so the hash 0 and its stand-in are one member.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.shingles import mix

_FREE = np.uint64(0)
_STAND_IN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)


@kernel
def find_slot(table: Any, value: Any) -> Any:
    """Return where a hash is in the table, or the free slot where it belongs."""
    mask = np.uint64(table.size - 1)
    wanted = value if value != _FREE else _STAND_IN
    slot = mix(wanted) & mask
    while table[slot] != _FREE and table[slot] != wanted:
        slot = (slot + _ONE) & mask
    return slot


@kernel
def add(table: Any, value: Any) -> Any:
    """Put a hash into the table; return its slot, -1 when it was there already."""
    slot = find_slot(table, value)
    if table[slot] != _FREE:
        return -1
    table[slot] = value if value != _FREE else _STAND_IN
    return np.int64(slot)


@kernel
def _add_all(table: Any, values: Any) -> None:
    for index in range(values.size):
        add(table, values[index])


@kernel
def _contains(table: Any, values: Any, found: Any) -> None:
    for index in range(values.size):
        found[index] = table[find_slot(table, values[index])] != _FREE


class HashSet:
    """A set of 64-bit hashes.

    Attributes:
        table: uint64, a power of two of slots, 0 where free; kernels work on it directly.
        size: Members; a kernel that adds some says so here.
    """

    def __init__(self) -> None:
        self.table: npt.NDArray[np.uint64] = np.zeros(1 << 10, np.uint64)
        self.size = 0

    def reserve(self, more: int) -> None:
        """Make room for further members, so that at most half of the slots are taken."""
        slots = len(self.table)
        while 2 * (self.size + more) > slots:
            slots *= 2
        if slots > len(self.table):
            table = np.zeros(slots, np.uint64)
            _add_all(table, self.table[self.table != _FREE])
            self.table = table

    def update(self, values: npt.NDArray[np.uint64]) -> None:
        """Add distinct hashes that are not in the set yet."""
        self.reserve(len(values))
        _add_all(self.table, values)
        self.size += len(values)

    def contains(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Return which hashes are in the set."""
        found = np.empty(len(values), np.bool_)
        _contains(self.table, values, found)
        return found
