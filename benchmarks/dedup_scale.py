"""Deduplication of ever more documents within a bound of memory: time, peak memory, disk.

    python benchmarks/dedup_scale.py --documents 10000,100000,1000000,5000000 --memory 1G

Short documents (about 1 kB, 30 % copies of earlier ones, half of them changed in some words) are
made from a seed and written to a file in --folder, deduplicated there, and removed again. The copy
of a document may be far from it, so that nothing is gained by looking at neighbours. Counted are
CPU and wall seconds of the process, its peak resident memory (VmHWM, with pages of mapped files),
and what it wrote to $TMPDIR.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from dedup_corpus import SYLLABLES
from recording import record

WORDS_PER_DOCUMENT = 140
BATCH = 10_000
RESERVOIR = 20_000

CHILD = """
import json, re, resource, sys
from pathlib import Path
from norcli.cli.main import main
code = main(sys.argv[1:])
own = resource.getrusage(resource.RUSAGE_SELF)
peak = int(re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0])
sys.stderr.write(json.dumps([code, own.ru_utime + own.ru_stime, peak / 1024]) + "\\n")
"""


def texts(documents: int, seed: int) -> Iterator[str]:
    """Yield short texts, of which some repeat or resemble one of some earlier ones."""
    generator, random_ = np.random.default_rng(seed), random.Random(seed)
    vocabulary = np.array(["".join(random_.choices(SYLLABLES, k=random_.randint(1, 4)))
                           for _ in range(40_000)], object)  # fmt: skip
    weights = np.cumsum(1.0 / np.arange(1, len(vocabulary) + 1) ** 0.9)
    kept: list[np.ndarray] = []
    for begin in range(0, documents, BATCH):
        count = min(BATCH, documents - begin)
        places = generator.random((count, WORDS_PER_DOCUMENT)) * weights[-1]
        words = np.searchsorted(weights, places).astype(np.int32)
        lengths = generator.integers(WORDS_PER_DOCUMENT // 2, WORDS_PER_DOCUMENT + 1, count)
        kinds = generator.random(count)
        for row in range(count):
            chosen = words[row, : lengths[row]]
            if kinds[row] < 0.3 and kept:
                chosen = kept[random_.randrange(len(kept))]
                if kinds[row] < 0.15:
                    chosen = chosen.copy()
                    chosen[random_.randrange(len(chosen))] = random_.randrange(len(vocabulary))
            elif len(kept) < RESERVOIR:
                kept.append(chosen)
            elif kinds[row] < 0.4:
                kept[random_.randrange(RESERVOIR)] = chosen
            yield " ".join(vocabulary[chosen].tolist())


def write_corpus(path: Path, documents: int, seed: int) -> None:
    with path.open("w", encoding="utf-8", buffering=1 << 20) as stream:
        for number, text in enumerate(texts(documents, seed)):
            # The vocabulary holds nothing that JSON would escape.
            stream.write(f'{{"id": "d{number:08}", "text": "{text}", "source": "abcd"}}\n')


def run(path: Path, folder: Path, memory: str, jobs: int) -> dict[str, float]:
    stats = folder / "stats.json"
    command = [sys.executable, "-c", CHILD, "dedup", str(path), "-o", str(folder / "out.jsonl"),
               "--jobs", str(jobs), "--quiet", "--overwrite", "--stats", str(stats)]  # fmt: skip
    if memory != "none":
        command += ["--memory", memory]
    begin = time.perf_counter()
    child = subprocess.run(command, capture_output=True, check=True)
    wall = time.perf_counter() - begin
    code, cpu, peak = json.loads(child.stderr.splitlines()[-1])
    if code:
        raise RuntimeError(child.stderr.decode())
    counts = json.loads(stats.read_text())
    size = path.stat().st_size / 1e6
    return {
        "documents": counts["records_in"], "megabytes": round(size, 1),
        "kept": counts["records_out"], "cpu_seconds": round(cpu, 2), "wall_seconds": round(wall, 2),
        "mb_per_cpu_second": round(size / cpu, 1),
        "microseconds_per_document": round(1e6 * cpu / counts["records_in"], 1),
        "peak_mib": round(peak, 1), "spilled_mb": round(counts["spilled_bytes"] / 1e6, 1),
    }  # fmt: skip


def measure_sizes(
    documents: str, memory: str, jobs: int, seed: int, folder: str | None
) -> list[dict[str, float]]:
    """Deduplicate corpora of several sizes (``10000,100000``) and return a row for each."""
    rows = []
    for size in map(int, documents.split(",")):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            work = Path(name)
            write_corpus(work / "in.jsonl", size, seed)
            rows.append(run(work / "in.jsonl", work, memory, jobs))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", default="10000,100000,1000000")
    parser.add_argument("--memory", default="1G", help="as for norcli dedup, or none")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where there is room; default: $TMPDIR")
    options = parser.parse_args()
    rows = measure_sizes(
        options.documents, options.memory, options.jobs, options.seed, options.folder
    )
    record("dedup_scale", {"memory": options.memory, "jobs": options.jobs, "seed": options.seed,
                           "sizes": rows})  # fmt: skip


if __name__ == "__main__":
    main()
