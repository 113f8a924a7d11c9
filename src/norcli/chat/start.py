"""From options to a running conversation: load the model, make sessions, close it in the end.

Between the command line and the other files of this folder; also the way in from Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from norcli.chat.answers import AnswerTotals
from norcli.chat.engines import ModelDescription, Sampling, describe_model, open_engine
from norcli.chat.options import ChatOptions
from norcli.chat.prompting import choose_template
from norcli.chat.session import Session
from norcli.console import Console
from norcli.streams import stdout_binary


@contextmanager
def open_session(
    options: ChatOptions,
    console: Console,
    *,
    description: ModelDescription | None = None,
    keeps_prompt: bool = False,
) -> Iterator[Callable[[], Session]]:
    """Load the model of the options; give a function that makes empty sessions with it.

    Args:
        options: Of the command.
        console: For what the user should know.
        description: From `describe_model`, where the caller has it already.
        keeps_prompt: See `open_engine`.

    Raises:
        NorcliError: The model cannot be loaded.
    """
    if description is None:
        description = describe_model(options.model, options.engine)
    template = choose_template(options.template, description)
    if template.name == "none" and options.template == "auto":
        console.info("the model has no chat template: it continues the text as it stands")
    sampling = Sampling(
        repeat_penalty=options.repeat_penalty, top_k=options.top_k, top_p=options.top_p,
        min_p=options.min_p, temperature=options.temperature or 0.0,
        max_new_tokens=options.max_new_tokens, seed=options.seed,
    )  # fmt: skip
    engine = open_engine(description, options, console, keeps_prompt=keeps_prompt)
    try:
        yield lambda: Session(engine, template, sampling, system=options.system, stops=options.stop)
    finally:
        engine.close()


def talk(
    options: ChatOptions, description: ModelDescription, state: Path | None, console: Console
) -> AnswerTotals:
    """Run a session on the terminal until the user leaves.

    Args:
        options: Of the command.
        description: From `describe_model`.
        state: Folder for transcripts and typed lines; None keeps nothing.
        console: The terminal.
    """
    from norcli.chat.reading import open_reader
    from norcli.chat.terminal import Terminal
    from norcli.chat.transcript import Transcript, read_conversation

    earlier = read_conversation(Path(options.load)) if options.load else None
    if state is not None and not _can_make(state):
        console.warn(f"the conversation is not saved: {state} cannot be made")
        state = None
    opened = open_session(options, console, description=description, keeps_prompt=True)
    with opened as new_session:
        session = new_session()
        if earlier is not None:
            session.restore(earlier)
        history = state / "chat-history" if state is not None else None
        terminal = Terminal(
            session, open_reader(console.stream, console.is_terminal, history), stdout_binary(),
            console, transcript=Transcript(state / "chats", options.model) if state else None,
            tells_speed=options.speed,
        )  # fmt: skip
        if session.template.name == "none":
            terminal.note("no chat template: the model continues your text; see /template")
        terminal.run()
    return terminal.totals


def _can_make(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
