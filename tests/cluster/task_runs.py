"""What tests of runs in tasks share: the command, its killer, the record of SLURM's jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
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


class Killer(threading.Thread):
    """Kills a task, found by its lock file, as soon as it has begun."""

    def __init__(self, running: Path) -> None:
        super().__init__(daemon=True)
        self.lock = running / "lock"
        self.killed = 0
        self.start()

    def run(self) -> None:
        end = time.monotonic() + 100
        while time.monotonic() < end and not self.killed:
            try:
                words = self.lock.read_text().split()
            except OSError:
                words = []
            if len(words) == 3:
                os.kill(int(words[1]), signal.SIGKILL)
                self.killed = int(words[1])
            time.sleep(0.002)


def jobs_of(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text().splitlines()]
