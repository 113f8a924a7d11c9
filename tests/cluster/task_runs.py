"""What tests of runs in tasks share: the command, its killer, the record of SLURM's jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from norcli.cluster.runs import Run
from norcli.cluster.tasks import run_task
from norcli.console import Console


def run_stage(run: Run, stage: str) -> None:
    for number in range(run.stage(stage).tasks):
        assert run_task(run, stage, number, 1, Console.silent())


def norcli(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | more
    return subprocess.run([sys.executable, "-m", "norcli", *words], capture_output=True, text=True,
                          env=environment, check=False)  # fmt: skip


KILLER = """
import os, signal, sys

if sys.orig_argv[-2:] == {task!r} and not os.path.exists({mark!r}):
    replace = os.replace

    def kill(source, target):
        if "/parts/" in str(target):
            open({mark!r}, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = kill
"""


class Killer:
    """Kills a task once, when it has done its work and would give its first file its name.

    Args:
        folder: Where it may keep its program.
        stage: The stage of the task.
        number: The task.
    """

    def __init__(self, folder: Path, stage: str, number: int) -> None:
        self._mark = folder / "killed"
        folder.mkdir()
        program = KILLER.format(task=[stage, str(number)], mark=str(self._mark))
        (folder / "sitecustomize.py").write_text(program)
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {"PYTHONPATH": os.pathsep.join(paths)}

    @property
    def killed(self) -> bool:
        return self._mark.exists()


def jobs_of(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text().splitlines()]
