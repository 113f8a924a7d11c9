"""A session on the terminal from its options: conversation, reader, look, and where it is kept.

Between the command line and `terminal`. What to know of the surroundings, such as where state is
kept and whether a terminal shows styles, comes in as arguments.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from norcli.chat.answers import AnswerTotals
from norcli.chat.commands import complete, go_on_with, show_saved
from norcli.chat.engines import ModelDescription
from norcli.chat.options import ChatOptions
from norcli.chat.reading import open_reader
from norcli.chat.session import Session
from norcli.chat.start import open_session
from norcli.chat.terminal import Terminal
from norcli.chat.themes import THEMES
from norcli.chat.transcript import (
    SavedConversation,
    Transcript,
    find_saved,
    read_saved,
    saved_files,
)
from norcli.console import Console
from norcli.errors import UsageError
from norcli.streams import stdout_binary


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session needs to know of where it runs.

    Attributes:
        state: Folder for transcripts and typed lines.
        can_render: Whether answers go to a terminal that obeys and wants styles.
        key: For a server that asks for one.
    """

    state: Path
    can_render: bool
    key: str | None = None


def talk(
    options: ChatOptions,
    description: ModelDescription,
    surroundings: Surroundings,
    console: Console,
) -> AnswerTotals:
    """Run a session on the terminal until the user leaves.

    Args:
        options: Of the command.
        description: From `describe_model`.
        surroundings: Of the process.
        console: The terminal.

    Raises:
        NorcliError: The model, or the conversation to go on with, cannot be read.
    """
    chats = surroundings.state / "chats"
    earlier = find_earlier(options, chats)
    opened = open_session(
        options, console, description=description, keeps_prompt=True, key=surroundings.key
    )
    with opened as new_session:
        session = new_session()
        terminal = make_terminal(options, session, surroundings, console)
        if session.template.name == "none":
            terminal.note("no chat template: the model continues your text; see /template")
        if earlier is not None:
            if earlier.path.parent == chats and len(saved_files(chats)) > 1:
                show_saved(terminal)
                terminal.note(f"going on with {earlier.path.stem}; /load NUMBER takes another")
            go_on_with(terminal, earlier)
        terminal.run()
    return terminal.totals


def find_earlier(options: ChatOptions, chats: Path) -> SavedConversation | None:
    """Return the conversation to go on with.

    Raises:
        NorcliError: There is none, or it cannot be read.
    """
    if options.load and options.resume:
        raise UsageError("--load and --resume both name a conversation; give one of them")
    if options.load:
        return read_saved(Path(options.load))
    if options.resume:
        return read_saved(find_saved(chats, options.inputs[0] if options.inputs else None))
    return None


def make_terminal(
    options: ChatOptions, session: Session, surroundings: Surroundings, console: Console
) -> Terminal:
    """Return the terminal for a session, which keeps it where the options allow it.

    Args:
        options: Of the command.
        session: With a loaded model.
        surroundings: Of the process.
        console: The terminal.
    """
    state: Path | None = surroundings.state
    if not options.save:
        state = None
    elif not _can_make(surroundings.state):
        console.warn(f"the conversation is not saved: {state} cannot be made")
        state = None
    chats = surroundings.state / "chats"
    reader = open_reader(
        console.stream, console.is_terminal, lambda text: complete(terminal, text),
        state / "chat-history" if state is not None else None, lambda: THEMES[terminal.theme],
    )  # fmt: skip
    terminal = Terminal(
        session, reader, stdout_binary(), console,
        transcript=Transcript(chats, options.model) if state is not None else None, chats=chats,
        tells_speed=options.speed, can_render=surroundings.can_render, markdown=options.markdown,
        theme=options.theme,
    )  # fmt: skip
    return terminal


def _can_make(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
