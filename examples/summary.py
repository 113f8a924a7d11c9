"""Print what each stage of 00-quickstart.sh took in and gave out, from its --stats files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Stats = dict[str, Any]


def size(count: float) -> str:
    """Return bytes as kB or MB."""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def file_size(path: Path) -> str:
    return size(path.stat().st_size)


def describe(name: str, stats: Stats, out: Path) -> tuple[str, str]:
    """Return what went in and what came out of a stage."""
    match name:
        case "crawl-filter":
            kept = f"{stats['documents_out']} documents, {size(stats['text_bytes_out'])}"
            return f"{stats['documents_in']} pages and records", kept
        case "dedup":
            dropped = stats["dropped_exact"], stats["dropped_minhash"]
            return (
                f"{stats['records_in']} documents",
                f"{stats['records_out']} documents (less {dropped[0]} exact, {dropped[1]} near)",
            )
        case "tokenize-train":
            return f"{stats['documents']} documents", f"{stats['vocab_size']} pieces"
        case "tokenize":
            return f"{stats['documents']} documents", f"{stats['tokens']:,} tokens"
        case "pretrain":
            stats |= json.loads((out / "base" / "training.json").read_text(encoding="utf-8"))
            seen = f"{stats['tokens']:,} tokens in {stats['steps']} steps"
            return seen, f"{stats['parameters']:,} parameters, loss {stats['loss']:.2f}"
        case "sft":
            stats |= json.loads((out / "tuned" / "training.json").read_text(encoding="utf-8"))
            return f"{stats['records']} instructions", f"loss {stats['loss']:.3f}"
        case "rlhf":
            return describe_rlhf(stats)
        case "quantize":
            file = stats["files"][0]
            before = file_size(out / "aligned" / "policy" / "model.safetensors")
            return f"safetensors, {before}", f"{file['type']}, {size(file['bytes'])}"
        case "eval":
            report = json.loads((out / "report.json").read_text(encoding="utf-8"))
            return describe_eval(report)
    return "", ""


def describe_rlhf(stats: Stats) -> tuple[str, str]:
    before, after = stats["before"]["similarity"], stats["after"]["similarity"]
    return f"{stats['prompts']} summaries", f"similarity {before:.3f} before, {after:.3f} after"


def describe_eval(report: Stats) -> tuple[str, str]:
    values = {t["task"]: (t["n"], t["metrics"][0]) for t in report["tasks"]}
    items, known = values["closed-book-qa"]
    bits = next(m for t in report["tasks"] if t["task"] == "perplexity" for m in t["metrics"]
                if m["metric"] == "bits-per-byte")  # fmt: skip
    exact = f"{known['value']:.0f} % of {items} learnt questions"
    return f"{len(values)} tasks", f"{exact}, {bits['value']:.2f} bits/byte on new text"


def main() -> None:
    out = Path(sys.argv[1])
    order = ("crawl-filter", "dedup", "tokenize-train", "tokenize", "pretrain", "sft", "rlhf",
             "quantize", "eval")  # fmt: skip
    rows = [("stage", "in", "out", "seconds")]
    total = 0
    for name in order:
        stats = json.loads((out / "stats" / f"{name}.json").read_text(encoding="utf-8"))
        seconds = int((out / "stats" / f"{name}.seconds").read_text())
        total += seconds
        rows.append((name, *describe(name, stats, out), str(seconds)))
    seconds = int((out / "stats" / "chat.seconds").read_text())
    rows.append(("chat", "a question", "an answer", str(seconds)))
    rows.append(("", "", "", str(total + seconds)))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    print()
    for row in rows:
        cells = [row[i].ljust(widths[i]) for i in range(3)]
        print("  ".join([*cells, row[3].rjust(widths[3])]).rstrip())


if __name__ == "__main__":
    main()
