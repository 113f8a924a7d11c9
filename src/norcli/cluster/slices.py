"""Files of numbers in slices: each is read by another task, and has a checksum of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.cluster.runs import Run

Numbers = npt.NDArray[np.uint64]


class SliceWriter:
    """Writes slices one after another to a file.

    Attributes:
        table: Where each ends, and its checksum, for the manifest.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._ends: list[int] = []
        self._digests: list[str] = []
        self.table: dict[str, Any] = {"ends": self._ends, "digests": self._digests}

    def write(self, slices: Iterable[Numbers]) -> None:
        """Write further slices, uint64 of any shape."""
        for one in slices:
            content = one.tobytes()
            self._stream.write(content)
            self._ends.append(self._stream.tell())
            self._digests.append(_digest(content))


def write_slices(path: Path, slices: Iterable[Numbers]) -> dict[str, Any]:
    """Write all slices of a file; returns the table of them."""
    with path.open("wb") as stream:
        writer = SliceWriter(stream)
        writer.write(slices)
    return writer.table


def slice_bytes(table: dict[str, Any], index: int) -> int:
    """Return the length of a slice."""
    ends: list[int] = table["ends"]
    return ends[index] - (ends[index - 1] if index else 0)


def read_slice(
    run: Run, stage: str, number: int, name: str, table: dict[str, Any], index: int
) -> Numbers:
    """Return a slice of a file that a task made, as numbers in one row that may be changed.

    Args:
        run: The run.
        stage: The task's stage.
        number: The task.
        name: Of its file.
        table: Of the file's slices.
        index: Which slice.

    Raises:
        ResumableStopError: It is not what the task wrote; the task is to do from then on.
    """
    path, _ = run.part(stage, number, name)
    size = slice_bytes(table, index)
    with path.open("rb") as stream:
        stream.seek(table["ends"][index] - size)
        content = stream.read(size)
    if _digest(content) != table["digests"][index]:
        raise run.not_whole(stage, number, f"{path.name} is not what it wrote")
    return np.frombuffer(bytearray(content), np.uint64)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
