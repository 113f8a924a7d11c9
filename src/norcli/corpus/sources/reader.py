"""The inputs of `crawl-filter` as one stream of raw documents, whatever mix of formats they are.

A file's format goes by its suffix, and where that says nothing (a pipe, ``data.bin``) by its first
bytes. Whole WARC, HTML and compressed files belong to one shard; plain lines are cut.
"""

from __future__ import annotations

from collections.abc import Iterator

from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.pages import read_html_file, read_warc_pages
from norcli.corpus.sources.raw import RawDocument
from norcli.errors import DataError
from norcli.formats.compression import PARQUET_MAGIC, decompressed, peek_magic, reading
from norcli.formats.documents import (
    BadRecords,
    Part,
    input_paths,
    read_part,
    record_text,
    shard_parts,
)
from norcli.streams import STDIN_NAME, open_input

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


def read_sources(
    options: CrawlFilterOptions, console: Console, bad: BadRecords
) -> Iterator[RawDocument]:
    """Yield the raw documents of all inputs in order, up to --limit.

    Raises:
        DataError: A damaged file, or a bad record under --on-bad-record stop.
        InputMissingError: An input is not there.
    """
    cut_lines = options.input_format in ("auto", "jsonl", "text")
    taken = 0
    for part in shard_parts(source_paths(options), options.shard, cut_lines):
        try:
            for document in _read_source(part, options, bad):
                yield document
                taken += 1
                if taken == options.limit:
                    return
        except DataError as error:
            if options.on_damaged_file == "stop" or error.path is None or bad.raised is error:
                raise
            console.warn(f"{error}; the rest of the file is skipped", kind=f"damaged {part.path}")
            bad.damaged_files += 1


def _read_source(part: Part, options: CrawlFilterOptions, bad: BadRecords) -> Iterator[RawDocument]:
    name = STDIN_NAME if part.path == "-" else part.path
    form = options.input_format if options.input_format != "auto" else format_of_name(part.path)
    stream = None
    if form is None or part.path == "-":
        magic, stream = peek_magic(open_input(part.path))
        if magic == PARQUET_MAGIC and part.path != "-":
            stream.close()
            form, stream = "parquet", None
        else:
            stream = decompressed(stream)
            with reading(name):
                head, stream = peek_magic(stream, _MAGIC_BYTES)
            form = form or _format_of_head(head)
    if form in ("warc", "html"):
        with stream if stream is not None else open_input(part.path) as opened:
            if form == "warc":
                yield from read_warc_pages(opened, name, bad)
            else:
                yield read_html_file(opened, name)
        return
    form_options = options if form == options.input_format else _with_format(options, form)
    for place, record in read_part(part, form_options, bad, stream):
        try:
            text = record_text(record, options.text_key, place)
        except DataError as error:
            bad.handle(error)
            continue
        fields = {key: value for key, value in record.items() if key != options.text_key}
        yield RawDocument(place, fields, text)


def _format_of_head(head: bytes) -> str:
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"WARC/"):
        return "warc"
    return "html" if head.startswith(b"<") else "jsonl"


def _with_format(options: CrawlFilterOptions, form: str) -> CrawlFilterOptions:
    import dataclasses

    return dataclasses.replace(options, input_format=form)
