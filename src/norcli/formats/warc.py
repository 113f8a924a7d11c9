"""WARC 1.0 and 1.1, read as a stream: plain, .gz with a member per record, or .zst.

First stage of `crawl-filter` for Common Crawl and wget crawls. Records come one at a time within a
bound on their size; what a broken file still holds before the damage is read. The HTTP layer of a
response (status, headers, chunked and gzip transfer) is taken off here too. What the page says is
the business of `norcli.corpus`; nothing is written.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, NamedTuple

from norcli.errors import DataError
from norcli.formats.compression import (
    GZIP_MAGIC,
    check_ratio,
    decompressed,
    peek_magic,
    reading,
)
from norcli.streams import BLOCK_BYTES

MAX_RECORD_BYTES = 1 << 26
"""64 MiB: no page is that long; larger records are passed over and told."""
MAX_HEADER_BYTES = 1 << 16
_RECORD = b"WARC/1."
DOCUMENT_TYPES = frozenset({"response", "resource", "conversion"})
"""Record types that can hold a document; `conversion` is extracted text, as in WET files."""


@dataclass(slots=True)
class WarcRecord:
    """One record.

    Attributes:
        number: Its place in the file, from 1, counting records of every type.
        offset: Where it begins in the file as stored: the start of its gzip member, or its first
            byte in an uncompressed file.
        type: ``response``, ``conversion`` and so on.
        headers: WARC header fields, names in lower case.
        size: Content bytes the record announces.
        content: Its bytes; None where they are more than the bound.
        fault: Why it cannot be used: its length is wrong, or it is no record.
    """

    number: int
    offset: int
    type: str
    headers: dict[str, str]
    size: int
    content: bytes | None
    fault: str = ""

    @property
    def url(self) -> str | None:
        """The page's address; the angle brackets that wget writes are taken off."""
        target = self.headers.get("warc-target-uri", "").strip("<>")
        return target or None


class HttpResponse(NamedTuple):
    """An HTTP response inside a record, its body as the browser would see it."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Place(NamedTuple):
    """Where a record begins: file, number, byte."""

    path: str
    number: int
    offset: int


class _Bytes:
    """Decompressed bytes of a WARC file that know where their gzip member begins."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        head, stream = peek_magic(stream)
        self._name = name
        self._is_gzip = head.startswith(GZIP_MAGIC)
        self._stream = stream if self._is_gzip else decompressed(stream)
        self._inflater = zlib.decompressobj(wbits=31) if self._is_gzip else None
        self._input = b""
        self._taken = 0  # compressed bytes handed to the inflater so far
        self._members: deque[tuple[int, int]] = deque([(0, 0)])
        self._buffer = bytearray()
        self.position = 0

    def offset(self) -> int:
        """Return where the current position lies in the stored file."""
        if not self._is_gzip:
            return self.position
        if not self._buffer:
            self._fill()  # the next member shows itself only when it is begun
        while len(self._members) > 1 and self._members[1][0] <= self.position:
            self._members.popleft()
        return self._members[0][1]

    def _fill(self) -> bool:
        with reading(self._name):
            block = self._inflate() if self._is_gzip else self._stream.read(BLOCK_BYTES)
        self._buffer += block
        return bool(block)

    def _inflate(self) -> bytes:
        """Return some bytes, none only at the end; at most 4 MiB, however much is packed in."""
        while True:
            if not self._input:
                self._input = self._stream.read(BLOCK_BYTES)
                if not self._input:
                    if self._inflater is not None:
                        raise EOFError
                    return b""
            if self._inflater is None:
                self._begin_member()
                if self._inflater is None:
                    continue
            before = len(self._input)
            data = self._inflater.decompress(self._input, 1 << 22)
            if self._inflater.eof:
                self._input = self._inflater.unused_data
                self._inflater = None
            else:
                self._input = self._inflater.unconsumed_tail
            self._taken += before - len(self._input)
            if data:
                check_ratio(self._taken, self.position + len(self._buffer) + len(data))
                return data

    def _begin_member(self) -> None:
        """Start on the next member; zero bytes between members are padding."""
        trimmed = self._input.lstrip(b"\0")
        self._taken += len(self._input) - len(trimmed)
        self._input = trimmed
        if trimmed:
            self._members.append((self.position + len(self._buffer), self._taken))
            self._inflater = zlib.decompressobj(wbits=31)

    def line(self, bound: int) -> bytes:
        """Read up to and with the next newline; shorter without one at the end or bound."""
        start = 0
        while True:
            end = self._buffer.find(b"\n", start) + 1
            if end or len(self._buffer) >= bound:
                return self._take(end or bound)
            start = len(self._buffer)
            if not self._fill():
                return self._take(len(self._buffer))

    def exactly(self, size: int) -> bytes:
        """Read so many bytes; fewer at the end, or where a record begins with a gzip member."""
        while len(self._buffer) < size and self._fill():
            pass
        return self._take(min(size, len(self._buffer), self._record_ahead()))

    def skip(self, size: int) -> int:
        """Pass over bytes as `exactly` would read them; return how many there were."""
        left = size
        while left:
            if not self._buffer and not self._fill():
                break
            ahead = self._record_ahead()
            if not ahead:
                break
            left -= len(self._take(min(left, len(self._buffer), ahead)))
        return size - left

    def _record_ahead(self) -> int:
        """Return how far ahead a gzip member begins with a record: there the one before ends."""
        # The first is the member in which the record at hand began.
        for position, _ in islice(self._members, 1, None):
            ahead = position - self.position
            if ahead >= 0 and self._buffer.startswith(_RECORD, ahead):
                return ahead
        return sys.maxsize

    def starts_with(self, beginnings: tuple[bytes, ...]) -> bool:
        """Whether one of these comes next, or the end."""
        while len(self._buffer) < len(_RECORD) and self._fill():
            pass
        return not self._buffer or self._buffer.startswith(beginnings)

    def give_back(self, data: bytes) -> None:
        """Take back what was read last."""
        self._buffer[:0] = data
        self.position -= len(data)

    def find_record(self) -> bool:
        """Go on to the next line that begins a record; False where there is none."""
        while line := self.line(MAX_HEADER_BYTES):
            if line.startswith(_RECORD):
                self.give_back(line)
                return True
        return False

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.position += size
        return data


def read_warc(
    stream: BinaryIO,
    name: str,
    types: Collection[str] = DOCUMENT_TYPES,
    max_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[WarcRecord]:
    """Yield the records of some types in order.

    Args:
        stream: The file as stored; gzip and zstd are told by their magic bytes.
        name: Its name in messages.
        types: Record types to yield; the others are passed over.
        max_bytes: Records with more content come without it.

    Raises:
        DataError: The file is no WARC file, is damaged, or ends within a record; the line is the
            number of the record. A record that is broken by itself comes with its fault instead,
            and reading goes on with the next that can be found.
    """
    source = _Bytes(stream, name)
    number = 0
    while True:
        line = b"\r\n"
        with _at_record(name, number + 1):
            # Two empty lines end a record; some writers leave more, or none.
            while line in (b"\r\n", b"\n"):
                offset = source.offset()
                line = source.line(MAX_HEADER_BYTES)
        if not line:
            return
        number += 1
        with _at_record(name, number):
            try:
                record = _read_record(source, line, _Place(name, number, offset), types, max_bytes)
            except _BrokenRecordError as error:
                if number == 1 and not line.startswith(_RECORD):
                    raise DataError(str(error), path=name, line=number) from error
                yield WarcRecord(number, offset, "", {}, 0, None, str(error))
                source.find_record()
                continue
        if record is not None:
            yield record


class _BrokenRecordError(Exception):
    """A record that cannot be used; the next one may be found behind it."""


def _read_record(
    source: _Bytes, line: bytes, place: _Place, types: Collection[str], max_bytes: int
) -> WarcRecord | None:
    """Read the record that begins with a line; None where it is of no type that is wanted."""
    headers = _read_headers(source, line, place)
    size = _content_length(headers)
    kind = headers.get("warc-type", "").lower()
    wanted = kind in types
    content = source.exactly(size) if wanted and size <= max_bytes else None
    there = len(content) if content is not None else source.skip(size)
    if there < size and source.starts_with(()):
        raise DataError(
            f"truncated WARC record at byte {place.offset}: {size} bytes announced, {there} there",
            path=place.path, line=place.number,
            hint="fetch the file again, or --on-damaged-file skip",
        )  # fmt: skip
    if there < size or not source.starts_with((b"\r\n", b"\n", _RECORD)):
        if content is not None and there == size:
            # The record's end, or the next one, may lie within what was read.
            source.give_back(content)
        raise _BrokenRecordError(f"its Content-Length of {size} is wrong")
    if not wanted:
        return None
    return WarcRecord(place.number, place.offset, kind, headers, size, content)


class _at_record:
    """Add the record's number to an error about the compressed data."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, DataError) and error.line is None:
            error.line = self._number


def _read_headers(source: _Bytes, first: bytes, place: _Place) -> dict[str, str]:
    if not first.startswith(_RECORD):
        begin = "".join(c if c.isprintable() else "?" for c in first[:20].decode("latin-1"))
        raise _BrokenRecordError(f'not a WARC record: begins with "{begin}"')
    block = bytearray()
    while True:
        line = source.line(MAX_HEADER_BYTES)
        if line in (b"\r\n", b"\n"):
            return parse_headers(bytes(block))
        if not line.endswith(b"\n") and len(line) < MAX_HEADER_BYTES:
            raise DataError(
                f"truncated WARC record at byte {place.offset}: ends within its header",
                path=place.path, line=place.number,
                hint="fetch the file again, or --on-damaged-file skip",
            )  # fmt: skip
        block += line
        if len(block) > MAX_HEADER_BYTES:
            raise _BrokenRecordError(f"its header is longer than {MAX_HEADER_BYTES >> 10} KiB")


def parse_headers(block: bytes) -> dict[str, str]:
    """Parse header lines of WARC or HTTP; names in lower case, the first of equal names wins.

    Lines without a colon are passed over, and folded lines are joined, as browsers do.
    """
    headers: dict[str, str] = {}
    last = ""
    for line in block.decode("utf-8", "replace").splitlines():
        if line[:1] in (" ", "\t") and last:
            headers[last] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        last = key.strip().lower() if colon else ""
        if last:
            headers.setdefault(last, value.strip())
    return headers


def _content_length(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise _BrokenRecordError(f'it has no valid Content-Length: "{length[:20]}"')
    return int(length)


def parse_http(content: bytes, max_bytes: int = MAX_RECORD_BYTES) -> HttpResponse:
    """Split an HTTP response into status, headers and body, its transfer coding undone.

    Archives that undid the coding themselves and kept the header (Common Crawl) are read too: a
    body that is not in the coding its header names is taken as it stands.

    Raises:
        ValueError: No HTTP response, a damaged or too large body, or a coding not known (br).
    """
    head, separator, body = content.partition(b"\r\n\r\n")
    if not separator:
        head, separator, body = content.partition(b"\n\n")
    status_line, _, fields = head.partition(b"\n")
    words = status_line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("no HTTP response")
    headers = parse_headers(fields)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = join_chunks(body)
    coding = headers.get("content-encoding", "").lower().strip()
    if coding in ("gzip", "x-gzip") and body.startswith(GZIP_MAGIC):
        body = _bounded_gunzip(body, max_bytes)
    elif coding == "deflate" and body:
        body = _bounded_inflate(body, max_bytes)
    elif coding not in ("", "identity", "gzip", "x-gzip") and not _looks_like_text(body):
        raise ValueError(f"content coding {coding} is not supported")
    return HttpResponse(int(words[1]), headers, body)


def join_chunks(body: bytes) -> bytes:
    """Undo chunked transfer; a body that is not chunked, after all, is returned as it is."""
    pieces: list[bytes] = []
    position = 0
    while True:
        end = body.find(b"\n", position)
        size_text = body[position:end].split(b";")[0].strip() if end >= 0 else b""
        try:
            size = int(size_text, 16) if size_text else -1
        except ValueError:
            size = -1
        if size < 0:
            # Within a chunked body the rest was lost; before the first chunk it never was chunked.
            return b"".join(pieces) if pieces else body
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[end + 1 : end + 1 + size])
        position = end + 1 + size
        position += 2 if body[position : position + 2] == b"\r\n" else 1


def _bounded_gunzip(body: bytes, max_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            data = stream.read(max_bytes + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError("damaged gzip body") from error
    if len(data) > max_bytes:
        raise ValueError(f"body is larger than {max_bytes >> 20} MiB")
    return data


def _bounded_inflate(body: bytes, max_bytes: int) -> bytes:
    # Servers send deflate with and without the zlib header.
    for wbits in (15, -15):
        inflater = zlib.decompressobj(wbits)
        try:
            data = inflater.decompress(body, max_bytes)
        except zlib.error:
            continue
        if inflater.unconsumed_tail:
            raise ValueError(f"body is larger than {max_bytes >> 20} MiB")
        return data
    if _looks_like_text(body):
        return body
    raise ValueError("damaged deflate body")


def _looks_like_text(body: bytes) -> bool:
    return b"\0" not in body[:4096] and b"<" in body[:4096]
