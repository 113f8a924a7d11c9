"""Sentences of the nine languages: abbreviations, ordinals, initials, speech and smileys.

For statistics and the `--sentences` field of `crawl-filter` (report section 3.2, "sentence
segmentation"). Boundaries are spans of the text as it stands; nothing is rewritten. A line end is
always a boundary. The rules are compiled (`sentence_kernel`), the words are data (sentences.toml).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.corpus import sentence_kernel as kernel
from norcli.corpus.language.identifier import pack

WORDS_FILE = Path(__file__).with_name("sentences.toml")

_CLASSES = {
    "joining": kernel.JOINING, "units": kernel.UNIT, "ending": kernel.ENDING,
    "numbered": kernel.NUMBERED, "starters": kernel.STARTER, "ordinals": kernel.ORDINAL,
    "articles": kernel.ARTICLE, "speech": kernel.SPEECH,
}  # fmt: skip
_MARKS = frozenset(".!?…")
_QUOTES = frozenset("\"'”’»“‘«`›‹„″´")
_DASHES = frozenset("-–—")
_VOWELS = frozenset("aeiouyæøåäöáï")


class Tables(NamedTuple):
    """What the kernel knows of characters and words; see `sentence_kernel.cut_texts`."""

    kinds: npt.NDArray[np.uint16]
    lowers: npt.NDArray[np.uint16]
    keys: npt.NDArray[np.uint64]
    flags: npt.NDArray[np.uint8]


def read_words(path: Path = WORDS_FILE) -> dict[str, frozenset[str]]:
    """Return the words of each class, those of all languages together."""
    with path.open("rb") as stream:
        data: dict[str, dict[str, str]] = tomllib.load(stream)
    return {name: frozenset(" ".join(words.values()).split()) for name, words in data.items()}


def kind_of(character: str) -> int:
    """Return what a character is to the kernel, a sum of its constants."""
    alpha = character.isalpha()
    return (
        kernel.SPACE * character.isspace()
        + kernel.LOWER * (alpha and character.islower())
        + kernel.UPPER * (alpha and (character.isupper() or character.istitle()))
        + kernel.DIGIT * (character.isascii() and character.isdigit())
        + kernel.ALPHA * alpha
        + kernel.MARK * (character in _MARKS)
        + kernel.QUOTE * (character in _QUOTES)
        + kernel.DASH * (character in _DASHES)
        + kernel.VOWEL * (character.lower() in _VOWELS)
    )


@cache
def load_tables() -> Tables:
    """Make the kernel's tables, once per process."""
    characters = [chr(code) for code in range(kernel.TABLE_SIZE)]
    kinds = np.array([kind_of(character) for character in characters], np.uint16)
    lowered = [character.lower() for character in characters]
    lowers = np.array(
        [ord(low) if len(low) == 1 else ord(c) for c, low in zip(characters, lowered, strict=True)],
        np.uint16,
    )
    classes = read_words()
    slots = 1 << (4 * sum(map(len, classes.values()))).bit_length()
    keys, flags = np.zeros(slots, np.uint64), np.zeros(slots, np.uint8)
    for name, words in classes.items():
        for word in sorted(words):
            data = np.frombuffer(word.encode(), np.uint8)
            value = kernel.hash_word(data, 0, len(data), lowers)
            slot = int(value) % slots
            while keys[slot] not in (0, value):
                slot = (slot + 1) % slots
            keys[slot] = value
            flags[slot] |= _CLASSES[name]
    return Tables(kinds, lowers, keys, flags)


def find_sentences(texts: Sequence[str]) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return the sentences of many texts.

    Returns:
        Spans in characters of their text without surrounding space, int32 (S, 2), and how many
        each text has, int64 (T,).
    """
    buffer, offsets = pack(texts)
    spans = np.empty((len(buffer) // 2 + len(texts) + 1, 2), np.int32)
    counts = np.empty(len(texts), np.int64)
    kernel.cut_texts(buffer, offsets, *load_tables(), spans, counts)
    return spans[: counts.sum()], counts


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of a text as (start, end) in characters, without surrounding space."""
    return [(start, end) for start, end in find_sentences([text])[0].tolist()]


def split_batch(texts: Sequence[str]) -> list[list[str]]:
    """Return the sentences of each text."""
    spans, counts = find_sentences(texts)
    # Two flat lists: a list of pairs would cost more than finding them.
    pairs = zip(spans[:, 0].tolist(), spans[:, 1].tolist(), strict=True)
    return [
        [text[start:end] for start, end in islice(pairs, count)]
        for text, count in zip(texts, counts.tolist(), strict=True)
    ]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return split_batch([text])[0]


def count_sentences(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return how many sentences each text has, int64 (T,)."""
    return find_sentences(texts)[1]


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    count_sentences(["Hei på deg."])
