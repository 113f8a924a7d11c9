"""What --jobs 2 brings to deduplication: wall time, and where the time goes.

    python benchmarks/dedup_jobs.py --documents 100000 [--text base.jsonl.gz ...]

norcli dedup runs in turns with one job and with two on the corpus of dedup_corpus.py, each in a
process of its own; the outputs have to be equal. Wall times tell something only where two cores
are free, so the load of the machine is noted with them. For other machines a time line is made
from the CPU seconds of each thread: what is done by one thread alone counts in full, what two
threads do side by side counts as the longer one, or as half of both where they share the work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dedup_corpus import file_texts, made_up_texts, make_corpus
from recording import record

PHASES = ("collect", "decide", "count_repeated_ids", "source_pairs")


def child(source: str, target: str, jobs: str) -> None:
    """Run dedup once and print the CPU seconds of its phases: of the caller, and of all threads."""
    from norcli.cli.main import main
    from norcli.dedup import pipeline
    from norcli.dedup.reading import RecordSource

    line: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **more: Any) -> Any:
            line.setdefault("start", time.process_time())
            own, all_threads = time.thread_time(), time.process_time()
            result = function(*given, **more)
            line[f"{name} caller"] = time.thread_time() - own
            line[f"{name} all"] = time.process_time() - all_threads
            return result

        return run

    for name in PHASES:
        setattr(pipeline, name, timed(name, getattr(pipeline, name)))
    pipeline.Splicer.write = timed("write", pipeline.Splicer.write)  # type: ignore[method-assign]
    settle = RecordSource.settle

    def first_settled(self: RecordSource, *given: Any) -> int:
        line.setdefault("first block", time.process_time() - line["start"])
        return settle(self, *given)

    RecordSource.settle = first_settled  # type: ignore[method-assign]
    # As the program itself is run: its way out depends on it.
    sys.argv[1:] = ["dedup", source, "-o", target, "--quiet", "--overwrite", "--jobs", jobs]
    if main():
        raise RuntimeError("norcli dedup failed")
    line["before the end"] = time.process_time()
    sys.stderr.write("\n" + json.dumps(line) + "\n")


def measure(source: Path, target: Path, jobs: int) -> dict[str, Any]:
    """Run dedup in a process of its own; return its seconds, and those of its phases."""
    command = [sys.executable, __file__, "--child", str(source), str(target), str(jobs)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = subprocess.run(command, capture_output=True, env=environment, check=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    line: dict[str, float] = json.loads(result.stderr.decode().strip().splitlines()[-1])
    return {"wall": wall, "cpu": cpu, "line": line}


def on_two_cores(cpu: float, line: dict[str, float]) -> dict[str, float]:
    """Return how long each phase takes with two jobs where nothing else runs."""
    shared = line["collect all"] - line["first block"]
    read_and_written = line["write caller"], line["write all"] - line["write caller"]
    others = sum(line[f"{name} all"] for name in PHASES[2:])
    return {
        "start, and loading of kernels": line["start"] + line["first block"],
        "first pass": max(shared / 2, line["collect caller"]),
        "decision": max(line["decide all"] / 2, line["decide caller"]) + others,
        "second pass": max(read_and_written),
        "end": cpu - line["before the end"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text", nargs="*", default=[], help="JSONL files with base documents")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the medians count")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    bases = (file_texts(options.text, "text") if options.text
             else made_up_texts(random.Random(options.seed + 1)))  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in.jsonl"
        with source.open("w", encoding="utf-8") as stream:
            for item in make_corpus(options.documents, options.seed, bases):
                stream.write(json.dumps(item, ensure_ascii=False) + "\n")
        measure(source, Path(name) / "1", 1)  # compiles, and brings the input into memory
        runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
        for _ in range(options.repeat):
            for jobs, done in runs.items():
                done.append(measure(source, Path(name) / str(jobs), jobs))
        if (Path(name) / "1").read_bytes() != (Path(name) / "2").read_bytes():
            raise RuntimeError("two jobs gave other bytes than one")
        size = source.stat().st_size / 1e6
    one, two = (sorted(runs[jobs], key=lambda run: run["cpu"])[options.repeat // 2]
                for jobs in (1, 2))  # fmt: skip
    phases = on_two_cores(two["cpu"], two["line"])
    walls = {jobs: statistics.median(run["wall"] for run in done) for jobs, done in runs.items()}
    record("dedup_jobs", {
        "documents": options.documents, "megabytes": round(size, 1), "seed": options.seed,
        "base": [Path(path).name for path in options.text] or "made up",
        "load_average": round(os.getloadavg()[0], 1),
        "wall_seconds": {str(jobs): round(wall, 2) for jobs, wall in walls.items()},
        "wall_ratio": round(walls[1] / walls[2], 2),
        "cpu_seconds": {"1": round(one["cpu"], 2), "2": round(two["cpu"], 2)},
        "mb_per_cpu_second": round(size / one["cpu"], 1),
        "time_line": {name: round(seconds, 2) for name, seconds in phases.items()},
        "time_line_seconds": round(sum(phases.values()), 2),
        "time_line_ratio": round(one["cpu"] / sum(phases.values()), 2),
    })  # fmt: skip


if __name__ == "__main__":
    main()
