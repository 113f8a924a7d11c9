"""Corpus statistics: documents, words, bytes and tokens by language, source, group and licence.

The core of `norcli stats`. Shares are those of the report's Figure 1 (copyrighted text; Nynorsk and
Sámi within the Norwegian portion), source groups those of its Table 2. One pass, constant memory.
How it is laid out for readers is in `norcli.corpus.report`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from norcli.console import Console
from norcli.corpus.options import StatsOptions
from norcli.formats.documents import Document, read_documents

BATCH = 256
GROUPINGS = ("lang", "source", "source_group", "license")
NOT_STATED = "not stated"
NORWEGIAN_PORTION = ("nob", "nno", "nor", "sme", "smj", "sma")
SAMI = ("sme", "smj", "sma")
# Lower ends of the histogram's bins, in words.
BINS = (0, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass
class Counts:
    """What a set of documents amounts to; `bytes` are UTF-8 bytes of text."""

    documents: int = 0
    words: int = 0
    bytes: int = 0
    sentences: int = 0
    tokens: int = 0

    def add(self, words: int, size: int, sentences: int, tokens: int) -> None:
        """Count one document."""
        self.documents += 1
        self.words += words
        self.bytes += size
        self.sentences += sentences
        self.tokens += tokens

    @property
    def mean_words(self) -> float:
        """Words per document."""
        return self.words / max(self.documents, 1)


@dataclass
class CorpusStatistics:
    """Counts of a corpus.

    Attributes:
        total: Of everything.
        groups: Field → its value → counts; records without the field are under "not stated".
        copyrighted: Counts by the field ``copyrighted``: "yes", "no", "not stated".
        histogram: Documents by length in words, one number for each of `BINS`.
        unit: What shares are of: tokens where they are counted, words otherwise.
        has_sentences: Whether sentences were counted.
    """

    total: Counts = field(default_factory=Counts)
    groups: dict[str, dict[str, Counts]] = field(
        default_factory=lambda: {name: {} for name in GROUPINGS}
    )
    copyrighted: dict[str, Counts] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=lambda: [0] * len(BINS))
    unit: str = "words"
    has_sentences: bool = False

    def add(self, document: Document, size: int, sentences: int, tokens: int) -> None:
        """Count one document."""
        words = len(document.text.split())
        numbers = (words, size, sentences, tokens)
        self.total.add(*numbers)
        for name, groups in self.groups.items():
            value = document.fields.get(name)
            key = str(value) if value not in (None, "") else NOT_STATED
            groups.setdefault(key, Counts()).add(*numbers)
        copyrighted = document.fields.get("copyrighted")
        stated = {True: "yes", False: "no"}.get(copyrighted) if copyrighted is not None else None
        self.copyrighted.setdefault(stated or NOT_STATED, Counts()).add(*numbers)
        self.histogram[bisect_right(BINS, words) - 1] += 1

    def amount(self, counts: Counts) -> int:
        """Return tokens or words, whichever shares are of."""
        return counts.tokens if self.unit == "tokens" else counts.words

    def shares(self) -> dict[str, float | None]:
        """Return the shares of the report's Figure 1; None where nothing is there to share.

        ``nynorsk_of_norwegian`` and ``sami_of_norwegian`` are of the Norwegian portion (Bokmål,
        Nynorsk, Sámi); ``copyrighted`` is of the documents that state it.
        """
        by_language = {lang: self.amount(c) for lang, c in self.groups["lang"].items()}
        norwegian = sum(by_language.get(lang, 0) for lang in NORWEGIAN_PORTION)
        stated = {k: self.amount(c) for k, c in self.copyrighted.items() if k != NOT_STATED}
        total = self.amount(self.total)
        return {
            "norwegian": _share(norwegian, total),
            "nynorsk_of_norwegian": _share(by_language.get("nno", 0), norwegian),
            "sami_of_norwegian": _share(sum(by_language.get(x, 0) for x in SAMI), norwegian),
            "copyrighted": _share(stated.get("yes", 0), sum(stated.values())),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, groups by size."""

        def plain(groups: dict[str, Counts]) -> dict[str, Any]:
            return {key: self._counts(counts) for key, counts in self.ranked(groups)}

        return {
            "total": self._counts(self.total),
            **{name: plain(groups) for name, groups in self.groups.items()},
            "copyrighted": plain(self.copyrighted),
            "shares": {k: None if v is None else round(v, 6) for k, v in self.shares().items()},
            "shares_of": self.unit,
            "histogram": [
                {"words_from": low, "documents": count}
                for low, count in zip(BINS, self.histogram, strict=True)
            ],
        }

    def ranked(self, groups: dict[str, Counts]) -> list[tuple[str, Counts]]:
        """Return groups with the largest first; "not stated" comes last."""
        return sorted(
            groups.items(),
            key=lambda item: (item[0] == NOT_STATED, -self.amount(item[1]), item[0]),
        )

    def _counts(self, counts: Counts) -> dict[str, Any]:
        data: dict[str, Any] = asdict(counts)
        if self.unit != "tokens":
            del data["tokens"]
        if not self.has_sentences:
            del data["sentences"]
        data["mean_words"] = round(counts.mean_words, 2)
        return data


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def collect_statistics(options: StatsOptions, console: Console) -> CorpusStatistics:
    """Read the records and count.

    Raises:
        NorcliError: A bad record or input, or no tokenizer where one was named.
    """
    tokenizer = None
    if options.tokenizer is not None:
        from norcli.tokens.huggingface import load_tokenizer

        tokenizer = load_tokenizer(options.tokenizer)
    statistics = CorpusStatistics(
        unit="tokens" if tokenizer is not None else "words", has_sentences=options.sentences
    )
    with console.progress("count", unit="documents") as progress:
        for batch in _batches(read_documents(options, console)):
            tokens = [0] * len(batch)
            if tokenizer is not None:
                tokens = [len(ids) for ids in tokenizer.encode_batch([d.text for d in batch])]
            sentences = [0] * len(batch)
            if options.sentences:
                from norcli.corpus.sentences import sentence_spans

                sentences = [len(sentence_spans(document.text)) for document in batch]
            for document, n_sentences, n_tokens in zip(batch, sentences, tokens, strict=True):
                size = len(document.text.encode("utf-8", "replace"))
                statistics.add(document, size, n_sentences, n_tokens)
            progress.advance(len(batch))
    return statistics


def _batches(documents: Iterator[Document]) -> Iterator[Sequence[Document]]:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
