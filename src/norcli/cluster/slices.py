"""Files of numbers in slices: each is read by another task, and has a checksum of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from norcli.cluster.runs import Run

Numbers = npt.NDArray[np.uint64]


class Table(NamedTuple):
    """Where the slices of a file are; a file of its own, for there may be many thousands.

    Attributes:
        ends: uint64 [slices], where each ends.
        digests: uint64 [slices], the checksum of each.
    """

    ends: Numbers
    digests: Numbers

    @classmethod
    def load(cls, run: Run, stage: str, number: int, name: str) -> Table:
        """Read the table of a file that a task made.

        Raises:
            ResumableStopError: It is not what the task wrote; the task is to do from then on.
        """
        numbers = np.frombuffer(run.verified(stage, number, f"{name}-table"), np.uint64)
        return cls(*numbers.reshape(2, -1))

    def length(self, index: int) -> int:
        """Return how many bytes a slice has."""
        return int(self.ends[index]) - (int(self.ends[index - 1]) if index else 0)


class SliceWriter:
    """Writes slices one after another to a file, and the table of them to another.

    Args:
        folder: Where to.
        name: Of the file.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.files = {name: folder / name, f"{name}-table": folder / f"{name}-table"}
        self._path, self._table = self.files.values()
        self._ends: list[int] = []
        self._digests: list[int] = []

    def __enter__(self) -> Self:
        self._stream = self._path.open("wb")
        return self

    def __exit__(self, *failure: object) -> None:
        self._stream.close()
        self._table.write_bytes(np.array([self._ends, self._digests], np.uint64).tobytes())

    def write(self, slices: Iterable[Numbers]) -> None:
        """Write further slices, uint64 of any shape."""
        for one in slices:
            content = one.tobytes()
            self._stream.write(content)
            self._ends.append(self._stream.tell())
            self._digests.append(_digest(content))


def write_slices(folder: Path, name: str, slices: Iterable[Numbers]) -> dict[str, Path]:
    """Write all slices of a file; return the files that hold them and their table."""
    with SliceWriter(folder, name) as writer:
        writer.write(slices)
    return writer.files


def read_slice(run: Run, stage: str, number: int, name: str, table: Table, index: int) -> Numbers:
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
    size = table.length(index)
    with path.open("rb") as stream:
        stream.seek(int(table.ends[index]) - size)
        content = stream.read(size)
    if _digest(content) != table.digests[index]:
        raise run.not_whole(stage, number, f"{path.name} is not what it wrote")
    return np.frombuffer(bytearray(content), np.uint64)


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
