"""Make a corpus with planted duplicates, and know the exact similarity of every pair in it.

Seeded: the same arguments give the same bytes. Base documents come from JSONL files (--text) or,
without any, from a made-up vocabulary with a Zipf distribution. About 40 % of the corpus are
copies of earlier documents: exact, with other case, spacing and punctuation, cut in half, with one
span replaced, with scattered words replaced, the last two aimed at a chosen similarity. The truth
is worked out with Python sets over all pairs that share a word 5-gram held by at most 200
documents, so duplicates that were in the base count as well.

    python benchmarks/dedup_corpus.py --documents 20000 --text a.jsonl.gz -o corpus.jsonl
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

NGRAM = 5
MAX_FREQUENCY = 200
WORD = re.compile(r"[^\W_]+")
TARGETS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4)
ONSETS = ("b", "bj", "d", "f", "fj", "g", "gr", "h", "hj", "k", "kj", "kr", "l", "m", "n", "p",
          "r", "s", "sj", "sk", "st", "t", "tr", "v", "č", "đ", "ŋ", "ŧ", "ž")  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "y", "æ", "ø", "å", "á")
SYLLABLES = [onset + vowel for onset in ONSETS for vowel in VOWELS]


def made_up_texts(random_: random.Random) -> Iterator[str]:
    """Yield texts of 60 to 800 words without end."""
    vocabulary = [
        "".join(random_.choices(SYLLABLES, k=random_.randint(1, 4))) for _ in range(40_000)
    ]
    weights = np.cumsum(1.0 / np.arange(1, len(vocabulary) + 1) ** 0.9).tolist()
    while True:
        words = random_.choices(vocabulary, cum_weights=weights, k=random_.randint(60, 800))
        sentences = []
        while words:
            cut = random_.randint(5, 20)
            sentences.append(" ".join(words[:cut]).capitalize() + ".")
            words = words[cut:]
        yield " ".join(sentences)


def file_texts(paths: list[str], key: str) -> Iterator[str]:
    """Yield the texts of JSONL files, those of at least 60 words."""
    for path in paths:
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rb") as stream:
            for line in stream:
                text = json.loads(line).get(key)
                if isinstance(text, str) and len(text.split()) >= 60:
                    yield text


def edits_for(target: float, words: int, scattered: bool) -> int:
    """Return how many words to replace so that the 5-grams have about the target similarity."""
    shingles = max(words - NGRAM + 1, 1)
    shared = 2 * shingles * target / (1 + target)
    lost = shingles - shared
    if scattered:
        return max(round(words * (1 - (1 - lost / shingles) ** (1 / NGRAM))), 1)
    return max(round(lost) - NGRAM + 1, 1)


def noisy(random_: random.Random, text: str) -> str:
    """Return a text with the same words in other case, spacing and punctuation."""
    change = random_.choice((str.upper, str.lower, str.swapcase))
    text = change(text)
    text = text.replace(". ", random_.choice(("… ", "! ", ".\n\n")))
    return random_.choice((" ", "\t")) + text.replace(" ", random_.choice(("  ", " \u00a0")))


def edited(random_: random.Random, text: str, target: float, scattered: bool) -> str:
    """Return a text with words replaced."""
    words = text.split()
    count = min(edits_for(target, len(words), scattered), len(words))
    if scattered:
        places = random_.sample(range(len(words)), count)
    else:
        begin = random_.randrange(len(words) - count + 1)
        places = list(range(begin, begin + count))
    for place in places:
        words[place] = f"ord{random_.randrange(10**9)}"
    return " ".join(words)


def make_corpus(documents: int, seed: int, bases: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield the records of the corpus, in random order."""
    random_ = random.Random(seed)
    originals: list[str] = []
    for _ in range(round(documents * 0.6)):
        text = next(bases, None)
        if text is None:
            break
        originals.append(text)
    texts = [(text, "base") for text in originals]
    kinds = ["exact"] * 15 + ["noise"] * 10 + ["half"] * 5 + ["span"] * 35 + ["scattered"] * 35
    while len(texts) < documents and originals:
        text, kind = random_.choice(originals), random_.choice(kinds)
        if kind == "noise":
            text = noisy(random_, text)
        elif kind == "half":
            text = text[: len(text) // 2]
        elif kind != "exact":
            text = edited(random_, text, random_.choice(TARGETS), kind == "scattered")
        texts.append((text, kind))
    random_.shuffle(texts)
    for number, (text, kind) in enumerate(texts):
        yield {"id": f"d{number:07}", "text": text, "source": "ABCD"[number % 4], "planted": kind}


def shingle_set(text: str) -> np.ndarray:
    """Return the hashes of a text's word 5-grams, sorted, without repetition."""
    words = [word.lower() for word in WORD.findall(text)]
    grams = [" ".join(words[i : i + NGRAM]) for i in range(max(len(words) - NGRAM + 1, 1))]
    return np.unique(np.array([hash(gram) for gram in grams], np.int64))


def true_pairs(texts: list[str], least: float = 0.3) -> dict[tuple[int, int], float]:
    """Return the exact Jaccard similarity of all pairs of at least `least`."""
    sets = [shingle_set(text) for text in texts]
    shingles = np.concatenate(sets)
    owners = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
    order = np.argsort(shingles, kind="stable")
    shingles, owners = shingles[order], owners[order]
    bounds = np.flatnonzero(np.diff(shingles, prepend=shingles[0] - 1, append=shingles[-1] + 1))
    shared: Counter[int] = Counter()
    size = len(texts)
    codes: list[np.ndarray] = []
    pending = 0
    for begin, end in pairwise(bounds.tolist()):
        if 2 <= end - begin <= MAX_FREQUENCY:
            group = owners[begin:end]
            firsts, seconds = np.triu_indices(end - begin, 1)
            codes.append(group[firsts].astype(np.int64) * size + group[seconds])
            pending += len(firsts)
            if pending > 5_000_000:
                _count(shared, codes)
                codes, pending = [], 0
    _count(shared, codes)
    pairs = {}
    for code, common in shared.items():
        first, second = divmod(code, size)
        smaller = min(len(sets[first]), len(sets[second]))
        if common < 0.05 * smaller or smaller < least * max(len(sets[first]), len(sets[second])):
            continue
        both = len(np.intersect1d(sets[first], sets[second], assume_unique=True))
        jaccard = both / (len(sets[first]) + len(sets[second]) - both)
        if jaccard >= least:
            pairs[first, second] = jaccard
    return pairs


def _count(shared: Counter[int], codes: list[np.ndarray]) -> None:
    if codes:
        values, counts = np.unique(np.concatenate(codes), return_counts=True)
        shared.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def score(pairs: dict[tuple[int, int], float], removed: set[int]) -> dict[str, float]:
    """Return recall (pairs with a side removed) and precision (removed ones with a true match)."""
    best: dict[int, float] = {}
    for (first, second), jaccard in pairs.items():
        best[first] = max(best.get(first, 0.0), jaccard)
        best[second] = max(best.get(second, 0.0), jaccard)
    report: dict[str, float] = {"removed": len(removed)}
    for least in (0.7, 0.8, 0.9):
        found = [a in removed or b in removed for (a, b), j in pairs.items() if j >= least]
        report[f"recall_{least}"] = round(100 * sum(found) / max(len(found), 1), 3)
        report[f"pairs_{least}"] = len(found)
    for least in (0.6, 0.7):
        right = sum(best.get(document, 0.0) >= least for document in removed)
        report[f"precision_{least}"] = round(100 * right / max(len(removed), 1), 3)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text", nargs="*", default=[], help="JSONL files with base documents")
    parser.add_argument("--text-key", default="text")
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args()
    if options.text:
        bases = file_texts(options.text, options.text_key)
    else:
        bases = made_up_texts(random.Random(options.seed + 1))
    with Path(options.output).open("w", encoding="utf-8") as stream:
        for record in make_corpus(options.documents, options.seed, bases):
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
