"""Derive the thresholds of crawl-filter's quality rules from genuine text, language by language.

    python tools/derive_rules.py REAL_DATA            print the tables of rules.toml
    python tools/derive_rules.py REAL_DATA --write    put them into rules.toml
    python tools/derive_rules.py REAL_DATA --audit    what each set of thresholds drops

REAL_DATA is a folder with langid/, text/ and ud/ as tests with NORCLI_REAL_DATA use it. Bokmål and
Nynorsk: NoReC's reviews, central regulations, manuals, and documents put together from sentences
of parliament. Sámi: documents put together from the GiellaLT sentences of langid/ and, for
Northern Sámi, the running text of the treebank; there are no web pages of them at hand.

A threshold is the published one ([default]: Gopher, FineWeb, C4) unless more than SHARE of a
language's genuine documents, or COLLECTION_SHARE of one collection of them, break it; then it lies
just beyond that share. No language has a threshold stricter than Bokmål's: documents put together
from sentences repeat themselves less than real ones, and official prose is as formulaic in any of
them. min_words, min_lang_score and, for Sámi, min_stop_words are policy: of a small language short
documents are wanted, too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from norcli.corpus.language.identifier import LanguageIdentifier, pack
from norcli.corpus.normalization import normalize_batch
from norcli.corpus.quality import QualityMeter, Rows, Rules
from norcli.corpus.quality_kernel import MEASURES
from norcli.corpus.rule_files import RULES_FILE, RuleFile, read_rule_file, shipped_rules

SHARE = 0.005
COLLECTION_SHARE = 0.01
LEAST_DOCUMENTS = 100
SAMI = ("sme", "smj", "sma")
DERIVED = ("nob", "nno", *SAMI)
MARK = "# Derived by tools/derive_rules.py: do not edit below this line.\n"
POLICY = {
    "nob": {"min_lang_score": 0.5, "min_words": 30},
    "nno": {"min_lang_score": 0.3, "min_words": 20},
    **{code: {"min_lang_score": 0.3, "min_words": 10, "min_stop_words": 1} for code in SAMI},
}
PROVENANCE = {
    "nob": "NoReC, regulations, Debian manuals, parliament",
    "nno": "NoReC, regulations, GIMP manual, parliament, GiellaLT and NPK sentences",
    "sme": "documents of GiellaLT sentences, UD North Sami Giella",
    "smj": "documents of GiellaLT sentences",
    "sma": "documents of GiellaLT sentences",
}
# FineWeb-2, configs/*_Latn.yml at commit d0defb2 (Apache-2.0): duplicate lines, line ends, word
# length from and to, words with letters, line breaks, top 2- to 4-grams, repeated 5- to 10-grams.
FINEWEB2 = {
    "nob": (0.283, 0.107, 3, 12, 0.783, 0.167, 0.204, 0.175, 0.15,
            0.146, 0.139, 0.128, 0.119, 0.11, 0.099),
    "nno": (0.281, 0.125, 3, 11, 0.815, 0.195, 0.899, 0.705, 0.375,
            0.16, 0.149, 0.135, 0.125, 0.114, 0.102),
    "sme": (0.763, 0.0, 3, 16, 0.791, 2.0, 0.487, 0.448, 0.388,
            0.318, 0.295, 0.269, 0.241, 0.217, 0.193),
    "smj": (0.283, -1, 3, 21, 0.778, 0.167, 0.95, 0.992, 0.674,
            0.189, 0.191, 0.173, 0.172, 0.158, 0.136),
    "sma": (0.399, -1, 4, 21, 0.762, 0.167, 0.672, 0.564, 0.465,
            0.235, 0.22, 0.206, 0.191, 0.176, 0.159),
}  # fmt: skip
FINEWEB2_RULES = (
    "max_duplicate_line_ratio", "min_terminal_line_ratio", "min_mean_word_length",
    "max_mean_word_length", "min_alphabetic_ratio", "max_line_break_ratio",
    *(f"max_top_{n}gram_ratio" for n in (2, 3, 4)),
    *(f"max_duplicate_{n}gram_ratio" for n in range(5, 11)),
)  # fmt: skip


def lines_of(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            yield line.rstrip("\n")


def documents_of(sentences: Iterable[str], seed: int) -> Iterator[str]:
    """Put sentences together to documents of 1 to 30, every second one a sentence a line."""
    generator = random.Random(seed)
    pending: list[str] = []
    wanted = generator.randint(1, 30)
    for sentence in sentences:
        pending.append(sentence)
        if len(pending) == wanted:
            yield ("\n" if generator.random() < 0.5 else " ").join(pending)
            pending, wanted = [], generator.randint(1, 30)


def read_documents(data: Path) -> dict[str, dict[str, list[str]]]:
    """Return genuine documents by language and collection."""
    found: dict[str, dict[str, list[str]]] = {code: {} for code in DERIVED}
    identifier = LanguageIdentifier.load()
    for name in ("norec_reviews", "regulations", "debian_handbook_nb", "debian_edu_nb",
                 "gimp_help_nn"):  # fmt: skip
        lines = lines_of(data / "text" / f"{name}.jsonl.gz")
        texts = normalize_batch([json.loads(line)["text"] for line in lines]).texts
        labels, scores = identifier.label_batch(texts)
        for text, label, score in zip(texts, labels, scores, strict=True):
            is_norwegian = label in ("nob", "nno") and score > 0.99
            if is_norwegian and len(text.split()) >= POLICY[label]["min_words"]:
                found[label].setdefault(name, []).append(text)
    sentences: dict[tuple[str, str], list[str]] = {}
    for code in ("nob", "nno"):
        name = f"sentences_talk_of_norway_cleaned_10k_{code}.txt.gz"
        sentences[code, "parliament"] = list(lines_of(data / "text" / name))
    for line in lines_of(data / "langid" / "sentences.jsonl.gz"):
        record = json.loads(line)
        if record["lang"] in ("nno", *SAMI):
            sentences.setdefault((record["lang"], "sentences"), []).append(record["text"])
    sentences["sme", "treebank"] = [
        line[9:]
        for line in lines_of(data / "ud" / "sme_giella-ud-train.conllu.gz")
        if line.startswith("# text = ")
    ]
    for (code, name), lines in sentences.items():
        documents = normalize_batch(list(documents_of(lines, seed=len(lines)))).texts
        found[code][name] = [d for d in documents if len(d.split()) >= POLICY[code]["min_words"]]
    return found


def measure(documents: Mapping[str, Mapping[str, list[str]]]) -> dict[str, dict[str, Rows]]:
    """Return the measures of all documents, (documents, measures) for each collection."""
    rules = Rules.load()
    meter = QualityMeter(rules.stop_words, rules.settings)
    return {
        code: {
            name: meter.measure(*pack(texts), [code] * len(texts))
            for name, texts in collections.items()
        }
        for code, collections in documents.items()
    }


def rounded(value: float, up: bool) -> float:
    """Round outward: to hundredths, whole numbers to whole ones, small shares to thousandths."""
    digits = 3 if abs(value) < 0.05 else 2 if abs(value) < 2 else 1
    scaled = value * 10**digits
    result = (math.ceil(scaled - 1e-9) if up else math.floor(scaled + 1e-9)) / 10**digits
    return int(result) if result == int(result) and abs(result) >= 2 else result


def derive(
    published: Mapping[str, float], collections: Mapping[str, Rows], least_lines: int
) -> dict[str, float]:
    """Return the looser of the published thresholds and those that spare all but the shares."""
    table = {}
    for rule, limit in published.items():
        bound, _, name = rule.partition("_")
        if bound not in ("min", "max") or name not in MEASURES or limit is False:
            continue
        values = {}
        for collection, rows in collections.items():
            if name.endswith("_line_ratio") and not name.startswith("duplicate"):
                rows = rows[rows[:, MEASURES.index("lines")] >= least_lines]
            values[collection] = rows[:, MEASURES.index(name)]
        whole = np.concatenate(list(values.values()))
        parts = [part for part in values.values() if len(part) >= LEAST_DOCUMENTS]
        if bound == "max":
            found = [np.quantile(whole, 1 - SHARE)]
            found += [np.quantile(part, 1 - COLLECTION_SHARE) for part in parts]
            table[rule] = max(limit, rounded(float(max(found)), up=True))
        else:
            found = [np.quantile(whole, SHARE)]
            found += [np.quantile(part, COLLECTION_SHARE) for part in parts]
            table[rule] = min(limit, rounded(float(min(found)), up=False))
    return table


def derive_all(data: Path) -> dict[str, dict[str, float]]:
    """Return the table of each language of `DERIVED`."""
    shipped = read_rule_file(str(RULES_FILE))
    published = shipped.tables["default"]
    rows = measure(read_documents(data))
    tables = {}
    for code in DERIVED:
        table = derive(published, rows[code], shipped.settings["least_lines"]) | POLICY[code]
        if code != "nob":
            for rule in table:
                looser = max if rule.startswith("max") else min
                table[rule] = looser(table[rule], tables["nob"][rule])
        order = [rule for rule in published if rule in table]
        tables[code] = {rule: table[rule] for rule in order}
    # Norwegian of which nothing nearer is known: whatever either would keep.
    tables["nor"] = {
        rule: (max if rule.startswith("max") else min)(tables["nob"][rule], tables["nno"][rule])
        for rule in tables["nob"]
    }
    return tables


def as_toml(tables: Mapping[str, Mapping[str, float]]) -> str:
    """Return the tables as text."""
    pieces = []
    for code, table in tables.items():
        origin = PROVENANCE.get(code, "the looser of nob and nno")
        lines = [f"[{code}]", f"provenance = {json.dumps(origin, ensure_ascii=False)}"]
        lines += [f"{rule} = {json.dumps(limit)}" for rule, limit in table.items()]
        pieces.append("\n".join(lines) + "\n")
    return "\n".join(pieces)


def audit(data: Path) -> str:
    """Return how many genuine documents each set of thresholds drops, and by which rule most."""
    rows = {
        code: np.concatenate(list(collections.values()))
        for code, collections in measure(read_documents(data)).items()
    }
    shipped = shipped_rules()
    lines = [f"{'':5}{'documents':>10}{'own':>9}{'nob':>9}{'published':>11}{'FineWeb-2':>11}  by"]
    for code in DERIVED:
        fineweb2 = dict(zip(FINEWEB2_RULES, FINEWEB2[code], strict=True))
        fineweb2 |= {"min_words": 50, "min_stop_words": 2, "max_symbol_ratio": 0.1,
                     "max_duplicate_line_character_ratio": 0.1}  # fmt: skip
        drops = []
        for table in (shipped.tables[code], shipped.tables["nob"], shipped.tables["default"],
                      fineweb2):  # fmt: skip
            file = RuleFile({code: dict(table)}, shipped.settings, shipped.stop_words)
            broken = Rules(file).check(code, rows[code], [""] * len(rows[code]))
            drops.append([violation.rule for violation in broken if violation is not None])
        most = {rule: drops[3].count(rule) for rule in set(drops[3])}
        shown = sorted(most, key=lambda rule: (-most[rule], rule))[:3]
        shares = [f"{len(found) / len(rows[code]):.2%}" for found in drops]
        lines.append(
            f"{code:5}{len(rows[code]):>10}{shares[0]:>9}{shares[1]:>9}{shares[2]:>11}"
            f"{shares[3]:>11}  " + ", ".join(f"{rule} {most[rule]}" for rule in shown)
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true", help="put the tables into rules.toml")
    parser.add_argument("--audit", action="store_true", help="tell what the thresholds drop")
    options = parser.parse_args()
    if options.audit:
        print(audit(options.data), end="")
        return
    text = as_toml(derive_all(options.data))
    if options.write:
        head = RULES_FILE.read_text("utf-8").partition(MARK)[0]
        RULES_FILE.write_text(head + MARK + "\n" + text, "utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
