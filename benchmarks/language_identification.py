"""Language identification: accuracy, speed, memory and loading, beside heliport in the same run.

    python benchmarks/language_identification.py REAL_DATA [--unseen LANGUAGE=FILE.conllu ...]

REAL_DATA is a folder with langid/, ud/, text/ and eval/ as tests with NORCLI_REAL_DATA use it.
Every label that is not exactly the right one is an error, und and nor too. `fold` is the share of
the training input that tools/train_langid.py never trains on: the same publishers, other
sentences. `parliament` and `norsumm` are publishers that the model has not seen. `ud` are the UD
sentences of four words and more, addresses aside, that are not in the training input: few, and
odd ones, as the input holds most of these files. heliport is compared where it is installed:
`pip install heliport` (GPL-3, 129 MB).
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recording import record

from norcli.corpus.language.codes import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
UD_FILES = {
    "da_ddt": "dan", "de_gsd": "deu", "en_ewt": "eng", "no_bokmaal": "nob", "no_nynorsk": "nno",
    "sme_giella": "sme", "sv_talbanken": "swe",
}  # fmt: skip
ADDRESS = re.compile(r"@|://|Email:")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Labelled = list[tuple[str, str]]
Identify = Callable[[list[str]], list[str]]


def load_trainer() -> Any:
    """Import tools/train_langid.py, which knows what it never trains on."""
    spec = importlib.util.spec_from_file_location("train_langid", ROOT / "tools/train_langid.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_langid"] = module
    spec.loader.exec_module(module)
    return module


def conllu_texts(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [line[9:].strip() for line in lines if line.startswith("# text = ")]


def read_sets(data: Path, trainer: Any) -> tuple[dict[str, Labelled], list[str]]:
    """Return the labelled test sets, and Dutch texts that were kept out of training."""
    sentences = trainer.read_sentences(data / "langid/sentences.jsonl.gz")
    dutch = trainer.find_dutch(sentences)
    seen = {"".join(trainer.words_of(sentence.text)) for sentence in sentences}
    sets: dict[str, Labelled] = {
        "fold": [
            (sentence.language, sentence.text)
            for i, sentence in enumerate(sentences)
            if sentence.language != "other"
            and i not in dutch
            and trainer.fold_of(sentence.text) == trainer.TEST_FOLD
        ]
    }
    sets["ud"] = [
        (language, text)
        for name, language in UD_FILES.items()
        for path in sorted((data / "ud").glob(f"{name}-*"))
        for text in conllu_texts(path)
        if len(trainer.words_of(text)) >= 4
        and not ADDRESS.search(text)
        and "".join(trainer.words_of(text)) not in seen
    ]
    sets["parliament"] = []
    for language in ("nob", "nno"):
        name = f"text/sentences_talk_of_norway_cleaned_10k_{language}.txt.gz"
        lines = gzip.decompress((data / name).read_bytes()).decode().splitlines()
        sets["parliament"] += [
            (language, line) for line in lines if "".join(trainer.words_of(line)) not in seen
        ]
    articles = json.loads((data / "eval/norsumm/dev.json").read_text("utf-8"))
    sets["norsumm"] = [
        (language, sentence)
        for language, key in (("nob", "summaries_nb"), ("nno", "summaries_nn"))
        for article in articles
        for summary in article[key]
        for text in summary.values()
        for sentence in SENTENCE_END.split(text.strip())
        if len(sentence) > 10
    ]
    return sets, [sentences[i].text for i in sorted(dutch)]


def accuracy(identify: Identify, labelled: Labelled) -> dict[str, float]:
    found = identify([text for _, text in labelled])
    shares = {}
    for language in LANGUAGES:
        answers = [a for a, (gold, _) in zip(found, labelled, strict=True) if gold == language]
        if answers:
            shares[language] = round(100 * answers.count(language) / len(answers), 2)
    return {"macro": round(statistics.mean(shares.values()), 2), **shares}


def documents_of(texts: list[str], sentences: int = 10) -> list[str]:
    starts = range(0, len(texts) - sentences + 1, sentences)
    return [" ".join(texts[i : i + sentences]) for i in starts]


def refused(identify: Identify, texts: list[str]) -> float:
    found = identify(texts)
    return round(100 * sum(label not in (*LANGUAGES, "nor") for label in found) / len(found), 2)


def megabytes_per_second(identify: Identify, texts: list[str]) -> float:
    """Return UTF-8 megabytes a CPU second, the median of three runs."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    speeds = []
    for _ in range(3):
        start = time.process_time()
        identify(texts)
        speeds.append(size / (time.process_time() - start))
    return round(statistics.median(speeds), 1)


def norcli_labels() -> Identify:
    from norcli.corpus.language.identifier import LanguageIdentifier

    identifier = LanguageIdentifier.load()
    return lambda texts: identifier.label_batch(texts)[0]


def heliport_labels() -> Identify:
    from heliport import Identifier

    identifier = Identifier()
    return lambda texts: [str(identifier.identify(text)) for text in texts]


TOOLS: dict[str, Callable[[], Identify]] = {"norcli": norcli_labels, "heliport": heliport_labels}


def measure_fresh(tool: str) -> dict[str, float]:
    """Load a tool in a process of its own and identify a text; return seconds and peak memory."""
    command = [sys.executable, __file__, "--fresh", tool]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


def report_fresh(tool: str) -> None:
    # What a pipeline has imported anyway is not counted as loading; its memory is.
    importlib.import_module("norcli.corpus.language.identifier" if tool == "norcli" else tool)
    start = time.process_time()
    identify = TOOLS[tool]()
    loaded = time.process_time()
    identify(["En liten tekst på norsk."])
    json.dump(
        {
            "load_seconds": round(loaded - start, 3),
            "first_text_seconds": round(time.process_time() - loaded, 3),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        },
        sys.stdout,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", metavar="REAL_DATA")
    parser.add_argument("--unseen", action="append", default=[], metavar="LANGUAGE=FILE")
    parser.add_argument("--fresh", choices=TOOLS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fresh:
        report_fresh(arguments.fresh)
        return
    if arguments.data is None:
        parser.error("name the folder of real data")
    tools = dict(TOOLS)
    if importlib.util.find_spec("heliport") is None:
        print("heliport is not installed, so nothing is compared: pip install heliport")
        del tools["heliport"]
    # Before anything is read: a process starts with the peak memory of the one that forked it.
    figures: dict[str, Any] = {
        f"{tool} {key}": value for tool in tools for key, value in measure_fresh(tool).items()
    }
    trainer = load_trainer()
    sets, dutch = read_sets(arguments.data, trainer)
    unseen = {"nld (training input)": dutch}
    for option in arguments.unseen:
        language, _, path = option.partition("=")
        unseen[language] = conllu_texts(Path(path))[:1000]
    with gzip.open(arguments.data / "text/norec_reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        reviews = [json.loads(line)["text"] for line, _ in zip(lines, range(2000), strict=False)]
    short_texts = [trainer.truncate(text) for _, text in sets["fold"]]
    for tool, start in tools.items():
        identify = start()
        for name, labelled in sets.items():
            cut = [(language, trainer.truncate(text)) for language, text in labelled]
            brief = [(language, text) for language, text in labelled if len(text) <= 50]
            figures[f"{tool} {name} sentences"] = accuracy(identify, labelled)
            figures[f"{tool} {name} cut to 50 characters"] = accuracy(identify, cut)
            figures[f"{tool} {name} of at most 50 characters"] = accuracy(identify, brief)
        for language, texts in unseen.items():
            figures[f"{tool} refused {language} sentences"] = refused(identify, texts)
            figures[f"{tool} refused {language} documents"] = refused(identify, documents_of(texts))
        figures[f"{tool} MB/s documents"] = megabytes_per_second(identify, reviews)
        figures[f"{tool} MB/s short texts"] = megabytes_per_second(identify, short_texts)
    if "heliport" in tools:
        for kind in ("documents", "short texts"):
            ratio = figures[f"norcli MB/s {kind}"] / figures[f"heliport MB/s {kind}"]
            figures[f"ratio speed {kind}"] = round(ratio, 2)
        memory = figures["norcli peak_mb"] / figures["heliport peak_mb"]
        figures["ratio memory"] = round(memory, 3)
        for name in sets:
            for kind in ("sentences", "cut to 50 characters", "of at most 50 characters"):
                ours, theirs = (figures[f"{t} {name} {kind}"]["macro"] for t in TOOLS)
                figures[f"points ahead {name} {kind}"] = round(ours - theirs, 2)
    record("language_identification", figures)


if __name__ == "__main__":
    main()
