"""Language identification: accuracy, speed, memory and loading, beside heliport in the same run.

    python benchmarks/language_identification.py REAL_DATA [--others FOLDER] [--without-ud MODEL]

REAL_DATA is a folder with langid/, ud/, text/ and eval/ as tests with NORCLI_REAL_DATA use it;
language_texts.py says what FOLDER holds. Every label that is not exactly the right one is an error,
und and nor too. `fold` is the share of the training input that tools/train_langid.py never trains
on: the same publishers, other sentences. All other sets are of publishers that the model has not
seen, sentences of the training input left out; `UD, left out` are whole treebanks, measured with
MODEL, which `train_langid.py --without` trained without them. `source-disjoint` is the mean over
languages of the mean over these sets. heliport is compared where it is installed: `pip install
heliport` (GPL-3, 129 MB).
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from language_texts import Labelled, disjoint, other_texts, real_texts, unseen_texts
from recording import record

from langid_sentences import TEST_FOLD, find_dutch, fold_of, letters_of, read_sentences, truncate
from norcli.corpus.language.codes import LANGUAGES

Identify = Callable[[list[str]], list[str]]


def read_sets(arguments: argparse.Namespace) -> tuple[dict[str, Labelled], Labelled]:
    """Return the labelled test sets, and whole treebanks for a model trained without them."""
    sentences = read_sentences(arguments.data / "langid/sentences.jsonl.gz")
    dutch = find_dutch(sentences)
    fold = [
        (s.language, s.text)
        for i, s in enumerate(sentences)
        if s.language != "other" and i not in dutch and fold_of(s.text) == TEST_FOLD
    ]
    sets = real_texts(arguments.data)
    treebanks = sets.pop("UD")
    if arguments.others:
        sets |= other_texts(arguments.others)
    return {"fold": fold, **disjoint(sets, {letters_of(s.text) for s in sentences})}, treebanks


def accuracy(identify: Identify, labelled: Labelled) -> dict[str, float]:
    found = identify([text for _, text in labelled])
    shares = {}
    for language in LANGUAGES:
        answers = [a for a, (gold, _) in zip(found, labelled, strict=True) if gold == language]
        if answers:
            shares[language] = round(100 * answers.count(language) / len(answers), 2)
    return {"macro": round(statistics.mean(shares.values()), 2), **shares}


def over_sources(
    figures: dict[str, Any], tool: str, sets: list[str], kind: str
) -> dict[str, float]:
    """Return the mean over sets of each language, and over the languages."""
    found = defaultdict(list)
    for name in sets:
        for language, share in figures[f"{tool} {name} {kind}"].items():
            found[language].append(share)
    means = {language: round(statistics.mean(found[language]), 2) for language in LANGUAGES
             if language in found}  # fmt: skip
    return {"macro": round(statistics.mean(means.values()), 2), **means}


def documents_of(texts: list[str], sentences: int = 10) -> list[str]:
    starts = range(0, len(texts) - sentences + 1, sentences)
    return [" ".join(texts[i : i + sentences]) for i in starts]


def refused(identify: Identify, texts: list[str]) -> float:
    found = identify(texts)
    return round(100 * sum(label not in (*LANGUAGES, "nor") for label in found) / len(found), 2)


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Return CPU seconds, the median of three runs after one."""
    run()
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def reliability(labelled: Labelled, bins: int = 10) -> dict[str, Any]:
    """Return how often norcli is right by how sure it is, and the expected calibration error."""
    from norcli.corpus.language.identifier import LanguageIdentifier

    identifier = LanguageIdentifier.load()
    names, scores = identifier.label_batch([text for _, text in labelled])
    groups: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for (gold, _), name, score in zip(labelled, names, scores, strict=True):
        if name in LANGUAGES:
            groups[min(int(score * bins), bins - 1)].append((score, name == gold))
    total = sum(map(len, groups.values()))
    table, error = {}, 0.0
    for k, group in sorted(groups.items()):
        said = statistics.mean(score for score, _ in group)
        right = statistics.mean(hit for _, hit in group)
        error += abs(said - right) * len(group) / total
        table[f"{k / bins:.1f}"] = [len(group), round(100 * said, 1), round(100 * right, 1)]
    return {"error": round(100 * error, 2), "n, said, right": table}


def glued_pages(labelled: Labelled, pages: int = 600) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return pages of two languages, four sentences of each: text, and where which one ends."""
    by_language: dict[str, list[str]] = defaultdict(list)
    for language, text in labelled:
        by_language[language].append(text)
    found = []
    for k in range(pages):
        first = LANGUAGES[k % len(LANGUAGES)]
        second = LANGUAGES[(k + 1 + k // len(LANGUAGES) % (len(LANGUAGES) - 1)) % len(LANGUAGES)]
        halves = [" ".join(by_language[x][4 * k % 1000 :][:4]) for x in (first, second)]
        text = "\n\n".join(halves)
        found.append((text, [(first, len(halves[0])), (second, len(text))]))
    return found


def stretches_right(labelled: Labelled) -> dict[str, float]:
    """Return how many pages, and how many of their characters, are told apart rightly."""
    from norcli.corpus.language.identifier import LanguageIdentifier

    pages = glued_pages(labelled)
    found = LanguageIdentifier.load().segment_batch([text for text, _ in pages])
    exact = hits = total = 0
    for (text, gold), answer in zip(pages, found, strict=True):
        expected = [lang for lang, _ in gold]
        exact += [segment.lang for segment in answer.segments] == expected
        for segment in answer.segments:
            for i in range(segment.start, segment.end):
                hits += segment.lang == expected[i > gold[0][1]]
        total += len(text)
    return {"pages": round(100 * exact / len(pages), 2), "characters": round(100 * hits / total, 2)}


def norcli_labels(path: Path | None = None) -> Identify:
    from norcli.corpus.language.identifier import LanguageIdentifier

    identifier = LanguageIdentifier.load(path)
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


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report_fresh(tool: str) -> None:
    # What crawl-filter has loaded anyway, numba and one kernel of its own, is not counted as
    # loading; its memory is, and told apart.
    if tool == "norcli":
        import numpy as np

        importlib.import_module("norcli.corpus.language.identifier")
        scan = importlib.import_module("norcli.corpus.scan").scan
        scan(np.frombuffer(b"tekst", np.uint8), np.array([0, 5], np.int64))
    else:
        importlib.import_module(tool)
    before = peak_megabytes()
    start = time.process_time()
    identify = TOOLS[tool]()
    loaded = time.process_time()
    identify(["En liten tekst på norsk."])
    json.dump(
        {
            "load_seconds": round(loaded - start, 3),
            "first_text_seconds": round(time.process_time() - loaded, 3),
            "peak_mb": round(peak_megabytes()),
            "peak_increase_mb": round(peak_megabytes() - before),
        },
        sys.stdout,
    )


def measure_accuracy(
    figures: dict[str, Any], tool: str, identify: Identify, sets: dict[str, Labelled]
) -> None:
    for name, labelled in sets.items():
        figures[f"{tool} {name} sentences"] = accuracy(identify, labelled)
        cut = [(language, truncate(text)) for language, text in labelled]
        figures[f"{tool} {name} cut"] = accuracy(identify, cut)


def measure_speed(figures: dict[str, Any], tool: str, identify: Identify, data: Path) -> None:
    with gzip.open(data / "text/norec_reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        reviews = [json.loads(line)["text"] for line, _ in zip(lines, range(2000), strict=False)]
    name = "text/sentences_talk_of_norway_cleaned_10k_nob.txt.gz"
    sentences = gzip.decompress((data / name).read_bytes()).decode().splitlines()
    kinds = {"documents": reviews, "sentences": sentences,
             "short texts": [truncate(text) for text in sentences]}  # fmt: skip
    for kind, texts in kinds.items():
        size = sum(len(text.encode()) for text in texts) / 1e6
        seconds = cpu_seconds(lambda texts=texts: identify(texts))  # type: ignore[misc]
        figures[f"{tool} MB/s {kind}"] = round(size / seconds, 1)
    if tool == "norcli":
        from norcli.corpus.language.identifier import LanguageIdentifier

        identifier = LanguageIdentifier.load()
        batches = [reviews[i : i + 100] for i in range(0, len(reviews), 100)]
        size = sum(len(text.encode()) for text in reviews) / 1e6
        seconds = cpu_seconds(lambda: [identifier.segment_batch(batch) for batch in batches])
        figures["norcli MB/s documents with stretches"] = round(size / seconds, 1)


def compare(figures: dict[str, Any], names: list[str]) -> None:
    """Add the ratios and the points ahead of heliport."""
    measured = [
        k for k in ("documents", "sentences", "short texts") if f"norcli MB/s {k}" in figures
    ]
    for kind in measured:
        ratio = figures[f"norcli MB/s {kind}"] / figures[f"heliport MB/s {kind}"]
        figures[f"ratio speed {kind}"] = round(ratio, 2)
    for key in ("peak_mb", "peak_increase_mb"):
        ratio = figures[f"norcli {key}"] / figures[f"heliport {key}"]
        figures[f"ratio {key}"] = round(ratio, 3)
    for name in names:
        for kind in ("sentences", "cut"):
            ours, theirs = (figures[f"{tool} {name} {kind}"]["macro"] for tool in TOOLS)
            figures[f"points ahead {name} {kind}"] = round(ours - theirs, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", metavar="REAL_DATA")
    parser.add_argument("--others", type=Path, metavar="FOLDER")
    parser.add_argument("--without-ud", type=Path, metavar="MODEL")
    parser.add_argument("--no-speed", action="store_true", help="measure accuracy only")
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
    sets, treebanks = read_sets(arguments)
    unseen = unseen_texts(arguments.others) if arguments.others else {}
    names = list(sets)
    for tool, start in tools.items():
        identify = start()
        measure_accuracy(figures, tool, identify, sets)
        if arguments.without_ud:
            left_out = norcli_labels(arguments.without_ud) if tool == "norcli" else identify
            measure_accuracy(figures, tool, left_out, {"UD, left out": treebanks})
        disjoint_names = [name for name in (*names, "UD, left out")
                          if name != "fold" and f"{tool} {name} cut" in figures]  # fmt: skip
        for kind in ("sentences", "cut"):
            figures[f"{tool} source-disjoint {kind}"] = over_sources(
                figures, tool, disjoint_names, kind
            )
        for language, texts in unseen.items():
            figures[f"{tool} refused {language} sentences"] = refused(identify, texts)
            figures[f"{tool} refused {language} documents"] = refused(identify, documents_of(texts))
        if not arguments.no_speed:
            measure_speed(figures, tool, identify, arguments.data)
    every = [pair for name in names if name != "fold" for pair in sets[name]]
    for name, labelled in (("fold", sets["fold"]), ("source-disjoint", every)):
        figures[f"calibration {name} sentences"] = reliability(labelled)
        cut = [(language, truncate(text)) for language, text in labelled]
        figures[f"calibration {name} cut"] = reliability(cut)
    figures["stretches of glued pages, fold"] = stretches_right(sets["fold"])
    if "heliport" in tools:
        compare(figures, [*names, *disjoint_names[len(names) - 1 :], "source-disjoint"])
    record("language_identification", figures)


if __name__ == "__main__":
    main()
