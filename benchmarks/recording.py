"""What benchmarks share: CPU time of a process, a description of the machine, the results."""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def cpu_seconds(command: list[str], runs: int = 5, **kwargs: Any) -> float:
    """Return the median user+system time of a command over several runs, after one warm-up."""
    times = []
    for run in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       **kwargs)  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if run:
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def machine() -> str:
    """Describe the machine in one line."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def record(name: str, figures: dict[str, Any]) -> None:
    """Append a result to benchmarks/results/NAME.jsonl and print it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True,
                            text=True, check=False).stdout.strip()  # fmt: skip
    entry = {"date": datetime.date.today().isoformat(), "machine": machine(), "commit": commit}
    entry |= figures
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    for key, value in figures.items():
        print(f"{key:<40} {value}")
