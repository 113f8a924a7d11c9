"""The chat on a terminal: read a line, stream the answer, obey slash commands.

Ctrl-C stops an answer and keeps what came, Ctrl-D leaves. Answers go to standard output,
everything else to standard error, cleaned of control characters on the way. What the slash
commands do stands in `commands`, how lines are read in `reading`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from norcli.chat.answers import AnswerTotals
from norcli.chat.attachment import Attachment
from norcli.chat.commands import find_command
from norcli.chat.context_use import ContextUse
from norcli.chat.engines import UNKNOWN_CONTEXT
from norcli.chat.live_line import DIM, PLAIN, LiveLine
from norcli.chat.reading import LineReader
from norcli.chat.rendering import MarkdownView, PlainView, View
from norcli.chat.sanitize import Sanitizer, clean
from norcli.chat.session import Session
from norcli.chat.themes import THEMES
from norcli.chat.thinking import Thought
from norcli.chat.transcript import Transcript
from norcli.console import Console
from norcli.errors import NorcliError
from norcli.streams import Interruption, stop_requests


class Terminal:
    """One interactive run.

    Args:
        session: The conversation.
        reader: Where lines come from.
        stream: Where answers go.
        console: Where notes go.
        transcript: Where the conversation is kept; None keeps nothing.
        chats: Folder of saved conversations; None where none are kept.
        tells_speed: Whether tokens per second follow each answer.
        can_render: Whether the terminal can show Markdown with styles.
        markdown: Whether it shall.
        theme: A key of `norcli.chat.themes.THEMES`.

    Attributes:
        totals: Counts over all answers.
        draft: Text that the next line to edit begins with.
        attached: File whose text goes with the next request.
        is_editing: Whether the next request takes the place of the last one.
        has_ended: True once the user has said that it is enough.
    """

    def __init__(
        self,
        session: Session,
        reader: LineReader,
        stream: BinaryIO,
        console: Console,
        *,
        transcript: Transcript | None = None,
        chats: Path | None = None,
        tells_speed: bool = False,
        can_render: bool = False,
        markdown: bool = True,
        theme: str = "terminal",
    ) -> None:
        self.session = session
        self.reader = reader
        self.stream = stream
        self.console = console
        self.transcript = transcript
        self.chats = chats
        self.tells_speed = tells_speed
        self.can_render = can_render
        self.markdown = markdown
        self.theme = theme
        self.totals = AnswerTotals()
        self.draft = ""
        self.attached: Attachment | None = None
        self.is_editing = False
        self.has_ended = False

    def run(self) -> None:
        """Talk until the user leaves."""
        description = self.session.engine.description
        context = self.session.engine.context_tokens
        self.note(
            f"{description.path}: {description.architecture}, context "
            + ("unknown" if context == UNKNOWN_CONTEXT else f"{context} tokens")
            + f", template {self.session.template.name}"
        )
        self.note("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves")
        while not self.has_ended:
            try:
                replaces, line = self._read()
                if line.strip():
                    self._obey(line, replaces)
            except EOFError:
                break
            except (KeyboardInterrupt, Interruption) as error:
                # Also a Ctrl-C that comes just after an answer, before the line editor is back.
                if isinstance(error, Interruption) and error.signum != signal.SIGINT:
                    raise
                self.note("Ctrl-D or /exit leaves")
        if self.transcript is not None and self.transcript.path is not None:
            self.note(f"saved as {self.transcript.path}")

    def _read(self) -> tuple[bool, str]:
        """Return whether the line takes the last request's place, and the line."""
        draft, self.draft = self.draft, ""
        replaces, self.is_editing = self.is_editing, False
        lines = [self.reader.read("> ", draft, self.status())]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(self.reader.read(". ", "", self.status()))
        return replaces, "\n".join(lines)

    def _obey(self, line: str, replaces: bool) -> None:
        """Run a slash command or answer a request; an error ends neither the chat nor the talk."""
        try:
            if line.startswith("/"):
                word, _, argument = line.partition(" ")
                find_command(word).run(self, argument.strip())
            else:
                self._ask(line, replaces)
        except NorcliError as error:
            self.console.error(clean(str(error)), error.hint)

    def _ask(self, text: str, replaces: bool) -> None:
        if replaces:
            self.answer(lambda stopped: self.session.regenerate(text, stopped))
            return
        extra = self.attached.text if self.attached else None
        self.answer(lambda stopped: self.session.ask(text, extra, stopped))
        self.attached = None

    def answer(self, ask: Callable[[Callable[[], bool]], Iterator[str] | Generator[str]]) -> None:
        """Stream an answer, then save the conversation.

        Args:
            ask: Starts the answer; it is given the function that says whether to stop.
        """
        sanitizer, view, live = Sanitizer(), self._view(), LiveLine(self.console)
        with stop_requests() as stop, self.reader.silenced():

            def stopped() -> bool:
                live.wait(self.session.counts.prompt_tokens)
                return stop.requested

            try:
                for text in ask(stopped):
                    if isinstance(text, Thought):
                        live.think(text, self.session.counts.draft_tokens)
                        continue
                    live.fold()
                    view.feed(sanitizer.feed(text))
            except NorcliError:
                self._save()  # what came before the answer broke off
                raise
            finally:
                live.fold()
                view.feed(sanitizer.flush())
                view.finish()
        self.totals.add(self.session.counts)
        self._save()
        if stop.signum is not None:
            if stop.signum != signal.SIGINT:
                raise Interruption(stop.signum)
            self.note("stopped; /regen answers again, /undo takes the request back")
        elif not self.session.messages[-1]["content"]:
            self.note("the model gave an empty answer")
        elif not self.session.counts.finished:
            self.note(self._cut_note())
        if self.session.dropped_turns:
            self.note(f"the context is full: without the {self.session.dropped_turns} oldest turns")
        if self.tells_speed:
            self.note(self.speed())

    def _cut_note(self) -> str:
        counts, engine = self.session.counts, self.session.engine
        told = f"cut off after {counts.new_tokens} {'tokens' if counts.is_exact else 'pieces'}"
        if counts.prompt_tokens + counts.new_tokens >= engine.context_tokens:
            return f"{told}: the context is full"
        if not engine.description.has_tokens:
            return f"{told}; /set max-new-tokens allows more"
        return f"{told}; /continue goes on"

    def speed(self) -> str:
        """Return the counts of the last answer as one line."""
        counts = self.session.counts
        use = ContextUse(counts.prompt_tokens + counts.new_tokens)
        what, unit = f"{counts.prompt_tokens} + {counts.new_tokens} tokens", "tokens"
        if not counts.is_exact:
            use, unit = self.session.context_use(), "pieces"
            what = f"{counts.new_tokens} pieces, tokens not told"
        if counts.draft_tokens:
            what += f" ({counts.draft_tokens} of them draft)"
        return (
            f"{what}, first after {counts.prompt_seconds:.2f} s, then "
            f"{counts.tokens_per_second:.1f} {unit}/s; "
            f"{use.of(self.session.engine.context_tokens)} of context"
        )

    def note(self, text: str) -> None:
        """Say something that is not the model's, dim where the terminal can."""
        if self.console.level == 0:
            return
        text = clean(text)
        if self.console.uses_color:
            text = f"{DIM}{text}{PLAIN}"
        self.console.stream.write(text + "\n")
        self.console.stream.flush()

    def show(self, text: str) -> None:
        """Show an answer that was given before."""
        view = self._view()
        view.feed(clean(text))
        view.finish()

    def status(self) -> str:
        """Return what stands beside the prompt: the model, and how full its context is."""
        session = self.session
        description = session.engine.description
        name = Path(description.path).name if description.has_tokens else description.architecture
        parts = [name, session.template.name]
        parts.append(session.context_use().of(session.engine.context_tokens))
        if self.attached:
            parts.append(f"with {self.attached.path.name}")
        if session.dropped_turns:
            parts.append(f"{session.dropped_turns} oldest turns left out")
        if session.counts.new_tokens:
            unit = "tokens" if session.counts.is_exact else "pieces"
            parts.append(f"{session.counts.tokens_per_second:.1f} {unit}/s")
        return clean("  ".join(parts))

    def _view(self) -> View:
        if self.can_render and self.markdown:
            return MarkdownView(self.stream, THEMES[self.theme])
        return PlainView(self.stream)

    def _save(self) -> None:
        if self.transcript is None or not self.session.messages:
            return
        try:
            if self.transcript.save(self.session.record(), self.session.template.name):
                self.note("another chat has changed the saved conversation; this one goes on as "
                          f"{self.transcript.path}")  # fmt: skip
        except NorcliError as error:
            self.transcript = None
            self.console.warn(f"the conversation is not saved: {error}")
