"""Sentence segmentation: boundary F1 on treebanks and speed, beside libraries in the same run.

    python benchmarks/sentences.py REAL_DATA [--python PYTHON]

REAL_DATA is a folder with ud/ and text/ as tests with NORCLI_REAL_DATA use it; PYTHON an
interpreter that has the peers (pip install pysbd sentencex blingfire syntok spacy), each left out
where it is missing. NLTK's punkt needs a download and is not compared.

Method, the same for all: ten consecutive sentences of a treebank (`# text`) are joined by spaces,
the tool cuts the block, and a boundary is the number of letters and signs, space aside, before it.
The end of a block counts, for everybody, as found. Where a tool asks for a language it gets the
treebank's, or Danish (pysbd) for Norwegian and Sámi, which it does not know. Speed: megabytes of
UTF-8 a CPU second, median of three, over newspaper reviews; slow tools get fewer of them.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TREEBANKS = {
    "no_bokmaal": "nb", "no_nynorsk": "nn", "sme_giella": "se", "da_ddt": "da",
    "sv_talbanken": "sv", "de_gsd": "de", "en_ewt": "en",
}  # fmt: skip
BLOCK = 10
# Slow tools are timed on less text.
MEGABYTES = {"norcli": 20, "blingfire": 10, "sentencex": 2, "syntok": 1, "spacy": 1, "pysbd": 0.2}

Split = Callable[[list[str]], list[list[str]]]


def one_by_one(split: Callable[[str], list[str]]) -> Split:
    return lambda texts: [split(text) for text in texts]


def load_norcli(language: str) -> Split:
    from norcli.corpus.sentences import split_batch

    return split_batch


def load_pysbd(language: str) -> Split:
    import pysbd

    known = {"de": "de", "en": "en"}.get(language, "da")
    return one_by_one(pysbd.Segmenter(language=known, clean=False).segment)


def load_sentencex(language: str) -> Split:
    import sentencex

    return one_by_one(lambda text: list(sentencex.segment(language, text)))


def load_blingfire(language: str) -> Split:
    import blingfire

    return one_by_one(lambda text: blingfire.text_to_sentences(text).split("\n"))


def load_syntok(language: str) -> Split:
    from syntok import segmenter

    def split(text: str) -> list[str]:
        return [
            "".join(token.spacing + token.value for token in sentence)
            for paragraph in segmenter.process(text)
            for sentence in paragraph
        ]

    return one_by_one(split)


def load_spacy(language: str) -> Split:
    import spacy

    pipe = spacy.blank({"nn": "nb", "se": "nb"}.get(language, language))
    pipe.add_pipe("sentencizer")
    pipe.max_length = 10**8
    return one_by_one(lambda text: [sentence.text for sentence in pipe(text).sents])


LOADERS: dict[str, Callable[[str], Split]] = {
    "norcli": load_norcli, "pysbd": load_pysbd, "sentencex": load_sentencex,
    "blingfire": load_blingfire, "syntok": load_syntok, "spacy": load_spacy,
}  # fmt: skip


def length(text: str) -> int:
    return len("".join(text.split()))


def boundaries(sentences: list[str]) -> set[int]:
    ends, position = set(), 0
    for sentence in sentences:
        position += length(sentence)
        ends.add(position)
    return ends


def boundary_f1(split: Split, sentences: list[str]) -> float:
    blocks = [sentences[i : i + BLOCK] for i in range(0, len(sentences), BLOCK)]
    right = found = wanted = 0
    for block, cut in zip(blocks, split([" ".join(block) for block in blocks]), strict=True):
        gold, got = boundaries(block), boundaries([sentence for sentence in cut if sentence])
        right += len(gold & got)
        found += len(got)
        wanted += len(gold)
    return 200 * right / (found + wanted)


def measure(tool: str, data: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    for treebank, language in TREEBANKS.items():
        (file,) = (data / "ud").glob(f"{treebank}*.gz")
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            sentences = [line[9:].strip() for line in lines if line.startswith("# text = ")]
        figures[language] = round(boundary_f1(LOADERS[tool](language), sentences), 2)
    figures["mean"] = round(statistics.mean(figures.values()), 2)
    texts, size = [], 0
    with gzip.open(data / "text/norec_reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
            if size > MEGABYTES[tool] * 1e6:
                break
    split, seconds = LOADERS[tool]("nb"), []
    for _ in range(3):
        start = time.process_time()
        split(texts)
        seconds.append(time.process_time() - start)
    figures["MB/s"] = round(size / 1e6 / statistics.median(seconds), 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="REAL_DATA")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the peers")
    parser.add_argument("--tool", choices=LOADERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.tool:
        known = importlib.util.find_spec(arguments.tool) is not None
        json.dump(measure(arguments.tool, arguments.data) if known else None, sys.stdout)
        return
    from recording import record

    figures: dict[str, Any] = {}
    for tool in LOADERS:
        python = sys.executable if tool == "norcli" else arguments.python
        command = [python, __file__, str(arguments.data), "--tool", tool]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        measured = json.loads(result.stdout)
        if measured is None:
            print(f"{tool} is not installed there, so it is not compared")
        else:
            figures[tool] = measured
    peers = [name for name in figures if name != "norcli"]
    if peers:
        best = max(peers, key=lambda name: figures[name]["mean"])
        ahead = figures["norcli"]["mean"] - figures[best]["mean"]
        figures["points ahead of the best peer"] = f"{ahead:.2f} ({best})"
    record("sentences", figures)


if __name__ == "__main__":
    main()
