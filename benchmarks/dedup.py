"""Deduplication: quality, speed and memory, beside the peers in the same run.

    python benchmarks/dedup.py --documents 20000 [--text base.jsonl.gz ...] [--tools norcli,rensa]
        [--python text-dedup=VENV/bin/python] [--scale 10000,100000]

One corpus with planted duplicates whose exact similarities are known (dedup_corpus.py) goes
through every tool that is installed, each in a process of its own on one core: from JSONL to
JSONL where the tool writes. Counted are CPU seconds of the process (user and system, imports and
loading of kernels included; for norcli once more with them taken off), and its peak memory.
norcli's kernels are compiled before. Peers that cannot live in one environment with the others
run in the one that --python names.

datatrove runs its four MinHash stages with 14 bands of 8, once as shipped (spaCy's tokenizer) and
once with a regular expression as tokenizer; its hash function is wrapped where xxhash 4 no longer
takes text. text-dedup runs its minhash command with the same bands and its fastest hash.
datasketch and rensa get the same word 5-grams from a regular expression; rensa verifies as norcli
does, with 128 values in 32 bands and threshold 0.7. --scale adds runs of norcli on ever more short
documents within --memory (dedup_scale.py).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dedup_corpus import file_texts, made_up_texts, make_corpus, score, true_pairs
from recording import record

WORD = re.compile(r"\w+")
THRESHOLD, NGRAM, BANDS, ROWS = 0.7, 5, 14, 8


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def shingles(text: str) -> list[str]:
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + NGRAM]) for i in range(max(len(words) - NGRAM + 1, 1))]


def run_norcli(source: Path, target: Path) -> None:
    from norcli.cli.main import main

    if main(["dedup", str(source), "-o", str(target), "--quiet", "--overwrite"]):
        raise RuntimeError("norcli dedup failed")


def run_norcli_two_jobs(source: Path, target: Path) -> None:
    from norcli.cli.main import main

    if main(["dedup", str(source), "-o", str(target), "--quiet", "--overwrite", "--jobs", "2"]):
        raise RuntimeError("norcli dedup --jobs 2 failed")


def run_norcli_online(source: Path, target: Path) -> None:
    from norcli.cli.main import main

    if main(["dedup", "--online", str(source), "-o", str(target), "--quiet", "--overwrite"]):
        raise RuntimeError("norcli dedup --online failed")


def run_datasketch(source: Path, target: Path) -> None:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    with target.open("w", encoding="utf-8") as out:
        for number, item in enumerate(records(source)):
            signature = MinHash(num_perm=BANDS * ROWS)
            signature.update_batch([gram.encode() for gram in shingles(item["text"])])
            if not index.query(signature):
                index.insert(number, signature)
                out.write(json.dumps(item, ensure_ascii=False) + "\n")


def run_text_dedup(source: Path, target: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    command = [
        sys.executable, "-m", "text_dedup.minhash", "--path", "json", "--data_files", str(source),
        "--split", "train", "--cache_dir", str(folder / "cache"), "--output", str(folder / "out"),
        "--column", "text", "--ngram", str(NGRAM), "--num_perm", str(BANDS * ROWS),
        "--b", str(BANDS), "--r", str(ROWS), "--threshold", str(THRESHOLD), "--hash_func", "xxh3",
        "--num_proc", "1", "--batch_size", "1000",
    ]  # fmt: skip
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    shutil.move(folder / "out", target.with_suffix(".arrow"))
    shutil.rmtree(folder)


def finish_text_dedup(target: Path) -> None:
    """Write what text-dedup kept as JSONL, outside the measured time."""
    from datasets import load_from_disk

    folder = target.with_suffix(".arrow")
    load_from_disk(str(folder)).to_json(str(target))
    shutil.rmtree(folder)


def run_rensa(source: Path, target: Path) -> None:
    from rensa import RMinHash, RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(
        threshold=THRESHOLD, num_perm=128, use_lsh=True, num_bands=32, seed=42
    )
    with target.open("w", encoding="utf-8") as out:
        for item in records(source):
            signature = RMinHash(num_perm=128, seed=42)
            signature.update(shingles(item["text"]))
            if deduplicator.add(item["id"], signature):
                out.write(json.dumps(item, ensure_ascii=False) + "\n")


class RegexTokenizer:
    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)


def run_datatrove(source: Path, target: Path) -> None:
    import datatrove.pipeline.dedup.minhash as stage

    stage.load_word_tokenizer = lambda language: RegexTokenizer()
    run_datatrove_spacy(source, target)


def run_datatrove_spacy(source: Path, target: Path) -> None:
    import xxhash
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    work = Path(tempfile.mkdtemp())
    config = MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS)
    reader = JsonlReader(str(source.parent), glob_pattern=source.name)
    signing = MinhashDedupSignature(str(work / "signatures"), config=config, language="nob")
    try:
        xxhash.xxh64_intdigest("text")
    except TypeError:
        signing._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())
    writer = JsonlWriter(str(work / "out"), compression=None)
    stages: list[tuple[list[Any], int]] = [
        ([reader, signing], 1),
        ([MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)],
         BANDS),
        ([MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)], 1),
        ([reader, MinhashDedupFilter(str(work / "remove")), writer], 1),
    ]  # fmt: skip
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(
            pipeline=pipeline, tasks=tasks, workers=1, logging_dir=str(work / f"logs{number}")
        ).run()
    with target.open("wb") as out:
        for part in sorted((work / "out").glob("*.jsonl")):
            out.write(part.read_bytes())
    shutil.rmtree(work)


TOOLS: dict[str, tuple[Callable[[Path, Path], None], tuple[str, ...]]] = {
    "norcli": (run_norcli, ("norcli",)),
    "norcli --jobs 2": (run_norcli_two_jobs, ("norcli",)),
    "norcli --online": (run_norcli_online, ("norcli",)),
    "rensa": (run_rensa, ("rensa",)),
    "datasketch": (run_datasketch, ("datasketch",)),
    "datatrove regex": (run_datatrove, ("datatrove", "xxhash")),
    "datatrove spaCy": (run_datatrove_spacy, ("datatrove", "xxhash", "spacy")),
    "text-dedup": (run_text_dedup, ("text_dedup", "datasets")),
}


def child(tool: str, source: str, target: str) -> None:
    """Run one tool and print what it used; the process is not reused."""
    function, packages = TOOLS[tool]
    function(Path(source), Path(target))
    own = resource.getrusage(resource.RUSAGE_SELF)
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    # ru_maxrss would count the parent's memory at the fork; VmHWM begins anew with the program.
    status = Path("/proc/self/status").read_text()
    peak = max(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]), others.ru_maxrss)
    used = {
        "cpu_seconds": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        "peak_mib": round(peak / 1024, 1),
        "version": importlib.metadata.version(packages[0].replace("_", "-")),
    }
    if tool == "text-dedup":
        finish_text_dedup(Path(target))
    sys.stderr.write("\n" + json.dumps(used) + "\n")


def measure(tool: str, source: Path, target: Path, python: str) -> dict[str, Any]:
    command = [python, __file__, "--child", tool, str(source), str(target)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    begin = time.perf_counter()
    result = subprocess.run(command, capture_output=True, env=environment, check=False)
    if result.returncode:
        raise RuntimeError(f"{tool}: {result.stderr.decode()[-600:]}")
    used: dict[str, Any] = json.loads(result.stderr.decode().strip().splitlines()[-1])
    return used | {"wall_seconds": round(time.perf_counter() - begin, 2)}


def is_missing(package: str, python: str) -> bool:
    """Whether an environment lacks a package."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is None)"
    return subprocess.run([python, "-c", code], check=False).returncode != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text", nargs="*", default=[], help="JSONL files with base documents")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PYTHON",
                        help="run a peer with the Python of another environment")  # fmt: skip
    parser.add_argument("--repeat", type=int, default=3, help="runs of norcli; the median counts")
    parser.add_argument("--scale", default="", help="also dedup so many short documents, N,N,...")
    parser.add_argument("--memory", default="1G", help="bound of memory with --scale")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(options, Path(folder))
    if options.scale:
        from dedup_scale import measure_sizes

        figures["memory"] = options.memory
        figures["scale"] = measure_sizes(options.scale, options.memory, 1, options.seed, None)
    record("dedup", figures)


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run every tool on one corpus and return what each did."""
    bases = (file_texts(options.text, "text") if options.text
             else made_up_texts(random.Random(options.seed + 1)))  # fmt: skip
    corpus = list(make_corpus(options.documents, options.seed, bases))
    source, tiny = folder / "corpus.jsonl", folder / "tiny.jsonl"
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in corpus]
    source.write_text("".join(lines), encoding="utf-8")
    tiny.write_text(lines[0], encoding="utf-8")
    size = source.stat().st_size / 1e6
    print(f"{len(corpus)} documents, {size:.1f} MB; working out the truth", flush=True)
    truth = true_pairs([item["text"] for item in corpus])
    pythons = dict(pair.split("=", 1) for pair in options.python)
    starts = [measure("norcli", tiny, folder / "x", sys.executable) for _ in range(3)]
    start = sorted(run["cpu_seconds"] for run in starts)[1]
    results: dict[str, dict[str, Any]] = {}
    for tool in options.tools.split(","):
        python = pythons.get(tool, sys.executable)
        missing = [name for name in TOOLS[tool][1] if is_missing(name, python)]
        if missing:
            print(f"{tool}: {', '.join(missing)} is not installed; left out")
            continue
        target = folder / "out.jsonl"
        runs = [measure(tool, source, target, python)
                for _ in range(options.repeat if tool.startswith("norcli") else 1)]  # fmt: skip
        used = sorted(runs, key=lambda run: run["cpu_seconds"])[len(runs) // 2]
        kept = {item["id"] for item in records(target)}
        removed = {number for number, item in enumerate(corpus) if item["id"] not in kept}
        seconds = used["cpu_seconds"]
        results[tool] = used | {
            "documents_per_second": round(len(corpus) / seconds),
            "mb_per_second": round(size / seconds, 1),
            **score(truth, removed),
        }
        if tool.startswith("norcli"):
            results[tool]["mb_per_second_warm"] = round(size / max(seconds - start, 1e-9), 1)
        print(f"{tool}: {json.dumps(results[tool])}", flush=True)
    figures = {"documents": len(corpus), "megabytes": round(size, 1), "seed": options.seed,
               "base": [Path(path).name for path in options.text] or "made up",
               "start_cpu_seconds": round(start, 2), "tools": results}  # fmt: skip
    if "norcli" in results:
        ours = results["norcli"]["cpu_seconds"]
        figures["times_as_fast"] = {tool: round(used["cpu_seconds"] / ours, 1)
                                    for tool, used in results.items()
                                    if not tool.startswith("norcli")}  # fmt: skip
    return figures


if __name__ == "__main__":
    main()
