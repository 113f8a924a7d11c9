"""A bounded random sample of a corpus for tokenizer training, by language.

The first step of ``norcli tokenize-train``: one pass over any amount of text, memory bounded by
--sample-bytes, the same sample for the same input and seed. Each passage draws a random key, and
a language keeps its passages with the smallest keys that fit its share (priority sampling).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from norcli.corpus.language.codes import normalize_code
from norcli.errors import UsageError
from norcli.formats.documents import Document

UNKNOWN_LANGUAGE = "und"
# Long enough to hold whole paragraphs; SentencePiece by itself skips lines above 4192 bytes.
PASSAGE_CHARACTERS = 2000


def language_of(document: Document, key: str) -> str:
    """Return a document's language as ISO 639-3, ``und`` where it has none we know."""
    value = document.fields.get(key)
    if not isinstance(value, str) or not value:
        return UNKNOWN_LANGUAGE
    try:
        return normalize_code(value)
    except ValueError:
        return value


def parse_mix(entries: list[str]) -> dict[str, float]:
    """Parse ``nob=70`` entries into shares that sum to 1.

    Raises:
        UsageError: Not LANG=SHARE, a share that is not positive, or a language twice.
    """
    shares: dict[str, float] = {}
    for entry in entries:
        name, _, share = entry.partition("=")
        try:
            language = normalize_code(name)
            value = float(share)
        except ValueError:
            raise UsageError(
                f'--mix: "{entry}" is not LANG=SHARE',
                hint="for instance --mix nob=70,nno=20,sme=10",
            ) from None
        if not value > 0 or value == float("inf"):
            raise UsageError(f"--mix: the share of {language} must be above 0")
        if language in shares:
            raise UsageError(f"--mix: {language} is there twice")
        shares[language] = value
    total = sum(shares.values())
    return {language: value / total for language, value in shares.items()}


def passages(text: str) -> Iterator[str]:
    """Yield the lines of a text, long ones cut at spaces; empty lines are left out.

    A line break is no training material: it stays a piece of its own (a byte), as it must for
    texts to be encoded line by line.
    """
    for line in text.split("\n"):
        if len(line) <= PASSAGE_CHARACTERS:
            if line and not line.isspace():
                yield line
            continue
        start = 0
        while start < len(line):
            stop = start + PASSAGE_CHARACTERS
            space = line.rfind(" ", start + 1, stop) if stop < len(line) else -1
            passage = line[start : space if space > 0 else stop]
            if not passage.isspace():
                yield passage
            # The space of the cut comes back as the sign at the beginning of the next passage.
            start = space + 1 if space > 0 else stop


class _Kept(NamedTuple):
    """A passage in a reservoir; the heap puts the largest key on top, the first to go."""

    negated_key: float
    number: int
    language: str
    passage: str
    size: int


@dataclass
class _Reservoir:
    """The passages with the smallest random keys, up to a number of bytes."""

    bound: int
    kept_bytes: int = 0
    heap: list[_Kept] = field(default_factory=list)

    def offer(self, kept: _Kept) -> None:
        full = self.kept_bytes + kept.size > self.bound
        if full and self.heap and kept.negated_key <= self.heap[0].negated_key:
            return
        heapq.heappush(self.heap, kept)
        self.kept_bytes += kept.size
        self.shrink(self.bound)

    def shrink(self, bound: int) -> None:
        """Drop passages until the rest fits; the last one is kept in any case."""
        self.bound = bound
        while self.kept_bytes > bound and len(self.heap) > 1:
            self.kept_bytes -= heapq.heappop(self.heap).size


@dataclass(frozen=True)
class Sample:
    """What a tokenizer is trained on.

    Args:
        passages: Lines of text per language, in the order of the input.
        seen_bytes: UTF-8 bytes of text per language in the whole input.
        kept_bytes: UTF-8 bytes per language in the sample.
        documents: Documents read.
        left_out: Documents whose language --mix does not name.
    """

    passages: dict[str, list[str]]
    seen_bytes: dict[str, int]
    kept_bytes: dict[str, int]
    documents: int
    left_out: int

    @property
    def bytes(self) -> int:
        """UTF-8 bytes in all."""
        return sum(self.kept_bytes.values())

    def lines(self) -> Iterator[str]:
        """Yield all passages, languages in the order of their codes."""
        for language in sorted(self.passages):
            yield from self.passages[language]


def draw_sample(
    documents: Iterable[Document],
    *,
    sample_bytes: int,
    seed: int = 0,
    mix: dict[str, float] | None = None,
    temperature: float | None = None,
    language_key: str = "lang",
) -> Sample:
    """Draw a sample of passages from documents in one pass.

    With neither ``mix`` nor ``temperature`` the languages keep the proportions of the input. A
    language with less text than its share under ``mix`` is taken whole.

    Args:
        documents: The corpus.
        sample_bytes: Most UTF-8 bytes to keep in all; under ``temperature`` this many are held
            per language until the sizes are known.
        seed: Seed of the draw.
        mix: Share of each language, summing to 1; other languages are left out.
        temperature: Shares are proportional to the size of a language to the power 1/T.
        language_key: Field that holds the language.
    """
    draw = random.Random(seed)
    pools: dict[str, _Reservoir] = {}
    seen: dict[str, int] = {}
    number = count = left_out = 0
    for document in documents:
        count += 1
        language = language_of(document, language_key)
        if mix and language not in mix:
            left_out += 1
            continue
        pool = language if mix or temperature is not None else ""
        if pool not in pools:
            share = mix[language] if mix else 1.0
            pools[pool] = _Reservoir(max(int(sample_bytes * share), 1))
        for passage in passages(document.text):
            size = len(passage.encode("utf-8", "surrogatepass"))
            seen[language] = seen.get(language, 0) + size
            pools[pool].offer(_Kept(-draw.random(), number, language, passage, size))
            number += 1
    if temperature is not None and not mix:
        for language, bound in _tempered_shares(seen, sample_bytes, temperature).items():
            pools[language].shrink(bound)
    return _collect(pools, seen, count, left_out)


def _tempered_shares(seen: dict[str, int], sample_bytes: int, temperature: float) -> dict[str, int]:
    """Return bytes per language; what a small language cannot fill goes to the others."""
    weights = {language: size ** (1 / temperature) for language, size in seen.items() if size}
    shares: dict[str, int] = {}
    left = sample_bytes
    while weights:
        total = sum(weights.values())
        small = [name for name, weight in weights.items() if seen[name] <= left * weight / total]
        if not small:
            return shares | {name: int(left * weight / total) for name, weight in weights.items()}
        for name in small:
            shares[name] = seen[name]
            left -= seen[name]
            del weights[name]
    return shares


def _collect(
    pools: dict[str, _Reservoir], seen: dict[str, int], documents: int, left_out: int
) -> Sample:
    kept = sorted((entry for pool in pools.values() for entry in pool.heap), key=_number)
    chosen: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for entry in kept:
        chosen.setdefault(entry.language, []).append(entry.passage)
        sizes[entry.language] = sizes.get(entry.language, 0) + entry.size
    return Sample(chosen, seen, sizes, documents, left_out)


def _number(entry: _Kept) -> int:
    return entry.number
