"""What an input is: its format by suffix or first bytes, and its layout by its first record.

Decided once for each file from its beginning, whichever shard reads it and however many jobs.
"""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

import orjson

from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.detection import find_layout
from norcli.corpus.sources.layouts import Layout
from norcli.errors import DataError
from norcli.formats.compression import PARQUET_MAGIC, decompressed, given_back, peek_magic, reading
from norcli.formats.encodings import decode_wide
from norcli.formats.lines import Part
from norcli.formats.parquet import needs_a_file
from norcli.streams import BLOCK_BYTES, open_input

HEAD_BYTES = 1 << 20
_SUFFIXES = {
    ".warc": "warc", ".wet": "warc", ".html": "html", ".htm": "html", ".xhtml": "html",
    ".vtt": "subtitles", ".srt": "subtitles", ".parquet": "parquet", ".txt": "text",
    ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
WHOLE_FILES = frozenset({"html", "subtitles", "document"})
"""Formats of one document a file."""
_TOLD_BY_SUFFIX = WHOLE_FILES | {"warc", "parquet", "text"}


class Opened(NamedTuple):
    """A part of an input, and what it is.

    Attributes:
        part: What to read.
        form: ``jsonl``, ``json`` (values over several lines), ``text``, ``document``, ``html``,
            ``subtitles``, ``warc`` or ``parquet``.
        layout: How its records are written; None where they are taken as they stand.
        stream: Its decompressed bytes, for standard input and other pipes only.
        lacks: Fields of a layout named with --layout that its first record has not.
    """

    part: Part
    form: str
    layout: Layout | None = None
    stream: BinaryIO | None = None
    lacks: tuple[str, ...] = ()


def format_of_name(path: str) -> str | None:
    """Return the format a file's name tells, None where it does not."""
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    dot = name.rfind(".")
    return _SUFFIXES.get(name[dot:]) if dot >= 0 else None


def open_part(part: Part, options: CrawlFilterOptions) -> Opened:
    """Find out what a part of an input is.

    Raises:
        DataError: It is Parquet from a pipe.
        InputMissingError: It cannot be read.
    """
    form = options.input_format if options.input_format != "auto" else format_of_name(part.path)
    read_once = part.is_pipe
    if form in _TOLD_BY_SUFFIX and not read_once:
        return Opened(part, form)
    magic, raw = peek_magic(open_input(part.path))
    if magic == PARQUET_MAGIC or form == "parquet":
        if read_once:
            raise needs_a_file(part.name)
        raw.close()
        return Opened(part, "parquet")
    stream = decompressed(raw)
    head = _read_head(stream, part.name)
    text = decode_wide(head)
    if form is None:
        form = _format_of_head(text)
    layout, lacks = None, tuple[str, ...]()
    if form in ("jsonl", "json"):
        record = _first_record(text, form)
        layout = layout_of(options, part.path, record)
        lacks = fields_lacking(layout, record)
    if read_once:
        return Opened(part, form, layout, given_back(head, stream), lacks)
    stream.close()
    return Opened(part, form, layout, lacks=lacks)


def layout_of(
    options: CrawlFilterOptions, path: str, record: dict[str, Any] | None
) -> Layout | None:
    """Return the layout of a file whose first record is known.

    A field named with --text-key says that records are to be taken as they stand.
    """
    wanted = options.layout
    if wanted == "auto" and options.text_key != "text":
        wanted = "records"
    return find_layout(wanted, path, record)


def fields_lacking(layout: Layout | None, record: dict[str, Any] | None) -> tuple[str, ...]:
    """Return which fields of its layout a first record has not; none where it was told by them."""
    return tuple(layout.lacks(record)) if layout is not None and record is not None else ()


def _read_head(stream: BinaryIO, name: str) -> bytes:
    """Read until a whole record is there, without waiting for more; damage is told later."""
    pieces = b""
    read = getattr(stream, "read1", stream.read)
    while len(pieces) < HEAD_BYTES:
        try:
            with reading(name):
                piece = read(BLOCK_BYTES)
        except DataError:
            break
        pieces += piece
        if not piece or (b"\n" in piece and _tells_enough(_first_line(decode_wide(pieces)))):
            break
    return pieces


def _tells_enough(line: bytes | None) -> bool:
    """Whether a first line says what follows; that of JSON over several lines does not."""
    if not line:
        return False
    return not line.startswith((b"{", b"[")) or _parsed(line) is not None


def _first_line(head: bytes) -> bytes | None:
    """Return the first line that is not empty, None where it is not there as a whole."""
    start = len(head) - len(head.lstrip(b" \t\r\n\xef\xbb\xbf"))
    end = head.find(b"\n", start)
    return head[start:end] if end >= 0 else None


def _format_of_head(head: bytes) -> str:
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"WARC/"):
        return "warc"
    if head.startswith(b"WEBVTT"):
        return "subtitles"
    if head.startswith(b"<"):
        return "html"
    return "json" if head.startswith(b"[") or _spans_lines(head) else "jsonl"


def _spans_lines(head: bytes) -> bool:
    """Whether an object begins that does not end with its line, nor is the next line another."""
    line = _first_line(head)
    if line is None or not head.startswith(b"{") or _parsed(line) is not None:
        return False
    return not head[len(line) + 1 :].lstrip().startswith(b"{")


def _first_record(head: bytes, form: str) -> dict[str, Any] | None:
    if form == "json":
        # Compiled; only files of this form pay for loading it.
        from norcli.formats.json_values import first_value

        return _parsed(first_value(head))
    lines = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return next((record for line in lines if (record := _parsed(line)) is not None), None)


def _parsed(value: bytes | None) -> dict[str, Any] | None:
    try:
        record = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None
