"""The records of dedup's inputs, as raw lines: read once to sign, once more to write.

Lines of JSONL are passed on as they stand, so that what survives is byte for byte what came in.
Parquet and text give parsed records. Standard input is spooled to $TMPDIR for the second pass,
within a bound. Formats, compression and messages are those of `norcli.formats`.
"""

from __future__ import annotations

import io
import os
import select
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, cast

import orjson

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.errors import DataError, IOFailureError
from norcli.formats.compression import PARQUET_MAGIC, decompressed, iterate_lines, peek_magic
from norcli.formats.documents import (
    BadRecords,
    Place,
    input_paths,
    parse_json_line,
    read_records,
    record_text,
)
from norcli.streams import STDIN_NAME, open_input

MEMORY_SPOOL_BYTES = 1 << 26
"""Standard input up to 64 MiB stays in memory."""

Item = bytes | dict[str, Any]


class Reading(NamedTuple):
    """One document of the first pass."""

    place: Place
    item: Item
    record: dict[str, Any]
    text: str


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
    _skipped: set[int] = field(default_factory=set, init=False)
    _bad: BadRecords = field(init=False)
    _taken: int = field(default=0, init=False)
    _spools: dict[int, BinaryIO] = field(default_factory=dict, init=False)
    _stamps: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.paths = input_paths(self.options)
        self._bad = BadRecords(self.options, self.console)

    def close(self) -> None:
        """Remove the spool."""
        for spool in self._spools.values():
            spool.close()

    def documents(self) -> Iterator[Reading]:
        """Yield the documents, in order: the first pass.

        Raises:
            DataError: A bad record under --on-bad-record stop, or a damaged file.
            IOFailureError: Standard input exceeds the spool's bound.
        """
        bad = self._bad
        for path in self.paths:
            if os.path.isfile(path):
                self._stamps[path] = _stamp(path)
        for ordinal, (place, item) in enumerate(self._items(first=True)):
            try:
                record = parse_json_line(item, place) if isinstance(item, bytes) else item
                text = record_text(record, self.options.text_key, place)
            except DataError as error:
                bad.handle(error)
                self._skipped.add(ordinal)
                continue
            yield Reading(place, item, record, text)
            self._taken += 1
            if self.options.limit is not None and self._taken >= self.options.limit:
                break
        self.bad_count = bad.count
        bad.report()

    def again(self) -> Iterator[tuple[Place, Item]]:
        """Yield the same documents once more, in the same order: the second pass.

        Raises:
            DataError: An input has changed since it was read.
        """
        given = 0
        for path, stamp in self._stamps.items():
            if _stamp(path) != stamp:
                raise DataError("was changed while it was being read", path=path)
        for ordinal, (place, item) in enumerate(self._items(first=False)):
            if given == self._taken:
                return
            if ordinal in self._skipped:
                continue
            given += 1
            yield place, item
        if given != self._taken:
            raise DataError(f"{self._taken} records were read at first, {given} the second time")

    def _items(self, first: bool) -> Iterator[tuple[Place, Item]]:
        for index, path in enumerate(self.paths):
            form = self._format(path)
            if form != "jsonl":
                yield from self._parsed(index, path, first)
                continue
            lines = self._lines(index, path, first)
            name = STDIN_NAME if path == "-" else path
            for number, line in lines:
                if line and not line.isspace():
                    self.bytes_read += len(line) + 1
                    yield Place(name, number), line

    def _format(self, path: str) -> str:
        if self.options.input_format != "auto":
            return self.options.input_format
        name = path.removesuffix(".gz").removesuffix(".zst")
        if name.endswith(".parquet"):
            return "parquet"
        return "text" if name.endswith(".txt") else "jsonl"

    def _parsed(self, index: int, path: str, first: bool) -> Iterator[tuple[Place, Item]]:
        """Yield the records of a Parquet or text file; text on a pipe is spooled as JSONL."""
        if path == "-" and not first:
            for number, line in self._spooled(index):
                yield Place(STDIN_NAME, number), line
            return
        one = DedupOptions(
            inputs=[path], input_format=self.options.input_format,
            text_key=self.options.text_key, on_bad_record=self.options.on_bad_record,
        )  # fmt: skip
        bad = self._bad if first else BadRecords(one, Console.silent())
        for place, record in read_records(one, self.console, bad):
            if path == "-" and self.twice:
                self._spool(index, orjson.dumps(record))
            yield place, record

    def _lines(self, index: int, path: str, first: bool) -> Iterator[tuple[int, bytes]]:
        name = STDIN_NAME if path == "-" else path
        if path == "-" and not first:
            yield from self._spooled(index)
            return
        raw = open_input(path)
        if path == "-" and self.before_wait is not None:
            unbuffered = getattr(raw, "raw", raw)
            raw = cast(BinaryIO, _WaitingInput(unbuffered, self.before_wait))
        with raw:
            head, stream = peek_magic(raw)
            if head == PARQUET_MAGIC:
                raise DataError(
                    "Parquet needs a seekable file", path=name, hint="save it first as FILE.parquet"
                )
            for number, line in iterate_lines(decompressed(stream), name):
                if path == "-" and self.twice:
                    self._spool(index, line)
                yield number, line

    def _spooled(self, index: int) -> Iterator[tuple[int, bytes]]:
        if index in self._spools:
            self._spools[index].seek(0)
            yield from iterate_lines(self._spools[index], STDIN_NAME)

    def _spool(self, index: int, line: bytes) -> None:
        if index not in self._spools:
            spool = tempfile.SpooledTemporaryFile(max_size=MEMORY_SPOOL_BYTES)  # noqa: SIM115
            self._spools[index] = cast(BinaryIO, spool)
            self.console.info(
                f"keeping standard input for the second pass: {MEMORY_SPOOL_BYTES >> 20} MiB in "
                f"memory, then up to {self.options.spool_gib} GiB in {tempfile.gettempdir()}"
            )
        spooled = self._spools[index]
        spooled.write(line)
        spooled.write(b"\n")
        if spooled.tell() > self.options.spool_gib << 30:
            raise IOFailureError(
                f"standard input is larger than the spool's {self.options.spool_gib} GiB",
                path=STDIN_NAME, hint="raise --spool-gib, name a file instead, or use --online",
            )  # fmt: skip


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
