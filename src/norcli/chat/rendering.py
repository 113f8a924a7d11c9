"""An answer on the screen while it comes: as it is, or as Markdown that is drawn step by step.

Only the last block of a Markdown answer may still change. It is laid out anew for each frame, and
only the lines that differ are written again, in place; blocks before it, and lines that have
scrolled away, are never touched. Text must have been cleaned (see `sanitize`) before it comes here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

from norcli.chat.themes import Theme

if TYPE_CHECKING:
    from norcli.chat.markdown import Block

FRAME_SECONDS = 1 / 30
# Drawing may take a third of the time at most; long blocks are drawn more seldom.
DRAWING_PART = 3
# A longer block is cut where a line ends, so that a frame never costs much.
LONGEST_BLOCK_CHARACTERS = 4000


class View(Protocol):
    """Something that shows one answer."""

    def feed(self, text: str) -> None:
        """Show more of the answer."""
        ...

    def finish(self) -> None:
        """Show what is left and end the line."""
        ...


class PlainView:
    """Shows the text as it is.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def feed(self, text: str) -> None:
        """Write the text."""
        self._stream.write(text.encode("utf-8"))
        self._stream.flush()

    def finish(self) -> None:
        """End the line."""
        self.feed("\n")


def terminal_size() -> tuple[int, int]:
    """Return columns and rows of the terminal that standard error or input is."""
    for descriptor in (2, 0):
        try:
            columns, rows = os.get_terminal_size(descriptor)
        except OSError:
            continue
        if columns and rows:
            return columns, rows
    return 80, 24


class MarkdownView:
    """Shows Markdown.

    Args:
        stream: A terminal that obeys cursor movements.
        theme: The look.
        size: Gives columns and rows of the terminal now.
        frame_seconds: Least time between two drawings.
    """

    def __init__(
        self,
        stream: BinaryIO,
        theme: Theme,
        *,
        size: Callable[[], tuple[int, int]] = terminal_size,
        frame_seconds: float = FRAME_SECONDS,
    ) -> None:
        # Rich takes a tenth of a second to import, so plain answers go without.
        from norcli.chat.markdown import Layout, make_parser

        self._stream = stream
        self._size = size
        self._frame_seconds = frame_seconds
        self._layout = Layout(theme)
        self._parser = make_parser()
        self._source = ""  # of the block that may still change
        self._drawn: list[str] = []  # its lines on the screen; the cursor is behind the last
        self._frozen = 0  # how many of them are out of reach
        self._columns, self._width = 0, 0
        self._next_frame = 0.0

    def feed(self, text: str) -> None:
        """Take more of the answer; draw it when it is time."""
        self._source += text
        begun = time.monotonic()
        if begun < self._next_frame:
            return
        self._draw_growing()
        now = time.monotonic()
        self._next_frame = now + max(self._frame_seconds, DRAWING_PART * (now - begun))

    def finish(self) -> None:
        """Draw the rest and end the line."""
        self._settle(self._source.rstrip())
        self._source = ""

    def _draw_growing(self) -> None:
        from norcli.chat.markdown import parse_blocks, unfinished

        blocks = parse_blocks(self._parser, self._source)
        if len(blocks) > 1:
            start = _offset(self._source, blocks[-1].start)
            self._settle(self._source[:start])
            self._source = self._source[start:]
            blocks = blocks[-1:]
        if blocks and len(self._source) > LONGEST_BLOCK_CHARACTERS:
            self._cut(blocks[0])
        blocks = parse_blocks(self._parser, unfinished(self._parser, self._source))
        for block in blocks[:1]:
            self._show(self._lines(block))

    def _cut(self, block: Block) -> None:
        """Settle the first part of a long block, and go on with the rest as one of its kind."""
        source, fence = self._source, block.tokens[0]
        at = _cut_place(source, block.kind)
        if at <= 0:
            return
        self._settle(source[:at])
        head = f"{fence.markup}{fence.info}\n" if block.kind == "fence" else ""
        self._source = head + source[at:].lstrip("\n")

    def _settle(self, source: str) -> None:
        """Draw blocks for good, with the empty lines that stand between and after them."""
        from norcli.chat.markdown import parse_blocks

        blocks = parse_blocks(self._parser, source)
        for position, block in enumerate(blocks):
            self._show(self._lines(block))
            self._write("\n")
            self._drawn, self._frozen = [], 0
            end = blocks[position + 1].start if position + 1 < len(blocks) else None
            before = source if end is None else source[: _offset(source, end)]
            if before.splitlines()[-1].strip() == "":
                self._write("\n")
        if self._drawn:  # nothing is left of what was drawn
            self._show([])
            self._drawn, self._frozen = [], 0

    def _lines(self, block: Block) -> list[str]:
        columns, rows = self._size()
        if not self._drawn:
            # The last column stays free: a cursor there is on no line for sure.
            self._columns, self._width = columns, max(columns - 1, 2)
        elif columns != self._columns:
            # Terminals differ in what they do with lines that are there; leave those alone.
            self._columns, self._frozen = columns, len(self._drawn) - 1
        self._frozen = max(self._frozen, len(self._drawn) - (rows - 1))
        return self._layout.lines(block, self._width)

    def _show(self, lines: list[str]) -> None:
        """Bring the screen from the lines drawn to these."""
        lines = self._drawn[: self._frozen] + lines[self._frozen :]
        same = next(
            (i for i, (a, b) in enumerate(zip(self._drawn, lines, strict=False)) if a != b),
            min(len(self._drawn), len(lines)),
        )
        if same == len(self._drawn) == len(lines):
            return
        text = ""
        if self._drawn:
            # The cursor ends behind the last line, so that one is written in any case.
            first = max(min(same, len(self._drawn) - 1, len(lines) - 1), 0)
            up = len(self._drawn) - 1 - first
            text += (f"\x1b[{up}A" if up else "") + "\r"
        else:
            first = 0
        text += "\n".join(f"{line}\x1b[K" for line in lines[first:])
        if len(lines) < len(self._drawn):
            text += "\x1b[J"
        self._write(text)
        self._drawn = lines

    def _write(self, text: str) -> None:
        self._stream.write(text.encode("utf-8"))
        self._stream.flush()


def _offset(source: str, line: int) -> int:
    """Return where a line begins."""
    position = 0
    for _ in range(line):
        position = source.index("\n", position) + 1
    return position


def _cut_place(source: str, kind: str) -> int:
    """Return where a long block may be cut, 0 for nowhere."""
    if kind == "table_open":
        return 0
    if kind == "fence":
        return source.rfind("\n", source.find("\n") + 1)
    at = source.rfind("\n")
    while at > 0 and source[at + 1 : at + 2].strip() == "":
        at = source.rfind("\n", 0, at)
    return at if at > 0 or kind != "paragraph_open" else source.rfind(" ")
