"""Lines of text in blocks: how big files are cut into pieces of work that go to other processes.

A block is whole lines of about a mebibyte with the number of its first line; where blocks end
depends on the input alone. Memory is bounded: a line longer than the bound is passed over and
told, however long it is. Compression is undone before, parsing comes after.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from norcli.errors import DataError
from norcli.formats.compression import (
    GZIP_MAGIC,
    MAX_LINE_BYTES,
    PARQUET_MAGIC,
    ZSTD_MAGIC,
    decompressed,
    peek_magic,
    reading,
)
from norcli.formats.encodings import is_wide, utf8_text
from norcli.formats.parquet import needs_a_file
from norcli.streams import BLOCK_BYTES, STDIN_NAME, is_pipe, open_input

FIRST_LINES_BYTES = 1 << 14
"""The first block is small, so that the first records come out soon; each next one doubles."""
LINES_BYTES = 1 << 20
_NEWLINE = ord("\n")


class Part(NamedTuple):
    """A part of an input file that one shard reads: bytes [start, stop), stop None for the end."""

    path: str
    start: int
    stop: int | None

    @property
    def name(self) -> str:
        """The file's name in messages."""
        return STDIN_NAME if self.path == "-" else self.path

    @property
    def is_pipe(self) -> bool:
        """Whether it can be read only once."""
        return is_pipe(self.path)


class LineBlock(NamedTuple):
    """Some whole lines, or what was wrong in their place.

    Attributes:
        first_line: Number of the first line in the file, from 1.
        data: The lines with their newlines; the very last may lack its own.
        fault: A line that was too long; `data` is empty then.
    """

    first_line: int
    data: bytes
    fault: DataError | None = None


def part_blocks(
    part: Part,
    stream: BinaryIO | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
    cut_whole: Callable[[BinaryIO, str, int], Iterator[LineBlock]] | None = None,
) -> Iterator[LineBlock]:
    """Yield the lines that begin in a part of a file; UTF-16 becomes UTF-8.

    Args:
        part: What to read; only plain files can be read from within.
        stream: The file's bytes where the caller has opened it already.
        max_line_bytes: As for `line_blocks`.
        cut_whole: Makes the blocks of a part that is a whole file, in place of `line_blocks`.

    Raises:
        DataError: As `line_blocks`, and for Parquet, which is not made of lines.
    """
    with stream if stream is not None else open_input(part.path) as raw:
        begin = raw.tell() if raw.seekable() else None
        head, rest = peek_magic(raw)
        if head == PARQUET_MAGIC and part.start:
            return  # The part in which the file begins tells it.
        if head == PARQUET_MAGIC:
            raise needs_a_file(part.name)
        packed = head.startswith(GZIP_MAGIC) or head == ZSTD_MAGIC
        is_whole = part.start == 0 and part.stop is None
        if packed or is_wide(head) or (is_whole and (cut_whole or begin is None)):
            # Neither packed nor sixteen-bit text can be cut: all of it belongs to the first part.
            if part.start == 0:
                text = utf8_text(decompressed(rest), part.name)
                yield from (cut_whole or line_blocks)(text, part.name, max_line_bytes)
            return
        # A file on standard input may be read from its middle on.
        position, number = (begin or 0, 1) if is_whole else _line_start(raw, part.start)
        if part.stop is not None and position >= part.stop:
            return
        if part.start == 0 and head.startswith(codecs.BOM_UTF8):
            position += len(codecs.BOM_UTF8)
        raw.seek(position)
        size = None if part.stop is None else part.stop - position
        yield from line_blocks(raw, part.name, max_line_bytes, first_line=number, size=size)


def _line_start(stream: BinaryIO, offset: int) -> tuple[int, int]:
    """Return where the first line at or behind an offset begins, and its number."""
    stream.seek(0)
    position, number = 0, 1
    # The line at the offset may end many blocks later.
    while offset and (block := stream.read(BLOCK_BYTES)):
        # Lines that begin at the offset end in the byte before it.
        before = min(len(block), max(offset - 1 - position, 0))
        number += block.count(b"\n", 0, before)
        end = block.find(b"\n", before) + 1
        position += end or len(block)
        if end:
            return position, number + 1
    return position, number


def line_blocks(
    stream: BinaryIO,
    name: str,
    max_line_bytes: int = MAX_LINE_BYTES,
    *,
    first_line: int = 1,
    size: int | None = None,
) -> Iterator[LineBlock]:
    """Yield the lines of a stream in blocks.

    Args:
        stream: Decompressed bytes, positioned at the start of a line.
        name: The file's name in messages.
        max_line_bytes: Longer lines are passed over; a block with `fault` stands in their place.
        first_line: Number of the line at the stream's position.
        size: Yield only the lines that begin within so many bytes; None for all.

    Raises:
        DataError: A damaged compressed stream, after the whole lines before the damage.
    """
    cutter = _Cutter(name, first_line, max_line_bytes)
    read = getattr(stream, "read1", stream.read)
    taken = 0
    while True:
        try:
            with reading(name):
                piece = read(max(BLOCK_BYTES, cutter.target))
        except DataError:
            yield from cutter.whole_lines()
            raise
        if not piece:
            break
        ends = False
        if size is not None and taken + len(piece) >= size:
            # The line at the last byte of the range still belongs to it, wherever it ends.
            end = piece.find(b"\n", max(size - 1 - taken, 0)) + 1
            ends, piece = end > 0, piece[:end] if end else piece
        taken += len(piece)
        yield from cutter.add(piece)
        if ends:
            break
    yield from cutter.rest()


class _Cutter:
    """Collects bytes and cuts them behind the last newline once there are enough."""

    def __init__(self, name: str, first_line: int, max_line_bytes: int) -> None:
        self._name = name
        self._line = first_line
        self._most = max_line_bytes
        self.target = FIRST_LINES_BYTES
        self._whole: list[bytes | memoryview] = []  # lines with their newlines
        self._whole_size = 0
        self._open: list[bytes] = []  # the beginning of the line after them
        self._open_size = 0
        self._skipped = 0  # bytes of the too long line that is being passed over

    def add(self, piece: bytes) -> Iterator[LineBlock]:
        if self._skipped:
            end = piece.find(b"\n") + 1
            self._skipped += end or len(piece)
            if not end:
                return
            yield self._end_skip()
            piece = piece[end:]
        newline = piece.rfind(b"\n") + 1
        if newline:
            first = piece.find(b"\n")
            if self._open_size + first > self._most:
                # The line that began earlier turns out too long with this piece.
                yield from self.whole_lines()
                self._drop_open(first + 1)
                yield self._end_skip()
                yield from self.add(piece[first + 1 :])
                return
            self._whole += [*self._open, memoryview(piece)[:newline]]
            self._whole_size += self._open_size + newline
            self._open, self._open_size = [], 0
        self._open.append(piece[newline:])
        self._open_size += len(piece) - newline
        if self._open_size > self._most:
            yield from self.whole_lines()
            self._drop_open(0)
        elif self._whole and self._whole_size + self._open_size >= self.target:
            yield from self.whole_lines()
            self.target = min(2 * self.target, LINES_BYTES)

    def whole_lines(self) -> Iterator[LineBlock]:
        """Yield what ends in a newline and keep the rest."""
        if not self._whole:
            return
        lines = b"".join(self._whole)
        self._whole, self._whole_size = [], 0
        yield LineBlock(self._line, lines)
        self._line += _newlines(lines)

    def rest(self) -> Iterator[LineBlock]:
        """Yield what is left at the end of the input, with or without a newline."""
        if self._skipped:
            yield self._end_skip()
            return
        if self._open_size:
            self._whole += self._open
        yield from self.whole_lines()

    def _drop_open(self, more: int) -> None:
        self._skipped = self._open_size + more
        self._open, self._open_size = [], 0

    def _end_skip(self) -> LineBlock:
        mebibytes = self._skipped / (1 << 20)
        fault = DataError(
            f"line of {mebibytes:.0f} MiB is longer than {self._most >> 20} MiB",
            path=self._name, line=self._line,
        )  # fmt: skip
        block = LineBlock(self._line, b"", fault)
        self._line += 1
        self._skipped = 0
        return block


def _newlines(data: bytes) -> int:
    """Count newlines; three times as fast as bytes.count, and without Python's lock."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))
