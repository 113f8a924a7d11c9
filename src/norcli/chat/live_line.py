"""What a person sees before an answer comes: one dim line that is written anew in its place.

First that the prompt is being read, then the last words of a draft with its tokens and seconds.
When the draft ends the line is folded into a short note; the draft itself is shown by /think.
Where lines cannot be redrawn only notes are written.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from norcli.chat.rendering import terminal_size
from norcli.chat.sanitize import clean
from norcli.console import Console

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
FRAME_SECONDS = 0.1
# An answer that begins sooner needs no word about its prompt.
PATIENCE_SECONDS = 1.0
# More than any terminal has columns.
KEPT_CHARACTERS = 1000


class LiveLine:
    """One line for one answer.

    Args:
        console: The terminal; where it cannot redraw lines, folding alone is told.
        size: Gives columns and rows of the terminal now.
        clock: Seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        size: Callable[[], tuple[int, int]] = terminal_size,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._size, self._clock = size, clock
        self._redraws = console.is_terminal and console.level > 0
        self._begun = clock()
        self._thinking_since: float | None = None
        self._tail = ""
        self._tokens = 0
        self._next_frame = 0.0
        self._is_drawn = False
        self._is_over = False

    def wait(self, prompt_tokens: int) -> None:
        """Show that time goes by; called often while nothing comes.

        Args:
            prompt_tokens: How long the prompt is, 0 where that is not known.
        """
        now = self._clock()
        if self._is_over or now < self._next_frame:
            return
        if self._thinking_since is not None:
            self._draw_thought(now)
        elif now - self._begun >= PATIENCE_SECONDS:
            what = f"reading {prompt_tokens} tokens" if prompt_tokens else "waiting"
            self._draw(f"{what}, {now - self._begun:.0f} s", now)

    def think(self, text: str, tokens: int) -> None:
        """Take a piece of a draft.

        Args:
            text: The piece.
            tokens: Of the draft so far.
        """
        if self._is_over:
            return
        now = self._clock()
        if self._thinking_since is None:
            self._thinking_since = now
            if not self._redraws:
                self._write("thinking …\n")
        self._tail = (self._tail + clean(text))[-KEPT_CHARACTERS:]
        self._tokens = tokens
        if now >= self._next_frame:
            self._draw_thought(now)

    def fold(self) -> None:
        """End the line: before the answer, or where there will be none."""
        if self._is_over:
            return
        self._is_over = True
        if self._thinking_since is None:
            if self._is_drawn:
                self._write("\r\x1b[K")
            return
        seconds = self._clock() - self._thinking_since
        told = f"thought for {seconds:.1f} s, {self._tokens} tokens; /think shows it"
        if self._redraws:
            self._write("\r" + self._dim(_last_cells(told, self._width())) + "\x1b[K\n")
        else:
            self._write(told + "\n")

    def _draw_thought(self, now: float) -> None:
        assert self._thinking_since is not None
        head = f"thinking {now - self._thinking_since:.0f} s, {self._tokens} tokens: "
        words = " ".join(self._tail.split())
        width = self._width()
        if width < 2 * len(head):
            head = "thinking: "
        self._draw(head + _last_cells(words, max(width - len(head), 0)), now)

    def _draw(self, text: str, now: float) -> None:
        if not self._redraws:
            return
        self._next_frame = now + FRAME_SECONDS
        self._is_drawn = True
        self._write("\r" + self._dim(_last_cells(text, self._width())) + "\x1b[K")

    def _width(self) -> int:
        # The last column stays free: a cursor there is on no line for sure.
        return max(self._size()[0] - 1, 1)

    def _dim(self, text: str) -> str:
        return f"{DIM}{text}{PLAIN}" if self._console.uses_color else text

    def _write(self, text: str) -> None:
        if self._console.level > 0:
            self._console.stream.write(text)
            self._console.stream.flush()


def _last_cells(text: str, width: int) -> str:
    """Return the end of a text that fills at most so many cells, cut where a word begins."""
    # Rich takes a tenth of a second to import.
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    used, at = 1, len(text)  # one for the sign that something is cut
    while at and used + cell_len(text[at - 1]) <= width:
        at -= 1
        used += cell_len(text[at])
    kept = text[at:]
    if not text[:at].endswith(" "):
        kept = kept.partition(" ")[2] or kept
    return ("…" + kept)[:width]
