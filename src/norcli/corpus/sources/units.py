"""Units of input: small pieces that a worker turns into documents.

Made in order by `norcli.corpus.sources.reader`, whatever the number of jobs; each can be pickled.
Parsing JSON, adapting layouts and opening HTTP responses happen in `documents`, so in the worker.
What was wrong in the input is a unit, too, and is told in its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.layouts import Layout
from norcli.corpus.sources.pages import (
    read_html_file,
    read_subtitle_file,
    read_text_file,
    warc_document,
)
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.transcripts import TRANSCRIPTS
from norcli.errors import DataError
from norcli.formats.bad_records import RecordPolicy
from norcli.formats.documents import Place, parse_lines, record_text
from norcli.formats.lines import LineBlock
from norcli.formats.parquet import rows_of_batch
from norcli.formats.warc import WarcRecord
from norcli.streams import open_input

_READERS = {
    "html": read_html_file, "subtitles": read_subtitle_file, "document": read_text_file,
}  # fmt: skip


class Unit(Protocol):
    """A piece of input."""

    @property
    def size(self) -> int:
        """About how many bytes of uncompressed input it stands for."""

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Yield its documents in order.

        Args:
            options: The text field and the like, as given to `read_units`.
            bad: Told of what cannot be used: `BadRecords`, or in a worker a `FaultList`.
        """


def _documents(
    records: Iterable[tuple[Place, dict[str, Any]]],
    layout: Layout | None,
    options: CrawlFilterOptions,
    bad: RecordPolicy,
) -> Iterator[RawDocument]:
    """Make documents of records, by their layout or as they stand."""
    if layout is not None:
        yield from _adapted(records, layout, options, bad)
        return
    key = options.text_key
    for place, record in records:
        try:
            text = record_text(record, key, place)
        except DataError as error:
            bad.handle(error)
            continue
        del record[key]
        yield RawDocument(place, record, text)


def _adapted(
    records: Iterable[tuple[Place, dict[str, Any]]],
    layout: Layout,
    options: CrawlFilterOptions,
    bad: RecordPolicy,
) -> Iterator[RawDocument]:
    supposed = _supposed(layout, options)
    for place, record in records:
        try:
            for text, found, fault in layout.adapt(record):
                fields = supposed | found
                if fault is None:
                    yield RawDocument(place, fields, text)
                else:
                    yield RawDocument(place, fields, fault=fault, fault_value=layout.name)
        except ValueError as error:
            bad.handle(DataError(
                f"layout {layout.name}: {error}", path=place.path, line=place.line,
                hint="name another with --layout; records takes them as they stand",
            ))  # fmt: skip


def _supposed(layout: Layout, options: CrawlFilterOptions) -> dict[str, Any]:
    """Return the provenance a layout stands for; a flag is the user's word and comes before it."""
    return {
        name: value
        for name, value in layout.provenance.items()
        if getattr(options, name, None) is None
    }


@dataclass(frozen=True, slots=True)
class LinesUnit:
    """A block of lines of JSON or text."""

    name: str
    block: LineBlock
    is_text: bool = False
    layout: Layout | None = None

    @property
    def size(self) -> int:
        """Bytes of the lines."""
        return len(self.block.data)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Parse the lines."""
        text_key = options.text_key if self.is_text else None
        records = parse_lines(self.block, self.name, text_key, bad)
        yield from _documents(records, self.layout, options, bad)


@dataclass(frozen=True, slots=True)
class RecordsUnit:
    """Records that had to be put together where they were read: segments of one programme."""

    records: list[tuple[Place, dict[str, Any]]]
    layout: Layout | None
    size: int

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Adapt them."""
        yield from _documents(self.records, self.layout, options, bad)


@dataclass(frozen=True, slots=True)
class RowsUnit:
    """Some rows of a Parquet file, as an Arrow stream."""

    name: str
    first_row: int
    data: bytes
    layout: Layout | None

    @property
    def size(self) -> int:
        """Bytes of the rows."""
        return len(self.data)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Make records of the rows."""
        yield from _documents(self._records(bad), self.layout, options, bad)

    def _records(self, bad: RecordPolicy) -> Iterator[tuple[Place, dict[str, Any]]]:
        for row, record in enumerate(rows_of_batch(self.data), self.first_row):
            if record is None:
                bad.handle(DataError("a text in it is not UTF-8", path=self.name, line=row))
            else:
                yield Place(self.name, row), record


@dataclass(frozen=True, slots=True)
class WarcUnit:
    """Some records of a WARC file."""

    name: str
    records: list[WarcRecord]

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(len(record.content or b"") for record in self.records)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Take the page out of each response."""
        for record in self.records:
            try:
                yield warc_document(record, Place(self.name, record.number))
            except ValueError as error:
                message = f"WARC record at byte {record.offset}: {error}"
                bad.handle(DataError(message, path=self.name, line=record.number))


def read_file(
    form: str, stream: BinaryIO, name: str, options: CrawlFilterOptions, bad: RecordPolicy
) -> Iterator[RawDocument]:
    """Read a file that is one document; tell what is wrong with it, if that is so."""
    try:
        document = _READERS[form](stream, name)
    except ValueError as error:
        bad.handle(DataError(str(error), path=name))
    except DataError as error:
        bad.handle_damage(error)
    else:
        if form == "subtitles":
            document.fields = _supposed(TRANSCRIPTS, options) | document.fields
        yield document


@dataclass(frozen=True, slots=True)
class FilesUnit:
    """Some files of one document each, opened only in the worker."""

    form: str
    paths: list[str]
    size: int

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Read the files."""
        for path in self.paths:
            with open_input(path) as stream:
                yield from read_file(self.form, stream, path, options, bad)


@dataclass(frozen=True, slots=True)
class MadeUnit:
    """Documents that are there already."""

    made: list[RawDocument]

    @property
    def size(self) -> int:
        """Bytes of the documents."""
        return sum(document.size for document in self.made)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Yield them."""
        yield from self.made


@dataclass(frozen=True, slots=True)
class FaultUnit:
    """Something in the input that could not be read, in its place."""

    error: DataError
    is_damage: bool
    size: int = 0

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Tell it."""
        if self.is_damage:
            bad.handle_damage(self.error)
        else:
            bad.handle(self.error)
        yield from ()
