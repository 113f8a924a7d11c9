"""Documents and records in and out: JSONL (gz, zst), Parquet and text, files and pipes.

The one door that record-wise commands read and write through: format by suffix, line numbers in
errors, the policy for bad records, contiguous shards. Unknown fields pass through unchanged.
WARC and HTML are pages, not records; they enter through `norcli.corpus`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import orjson

from norcli.console import Console
from norcli.errors import DataError, InputMissingError, UsageError
from norcli.formats.bad_records import BadRecords as BadRecords
from norcli.formats.bad_records import RecordPolicy
from norcli.formats.compression import compressed
from norcli.formats.lines import LineBlock, Part, part_blocks
from norcli.formats.parquet import ParquetSink, needs_a_file, read_parquet
from norcli.options import RecordInputOptions, RecordOutputOptions, parse_shard
from norcli.streams import (
    STDIN_NAME,
    atomic_file,
    is_pipe,
    open_input,
    refuse_terminal,
    stdout_is_terminal,
)


class Place(NamedTuple):
    """Where a record was read: the file and its 1-based line or row."""

    path: str
    line: int


@dataclass(slots=True)
class Document:
    """One record with a text: its fields as read, the text, and where it was read."""

    fields: dict[str, Any]
    text: str
    place: Place

    @property
    def id(self) -> str:
        """The record's ``id``; made from the text where the input had none."""
        return str(self.fields["id"])


def text_id(text: str) -> str:
    """Return the id of a document that came without one: 32 hex digits of SHA-256."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def input_paths(options: RecordInputOptions) -> list[str]:
    """Return the input files in order: arguments, then --files-from; ``-`` when there are none.

    Raises:
        InputMissingError: A file does not exist; checked before anything is read.
        DataError: One is a directory.
    """
    paths = list(options.inputs)
    places: dict[str, str] = {}
    if options.files_from:
        listing = _read_listing(options.files_from)
        # Names of files are bytes; they need not be UTF-8.
        names = [os.fsdecode(line.strip()) for line in listing.split(b"\n")]
        paths += [name for name in names if name]
        listed = STDIN_NAME if options.files_from == "-" else options.files_from
        for number, name in enumerate(names, 1):
            places.setdefault(name, f"named in {listed}:{number}")
    for path in paths:
        if path == "-":
            continue
        if os.path.isdir(path):
            raise DataError("is a directory, not a file", path=path, hint="name the files in it")
        if not os.path.exists(path):
            raise InputMissingError("no such file", path=path, hint=places.get(path))
    # An empty list of names is an empty input, not a reason to wait for standard input.
    return paths if paths or options.files_from else ["-"]


_piped_listings: dict[tuple[int, int], bytes] = {}


def _read_listing(path: str) -> bytes:
    """Read a list of names; one that comes from a pipe is remembered, for it is asked for again."""
    if not is_pipe(path):
        with open_input(path) as listing:
            return listing.read()
    if path == "-":
        key = (-1, id(sys.stdin))
    else:
        status = os.stat(path)
        key = (status.st_dev, status.st_ino)
    if key not in _piped_listings:
        with open_input(path) as listing:
            _piped_listings[key] = listing.read()
    return _piped_listings[key]


def input_bytes(paths: list[str]) -> int | None:
    """Return the size of all inputs on disk, None when one is a pipe."""
    if any(path == "-" or not os.path.isfile(path) for path in paths):
        return None
    return sum(os.path.getsize(path) for path in paths)


def shard_parts(paths: list[str], shard: str | None, cut_lines: bool = True) -> list[Part]:
    """Split the inputs into contiguous parts and return those of one shard.

    Plain line files are cut at line ends nearest to equal byte shares; compressed files, Parquet
    and pages belong whole to the shard in which they begin. The outputs of all shards, one after
    another, equal the unsharded output.

    Args:
        paths: The input files in order.
        shard: ``I/N`` or None for everything.
        cut_lines: False keeps files of lines whole, too.

    Raises:
        UsageError: A pipe cannot be sharded.
    """
    index, count = parse_shard(shard)
    if count == 1:
        return [Part(path, 0, None) for path in paths]
    if any(map(is_pipe, paths)):
        raise UsageError("--shard needs files, not standard input or another pipe")
    sizes = [os.path.getsize(path) for path in paths]
    total = sum(sizes)
    low, high = index * total // count, (index + 1) * total // count
    parts, begin = [], 0
    for path, size in zip(paths, sizes, strict=True):
        if cut_lines and path.endswith((".jsonl", ".ndjson", ".txt")):
            start, stop = max(low - begin, 0), min(high - begin, size)
            if start < stop:
                parts.append(Part(path, start, stop if stop < size else None))
        elif low <= begin < high or (begin == total and index == count - 1):
            # Empty files at the end begin where nothing is left.
            parts.append(Part(path, 0, None))
        begin += size
    return parts


def format_of(path: str, input_format: str) -> str:
    """Return the format of a file of records: as given, or what its suffix tells for auto."""
    if input_format != "auto":
        return input_format
    name = path.removesuffix(".gz").removesuffix(".zst")
    if name.endswith(".parquet"):
        return "parquet"
    return "text" if name.endswith(".txt") else "jsonl"


def parse_json_line(line: bytes, place: Place) -> dict[str, Any]:
    """Parse one line as a JSON object.

    Raises:
        DataError: Not UTF-8, not JSON, or not an object; with file and line.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise DataError(
                f"not UTF-8: byte 0x{line[wrong.start]:02x} at column {wrong.start + 1}",
                path=place.path, line=place.line,
                hint="convert it first: iconv -f LATIN1 -t UTF-8",
            ) from error  # fmt: skip
        reason = f"{error.msg} at column {error.colno}"
        if b"\0" in line:
            reason = "it holds NUL bytes, as files do that were not written to their end"
        raise DataError(
            f"not valid JSON: {reason}", path=place.path, line=place.line
        ) from error  # fmt: skip
    if not isinstance(record, dict):
        raise DataError("a record must be a JSON object", path=place.path, line=place.line)
    return record


def read_records(
    options: RecordInputOptions, console: Console, bad: BadRecords | None = None
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the records of the inputs in order, each with its place.

    Text files give one record per line, with only the text field. Empty lines are passed over.

    Raises:
        DataError: A damaged file, or a bad record under --on-bad-record stop.
        InputMissingError: An input is not there.
    """
    policy = bad if bad is not None else BadRecords(options, console)
    taken = 0
    for part in shard_parts(input_paths(options), options.shard):
        for place, record in read_part(part, options, policy):
            yield place, record
            taken += 1
            if options.limit is not None and taken >= options.limit:
                return
    if bad is None:
        policy.report()


def read_part(
    part: Part, options: RecordInputOptions, bad: BadRecords, stream: BinaryIO | None = None
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the records of one part of an input, each with its place.

    Args:
        part: What to read.
        options: Format and text field.
        bad: The policy for bad records.
        stream: The part's bytes where the caller has opened it already (to look at its magic).

    Raises:
        DataError: As `read_records`.
    """
    form = format_of(part.path, options.input_format)
    if form == "parquet":
        if part.is_pipe:
            raise needs_a_file(part.name)
        with open_input(part.path) as stream:
            for row, record in read_parquet(stream, part.name):
                yield Place(part.name, row), record
        return
    for block in part_blocks(part, stream):
        yield from parse_lines(block, part.name, options.text_key if form == "text" else None, bad)


def parse_lines(
    block: LineBlock, name: str, text_key: str | None, bad: RecordPolicy
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the records in a block of lines, each with its place; empty lines are passed over.

    Args:
        block: Whole lines, or a line that was too long.
        name: The file's name.
        text_key: For lines of text the field they become; None for lines of JSON.
        bad: Told of lines that hold no record.
    """
    if block.fault is not None:
        bad.handle(block.fault)
        return
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        if not line or line.isspace():
            continue
        place = Place(name, number)
        try:
            if text_key is not None:
                yield place, {text_key: _decode(line, place)}
            else:
                yield place, parse_json_line(line, place)
        except DataError as error:
            bad.handle(error)


def _decode(line: bytes, place: Place) -> str:
    try:
        return line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}",
            path=place.path, line=place.line, hint="convert it first: iconv -f LATIN1 -t UTF-8",
        ) from error  # fmt: skip


def record_text(record: dict[str, Any], key: str, place: Place) -> str:
    """Return the text of a record.

    Raises:
        DataError: The field is missing or not a string; the hint names the fields there are.
    """
    text = record.get(key)
    if isinstance(text, str):
        return text
    if key in record:
        raise DataError(f'field "{key}" is not text', path=place.path, line=place.line)
    found = ", ".join(str(name) for name in list(record)[:8])
    raise DataError(
        f'record has no "{key}" field', path=place.path, line=place.line,
        hint=f"name the field with --text-key (found: {found})",
    )  # fmt: skip


def read_documents(
    options: RecordInputOptions, console: Console, bad: BadRecords | None = None
) -> Iterator[Document]:
    """Yield the documents of the inputs: records with a text, given an id where they have none.

    Raises:
        DataError: As `read_records`, and for a record without text.
    """
    policy = bad if bad is not None else BadRecords(options, console)
    for place, record in read_records(options, console, policy):
        try:
            text = record_text(record, options.text_key, place)
        except DataError as error:
            policy.handle(error)
            continue
        if record.get("id") is None:
            record = {"id": text_id(text), **{k: v for k, v in record.items() if k != "id"}}
        yield Document(record, text, place)
    if bad is None:
        policy.report()


def record_line(record: dict[str, Any], form: str, text_key: str = "text") -> bytes:
    """Return a record as the line that stands for it in a file.

    Args:
        record: With a text, if the form is text.
        form: ``jsonl``, or ``text`` for the text alone, its line breaks made spaces.
        text_key: Field of the text.
    """
    if form == "text":
        text = str(record[text_key]).replace("\r", "").replace("\n", " ")
        return text.encode("utf-8", "replace") + b"\n"
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


class RecordWriter:
    """Write records to a file (atomically) or to standard output, in the format of its suffix.

    Args:
        options: Where to and in which format.
        text_key: Field written by the text format.
        stream: Goes on with this one, which takes plain bytes, instead of opening the output.

    Attributes:
        records: Records written.
        bytes: Their bytes before compression; 0 for Parquet.
    """

    def __init__(
        self, options: RecordOutputOptions, text_key: str = "text", stream: BinaryIO | None = None
    ) -> None:
        self._options = options
        self._text_key = text_key
        self._stack = ExitStack()
        self._sink: ParquetSink | None = None
        self._stream = stream
        self._flushes = False
        self._format = format_of(options.output, options.output_format)
        self.records = 0
        self.bytes = 0

    def __enter__(self) -> RecordWriter:
        if self._stream is not None:
            return self
        path = self._options.output
        if path == "-" and self._format == "parquet":
            refuse_terminal("Parquet")
        raw = self._stack.enter_context(atomic_file(path, overwrite=self._options.overwrite))
        if self._format == "parquet":
            self._sink = ParquetSink(raw, path)
        else:
            self._stream = self._stack.enter_context(compressed(raw, path))
            self._flushes = path == "-" and stdout_is_terminal()
        return self

    def write(self, record: dict[str, Any]) -> None:
        """Write one record."""
        self.records += 1
        if self._sink is not None:
            self._sink.write(record)
            return
        self._put(record_line(record, self._format, self._text_key))

    def write_line(self, line: bytes) -> None:
        """Write a record given as a line of JSON, with or without its newline.

        JSONL takes the bytes as they stand; other formats, for which it is parsed, do not.
        """
        if self._sink is not None or self._format == "text":
            self.write(orjson.loads(line))
            return
        self.records += 1
        self._put(line if line.endswith(b"\n") else line + b"\n")

    @property
    def takes_lines(self) -> bool:
        """Whether lines of JSON are written as they are, so that `write_lines` may be called."""
        return self._sink is None and self._format != "text"

    def write_lines(self, lines: bytes | memoryview, count: int) -> None:
        """Write whole lines as they are: of JSON, or such as `record_line` makes.

        Args:
            lines: Each with its newline.
            count: How many records they are.
        """
        self.records += count
        self._put(lines)

    def _put(self, lines: bytes | memoryview) -> None:
        assert self._stream is not None, "write outside the with block"
        self.bytes += len(lines)
        self._stream.write(lines)
        if self._flushes:
            self._stream.flush()

    def flush(self) -> None:
        """Hand on what was written so far; a no-op for Parquet, which is written in groups."""
        if self._stream is not None:
            self._stream.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            if kind is None and self._sink is not None:
                self._sink.close()
        except BaseException as failure:
            # The stack must see it, or the half-written file would take its final name.
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        return self._stack.__exit__(kind, error, traceback)
