"""gzip and zstd, in by magic bytes and out by suffix, with broken streams told as data errors.

First step of every input and last of every output. Reading is streaming and bounded: a line, the
unit everything above works in, may not exceed `MAX_LINE_BYTES`, so that a decompression bomb
ends in an error and not in the machine's memory.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from norcli.errors import DataError
from norcli.streams import BLOCK_BYTES

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PARQUET_MAGIC = b"PAR1"
MAX_LINE_BYTES = 1 << 28
"""256 MiB: over twice the 100 MB documents that occur in real corpora."""
MAX_RATIO = 200
RATIO_GRACE_BYTES = 1 << 26
"""Text packs 3 to 20 times, bombs over 1000; below 64 MiB nothing is a bomb."""


class DerivedStream(io.RawIOBase):
    """Bytes made of another stream's; a subclass says in `next_bytes` what comes next."""

    def __init__(self, source: BinaryIO, ready: bytes = b"") -> None:
        self.source = source
        self._ready = memoryview(ready)

    def next_bytes(self, wanted: int) -> bytes:
        """Return more bytes, as many as are at hand; none at the end.

        Args:
            wanted: How many the reader has room for; more are kept for it.
        """
        raise NotImplementedError

    def read_source(self, wanted: int) -> bytes:
        """Return what a pipe holds now, instead of waiting for a full block."""
        read = getattr(self.source, "read1", self.source.read)
        return cast(bytes, read(wanted))

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill a buffer as far as bytes are at hand; return how many."""
        if not self._ready:
            self._ready = memoryview(self.next_bytes(len(buffer)))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        """Close the other stream, too."""
        self.source.close()
        super().close()


class _PeekedStream(DerivedStream):
    """A stream whose first bytes were read to look at them and are given back first."""

    def next_bytes(self, wanted: int) -> bytes:
        return self.read_source(wanted)


class _ZstdStream(DerivedStream):
    """Decompressed zstd that knows a frame that breaks off from one that ends.

    zstandard's own reader ends quietly in both cases, and half a corpus would be lost unseen.
    """

    # Input is handed on in small slices: 2 KiB can unpack to 64 MiB, a whole block to gigabytes.
    SLICE_BYTES = 1 << 11

    def __init__(self, source: BinaryIO) -> None:
        super().__init__(source)
        self._frame: Any = None
        self._input = memoryview(b"")

    def next_bytes(self, wanted: int) -> bytes:
        import zstandard

        output = b""
        while not output:
            if not self._input:
                self._input = memoryview(self.read_source(BLOCK_BYTES))
                if not self._input:
                    if self._frame is not None:
                        raise zstandard.ZstdError("ends too early")
                    return b""
            if self._frame is None:
                decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
                self._frame = decompressor.decompressobj()
            piece, self._input = self._input[: self.SLICE_BYTES], self._input[self.SLICE_BYTES :]
            output = self._frame.decompress(piece)
            if self._frame.eof:
                rest = self._frame.unused_data
                self._frame = None
                if rest:
                    self._input = memoryview(rest + bytes(self._input))
        return output


class BombError(Exception):
    """Compressed data unpack to far more than text can."""


def check_ratio(packed: int, unpacked: int) -> None:
    """Stop at data that look like a decompression bomb.

    Raises:
        BombError: So many bytes came of so few.
    """
    if unpacked > RATIO_GRACE_BYTES and unpacked > MAX_RATIO * packed:
        raise BombError


class _CountedStream(DerivedStream):
    """A stream that knows how many bytes were read from it."""

    count = 0

    def next_bytes(self, wanted: int) -> bytes:
        data = self.read_source(wanted)
        self.count += len(data)
        return data


class _UnpackedStream(DerivedStream):
    """Unpacked bytes, as long as they are in proportion to the packed ones."""

    def __init__(self, packed: _CountedStream, unpacked: BinaryIO) -> None:
        super().__init__(unpacked)
        self._packed = packed
        self._count = 0

    def next_bytes(self, wanted: int) -> bytes:
        check_ratio(self._packed.count, self._count)
        # Not read, or gzip would fill the buffer and lose what it has when it meets damage.
        data = self.read_source(wanted)
        self._count += len(data)
        return data

    def close(self) -> None:
        super().close()
        self._packed.close()


def peek_magic(stream: BinaryIO, size: int = 4) -> tuple[bytes, BinaryIO]:
    """Return the first bytes and a stream that still begins with them."""
    head = stream.read(size)
    return head, given_back(head, stream)


def given_back(head: bytes, stream: BinaryIO) -> BinaryIO:
    """Return a stream that gives bytes already read from another before what is left of it."""
    return cast(BinaryIO, io.BufferedReader(_PeekedStream(stream, head), BLOCK_BYTES))


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Return a stream of decompressed bytes; the compression is told by its magic bytes.

    Several gzip members or zstd frames one after another are read as one stream.
    """
    head, stream = peek_magic(stream)
    is_gzip = head.startswith(GZIP_MAGIC)
    if not is_gzip and head != ZSTD_MAGIC:
        return stream
    packed = _CountedStream(stream)
    buffered = cast(BinaryIO, io.BufferedReader(packed, BLOCK_BYTES))
    unpacked = gzip.GzipFile(fileobj=buffered, mode="rb") if is_gzip else _ZstdStream(buffered)
    return cast(
        BinaryIO, io.BufferedReader(_UnpackedStream(packed, cast(BinaryIO, unpacked)), BLOCK_BYTES)
    )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the errors of broken compressed data into a `DataError` that names the file."""
    import zstandard

    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = "ends too early" if isinstance(error, EOFError) else "is damaged"
        raise DataError(
            f"gzip data {reason}", path=name, hint="test it with gzip -t, and fetch it again"
        ) from error
    except BombError as error:
        raise DataError(
            f"unpacks to over {MAX_RATIO} times its size: a decompression bomb?", path=name,
            hint="if you know it to be text, unpack it yourself and pipe it in",
        ) from error  # fmt: skip
    except zstandard.ZstdError as error:
        reason = "ends too early" if "too early" in str(error) else "is damaged"
        raise DataError(
            f"zstd data {reason}", path=name, hint="test it with zstd -t, and fetch it again"
        ) from error


def iterate_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number from 1, line without its newline)``; empty lines are counted.

    Raises:
        DataError: A damaged compressed stream (after the lines before it), or a line longer than
            `MAX_LINE_BYTES`.
    """
    number = 0
    pending: list[bytes] = []
    pending_bytes = 0
    read = getattr(stream, "read1", stream.read)
    while True:
        with reading(name):
            block = read(BLOCK_BYTES)
        if not block:
            break
        lines = block.split(b"\n")
        pending.append(lines[0])
        pending_bytes += len(lines[0])
        if pending_bytes > MAX_LINE_BYTES:
            raise DataError(
                f"line is longer than {MAX_LINE_BYTES >> 20} MiB", path=name, line=number + 1
            )
        if len(lines) == 1:
            continue
        number += 1
        yield number, b"".join(pending)
        for line in lines[1:-1]:
            number += 1
            yield number, line
        pending, pending_bytes = [lines[-1]], len(lines[-1])
    if pending_bytes:
        yield number + 1, b"".join(pending)


@contextmanager
def compressed(stream: BinaryIO, path: str) -> Iterator[BinaryIO]:
    """Wrap an output stream by the suffix of its path: ``.gz``, ``.zst`` or neither.

    The same bytes in give the same bytes out: no time stamp is written.
    """
    if path.endswith(".gz"):
        with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as out:
            yield cast(BinaryIO, out)
    elif path.endswith(".zst"):
        import zstandard

        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        with compressor.stream_writer(stream, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield stream
