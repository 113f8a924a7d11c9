"""Units of input: small pieces that a worker turns into documents.

Made in order by `norcli.corpus.sources.reader`, whatever the number of jobs; each can be pickled.
Parsing JSON, adapting layouts and opening HTTP responses happen in `documents`, so in the worker.
What was wrong in the input is a unit, too, and is told in its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.pages import read_html_file, warc_document
from norcli.corpus.sources.raw import RawDocument
from norcli.errors import DataError
from norcli.formats.bad_records import RecordPolicy
from norcli.formats.documents import Place, parse_lines, record_text
from norcli.formats.lines import LineBlock
from norcli.formats.parquet import rows_of_batch
from norcli.formats.warc import WarcRecord
from norcli.streams import open_input


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


def _document(
    place: Place, record: dict[str, Any], options: CrawlFilterOptions, bad: RecordPolicy
) -> Iterator[RawDocument]:
    try:
        text = record_text(record, options.text_key, place)
    except DataError as error:
        bad.handle(error)
        return
    del record[options.text_key]
    yield RawDocument(place, record, text)


@dataclass(frozen=True, slots=True)
class LinesUnit:
    """A block of lines of JSON or text."""

    name: str
    block: LineBlock
    is_text: bool

    @property
    def size(self) -> int:
        """Bytes of the lines."""
        return len(self.block.data)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Parse the lines."""
        text_key = options.text_key if self.is_text else None
        for place, record in parse_lines(self.block, self.name, text_key, bad):
            yield from _document(place, record, options, bad)


@dataclass(frozen=True, slots=True)
class RowsUnit:
    """Some rows of a Parquet file, as an Arrow stream."""

    name: str
    first_row: int
    data: bytes

    @property
    def size(self) -> int:
        """Bytes of the rows."""
        return len(self.data)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Make records of the rows."""
        for row, record in enumerate(rows_of_batch(self.data), self.first_row):
            yield from _document(Place(self.name, row), record, options, bad)


@dataclass(frozen=True, slots=True)
class WarcUnit:
    """Some records of a WARC file."""

    name: str
    records: list[WarcRecord]

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(record.size for record in self.records)

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Take the page out of each response."""
        for record in self.records:
            try:
                yield warc_document(record, Place(self.name, record.number))
            except ValueError as error:
                message = f"WARC record at byte {record.offset}: {error}"
                bad.handle(DataError(message, path=self.name, line=record.number))


@dataclass(frozen=True, slots=True)
class PagesUnit:
    """Some HTML files, opened only in the worker."""

    paths: list[str]
    size: int

    def documents(self, options: CrawlFilterOptions, bad: RecordPolicy) -> Iterator[RawDocument]:
        """Read the files."""
        for path in self.paths:
            try:
                with open_input(path) as stream:
                    yield read_html_file(stream, path)
            except DataError as error:
                bad.handle_damage(error)


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
