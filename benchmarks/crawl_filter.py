"""crawl-filter beside datatrove's filters and heliport in the same run: speed, and decisions.

    python benchmarks/crawl_filter.py REAL_DATA [--documents 1000] [--peer-python PYTHON]

REAL_DATA is a folder with text/ as tests with NORCLI_REAL_DATA use it: NoReC reviews, central
regulations, the Bokmål Debian Handbook and the Nynorsk GIMP manual, shuffled by a fixed seed, their
lines stripped. PYTHON has datatrove[processing], spaCy and heliport; by default the one that runs
this.

Speed: one process each, CPU seconds (user and system) from JSONL to JSONL, models and kernels
loaded before: median of 3. datatrove reads, filters the language by heliport, applies its Gopher
repetition, FineWeb quality and Gopher quality filters as FineWeb-2 sets them up for Bokmål, with
spaCy's tokenizer as shipped, and writes. norcli does everything that `crawl-filter` does by
default, which is more: normalization, boilerplate lines, personal data, pages in two languages.

Decisions: the same documents after norcli's normalization, all rules at FineWeb-2's thresholds, its
stop words and line ends (`--rules`); each rule alone and all together. datatrove is given norcli's
words (white space parts them; letters and digits, small) in place of spaCy's; the last line shows
what spaCy's words change.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from recording import record

FILES = ("norec_reviews", "regulations", "debian_handbook_nb", "debian_edu_nb", "gimp_help_nn")
STOP_WORDS = "i og av som en er til på for ble med den det var han de å fra"
# FineWeb-2, configs/nob_Latn.yml at commit d0defb2 (Apache-2.0).
FINEWEB2 = {
    "dup_line_frac": 0.283,
    "dup_n_grams": [[5, 0.146], [6, 0.139], [7, 0.128], [8, 0.119], [9, 0.11], [10, 0.099]],
    "line_punct_thr": 0.107,
    "max_avg_word_length": 12,
    "max_non_alpha_words_ratio": 0.783,
    "min_avg_word_length": 3,
    "new_line_ratio": 0.167,
    "stopwords": STOP_WORDS.split(),
    "top_n_grams": [[2, 0.204], [3, 0.175], [4, 0.15]],
}
PEER = Path(__file__).with_name("crawl_filter_peer.py")
SPEED_SCRIPT = """
import json, sys, time
from norcli.console import Console
from norcli.corpus.crawl import filter_crawl
from norcli.corpus.options import CrawlFilterOptions

source, target, more = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
def run(**options):
    options = CrawlFilterOptions(output=target, overwrite=True, **more, **options)
    return filter_crawl(options, Console.silent())
run(inputs=[source], limit=20)
started = time.process_time()
funnel = run(inputs=[source])
seconds = time.process_time() - started
print(json.dumps({"seconds": seconds, "kept": funnel.kept.documents}))
"""


def read_texts(folder: Path) -> list[str]:
    """Return the documents' texts, shuffled, each line stripped."""
    texts = []
    for name in FILES:
        with gzip.open(folder / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                texts.append("\n".join(part.strip() for part in text.split("\n")).strip())
    random.Random(0).shuffle(texts)
    return [text for text in texts if text]


def write(path: Path, texts: list[str]) -> Path:
    with path.open("w", encoding="utf-8") as stream:
        for number, text in enumerate(texts):
            stream.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
    return path


def measured(command: list[str]) -> dict[str, Any]:
    """Run three times; return the run of the median time."""
    runs: list[dict[str, Any]] = []
    for _ in range(3):
        output = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(output.stdout.splitlines()[-1]))
    median = statistics.median(run["seconds"] for run in runs)
    return next(run for run in runs if run["seconds"] == median)


def rules_like_theirs(folder: Path, python: str) -> Path:
    """Write a file of rules with FineWeb-2's thresholds, and everything else off."""
    from norcli.corpus.language.codes import LANGUAGES, NORWEGIAN
    from norcli.corpus.quality import Rules

    code = "from datatrove.utils.text import TERMINAL_PUNCTUATION as t; print(''.join(t))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    ends = "".join(sorted(c for c in found.stdout.strip() if ord(c) < 0x10000))
    rules: dict[str, float] = {
        "max_duplicate_line_ratio": FINEWEB2["dup_line_frac"],
        "min_terminal_line_ratio": FINEWEB2["line_punct_thr"],
        "max_duplicate_line_character_ratio": 0.1,
        "max_line_break_ratio": FINEWEB2["new_line_ratio"],
        "min_words": 50,
        "max_words": 100_000,
        "min_mean_word_length": FINEWEB2["min_avg_word_length"],
        "max_mean_word_length": FINEWEB2["max_avg_word_length"],
        "max_symbol_ratio": 0.1,
        "max_bullet_line_ratio": 0.9,
        "max_ellipsis_line_ratio": 0.3,
        "min_alphabetic_ratio": FINEWEB2["max_non_alpha_words_ratio"],
        "min_stop_words": 2,
    }
    rules |= {f"max_top_{n}gram_ratio": limit for n, limit in FINEWEB2["top_n_grams"]}
    rules |= {f"max_duplicate_{n}gram_ratio": limit for n, limit in FINEWEB2["dup_n_grams"]}
    known = {rule for table in Rules.load().thresholds.values() for rule in table}
    table = "\n".join(
        f"{rule} = {json.dumps(rules.get(rule, False))}" for rule in sorted(known | set(rules))
    )
    settings = {"terminal_characters": ends, "bullet_characters": "•-", "least_lines": 0}
    text = "[settings]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in settings.items())
    text += "\n" + "\n".join(f"[{code}]\n{table}" for code in (*LANGUAGES, NORWEGIAN, "und"))
    text += "\n[stop_words]\n" + "\n".join(
        f"{code} = {json.dumps(STOP_WORDS)}" for code in ("nob", "nno", "nor")
    )
    path = folder / "rules.toml"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def our_decisions(texts: list[str], rules_file: Path) -> list[list[str]]:
    """Return the rules that each text breaks, all of them; as Bokmål, as datatrove is told."""
    from norcli.corpus.language.identifier import pack
    from norcli.corpus.quality import QualityMeter, Rules

    rules = Rules.load(str(rules_file))
    rows = QualityMeter(rules.stop_words, rules.settings).measure(
        *pack(texts), ["nob"] * len(texts)
    )
    return [rules.broken("nob", row) for row in rows]


def compare(ours: list[list[str]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return equal decisions, and for each rule how many documents it drops here and there."""
    equal = sum(bool(a) == b["dropped"] for a, b in zip(ours, theirs, strict=True))
    drops = (sum(map(bool, ours)), sum(b["dropped"] for b in theirs))
    both, mine, yours = Counter(), Counter(), Counter()
    for a, b in zip(ours, theirs, strict=True):
        both.update(set(a) & set(b["broken"]))
        mine.update(set(a) - set(b["broken"]))
        yours.update(set(b["broken"]) - set(a))
    rules = {
        rule: f"{1 - (mine[rule] + yours[rule]) / len(ours):.2%} equal; both {both[rule]}, "
        f"norcli alone {mine[rule]}, datatrove alone {yours[rule]}"
        for rule in sorted(set(both) | set(mine) | set(yours))
    }
    return {"equal": equal / len(ours), "dropped": drops, "rules": rules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--documents", type=int, default=1000, help="for datatrove's speed")
    parser.add_argument("--decisions", type=int, default=1500, help="compared one by one")
    parser.add_argument("--peer-python", default=sys.executable)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    texts = read_texts(options.data)
    config = folder / "config.json"
    config.write_text(json.dumps(FINEWEB2), "utf-8")
    figures = {"documents": len(texts)} | speed(texts, folder, options)
    figures |= decisions(texts[: options.decisions], folder, options)
    record("crawl_filter", figures)


def speed(texts: list[str], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Time both: the peer on a part of the documents, norcli on that part and on all."""
    part = write(folder / "part.jsonl", texts[: options.documents])
    whole = write(folder / "whole.jsonl", texts)
    figures: dict[str, Any] = {}
    peer = [options.peer_python, str(PEER), "speed", str(part)]
    runs = []
    for number in range(3):
        command = [*peer, str(folder / f"peer{number}"), str(folder / "config.json")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1])["seconds"])
    peer_speed = part.stat().st_size / 1e6 / statistics.median(runs)
    figures["datatrove documents/s"] = round(options.documents / statistics.median(runs), 1)
    figures["datatrove MB/s"] = round(peer_speed, 3)
    for name, source, more in (
        ("norcli, the same documents", part, {}),
        ("norcli, all documents", whole, {}),
        ("norcli, all documents, --sentences", whole, {"sentences": True}),
    ):
        output = str(folder / "out.jsonl")
        ours = measured([sys.executable, "-c", SPEED_SCRIPT, str(source), output, json.dumps(more)])
        ours_speed = source.stat().st_size / 1e6 / ours["seconds"]
        figures[f"{name}: MB/s"] = round(ours_speed, 1)
        figures[f"{name}: ratio"] = round(ours_speed / peer_speed, 1)
    return figures


def decisions(texts: list[str], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Compare decisions, with norcli's words and with spaCy's."""
    from norcli.corpus.normalization import normalize_batch

    texts = [text for text in normalize_batch(texts).texts if text]
    source = write(folder / "clean.jsonl", texts)
    ours = our_decisions(texts, rules_like_theirs(folder, options.peer_python))
    figures: dict[str, Any] = {"decisions compared": len(texts)}
    for name, mode in (("norcli's words", "rules-same-words"), ("spaCy's words", "rules")):
        target = folder / f"{mode}.json"
        command = [options.peer_python, str(PEER), mode, str(source), str(target)]
        subprocess.run([*command, str(folder / "config.json")], check=True, capture_output=True)
        found = compare(ours, json.loads(target.read_text("utf-8"))["documents"])
        figures[f"equal decisions, {name}"] = f"{found['equal']:.2%}"
        figures[f"dropped by norcli and datatrove, {name}"] = list(found["dropped"])
        figures |= {f"{rule}, {name}": text for rule, text in found["rules"].items()}
    return figures


if __name__ == "__main__":
    main()
