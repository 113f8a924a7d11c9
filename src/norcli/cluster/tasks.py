"""One task of a run: the stage's function on its part, and the record of what came out.

What ``norcli launch task`` does; datatrove's executors call nothing else. A stage's function takes
a `Task` and returns what it `Made`; it stands in the module of its command, in `STAGES`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from norcli.cluster.runs import DIGITS, Made, Run
from norcli.console import Console
from norcli.streams import BLOCK_BYTES

TASK_MARK = "{task}"
"""Stands for the task's number in the name of an output that each task writes for itself."""

_MODULES = {
    "crawl-filter": "norcli.cluster.crawl_filter_stages",
    "dedup": "norcli.cluster.dedup_stages",
}


@dataclass(frozen=True)
class Task:
    """One task while it runs.

    Attributes:
        run: The run it belongs to.
        stage: The name of its stage.
        number: Which of the stage's tasks it is.
        count: How many the stage has.
        folder: Where it writes; what it made is moved from there.
        jobs: Cores it may use.
        console: What it says goes to its log.
    """

    run: Run
    stage: str
    number: int
    count: int
    folder: Path
    jobs: int
    console: Console


def numbered(path: str, number: int) -> str:
    """Return the name that a task gives to an output with `TASK_MARK` in its name."""
    return path.replace(TASK_MARK, f"{number:0{DIGITS}}")


def run_task(run: Run, stage: str, number: int, jobs: int, console: Console) -> bool:
    """Run one task, unless it is done.

    Args:
        run: The run it belongs to.
        stage: The name of its stage.
        number: Which of the stage's tasks.
        jobs: Cores it may use.
        console: For progress and warnings.

    Returns:
        Whether there was anything to do.

    Raises:
        NorcliError: Whatever the stage finds wrong; nothing is recorded then.
    """
    count = run.stage(stage).tasks
    if run.is_done(stage, number):
        return False
    run.check_inputs()
    module = importlib.import_module(_MODULES[run.command])
    function: Callable[[Task], Made] = module.STAGES[stage]
    with run.working_folder(stage, number) as folder:
        made = function(Task(run, stage, number, count, folder, jobs, console))
        run.record(stage, number, made)
    if run.is_complete:
        for earlier in run.stages[:-1]:
            run.remove_parts(earlier.name)
    return True


def concatenate(run: Run, stage: str, name: str, target: BinaryIO) -> int:
    """Write the parts of all tasks of a stage one after another, each checked on the way.

    Args:
        run: The run.
        stage: The stage that made the parts.
        name: Which of its files.
        target: Where to.

    Returns:
        The bytes written.

    Raises:
        ResumableStopError: A task is not done, or its part is not what it wrote.
    """
    written = 0
    for number in range(run.stage(stage).tasks):
        path, known = run.part(stage, number, name)
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as source:
            for block in _blocks(source):
                digest.update(block)
                size += target.write(block)
        if digest.hexdigest() != known["sha256"] or size != known["bytes"]:
            raise run.not_whole(stage, number, f"{os.path.basename(path)} is not what it wrote")
        written += size
    return written


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(4 * BLOCK_BYTES):
        yield block
