"""The inputs of `crawl-filter` as one stream of units, whatever mix of formats they are.

A file's format goes by its suffix, and where that says nothing (a pipe, ``data.bin``) by its first
bytes. Whole WARC, HTML and compressed files belong to one shard; plain lines are cut. Units are
alike for any number of jobs; what is in them is read by `norcli.corpus.sources.units`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.pages import read_html_file
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.units import (
    FaultUnit,
    LinesUnit,
    MadeUnit,
    PagesUnit,
    RowsUnit,
    Unit,
    WarcUnit,
)
from norcli.errors import DataError
from norcli.formats.bad_records import BadRecords
from norcli.formats.compression import PARQUET_MAGIC, decompressed, peek_magic, reading
from norcli.formats.documents import input_paths, shard_parts
from norcli.formats.lines import Part, part_blocks
from norcli.formats.parquet import read_batches
from norcli.formats.warc import WarcRecord, read_warc
from norcli.streams import open_input

__all__ = ["Unit", "read_sources", "read_units", "source_paths"]

UNIT_BYTES = 1 << 20
FIRST_PAGES, MOST_PAGES = 4, 64
"""A page takes milliseconds to open: few at first, so that the first comes out soon."""

_SUFFIXES = {
    ".warc": "warc", ".wet": "warc", ".html": "html", ".htm": "html", ".xhtml": "html",
    ".parquet": "parquet", ".txt": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
_MAGIC_BYTES = 16


def source_paths(options: CrawlFilterOptions) -> list[str]:
    """Return the input files; a folder is refused with the way to list its pages.

    Raises:
        InputMissingError: A file does not exist.
        DataError: One is a directory.
    """
    try:
        return input_paths(options)
    except DataError as error:
        if error.path is not None and "directory" in error.message:
            error.hint = f"find {error.path} -type f | norcli crawl-filter --files-from -"
        raise


def format_of_name(path: str) -> str | None:
    """Return the format a file's name tells, None where it does not."""
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    dot = name.rfind(".")
    return _SUFFIXES.get(name[dot:]) if dot >= 0 else None


def read_units(options: CrawlFilterOptions, console: Console, bad: BadRecords) -> Iterator[Unit]:
    """Yield the input in units, in order, up to --limit documents.

    With --limit the documents are made here and not in workers: it is for trials.

    Raises:
        InputMissingError: An input is not there.
        DataError: With --limit only, what `Unit.documents` tells `bad`.
    """
    units = _units(options)
    if options.limit is None:
        yield from units
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


class _Opened(NamedTuple):
    """A part whose format is known, and its stream where finding out had to open it."""

    part: Part
    form: str
    stream: BinaryIO | None


def _units(options: CrawlFilterOptions) -> Iterator[Unit]:
    cut_lines = options.input_format in ("auto", "jsonl", "text")
    pages: list[str] = []
    size, most = 0, FIRST_PAGES
    for part in shard_parts(source_paths(options), options.shard, cut_lines):
        try:
            opened = _open_part(part, options.input_format)
        except DataError as error:
            yield FaultUnit(error, is_damage=True)
            continue
        if opened.form == "html" and part.path != "-":
            if opened.stream is not None:
                opened.stream.close()
            pages.append(part.path)
            size += os.path.getsize(part.path)
            if len(pages) == most or size >= UNIT_BYTES:
                yield PagesUnit(pages, size)
                pages, size, most = [], 0, min(2 * most, MOST_PAGES)
            continue
        if pages:
            yield PagesUnit(pages, size)
            pages, size = [], 0
        try:
            yield from _units_of_part(opened)
        except DataError as error:
            yield FaultUnit(error, is_damage=True)
    if pages:
        yield PagesUnit(pages, size)


def _open_part(part: Part, input_format: str) -> _Opened:
    form = input_format if input_format != "auto" else format_of_name(part.path)
    if form is not None and part.path != "-":
        return _Opened(part, form, None)
    magic, stream = peek_magic(open_input(part.path))
    if magic == PARQUET_MAGIC and part.path != "-":
        stream.close()
        return _Opened(part, "parquet", None)
    stream = decompressed(stream)
    with reading(part.name):
        head, stream = peek_magic(stream, _MAGIC_BYTES)
    return _Opened(part, form or _format_of_head(head), stream)


def _format_of_head(head: bytes) -> str:
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"WARC/"):
        return "warc"
    return "html" if head.startswith(b"<") else "jsonl"


def _units_of_part(opened: _Opened) -> Iterator[Unit]:
    part, form, stream = opened
    if form in ("jsonl", "text"):
        for block in part_blocks(part, stream):
            yield LinesUnit(part.name, block, is_text=form == "text")
        return
    if form == "parquet" and part.path == "-":
        raise DataError(
            "Parquet needs a seekable file", path=part.name, hint="save it first as FILE.parquet"
        )
    with stream if stream is not None else open_input(part.path) as source:
        if form == "warc":
            yield from _warc_units(source, part.name)
        elif form == "parquet":
            for first_row, data in read_batches(source, part.name, UNIT_BYTES):
                yield RowsUnit(part.name, first_row, data)
        else:
            yield MadeUnit([read_html_file(source, part.name)])


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
