"""Speed of the methods of dedup beside MinHash, and what substring finds of planted passages.

    python benchmarks/dedup_passages.py TEXT.jsonl[.gz] ... [--megabytes 40]

Takes real documents, plants long passages of one in others (words changed around them, so that
only the passage is shared), and runs each method over the file: CPU time from JSONL to JSONL on
one core, median of 3. A planted copy counts as found when none of its words but those of a border
shorter than a span are left. datatrove's and text-dedup's suffix arrays need a Rust program built
from a repository, so no peer is run here.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from recording import cpu_seconds, record

from norcli.console import Console
from norcli.formats.documents import read_documents
from norcli.options import RecordInputOptions

METHODS = ["url", "exact", "lines", "paragraphs", "substring", "minhash"]
SPAN_WORDS = 50


def plant(documents: list[list[str]], random_: random.Random) -> list[tuple[int, str]]:
    """Put a passage of one document in every tenth later one; return where, and the passage."""
    planted = []
    long = [n for n, words in enumerate(documents) if len(words) >= 3 * SPAN_WORDS]
    for target in range(len(documents) // 2, len(documents), 10):
        source = documents[random_.choice(long[: len(long) // 2])]
        length = random_.randrange(SPAN_WORDS, 2 * SPAN_WORDS)
        begin = random_.randrange(len(source) - length + 1)
        passage = source[begin : begin + length]
        place = random_.randrange(len(documents[target]) + 1)
        documents[target][place:place] = ["foran1", *passage, "bak2"]
        planted.append((target, " ".join(passage)))
    return planted


def make_input(paths: list[str], megabytes: int, target: Path) -> list[tuple[int, str]]:
    """Write the documents with planted passages; return the passages."""
    documents, size = [], 0
    for document in read_documents(RecordInputOptions(inputs=paths), Console.silent()):
        documents.append(document.text.split(" "))
        size += len(document.text)
        if size > megabytes * 1_000_000:
            break
    planted = plant(documents, random.Random(20))
    with target.open("w", encoding="utf-8") as stream:
        for number, words in enumerate(documents):
            row = {"id": str(number), "text": " ".join(words),
                   "url": f"https://www.avisa.no/{number}?utm_source=x"}  # fmt: skip
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return planted


def run(source: Path, method: str, folder: Path) -> dict[str, Any]:
    """Time one method and read its counts."""
    command = [sys.executable, "-m", "norcli", "dedup", str(source), "--method", method, "-q",
               "-o", str(folder / "out.jsonl"), "--overwrite"]  # fmt: skip
    seconds = cpu_seconds(command, runs=3)
    stats = folder / "stats.json"
    subprocess.run([*command, "--stats", str(stats)], check=True)
    counts = json.loads(stats.read_text())
    return {"cpu_seconds": round(seconds, 2),
            "MB/s": round(source.stat().st_size / 1e6 / seconds, 1),
            "cut": counts["cut"],
            "dropped": counts["records_in"] - counts["records_out"]}  # fmt: skip


def found_share(planted: list[tuple[int, str]], output: Path) -> float:
    """Return the share of planted passages that are gone."""
    kept = {}
    for line in output.open(encoding="utf-8"):
        row = json.loads(line)
        kept[int(row["id"])] = row["text"]
    gone = sum(passage not in kept.get(target, "") for target, passage in planted)
    return gone / len(planted)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--megabytes", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = make_input(options.paths, options.megabytes, folder / "in.jsonl")
        for method in METHODS:
            figures = {"method": method, **run(folder / "in.jsonl", method, folder)}
            if method == "substring":
                figures["planted"] = len(planted)
                figures["found"] = round(found_share(planted, folder / "out.jsonl"), 5)
            record("dedup_passages", figures)


if __name__ == "__main__":
    main()
