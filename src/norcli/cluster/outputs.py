"""The outputs of a run of many tasks: joined in the end, or a file of its own from each task.

A name with {task} in it stands for as many files; any other output is written in parts, which the
last stage joins in order, each checked against its manifest on the way.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from norcli.cluster.runs import DIGITS, Run
from norcli.cluster.tasks import Task
from norcli.streams import BLOCK_BYTES, atomic_file

TASK_MARK = "{task}"


def numbered(path: str, number: int) -> str:
    """Return the name of an output for one task."""
    return path.replace(TASK_MARK, f"{number:0{DIGITS}}")


def places(task: Task, outputs: Mapping[str, str]) -> dict[str, Path]:
    """Return where a task writes each output: under a name of its own, or in its folder."""
    found = {}
    for name, path in outputs.items():
        base = os.path.basename(path)
        suffixes = base[base.find(".") :] if "." in base else ""
        own = Path(numbered(path, task.number))
        found[name] = own if TASK_MARK in path else task.folder / f"{name}{suffixes}"
    return found


def join(run: Run, stages: Sequence[str], outputs: Mapping[str, str]) -> dict[str, Path]:
    """Join the parts of the outputs that are not left in parts; return these outputs.

    Args:
        run: The run.
        stages: Those that made the parts, one after another.
        outputs: Name and path of each output.

    Raises:
        ResumableStopError: A task is not done, or its part is not what it wrote.
        IOFailureError: The disk is full.
    """
    joined = {}
    for name, path in outputs.items():
        if TASK_MARK not in path:
            with atomic_file(path, overwrite=True) as stream:
                for stage in stages:
                    concatenate(run, stage, name, stream)
            joined[name] = Path(path)
    return joined


def concatenate(run: Run, stage: str, name: str, target: BinaryIO) -> None:
    """Write the parts of all tasks of a stage one after another, each checked on the way.

    Args:
        run: The run.
        stage: The stage that made the parts.
        name: Which of its files.
        target: Where to.

    Raises:
        ResumableStopError: A task is not done, or its part is not what it wrote.
    """
    for number in range(run.stage(stage).tasks):
        path, known = run.part(stage, number, name)
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as source:
            for block in _blocks(source):
                digest.update(block)
                size += target.write(block)
        if digest.hexdigest() != known["sha256"] or size != known["bytes"]:
            raise run.not_whole(stage, number, f"{path.name} is not what it wrote")


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(4 * BLOCK_BYTES):
        yield block
