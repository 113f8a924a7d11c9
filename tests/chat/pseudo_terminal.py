"""Drive norcli on a pseudo-terminal as a person would: type, wait for a text, press keys."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])")
OSC = re.compile(r"\x1b\][^\x07]*\x07")
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"


class PseudoTerminal:
    """One norcli process on its own terminal.

    Args:
        words: After ``norcli``, or after ``python`` where the first names a script.
        state: Folder for XDG_STATE_HOME.
        term: Kind of terminal.
        colors: Whether colours are wanted; NO_COLOR is set where not.

    Attributes:
        raw: All that was written.
        screen: What a person sees.
    """

    def __init__(
        self, words: list[str], state: Path, term: str = "xterm-256color", colors: bool = False
    ) -> None:
        environment = dict(os.environ, TERM=term, XDG_STATE_HOME=str(state), NO_COLOR="1",
                           OMP_NUM_THREADS="1", PROMPT_TOOLKIT_NO_CPR="1")  # fmt: skip
        for name in ("DISPLAY", "WAYLAND_DISPLAY", *(("NO_COLOR",) if colors else ())):
            environment.pop(name, None)
        program = [] if words[0].endswith(".py") else ["-m", "norcli"]
        arguments = [sys.executable, *program, *words]
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, arguments, environment)
        self.screen = pyte.HistoryScreen(200, 30, history=10_000)
        self._stream = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.resize(200, 30)
        self.raw = ""
        self.seen = 0
        self.status: int | None = None

    def expect(self, pattern: str, timeout: float = 60.0) -> re.Match[str]:
        """Wait until the screen shows a pattern after what was expected before."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            text = ESCAPES.sub("", self.raw)
            found = re.compile(pattern).search(text, self.seen)
            if found:
                self.seen = found.end()
                return found
            if not self._read(0.2) and self.status is not None:
                break
        raise AssertionError(f"never saw {pattern!r} after {text[self.seen :][-300:]!r}")

    def wait_for(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        """Read until something holds of the screen."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.lines()
            self._read(0.1)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        if not ready:
            return False
        try:
            chunk = os.read(self.descriptor, 1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            self._reap(os.WNOHANG)
        text = self._decoder.decode(chunk)
        self.raw += text
        self._stream.feed(OSC.sub("", text))
        return bool(chunk)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def lines(self) -> list[str]:
        """Return what the screen shows, without what has scrolled away."""
        return [line.rstrip() for line in self.screen.display]

    def cell(self, text: str) -> pyte.screens.Char:
        """Return the first character of a text on the screen, with its look."""
        for y, line in enumerate(self.screen.display):
            if text in line:
                return self.screen.buffer[y][line.index(text)]
        raise AssertionError(f"{text!r} is not on the screen: {self.lines()}")

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode("utf-8"))

    def kill(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end; return the exit status."""
        end = time.monotonic() + timeout
        while self.status is None and time.monotonic() < end:
            self._read(0.1)
            self._reap(os.WNOHANG)
        assert self.status is not None, "still running"
        return self.status

    def _reap(self, flags: int) -> None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self._reap(0)
        os.close(self.descriptor)
