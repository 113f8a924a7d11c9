"""Where the lines of a chat come from: prompt_toolkit on a good terminal, else plain lines.

prompt_toolkit brings editing, history, completion of slash commands and pasting of several
lines; it is imported only here and only on a terminal that can do it.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import termios
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol, TextIO

from norcli.chat.sanitize import SURROGATES
from norcli.chat.themes import Theme
from norcli.streams import Interruption

Complete = Callable[[str], Iterable[tuple[str, str, str]]]


class LineReader(Protocol):
    """Something that asks a person for text."""

    def read(self, prompt: str, draft: str, status: str) -> str:
        """Return what was typed, several lines where they were pasted.

        Args:
            prompt: Shown in front.
            draft: Text to begin with.
            status: Shown beside it, where there is room.

        Raises:
            EOFError: The person has left (Ctrl-D).
            KeyboardInterrupt: The line was given up (Ctrl-C).
        """
        ...

    def silenced(self) -> AbstractContextManager[None]:
        """Keep what is typed meanwhile off the screen, for the next line to read."""
        ...


class PlainReader:
    """Read lines as they come, for dumb terminals."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")

    def silenced(self) -> AbstractContextManager[None]:
        """Leave the terminal alone: it shows a line when it is typed, or never."""
        return nullcontext()

    def read(self, prompt: str, draft: str, status: str) -> str:
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
        complete: See `norcli.chat.commands.complete`; without the terminal.
        history: File of earlier lines; None keeps them in memory only.
        theme: Gives the look of the prompt and of the status beside it.
    """

    def __init__(
        self, stream: TextIO, complete: Complete, history: Path | None, theme: Callable[[], Theme]
    ) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.output import create_output

        bindings = KeyBindings()

        @bindings.add("escape", "enter")
        def _new_line(event: Any) -> None:
            event.current_buffer.insert_text("\n")

        self._theme = theme
        self._session: Any = PromptSession(
            history=_history(history) if history else InMemoryHistory(),
            completer=_completer(complete), complete_while_typing=False, key_bindings=bindings,
            enable_open_in_editor=True, tempfile_suffix=".md", output=create_output(stdout=stream),
            # The prompt's second line and those after it stand under the first.
            prompt_continuation=lambda width, number, wrapped: " " * width,
        )  # fmt: skip

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Turn the terminal's echo off: it would tear up lines that are being drawn."""
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        silent = [*before]
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
        try:
            yield
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def read(self, prompt: str, draft: str, status: str) -> str:
        """Return what was typed."""
        from prompt_toolkit.styles import Style

        theme = self._theme()
        style = Style.from_dict({"prompt": theme.prompt, "rprompt": theme.status})
        # prompt_toolkit takes SIGINT itself once it runs; an exception out of a signal handler
        # while it starts or ends would leave its event loop broken.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            text: str = self._session.prompt(
                [("class:prompt", prompt)], default=draft, rprompt=status, style=style
            )
        finally:
            signal.signal(signal.SIGINT, before)
        # What is typed in another encoding comes as lone surrogates.
        return text.translate(SURROGATES)


def _history(path: Path) -> Any:
    """Return the history in a file; where that cannot be read or written it is in memory only."""
    from prompt_toolkit.history import FileHistory

    class _Lines(FileHistory):
        def load_history_strings(self) -> Iterator[str]:
            with suppress(OSError):
                yield from super().load_history_strings()

        def store_string(self, string: str) -> None:
            # What is typed, in whatever encoding, must not end the chat.
            with suppress(OSError):
                super().store_string(string.translate(SURROGATES))

    return _Lines(str(path))


def _completer(complete: Complete) -> Any:
    from prompt_toolkit.completion import Completer, Completion

    class _SlashCommands(Completer):
        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Any]:
            text = document.text_before_cursor
            if text.startswith("/") and "\n" not in text:
                for value, replaced, about in complete(text):
                    yield Completion(value, -len(replaced), display_meta=about)

    return _SlashCommands()


def open_reader(
    stream: TextIO,
    is_capable: bool,
    complete: Complete,
    history: Path | None,
    theme: Callable[[], Theme],
) -> LineReader:
    """Return the best reader for a terminal.

    Args:
        stream: The terminal.
        is_capable: Whether it can redraw lines.
        complete: See `EditingReader`.
        history: File of earlier lines.
        theme: See `EditingReader`.
    """
    if is_capable and importlib.util.find_spec("prompt_toolkit") is not None:
        return EditingReader(stream, complete, history, theme)
    return PlainReader(stream)
