"""Count a corpus in one pass: words by a kernel, tokens by the tokenizer, cell by cell.

The reading half of `norcli stats`. Each block of records becomes a few rows of counts, here or in
another process; sums do not depend on how many there are. What the sums are asked for is in
`norcli.corpus.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from norcli.console import Console
from norcli.corpus.packing import pack
from norcli.corpus.record_blocks import RecordBlock, read_blocks
from norcli.corpus.report_options import StatsOptions
from norcli.corpus.source_pairs import Mark, MarkedDuplicates, mark_of
from norcli.corpus.statistics import (
    BINS,
    COLUMNS,
    MEASURES,
    NOT_STATED,
    Cell,
    CorpusStatistics,
    Counted,
)
from norcli.corpus.word_count import count_words
from norcli.corpus.workers import map_in_order
from norcli.formats.bad_records import BadRecords, FaultList
from norcli.formats.documents import input_paths, shard_parts

# Raw values seen so far, each mapped to its cell; forgotten when there are too many.
_MOST_REMEMBERED = 1 << 17


@dataclass(slots=True)
class BlockCounts:
    """What one block of records amounts to.

    Attributes:
        cells: Its cells.
        counts: int64 (cells, COLUMNS).
        documents: Documents in it.
        faults: What could not be counted.
        marks: Documents that dedup marked as one of several.
    """

    cells: list[Cell]
    counts: Counted
    documents: int
    faults: FaultList
    marks: list[Mark] = field(default_factory=list)


def year_of(fields: dict[str, Any]) -> str:
    """Return the year of a record: the first four digits of ``date``, else ``publish_year``."""
    for name in ("date", "publish_year"):
        value = str(fields.get(name, ""))[:4]
        if len(value) == 4 and value.isascii() and value.isdigit():
            return value
    return NOT_STATED


def _stated(value: Any) -> str:
    if value is None or value == "":
        return NOT_STATED
    return value if isinstance(value, str) else str(value)


def _yes_or_no(value: Any) -> str:
    return {"True": "yes", "true": "yes", "yes": "yes", "1": "yes", "False": "no", "false": "no",
            "no": "no", "0": "no"}.get(str(value), NOT_STATED)  # fmt: skip


def cell_of(fields: dict[str, Any], corpus: str | None) -> Cell:
    """Return the cell a record is counted in.

    Args:
        fields: The record.
        corpus: Name for records that do not name theirs.
    """
    get = fields.get
    return Cell(
        _stated(get("corpus") or corpus), _stated(get("source")), _stated(get("source_group")),
        _stated(get("lang")), _stated(get("license")), _yes_or_no(get("copyrighted")),
        _stated(get("doc_type")), year_of(fields),
    )  # fmt: skip


class TextMeter:
    """Measures texts: UTF-8 bytes, words, and, where asked for, sentences and tokens.

    Args:
        tokenizer: Path of the tokenizer, None to count no tokens.
        sentences: Whether to count sentences.

    Raises:
        NorcliError: The tokenizer cannot be loaded.
    """

    def __init__(self, tokenizer: str | None, sentences: bool = False) -> None:
        self._sentences = sentences
        self._encoder: Any = None
        if tokenizer is not None:
            from norcli.tokens.encode import CorpusEncoder
            from norcli.tokens.huggingface import load_tokenizer

            # Any id frames a text here; it is taken off again below.
            self._encoder = CorpusEncoder(load_tokenizer(tokenizer), eos_id=0)

    def measure(self, texts: Sequence[str]) -> Counted:
        """Return one row of `MEASURES` per text, int64 (T, 5)."""
        rows = np.zeros((len(texts), len(MEASURES)), np.int64)
        buffer, offsets = pack(texts)
        rows[:, 0] = 1
        rows[:, 1] = count_words(buffer, offsets)
        rows[:, 2] = np.diff(offsets)
        if self._sentences:
            from norcli.corpus.sentences import count_sentences

            rows[:, 3] = count_sentences(texts)
        if self._encoder is not None:
            rows[:, 4] = self._encoder.encode(texts)[1] - 1
        return rows


class DocumentCounter:
    """Counts blocks of records; made once per process.

    Args:
        text_key: Field that holds the text.
        corpus: Name for records that do not name their corpus.
        tokenizer: As for `TextMeter`.
        sentences: As for `TextMeter`.
    """

    def __init__(
        self, text_key: str, corpus: str | None, tokenizer: str | None, sentences: bool
    ) -> None:
        self._text_key = text_key
        self._corpus = corpus
        self._meter = TextMeter(tokenizer, sentences)
        self._cells: dict[Any, Cell] = {}

    def __call__(self, block: RecordBlock, most: int | None = None) -> BlockCounts:
        """Count a block, or the first documents of it."""
        faults = FaultList()
        rows: dict[Cell, int] = {}
        where: list[int] = []
        texts: list[str] = []
        marks: list[Mark] = []
        for _, fields, text in block.documents(self._text_key, faults):
            if len(texts) == most:
                break
            cell = self._cell(fields)
            where.append(rows.setdefault(cell, len(rows)))
            texts.append(text)
            if "dedup_role" in fields and (mark := mark_of(fields, cell.source)) is not None:
                marks.append(mark)
        counts = np.zeros((len(rows), COLUMNS), np.int64)
        if texts:
            measured = self._meter.measure(texts)
            places = np.array(where, np.int64)
            np.add.at(counts[:, : len(MEASURES)], places, measured)
            bins = np.searchsorted(BINS, measured[:, 1], side="right") - 1
            np.add.at(counts, (places, len(MEASURES) + bins), 1)
        return BlockCounts(list(rows), counts, len(texts), faults, marks)

    def _cell(self, fields: dict[str, Any]) -> Cell:
        get = fields.get
        raw = (
            get("corpus"), get("source"), get("source_group"), get("lang"), get("license"),
            get("copyrighted"), get("doc_type"), get("date"), get("publish_year"),
        )  # fmt: skip
        try:
            return self._cells[raw]
        except KeyError:
            if len(self._cells) >= _MOST_REMEMBERED:
                self._cells.clear()
            cell = self._cells[raw] = cell_of(fields, self._corpus)
            return cell
        except TypeError:  # a list or an object where a word was expected
            return cell_of(fields, self._corpus)


def count_corpus(
    options: StatsOptions, console: Console
) -> tuple[CorpusStatistics, MarkedDuplicates]:
    """Read the records and count.

    Returns:
        The counts, and what dedup's marks say of duplicates between sources.

    Raises:
        NorcliError: A bad record or input, or no tokenizer where one was named.
    """
    parts = shard_parts(input_paths(options), options.shard)
    make = partial(
        DocumentCounter, options.text_key, options.corpus, options.tokenizer, options.sentences
    )
    bad = BadRecords(options, console)
    statistics = CorpusStatistics(options.tokenizer is not None, options.sentences)
    marked = MarkedDuplicates()
    blocks = read_blocks(parts, options)
    with console.progress("count", unit="documents") as progress:
        for counted in _count(make, blocks, options):
            bad.replay(counted.faults)
            statistics.add(counted.cells, counted.counts)
            marked.add(counted.marks)
            progress.advance(counted.documents)
    bad.report()
    if statistics.joined:
        console.warn(
            f'{statistics.joined} documents are counted under "other values": their fields have '
            "too many different values"
        )
    return statistics, marked


def _count(
    make: Callable[[], DocumentCounter], blocks: Iterator[RecordBlock], options: StatsOptions
) -> Iterator[BlockCounts]:
    """Yield the counts of each block, up to --limit."""
    if options.limit is None:
        yield from map_in_order(make, blocks, options.jobs or 1)
        return
    count, left = make(), options.limit
    for block in blocks:
        counted = count(block, left)
        left -= counted.documents
        yield counted
        if left <= 0:
            return
