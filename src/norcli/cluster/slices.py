"""Files of numbers in slices: each is read by another task, and has a checksum of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.cluster.runs import Run

Numbers = npt.NDArray[np.uint64]


def write_slices(path: Path, slices: Iterable[Numbers]) -> dict[str, Any]:
    """Write slices one after another.

    Args:
        path: The file.
        slices: uint64, of any shape.

    Returns:
        Where each ends, and its checksum, for the manifest.
    """
    ends, digests = [], []
    with path.open("wb") as stream:
        for one in slices:
            content = one.tobytes()
            stream.write(content)
            ends.append(stream.tell())
            digests.append(_digest(content))
    return {"ends": ends, "digests": digests}


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
        table: What `write_slices` returned for the file.
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
