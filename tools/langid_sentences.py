"""The labelled sentences that the language identifier is trained on, and what is done to them.

Read by train_langid.py and by benchmarks/language_identification.py: both must agree on which
sentences are never trained on. Nothing here knows of weights.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

CALIBRATION_FOLD, TEST_FOLD, FOLDS = 0, 1, 20

# Dutch is the one language of the "other" class that is taken out, so that how well a language
# that was never seen is refused can be measured on it (Spanish and Estonian are not in the input).
_DUTCH_WORDS = """
    aan als bij dan dat de deze die dit door een en er geen haar hebben heeft het hij hun ik in is
    kan kunnen maar meer met mijn moet naar niet nog of om onder ook op over te tegen toch tot
    tussen uit van veel volgens voor waar wanneer waren was wat wel werd worden wordt zal ze zich
    zij zijn zo zoals zullen
"""
DUTCH_WORDS = frozenset(_DUTCH_WORDS.split())

# Of the sentences labelled Nynorsk one in twenty that has any of these words is Bokmål: quotations,
# and pages of public bodies that write both.
_BOKMAAL_WORDS = """
    ikke jeg fra hva hvem hvor hvordan hvorfor hvis noe noen mye hun være en et ble disse selv
    sammen uten deres
"""
_NYNORSK_WORDS = """
    ikkje eg frå kva kven kvar korleis kvifor noko nokon mykje ho vere vera ein eit vart desse sjølv
    saman utan dykkar berre
"""
_OWN_WORDS = {"nob": frozenset(_BOKMAAL_WORDS.split()), "nno": frozenset(_NYNORSK_WORDS.split())}

# Languages of which names are exchanged: close to each other, and nouns are not capitalized.
NAME_LANGUAGES = ("nob", "nno", "dan", "swe")
# A capitalized word within a sentence.
_NAME = re.compile(r"(?:(?<=[^\W\d_] )|(?<=[,;] ))[A-ZÆØÅÄÖÉÜ][\w-]+")


class Sentence(NamedTuple):
    """A labelled text of the input."""

    language: str
    text: str


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, digits and punctuation left out."""
    return re.findall(r"[^\W\d_]+", text.lower())


def letters_of(text: str) -> str:
    """Return what two texts share that differ in case, digits and punctuation only."""
    return "".join(words_of(text))


def fold_of(text: str) -> int:
    """Return the fold of a text; texts of the same letters share one."""
    digest = hashlib.sha256(letters_of(text).encode()).digest()
    return int.from_bytes(digest[:4], "big") % FOLDS


def read_sentences(path: Path) -> list[Sentence]:
    """Read the input; of texts that differ only in case, digits and punctuation keep the first."""
    seen: set[str] = set()
    sentences = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            key = record["lang"] + letters_of(record["text"])
            if key not in seen and len(key) > len(record["lang"]):
                seen.add(key)
                sentences.append(Sentence(record["lang"], record["text"]))
    return sentences


def is_mislabelled(sentence: Sentence) -> bool:
    """Return whether a Norwegian text has function words of the other Norwegian only."""
    if sentence.language not in _OWN_WORDS:
        return False
    words = set(words_of(sentence.text))
    other = "nno" if sentence.language == "nob" else "nob"
    return bool(words & _OWN_WORDS[other]) and not words & _OWN_WORDS[sentence.language]


def find_dutch(sentences: list[Sentence]) -> set[int]:
    """Return the indices of the Dutch texts among those of class other.

    Texts with three Dutch function words are the seed; the log-odds of their letter 3- and 4-grams
    against those of all other texts then decide. French and the like lose about one text in ten.
    """
    others = [i for i, sentence in enumerate(sentences) if sentence.language == "other"]
    grams = {i: letter_grams(sentences[i].text) for i in others}
    seeds = {i for i in others if len(DUTCH_WORDS & set(words_of(sentences[i].text))) >= 3}
    if not seeds:
        return set()
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for i in others:
        (inside if i in seeds else outside).update(grams[i])
    offset = math.log(outside.total() / inside.total())
    return {
        i
        for i in others
        if sum(math.log((inside[g] + 0.5) / (outside[g] + 0.5)) + offset for g in grams[i]) > 0
    }


def letter_grams(text: str) -> list[str]:
    """Return the letter 3- and 4-grams of the words of a text."""
    grams = []
    for word in words_of(text):
        padded = f" {word} "
        grams += [padded[i : i + 3] for i in range(len(padded) - 2)]
        grams += [padded[i : i + 4] for i in range(len(padded) - 3)]
    return grams


def swap_names(sentences: list[Sentence], random: random.Random) -> list[Sentence]:
    """Return the sentences with names exchanged for any others of the closely related languages.

    Names and what a publisher writes about are no part of a language, but a model learns them: a
    text about football is Bokmål where only Bokmål newspapers write about it.
    """
    pool = [
        name
        for sentence in sentences
        if sentence.language in NAME_LANGUAGES
        for name in _NAME.findall(sentence.text)
    ]

    def another(_: re.Match[str]) -> str:
        return pool[int(random.random() * len(pool))]

    return [
        Sentence(s.language, _NAME.sub(another, s.text) if s.language in NAME_LANGUAGES else s.text)
        for s in sentences
    ]


def truncate(text: str, letters: int = 50) -> str:
    """Cut a text after the last word that ends within so many characters."""
    if len(text) <= letters:
        return text
    cut = text.rfind(" ", 0, letters + 1)
    return text[:cut] if cut > 0 else text[:letters]
