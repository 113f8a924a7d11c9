"""The slash commands that change what answers: /mode, /think, /adapter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from norcli.chat.options import MODES, SHORT_THINK_TOKENS
from norcli.chat.prompting import choose_template
from norcli.chat.thinking import apply_mode
from norcli.errors import UsageError

if TYPE_CHECKING:
    from norcli.chat.terminal import Terminal


def set_mode(terminal: Terminal, argument: str) -> None:
    """Show or set the mode; ``short 100`` sets the draft's budget, too."""
    session = terminal.session
    name, _, budget = argument.partition(" ")
    if name and name not in MODES:
        raise UsageError(f'/mode: "{name}" is not one of {", ".join(MODES)}')
    if budget and (name != "short" or not budget.isdecimal()):
        raise UsageError("/mode: a number of tokens goes with short only")
    if name:
        template = session.template
        if session.mode == "completion":
            template = choose_template("auto", session.engine.description)
        session.template, session.sampling = apply_mode(
            name, template, session.sampling, vocabulary=session.engine.vocabulary,
            description=session.engine.description,
            short_tokens=int(budget or SHORT_THINK_TOKENS),
        )  # fmt: skip
        session.mode = name
    limit = session.sampling.think_tokens if session.mode == "short" else None
    terminal.note(f"mode {session.mode}" + (f", {limit} tokens of draft" if limit else ""))


def show_thinking(terminal: Terminal, argument: str) -> None:
    """Show the draft of the last answer."""
    terminal.note(terminal.session.thinking.strip() or "the last answer has no draft")


def set_adapter(terminal: Terminal, argument: str) -> None:
    """Answer with another adapter from now on, or with none."""
    if not argument:
        raise UsageError("/adapter: needs a directory or a GGUF adapter, or none")
    path = None if argument == "none" else os.path.expanduser(argument)
    terminal.session.engine.set_adapter(path)
    terminal.note(f"adapter {path or 'none'}")
