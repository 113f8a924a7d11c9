"""The inputs of `crawl-filter` as one stream of units, whatever mix of formats they are.

Whole WARC, HTML and compressed files belong to one shard; plain lines are cut. Units are alike for
any number of jobs; what is in them is read by `norcli.corpus.sources.units`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from typing import Any, BinaryIO

from norcli.ahead import read_ahead
from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.layouts import Layout
from norcli.corpus.sources.opening import (
    WHOLE_FILES,
    Opened,
    fields_lacking,
    layout_of,
    open_part,
)
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.transcripts import gather_segments
from norcli.corpus.sources.units import (
    FaultUnit,
    FilesUnit,
    LinesUnit,
    MadeUnit,
    RecordsUnit,
    RowsUnit,
    Unit,
    WarcUnit,
    read_file,
)
from norcli.errors import DataError, InputMissingError
from norcli.formats.bad_records import BadRecords, FaultList
from norcli.formats.documents import Place, input_paths, parse_lines, shard_parts
from norcli.formats.lines import LineBlock, part_blocks
from norcli.formats.parquet import read_batches, rows_of_batch
from norcli.formats.warc import WarcRecord, read_warc
from norcli.streams import open_input

__all__ = ["Unit", "read_sources", "read_units", "source_paths"]

UNIT_BYTES = 1 << 20
AHEAD = 4
"""Units that a thread reads before they are asked for."""
FIRST_PAGES, MOST_PAGES = 4, 64
"""A page takes milliseconds to open: few at first, so that the first comes out soon."""


def source_paths(options: CrawlFilterOptions) -> list[str]:
    """Return the input files; a folder is refused with the way to list its pages.

    Raises:
        InputMissingError: A file does not exist, or the removal list does not.
        DataError: One is a directory.
    """
    if options.remove is not None and not os.path.exists(options.remove):
        raise InputMissingError("no such file", path=options.remove)
    try:
        return input_paths(options)
    except DataError as error:
        if error.path is not None and "directory" in error.message:
            error.hint = f"find {error.path} -type f | norcli crawl-filter --files-from -"
        raise


def read_units(options: CrawlFilterOptions, console: Console, bad: BadRecords) -> Iterator[Unit]:
    """Yield the input in units, in order, up to --limit documents.

    With --limit the documents are made here and not in workers: it is for trials.

    Raises:
        InputMissingError: An input is not there.
        DataError: With --limit only, what `Unit.documents` tells `bad`.
    """
    units = _units(options, console)
    if options.limit is None:
        # Workers are fed while results are written; unpacking lets other threads run.
        yield from read_ahead(units, AHEAD) if (options.jobs or 1) > 1 else units
        return
    left = options.limit
    for unit in units:
        made = list(islice(unit.documents(options, bad), left))
        if made:
            yield MadeUnit(made)
        left -= len(made)
        if not left:
            return


def read_sources(
    options: CrawlFilterOptions, console: Console, bad: BadRecords
) -> Iterator[RawDocument]:
    """Yield the raw documents of all inputs in order, up to --limit.

    Raises:
        DataError: A damaged file, or a bad record under --on-bad-record stop.
        InputMissingError: An input is not there.
    """
    for unit in read_units(options, console, bad):
        yield from unit.documents(options, bad)


def _units(options: CrawlFilterOptions, console: Console) -> Iterator[Unit]:
    cut_lines = options.input_format in ("auto", "jsonl", "text")
    note = _LayoutNotes(options, console)
    files = _Files()
    for part in shard_parts(source_paths(options), options.shard, cut_lines):
        try:
            opened = open_part(part, options)
        except DataError as error:
            yield from files.take()
            yield FaultUnit(error, is_damage=True)
            continue
        if opened.form in WHOLE_FILES and opened.stream is None:
            yield from files.add(opened.form, part.path)
            continue
        yield from files.take()
        note.say(part.name, opened.layout, opened.lacks)
        try:
            yield from _units_of_part(opened, options, note)
        except DataError as error:
            yield FaultUnit(error, is_damage=True)
    yield from files.take()


class _LayoutNotes:
    """Says once for each layout that it was told by a record's fields, or does not fit them."""

    def __init__(self, options: CrawlFilterOptions, console: Console) -> None:
        self._console = console
        self._detects = options.layout == "auto"
        self._said: set[str] = set()

    def say(self, name: str, layout: Layout | None, lacks: tuple[str, ...] = ()) -> None:
        if layout is None or layout.name in self._said or not (self._detects or lacks):
            return
        self._said.add(layout.name)
        if lacks:
            fields = ", ".join(lacks).replace("|", " or ")
            self._console.warn(f"{name}: its first record lacks {fields} of layout {layout.name}")
            return
        self._console.say(f"{name}: read as layout {layout.name} (--layout records: as it is)")


class _Files:
    """Gathers files of one document each, until they are enough for a unit."""

    def __init__(self) -> None:
        self._form = ""
        self._paths: list[str] = []
        self._size = 0
        self._most = FIRST_PAGES

    def add(self, form: str, path: str) -> Iterator[Unit]:
        if form != self._form:
            yield from self.take()
            self._form = form
        self._paths.append(path)
        self._size += os.path.getsize(path)
        if len(self._paths) == self._most or self._size >= UNIT_BYTES:
            self._most = min(2 * self._most, MOST_PAGES)
            yield from self.take()

    def take(self) -> Iterator[Unit]:
        if self._paths:
            yield FilesUnit(self._form, self._paths, self._size)
            self._paths, self._size = [], 0


def _value_cutter() -> Callable[[BinaryIO, str, int], Iterator[LineBlock]]:
    # Compiled; only files of JSON over several lines pay for loading it.
    from norcli.formats.json_values import value_blocks

    return value_blocks


def _units_of_part(
    opened: Opened, options: CrawlFilterOptions, note: _LayoutNotes
) -> Iterator[Unit]:
    part, form, layout, stream, _ = opened
    most = options.max_record_mib << 20
    if form not in ("jsonl", "text") or (layout is not None and layout.group_by):
        # What cannot be cut at lines belongs to the shard in which the file begins.
        if part.start:
            return
        part = part._replace(stop=None)
    if form in ("jsonl", "text", "json"):
        blocks = part_blocks(part, stream, most, _value_cutter() if form == "json" else None)
        if layout is not None and layout.group_by:
            yield from _grouped_units(blocks, opened, layout.group_by)
            return
        for block in blocks:
            yield LinesUnit(part.name, block, form == "text", layout)
        return
    with stream if stream is not None else open_input(part.path) as source:
        if form == "warc":
            yield from _warc_units(source, part.name)
        elif form == "parquet":
            yield from _row_units(source, part.name, options, note)
        else:
            faults = FaultList()
            yield MadeUnit(list(read_file(form, source, part.name, options, faults)))
            yield from _fault_units(faults)


def _row_units(
    source: BinaryIO, name: str, options: CrawlFilterOptions, note: _LayoutNotes
) -> Iterator[Unit]:
    layout = None
    for first_row, data in read_batches(source, name, UNIT_BYTES):
        if first_row == 1:
            record = next(rows_of_batch(data))
            layout = layout_of(options, name, record)
            note.say(name, layout, fields_lacking(layout, record))
        yield RowsUnit(name, first_row, data, layout)


def _grouped_units(blocks: Iterator[LineBlock], opened: Opened, key: str) -> Iterator[Unit]:
    """Yield records that stand one after another with one value in a field as one record each."""
    faults = FaultList()

    def records() -> Iterator[tuple[Place, dict[str, Any]]]:
        for block in blocks:
            yield from parse_lines(block, opened.part.name, None, faults)

    for _, group in groupby(records(), lambda item: item[1].get(key)):
        members = list(group)
        yield from _fault_units(faults)
        place = members[0][0]
        gathered = gather_segments([record for _, record in members])
        yield RecordsUnit([(place, gathered)], opened.layout, 100 * len(members))
    yield from _fault_units(faults)


def _fault_units(faults: FaultList) -> Iterator[Unit]:
    """Yield what was found wrong so far, once."""
    for error, is_damage in faults.faults:
        yield FaultUnit(error, is_damage)
    faults.faults.clear()


def _warc_units(stream: BinaryIO, name: str) -> Iterator[Unit]:
    records: list[WarcRecord] = []
    size, most = 0, FIRST_PAGES
    try:
        for record in read_warc(stream, name):
            records.append(record)
            size += len(record.content or b"")
            if len(records) == most or size >= UNIT_BYTES:
                yield WarcUnit(name, records)
                records, size, most = [], 0, min(2 * most, MOST_PAGES)
    except DataError:
        # What came before the damage comes before it.
        if records:
            yield WarcUnit(name, records)
        raise
    if records:
        yield WarcUnit(name, records)
