"""Corpus statistics and mixing: CPU seconds beside datatrove and plain Python, in the same run.

    python benchmarks/corpus_statistics.py TEXT.jsonl.gz ... [--megabytes 100]

The texts are written to one plain JSONL file with made-up provenance, repeated up to the size
asked for. norcli counts documents, words, bytes and lengths by eight fields; datatrove's DocStats
counts lengths and punctuation of documents only (its WordStats needs minutes); plain Python parses
with orjson and counts ``len(text.split())`` by language and source. Words are compared.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import orjson
from recording import cpu_seconds, record

from norcli.console import Console
from norcli.formats.documents import read_documents
from norcli.options import RecordInputOptions

PLAIN = """
import collections, sys, orjson
counts = collections.defaultdict(lambda: [0, 0, 0])
for line in open(sys.argv[1], "rb"):
    record = orjson.loads(line)
    text = record["text"]
    words, size = len(text.split()), len(text.encode())
    for field in ("lang", "source"):
        row = counts[field, record.get(field)]
        row[0] += 1; row[1] += words; row[2] += size
print(sum(row[1] for (field, _), row in counts.items() if field == "lang"))
"""
DATATROVE = """
import os, sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.stats import DocStats
folder, name, out = os.path.dirname(sys.argv[1]), os.path.basename(sys.argv[1]), sys.argv[2]
steps = [
    JsonlReader(folder, glob_pattern=name),
    DocStats(out + "/stats", groups_to_compute=["summary"]),
]
if __name__ == "__main__":
    logs = out + "/logs"
    LocalPipelineExecutor(steps, 1, 1, logging_dir=logs, skip_completed=False).run()
"""


def write_corpus(paths: list[str], target: Path, size: int) -> int:
    """Write one plain file of about `size` bytes and return its words."""
    options = RecordInputOptions(inputs=paths)
    lines = []
    groups = ("Common Crawl", "Others")
    for number, document in enumerate(read_documents(options, Console.silent())):
        made = {
            "id": document.id, "text": document.text, "lang": ("nob", "nno", "sme")[number % 3],
            "source": f"source-{number % 7}", "source_group": groups[number % 2],
            "license": "CC0-1.0", "copyrighted": number % 5 == 0,
            "date": f"{2000 + number % 20}-01-01",
        }  # fmt: skip
        lines.append((orjson.dumps(made) + b"\n", len(document.text.split())))
    written = words = 0
    with target.open("wb") as stream:
        for line, count in cycle(lines):
            if written >= size:
                return words
            stream.write(line)
            written += len(line)
            words += count
    return words


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        words = write_corpus(arguments.files, corpus, arguments.megabytes * 1_000_000)
        megabytes = corpus.stat().st_size / 1e6
        stats = Path(folder) / "stats.json"
        norcli = [sys.executable, "-m", "norcli"]
        count = [*norcli, "stats", str(corpus), "--json", "-o", os.devnull, "--stats", str(stats)]
        ours = cpu_seconds(count, runs=3)
        told = json.loads(stats.read_text())
        assert told["total"]["words"] == words, (told["total"], words)
        one = Path(folder) / "one.jsonl"
        with corpus.open("rb") as stream:
            one.write_bytes(stream.readline())
        start = cpu_seconds([*norcli, "stats", str(one), "--json", "-o", os.devnull], runs=3)
        plain_script = Path(folder) / "plain.py"
        plain_script.write_text(PLAIN)
        plain = cpu_seconds([sys.executable, str(plain_script), str(corpus)], runs=3)
        printed = subprocess.run([sys.executable, str(plain_script), str(corpus)],
                                 capture_output=True, check=True, text=True)  # fmt: skip
        assert int(printed.stdout) == words
        peer_script = Path(folder) / "peer.py"
        peer_script.write_text(DATATROVE)
        peer = cpu_seconds([sys.executable, str(peer_script), str(corpus), folder], runs=1)
        shares = "--shares=nob=0.5,nno=0.4,sme=0.1"
        mix = [*norcli, "mix", str(corpus), "--by", "lang", shares, "--unit", "words", "--quiet",
               "-o", f"{folder}/mixed.jsonl", "--overwrite"]  # fmt: skip
        mixed = cpu_seconds(mix, runs=3)
        mixed_megabytes = (Path(folder) / "mixed.jsonl").stat().st_size / 1e6
        figures = collections.OrderedDict(
            megabytes=round(megabytes, 1),
            documents=told["total"]["documents"],
            stats_cpu_seconds=round(ours, 2),
            stats_megabytes_per_second=round(megabytes / ours, 1),
            stats_start_up_cpu_seconds=round(start, 2),
            stats_megabytes_per_second_after_start_up=round(megabytes / (ours - start), 1),
            stats_peak_memory_megabytes=round(told["peak_memory_bytes"] / 1e6),
            plain_python_cpu_seconds=round(plain, 2),
            times_plain_python=round(plain / ours, 1),
            datatrove_docstats_cpu_seconds=round(peer, 2),
            times_datatrove=round(peer / ours, 1),
            mix_cpu_seconds=round(mixed, 2),
            mix_output_megabytes=round(mixed_megabytes, 1),
            mix_input_megabytes_per_second=round(megabytes / mixed, 1),
        )
        record("corpus_statistics", figures)


if __name__ == "__main__":
    main()
