"""The ids of all documents, end to end in one buffer: no object for each.

Noted in the first pass of dedup, read where a survivor is named and where a tie between equally
good documents has to be broken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class IdStore:
    """Ids as UTF-8, by document number."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = np.empty(1024, np.uint64)
        self._size = 0

    def append(self, document_id: str) -> None:
        """Add the id of the next document."""
        raw = document_id.encode("utf-8", "surrogatepass")
        self.extend(raw, np.array([len(raw)], np.uint64))

    def extend(self, ids: bytes, ends: npt.NDArray[np.uint64]) -> None:
        """Add the ids of the next documents.

        Args:
            ids: UTF-8, end to end.
            ends: uint64, where each ends.
        """
        stop = self._size + len(ends)
        if stop > len(self._ends):
            self._ends.resize(max(stop, len(self._ends) * 3 // 2), refcheck=False)
        self._ends[self._size : stop] = ends + np.uint64(len(self._bytes))
        self._bytes += ids
        self._size = stop

    def __len__(self) -> int:
        return self._size

    @property
    def ends(self) -> npt.NDArray[np.uint64]:
        """uint64 [documents], where each id ends in `raw_bytes`."""
        return self._ends[: self._size]

    @property
    def raw_bytes(self) -> bytearray:
        """All ids."""
        return self._bytes

    def raw(self, index: int) -> bytes:
        """Return an id as UTF-8, whose order is that of its characters."""
        begin = int(self._ends[index - 1]) if index else 0
        return bytes(self._bytes[begin : int(self._ends[index])])

    def __getitem__(self, index: int) -> str:
        return self.raw(index).decode("utf-8", "surrogatepass")
