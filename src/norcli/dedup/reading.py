"""The records of dedup's inputs: read once to sign, once more to write.

JSONL goes through in blocks of whole lines, unparsed, so that what survives is byte for byte what
came in. Parquet and text give parsed records. Standard input is spooled to $TMPDIR for the second
pass, within a bound. Formats, compression and messages are those of `norcli.formats`.
"""

from __future__ import annotations

import io
import os
import select
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import orjson

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.scanning import line_ranges
from norcli.errors import DataError, IOFailureError
from norcli.formats.compression import PARQUET_MAGIC, decompressed, iterate_lines, peek_magic
from norcli.formats.documents import (
    BadRecords,
    Place,
    format_of,
    input_paths,
    parse_json_line,
    read_part,
    record_text,
    shard_parts,
)
from norcli.formats.lines import LineBlock, Part, line_blocks, part_blocks
from norcli.formats.parquet import needs_a_file
from norcli.streams import open_input

MEMORY_SPOOL_BYTES = 1 << 26
"""Standard input up to 64 MiB stays in memory."""

Item = bytes | dict[str, Any]


class Reading(NamedTuple):
    """One document of the first pass."""

    place: Place
    item: Item
    record: dict[str, Any]
    text: str


BATCH_BYTES = 1 << 20
BATCH_RECORDS = 1024
"""Parsed records go through in batches of so much text, or so many."""


class Lines(NamedTuple):
    """A block of lines of JSON, as read."""

    name: str
    block: LineBlock

    def place(self, number: int) -> Place:
        """Return where a line of the block stands, by its number in it from 0."""
        return Place(self.name, self.block.first_line + number)


class Records(NamedTuple):
    """Some parsed records, and those between them that cannot be used.

    Attributes:
        readings: The documents.
        bad: How many documents come before, and what is wrong.
    """

    readings: list[Reading]
    bad: list[tuple[int, DataError]]


class DocumentLines(NamedTuple):
    """The lines of a block that hold documents, in the second pass.

    Attributes:
        lines: The block.
        begins: int64, where each line begins.
        ends: int64, where its newline is, or the end of the block.
        numbers: int64, its number in the block.
    """

    lines: Lines
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.begins)

    def line(self, row: int) -> bytes:
        """Return a line without its newline."""
        return self.lines.block.data[self.begins[row] : self.ends[row]]

    def place(self, row: int) -> Place:
        """Return where a line stands."""
        return self.lines.place(int(self.numbers[row]))


Again = DocumentLines | list[tuple[Place, Item]]


class _WaitingInput(io.RawIOBase):
    """Standard input that calls back before it would wait for more data."""

    def __init__(self, raw: Any, before_wait: Callable[[], None]) -> None:
        self._raw = raw
        self._before_wait = before_wait

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            ready, _, _ = select.select([self._raw], [], [], 0)
        except (OSError, ValueError):  # no descriptor to ask: it is not a pipe and never waits
            ready = [self._raw]
        if not ready:
            self._before_wait()
        count: int = self._raw.readinto(buffer)
        return count


@dataclass
class RecordSource:
    """The inputs of a run, which can be read twice.

    Args:
        options: What to read.
        console: Told of bad records and of spooling.
        twice: Whether a second pass will come, so that a pipe has to be kept.
        before_wait: Called when a pipe has nothing to read for now.
    """

    options: DedupOptions
    console: Console
    twice: bool = True
    before_wait: Callable[[], None] | None = None
    paths: list[str] = field(init=False)
    bytes_read: int = field(default=0, init=False)
    bad_count: int = field(default=0, init=False)
    _parts: list[Part] = field(init=False)
    _bad: BadRecords = field(init=False)
    _taken: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)
    _sizes: deque[int] = field(default_factory=deque, init=False)  # of units not settled yet
    _skipped: list[int] = field(default_factory=list, init=False)
    _spools: dict[int, BinaryIO] = field(default_factory=dict, init=False)
    _stamps: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.paths = input_paths(self.options)
        self._parts = shard_parts(self.paths, self.options.shard)
        self._bad = BadRecords(self.options, self.console)

    def close(self) -> None:
        """Remove the spool."""
        for spool in self._spools.values():
            spool.close()

    def documents(self) -> Iterator[Reading]:
        """Yield the documents, one by one: the first pass.

        Raises:
            DataError: A bad record under --on-bad-record stop, or a damaged file.
            IOFailureError: Standard input exceeds the spool's bound.
        """
        for unit in self.units():
            self.bytes_read += self._sizes.popleft()
            for item in self._items(unit):
                if isinstance(item, DataError):
                    self._skip(item)
                    continue
                self._seen += 1
                self._taken += 1
                yield item
                if self.is_full:
                    break
            if self.is_full:
                break
        self.finish()

    def units(self) -> Iterator[Lines | Records]:
        """Yield the inputs in big pieces: the first pass, for several threads.

        What becomes of each has to be told, in order, by `settle`, and the end by `finish`.

        Raises:
            DataError: A damaged file.
            IOFailureError: Standard input exceeds the spool's bound.
        """
        for index, part in enumerate(self._parts):
            if os.path.isfile(part.path):
                self._stamps[part.path] = _stamp(part.path)
            if format_of(part.path, self.options.input_format) != "jsonl":
                for records in self._records(index, part):
                    self._sizes.append(0)
                    yield records
                continue
            for lines in self._lines(index, part):
                self._sizes.append(len(lines.block.data))
                yield lines

    def settle(self, documents: int, bad: list[tuple[int, DataError]]) -> int:
        """Take note of a unit; return how many of its documents are still wanted (--limit).

        Raises:
            DataError: A bad record under --on-bad-record stop.
        """
        self.bytes_read += self._sizes.popleft()
        limit = self.options.limit
        wanted = documents if limit is None else min(documents, limit - self._taken)
        done = 0
        for before, error in bad:
            if before >= wanted and self._taken + wanted == limit:
                break
            self._seen += before - done
            done = before
            self._skip(error)
        self._seen += wanted - done
        self._taken += wanted
        return wanted

    def finish(self) -> None:
        """Say how many bad records there were."""
        self.bad_count = self._bad.count
        self._bad.report()

    @property
    def skipped(self) -> list[int]:
        """The bad records so far, as places among all records."""
        return self._skipped

    def take_up(self, documents: int, skipped: list[int]) -> None:
        """Go on from the first pass that another process made of the same inputs.

        Args:
            documents: How many it took.
            skipped: Its `skipped`.
        """
        self._taken, self._skipped = documents, list(skipped)

    def again(self) -> Iterator[tuple[Place, Item]]:
        """Yield the same documents once more, one by one: the second pass.

        Raises:
            DataError: An input has changed since it was read.
        """
        for unit in self.again_units():
            if isinstance(unit, DocumentLines):
                for row in range(len(unit)):
                    yield unit.place(row), unit.line(row)
            else:
                yield from unit

    def again_units(self) -> Iterator[Again]:
        """Yield the same documents once more, in big pieces: the second pass.

        Raises:
            DataError: An input has changed since it was read.
        """
        for path, stamp in self._stamps.items():
            if _stamp(path) != stamp:
                raise DataError("was changed while it was being read", path=path)
        skipped, given, seen = np.array(self._skipped, np.int64), 0, 0
        for unit in self._all_again():
            count = len(unit)
            rows = np.arange(count)
            if len(skipped):
                rows = rows[~np.isin(rows + seen, skipped)]
            seen += count
            rows = rows[: self._taken - given]
            given += len(rows)
            if isinstance(unit, DocumentLines):
                yield DocumentLines(unit.lines, *(array[rows] for array in unit[1:]))
            else:
                yield [unit[row] for row in rows]
            if given == self._taken:
                return
        if given != self._taken:
            raise DataError(f"{self._taken} records were read at first, {given} the second time")

    @property
    def is_full(self) -> bool:
        """Whether --limit is reached."""
        return self.options.limit is not None and self._taken >= self.options.limit

    def _skip(self, error: DataError) -> None:
        self._bad.handle(error)
        self._skipped.append(self._seen)
        self._seen += 1

    def _items(self, unit: Lines | Records) -> Iterator[Reading | DataError]:
        """Yield the documents of a unit, and errors in the place of bad ones."""
        if isinstance(unit, Lines):
            if unit.block.fault is not None:
                yield unit.block.fault
                return
            for number, line in enumerate(unit.block.data.split(b"\n")):
                if line and not line.isspace():
                    yield self._reading(unit.place(number), line)
            return
        bad = list(unit.bad)
        for row, reading in enumerate(unit.readings):
            while bad and bad[0][0] == row:
                yield bad.pop(0)[1]
            yield reading
        yield from (error for _, error in bad)

    def _reading(self, place: Place, item: Item) -> Reading | DataError:
        try:
            record = parse_json_line(item, place) if isinstance(item, bytes) else item
            return Reading(place, item, record, record_text(record, self.options.text_key, place))
        except DataError as error:
            return error

    def _parsed(self, part: Part, first: bool) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield the records of a Parquet or text file."""
        one = DedupOptions(
            inputs=[part.path], input_format=self.options.input_format,
            text_key=self.options.text_key, on_bad_record=self.options.on_bad_record,
        )  # fmt: skip
        bad = self._bad if first else BadRecords(one, Console.silent())
        return read_part(part, one, bad)

    def _records(self, index: int, part: Part) -> Iterator[Records]:
        """Yield the records of a Parquet or text file; text on a pipe is spooled as JSONL."""
        batch, size = Records([], []), 0
        for place, record in self._parsed(part, first=True):
            if part.is_pipe and self.twice:
                self._spool(index, orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            reading = self._reading(place, record)
            if isinstance(reading, DataError):
                batch.bad.append((len(batch.readings), reading))
                continue
            batch.readings.append(reading)
            size += len(reading.text)
            if size >= BATCH_BYTES or len(batch.readings) >= BATCH_RECORDS or self._waits:
                yield batch
                batch, size = Records([], []), 0
        yield batch

    @property
    def _waits(self) -> bool:
        """Whether records are wanted one by one, as they come."""
        return self.before_wait is not None

    def _lines(self, index: int, part: Part) -> Iterator[Lines]:
        """Yield the blocks of a file of JSON lines; those of a pipe are spooled."""
        if part.is_pipe and self._waits:
            yield from self._waiting_lines(part)
            return
        for block in part_blocks(part):
            if part.is_pipe and self.twice:
                # A line that was too long leaves one that counts as bad, too.
                self._spool(index, block.data if block.fault is None else b"null\n")
            yield Lines(part.name, block)

    def _waiting_lines(self, part: Part) -> Iterator[Lines]:
        """Yield the lines of a pipe one by one, and call back before waiting for more."""
        assert self.before_wait is not None
        raw = open_input(part.path)
        unbuffered = getattr(raw, "raw", raw)
        with cast(BinaryIO, _WaitingInput(unbuffered, self.before_wait)) as waiting:
            head, stream = peek_magic(waiting)
            if head == PARQUET_MAGIC:
                raise needs_a_file(part.name)
            for number, line in iterate_lines(decompressed(stream), part.name):
                yield Lines(part.name, LineBlock(number, line))

    def _all_again(self) -> Iterator[Again]:
        """Yield all records that were seen, the bad ones as well."""
        for index, part in enumerate(self._parts):
            if not part.is_pipe and format_of(part.path, self.options.input_format) != "jsonl":
                batch: list[tuple[Place, Item]] = []
                for place_and_record in self._parsed(part, first=False):
                    batch.append(place_and_record)
                    if len(batch) >= BATCH_RECORDS:
                        yield batch
                        batch = []
                yield batch
                continue
            for block in self._spooled(index) if part.is_pipe else part_blocks(part):
                lines = Lines(part.name, block)
                if block.fault is not None:
                    yield [(lines.place(0), b"null")]
                    continue
                yield DocumentLines(lines, *line_ranges(block.data))

    def _spooled(self, index: int) -> Iterator[LineBlock]:
        if index in self._spools:
            self._spools[index].seek(0)
            yield from line_blocks(self._spools[index], self._parts[index].name)

    def _spool(self, index: int, lines: bytes) -> None:
        name, most = self._parts[index].name, self.options.spool_gib
        if index not in self._spools:
            spool = tempfile.SpooledTemporaryFile(max_size=MEMORY_SPOOL_BYTES)  # noqa: SIM115
            self._spools[index] = cast(BinaryIO, spool)
            self.console.info(
                f"keeping {name} for the second pass: {MEMORY_SPOOL_BYTES >> 20} MiB in memory, "
                f"then up to {most} GiB in {tempfile.gettempdir()}"
            )
        spooled = self._spools[index]
        spooled.write(lines)
        if spooled.tell() > most << 30:
            raise IOFailureError(
                f"is larger than the spool's {most} GiB", path=name,
                hint="raise --spool-gib, name a file instead, or use --online",
            )  # fmt: skip


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
