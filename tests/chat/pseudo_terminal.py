"""Drive norcli on a pseudo-terminal as a person would: type, wait for a text, press keys."""

from __future__ import annotations

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
from pathlib import Path

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])")
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"


class PseudoTerminal:
    """One norcli process on its own terminal.

    Args:
        words: After ``norcli``.
        state: Folder for XDG_STATE_HOME.
        term: Kind of terminal.
    """

    def __init__(self, words: list[str], state: Path, term: str = "xterm-256color") -> None:
        environment = dict(os.environ, TERM=term, XDG_STATE_HOME=str(state), NO_COLOR="1",
                           OMP_NUM_THREADS="1", PROMPT_TOOLKIT_NO_CPR="1")  # fmt: skip
        arguments = [sys.executable, "-m", "norcli", *words]
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, arguments, environment)
        size = struct.pack("HHHH", 30, 200, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)
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
        self.raw += chunk.decode("utf-8", errors="replace")
        return bool(chunk)

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
