"""Everything norcli says to a person: messages, warnings and progress, on standard error.

Cores receive a `Console` and speak through it; they never print. On a terminal progress is a
rich bar, elsewhere one log line a minute, so that SLURM logs stay readable. Standard output is
for data alone and belongs to `norcli.streams`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

QUIET, NORMAL, INFO, DEBUG = 0, 1, 2, 3


class Console:
    """Messages of one run of one command.

    Args:
        program: Name in front of each line, ``norcli dedup``.
        level: QUIET, NORMAL, INFO or DEBUG.
        progress: Whether progress is shown at all.
        color: ``auto``, ``always`` or ``never``.
        log_format: ``text`` or ``json`` (one object a line).
        stream: Where to; standard error by default.
        interval_seconds: Time between progress lines when not on a terminal.
    """

    def __init__(
        self,
        program: str = "norcli",
        *,
        level: int = NORMAL,
        progress: bool = True,
        color: str = "auto",
        log_format: str = "text",
        stream: TextIO | None = None,
        interval_seconds: float = 60.0,
    ) -> None:
        self.program = program
        self.level = level
        self.color = color
        self.log_format = log_format
        self.stream = stream if stream is not None else sys.stderr
        self.interval_seconds = interval_seconds
        self.shows_progress = progress and level > QUIET
        self._warnings: Counter[str] = Counter()
        self._bar: Progress | None = None

    @classmethod
    def silent(cls) -> Console:
        """Return a console that says nothing but errors, for use from Python and in tests."""
        return cls(level=QUIET, progress=False)

    @property
    def is_terminal(self) -> bool:
        """Whether lines may be redrawn: a terminal that is not dumb."""
        return self.stream.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def uses_color(self) -> bool:
        """Whether escape codes may be written: --color, then NO_COLOR and FORCE_COLOR."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or self.is_terminal

    def error(self, message: str, hint: str | None = None) -> None:
        """Write an error line, and its hint on a line of its own."""
        self._write("error", message, "")
        if hint and self.log_format == "text":
            self._raw(f"hint: {hint}\n")
        elif hint:
            self._write("hint", hint, "")

    def warn(self, message: str, kind: str | None = None) -> None:
        """Write a warning; further ones of the same kind are only counted.

        Args:
            message: What is wrong and what was done about it.
            kind: Key under which repetitions are counted; the message itself by default.
        """
        key = kind or message
        self._warnings[key] += 1
        if self._warnings[key] == 1 and self.level > QUIET:
            self._write("warning", message, "warning: ")

    def warning_count(self, kind: str) -> int:
        """Return how often a kind of warning was given."""
        return self._warnings[kind]

    def say(self, message: str) -> None:
        """Write a line that everybody sees unless --quiet: the final summary, a choice made."""
        if self.level > QUIET:
            self._write("info", message, "")

    def info(self, message: str) -> None:
        """Write a line for -v."""
        if self.level >= INFO:
            self._write("info", message, "")

    def debug(self, message: str) -> None:
        """Write a line for -vv."""
        if self.level >= DEBUG:
            self._write("debug", message, "")

    @contextmanager
    def progress(
        self, label: str, total: float | None = None, unit: str = "documents"
    ) -> Iterator[Progress]:
        """Show progress of one piece of work.

        Args:
            label: What is being done.
            total: Amount of work in the unit, None when not known.
            unit: What `Progress.advance` counts.
        """
        bar = Progress(self, label, total, unit)
        previous, self._bar = self._bar, bar
        bar.start()
        try:
            yield bar
        finally:
            bar.stop()
            self._bar = previous

    def _write(self, level: str, message: str, prefix: str) -> None:
        if self.log_format == "json":
            entry = {"time": round(time.time(), 3), "level": level, "program": self.program,
                     "message": message}  # fmt: skip
            self._raw(json.dumps(entry, ensure_ascii=False) + "\n")
        else:
            self._raw(f"{self.program}: {prefix}{message}\n")

    def _raw(self, text: str) -> None:
        if self._bar is not None and self._bar.write_above(text):
            return
        self.stream.write(text)
        self.stream.flush()


class Progress:
    """Progress of one piece of work; made by `Console.progress`.

    `total` may be set anew at any time, where it is an estimate that gets better.
    """

    def __init__(self, console: Console, label: str, total: float | None, unit: str) -> None:
        self.console = console
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.note = ""
        self._started = time.monotonic()
        self._last = self._started
        self._rich: Any = None
        self._task: Any = None

    def start(self) -> None:
        """Begin to draw; rich is imported here, on a terminal only."""
        if not (self.console.shows_progress and self.console.is_terminal):
            return
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(bar_width=24)]
        columns += [MofNCompleteColumn(), TextColumn("{task.fields[unit]}")]
        columns += [TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}")]
        screen = RichConsole(file=self.console.stream, no_color=not self.console.uses_color)
        self._rich = RichProgress(*columns, console=screen, transient=True, refresh_per_second=4)
        self._rich.start()
        self._task = self._rich.add_task(self.label, total=self.total, unit=self.unit, note="")

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Count work done.

        Args:
            amount: How much, in the unit.
            note: A short state to show beside the bar, such as ``loss 3.21``.
        """
        self.done += amount
        if note is not None:
            self.note = note
        if self._rich is not None:
            self._rich.update(self._task, advance=amount, total=self.total, note=self.note)
        elif self.console.shows_progress:
            now = time.monotonic()
            if now - self._last >= self.console.interval_seconds:
                self._last = now
                self.console.say(self.line())

    def line(self) -> str:
        """Return the state as one line, as logs show it."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        parts = [f"{self.label}: {_number(self.done)} {self.unit}", f"{elapsed:.0f} s"]
        if self.total:
            parts[0] = f"{self.label}: {_number(self.done)} of {_number(self.total)} {self.unit}"
            left = (self.total - self.done) * elapsed / max(self.done, 1e-9)
            parts.append(f"{left:.0f} s left")
        else:
            parts.append(f"{_number(self.done / elapsed)}/s")
        return ", ".join([*parts, self.note] if self.note else parts)

    def write_above(self, text: str) -> bool:
        """Write a log line above the bar; False when no bar is drawn."""
        if self._rich is None:
            return False
        self._rich.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
        return True

    def stop(self) -> None:
        """Take the bar away."""
        if self._rich is not None:
            self._rich.stop()
            self._rich = None


def _number(value: float) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,.0f}".replace(",", " ")
