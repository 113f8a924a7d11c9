"""Cut repeated lines, paragraphs or long spans out of documents, and drop what is left too short.

``--method lines``, ``paragraphs`` and ``substring``. Lines and paragraphs are decided in one pass
and handed on as they come; spans take three, for which standard input is spooled. The first copy
of a passage stays, in the order of the arguments. Documents without a repeated passage pass
through byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.console import Console
from norcli.dedup.collecting import batch_scopes
from norcli.dedup.cuts import Cuts
from norcli.dedup.gathering import Gatherer
from norcli.dedup.lines import LineFinder
from norcli.dedup.options import PASSAGES_OF, DedupOptions
from norcli.dedup.reading import Item, Reading, RecordSource
from norcli.dedup.resuming import CutResumption
from norcli.dedup.spans import SpanFinder
from norcli.dedup.statistics import DedupResult
from norcli.dedup.writing import parsed, side_file, write_item
from norcli.formats.documents import RecordWriter, format_of

Scopes = npt.NDArray[np.uint64] | None
Step = Callable[[list[bytes], Scopes], Any]
Cutter = Callable[[list[bytes], Scopes], list[Cuts | None]]


class _CutWriter:
    """Writes documents without their repeated passages, and tells what became of them.

    Args:
        options: Of the run.
        method: One of the methods that cut.
        result: Counted in.
        resumption: What was written before, if the run can go on after a kill.
    """

    def __init__(
        self, options: DedupOptions, method: str, result: DedupResult,
        resumption: CutResumption | None,
    ) -> None:  # fmt: skip
        self._options = options
        self._before = resumption
        self._method = method
        self._kind = PASSAGES_OF[method]
        self.result = result
        result.cut.setdefault(self._kind, 0)
        # Columns have to be in every row of a table.
        self._in_columns = format_of(options.output, options.output_format) == "parquet"
        self._stack = ExitStack()

    def __enter__(self) -> _CutWriter:
        options, before = self._options, self._before
        output, rejects = (before.open_part(name) if before else None
                           for name in ("output", "rejects"))  # fmt: skip
        self.out = self._stack.enter_context(RecordWriter(options, options.text_key, output))
        self.out.bytes = before.bytes_out if before else 0
        self._rejects = side_file(self._stack, options.rejects, options, rejects)
        return self

    def __exit__(self, *failure: Any) -> bool | None:
        return self._stack.__exit__(*failure)

    def write(self, item: Item, record: dict[str, Any], text: bytes, cuts: Cuts | None) -> None:
        """Write one document.

        Args:
            item: As it was read.
            record: The same, parsed.
            text: Its text, UTF-8.
            cuts: What to cut out of it.
        """
        options, result = self._options, self.result
        result.records_in += 1
        if cuts is None and not options.mark and not self._in_columns:
            given = record.get("id") is not None
            write_item(self.out, item if given else parsed(item, options.text_key))
            result.records_out += 1
            return
        record = parsed(item, options.text_key)
        passages, size = 0, 0
        if cuts is not None:
            passages = cuts.passages
            size = int((cuts.ranges[:, 1] - cuts.ranges[:, 0]).sum())
            result.cut[self._kind] += passages
            result.cut_bytes += size
            if cuts.words_left < options.min_words and not options.mark:
                self._drop(record, cuts.words_left)
                return
            result.cut_documents += 1
            if not options.mark:
                record = {**record, options.text_key: cuts.apply(text).decode("utf-8")}
        before = record.get("dedup_removed_bytes") or 0
        record |= {f"dedup_removed_{self._kind}": passages, "dedup_removed_bytes": before + size}
        self.out.write(record)
        result.records_out += 1

    def _drop(self, record: dict[str, Any], words_left: int) -> None:
        self.result.dropped_short += 1
        if self._rejects is not None:
            self._rejects.write(record | {
                "dropped_by": self._method, "dropped_value": words_left,
                "dropped_threshold": self._options.min_words,
            })  # fmt: skip


def run_cutting(
    options: DedupOptions, method: str, console: Console, cutter: Cutter | None = None
) -> DedupResult:
    """Cut repeated passages out of the inputs.

    Args:
        options: Of the run.
        method: ``lines``, ``paragraphs`` or ``substring``.
        console: Told of bad records and progress.
        cutter: Says what to cut of each text, where that was decided elsewhere.

    Raises:
        DataError: A bad record under --on-bad-record stop.
        CannotCreateError: An output exists already.
        IOFailureError: The disk is full, or standard input exceeds the spool.
    """
    if not options.resume:
        return _run(options, method, console, cutter, None)
    with CutResumption(options, console) as resumption:
        result = resumption.result
        if result is None:
            result = _run(options, method, console, cutter, resumption)
        resumption.finish(result)
        return result


def _run(
    options: DedupOptions, method: str, console: Console, cutter: Cutter | None,
    resumption: CutResumption | None,
) -> DedupResult:  # fmt: skip
    result = resumption.counted if resumption else DedupResult()
    source = RecordSource(options, console, twice=method == "substring")
    try:
        with _CutWriter(options, method, result, resumption) as writer:
            if method == "substring":
                _cut_spans(options, source, writer, result, console)
            else:
                find = cutter or _line_cutter(options, method, resumption)
                _cut_lines(options, find, source, writer, console, resumption)
            result.bytes_out = writer.out.bytes
    finally:
        source.close()
    result.bytes_in, result.bad_records = source.bytes_read, source.bad_count
    if result.records_in == 0:
        console.warn("the input holds no records; the output is empty")
    return result


def _line_cutter(options: DedupOptions, method: str, resumption: CutResumption | None) -> Cutter:
    """Return what decides about lines or paragraphs, knowing those that an earlier run saw."""
    finder = LineFinder(
        method == "paragraphs", options.min_chars, 0 if options.mark else options.min_words,
        resumption.see if resumption else None,
    )  # fmt: skip
    if resumption is not None:
        finder.know(resumption.seen())
    return finder.cut


def _cut_lines(
    options: DedupOptions, find: Cutter, source: RecordSource, writer: _CutWriter,
    console: Console, resumption: CutResumption | None,
) -> None:  # fmt: skip
    def decide(batch: list[Reading]) -> None:
        texts = encoded_texts(batch)
        found = find(texts, batch_scopes(batch, options.scope))
        for reading, text, cuts in zip(batch, texts, found, strict=True):
            writer.write(reading.item, reading.record, text, cuts)
        if resumption is not None:
            resumption.wrote_batch(writer.result, writer.out.bytes)

    gatherer = Gatherer(decide)

    def hand_on() -> None:
        gatherer.flush()
        writer.out.flush()

    source.before_wait = hand_on
    with console.progress(f"cutting {options.method[0]}", None, "documents") as progress:
        readings = source.documents()
        for reading in islice(readings, resumption.documents if resumption else 0, None):
            gatherer.add(reading)
            progress.advance()
        gatherer.flush()


def _cut_spans(
    options: DedupOptions, source: RecordSource, writer: _CutWriter, result: DedupResult,
    console: Console,
) -> None:  # fmt: skip
    with SpanFinder(options.span_words) as finder:

        def look(readings: Iterable[Reading], label: str, step: Step) -> None:
            gatherer = Gatherer(lambda batch: step(
                encoded_texts(batch), batch_scopes(batch, options.scope),
            ))  # fmt: skip
            with console.progress(label, None, "documents") as progress:
                for reading in readings:
                    gatherer.add(reading)
                    progress.advance()
                gatherer.flush()

        look(source.documents(), "looking for anchors", finder.note_anchors)
        finder.end_anchors()
        look(_once_more(source, options), "looking for spans", finder.note_spans)
        finder.end_spans()
        result.pairs_compared = finder.compared
        with console.progress("cutting spans", None, "documents") as progress:
            for reading in _once_more(source, options):
                text = _encoded(reading.text)
                writer.write(reading.item, reading.record, text, finder.cut(text))
                progress.advance()


def _once_more(source: RecordSource, options: DedupOptions) -> Iterable[Reading]:
    for place, item in source.again():
        record = parsed(item, options.text_key) if isinstance(item, bytes) else item
        yield Reading(place, item, record, str(record[options.text_key]))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def encoded_texts(batch: list[Reading]) -> list[bytes]:
    """Return the texts of documents as UTF-8."""
    return [_encoded(reading.text) for reading in batch]
