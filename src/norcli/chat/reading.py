"""Where the lines of a chat come from: prompt_toolkit on a good terminal, else plain lines.

prompt_toolkit brings editing, history, completion of slash commands and pasting of several
lines; it is imported only here and only on a terminal that can do it.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from typing import Any, Protocol, TextIO

from norcli.chat.commands import COMMANDS
from norcli.streams import Interruption


class LineReader(Protocol):
    """Something that asks a person for text."""

    def read(self, prompt: str, draft: str) -> str:
        """Return what was typed, several lines where they were pasted.

        Args:
            prompt: Shown in front.
            draft: Text to begin with.

        Raises:
            EOFError: The person has left (Ctrl-D).
            KeyboardInterrupt: The line was given up (Ctrl-C).
        """
        ...


class PlainReader:
    """Read lines as they come, for dumb terminals."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def read(self, prompt: str, draft: str) -> str:
        """Return the next line; an empty one takes the draft."""
        self._stream.write(f"[{draft}] {prompt}" if draft else prompt)
        self._stream.flush()
        try:
            line = sys.stdin.readline()
        except Interruption as error:
            if error.signum != signal.SIGINT:
                raise
            self._stream.write("\n")
            raise KeyboardInterrupt from error
        if not line:
            self._stream.write("\n")
            raise EOFError
        return line.rstrip("\n") or draft


class EditingReader:
    """Read lines with prompt_toolkit.

    Args:
        stream: The terminal to draw on.
        history: File of earlier lines; None keeps them in memory only.
    """

    def __init__(self, stream: TextIO, history: Path | None = None) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory, InMemoryHistory
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.output import create_output

        bindings = KeyBindings()

        @bindings.add("escape", "enter")
        def _new_line(event: Any) -> None:
            event.current_buffer.insert_text("\n")

        words = {command.name: command.help for command in COMMANDS}
        self._session: Any = PromptSession(
            history=FileHistory(str(history)) if history else InMemoryHistory(),
            completer=WordCompleter(list(words), meta_dict=words, sentence=True),
            complete_while_typing=False,
            key_bindings=bindings,
            output=create_output(stdout=stream),
        )

    def read(self, prompt: str, draft: str) -> str:
        """Return what was typed."""
        # prompt_toolkit takes SIGINT itself once it runs; an exception out of a signal handler
        # while it starts or ends would leave its event loop broken.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            text: str = self._session.prompt(prompt, default=draft)
        finally:
            signal.signal(signal.SIGINT, before)
        return text


def open_reader(stream: TextIO, is_capable: bool, history: Path | None) -> LineReader:
    """Return the best reader for a terminal.

    Args:
        stream: The terminal.
        is_capable: Whether it can redraw lines.
        history: File of earlier lines.
    """
    if is_capable and importlib.util.find_spec("prompt_toolkit") is not None:
        return EditingReader(stream, history)
    return PlainReader(stream)
