"""How many documents share an id with an earlier one: told, since marks name documents by id.

What dedup does does not depend on ids being unique: a document is its file and row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.console import Console
from norcli.dedup.ids import IdStore
from norcli.dedup.shingles import mix

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)


@kernel
def _hash_ids(data: Any, ends: Any, hashes: Any) -> None:
    """Hash each id: FNV-1a over its bytes, mixed."""
    begin = np.int64(0)
    for index in range(ends.size):
        end = np.int64(ends[index])
        value = _OFFSET
        for position in range(begin, end):
            value = (value ^ np.uint64(data[position])) * _PRIME
        hashes[index] = mix(value)
        begin = end


def count_repeated_ids(ids: IdStore, without_id: bytes | bytearray, known: int) -> int:
    """Return how many documents have the id of an earlier one.

    Args:
        ids: Of all documents.
        without_id: One byte each, 1 for ids made from the text, which copies share rightly.
        known: Documents of earlier indexes, numbered first; they are left out.
    """
    hashes = np.empty(len(ids), np.uint64)
    _hash_ids(np.frombuffer(ids.raw_bytes, np.uint8), ids.ends, hashes)
    given: npt.NDArray[np.bool_] = np.frombuffer(without_id, np.uint8) == 0
    # Sorted here, since numpy.unique takes several times as long.
    chosen = np.sort(hashes[known:][given[known:]])
    return int(np.count_nonzero(chosen[1:] == chosen[:-1]))


def warn_of_repeated_ids(count: int, console: Console) -> None:
    """Say that ids are not unique, if they are not."""
    if count:
        console.warn(
            f"{count} documents have the id of an earlier one; all are told apart by file and "
            "row, but marks and rejects name documents by id"
        )


def warm_up() -> None:
    """Compile the kernel, or load it from the cache."""
    ids = IdStore()
    ids.append("en")
    count_repeated_ids(ids, b"\0", 0)
