"""The slash commands of the terminal: one table, one function each.

Help, completion and dispatch all come from the table. Each function gets the terminal and the
rest of the line; errors are raised as everywhere and shown by the terminal.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from norcli.chat.options import TEMPLATE_CHOICES, ChatOptions
from norcli.chat.prompting import choose_template
from norcli.chat.transcript import read_conversation, write_conversation
from norcli.errors import CannotCreateError, UsageError
from norcli.options import option_fields

if TYPE_CHECKING:
    from norcli.chat.terminal import Terminal

SETTINGS = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "max_new_tokens", "seed")


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command.

    Attributes:
        name: With its slash.
        argument: What may follow, for help.
        help: One line.
        run: Does it.
    """

    name: str
    argument: str
    help: str
    run: Callable[[Terminal, str], None]


def _help(terminal: Terminal, argument: str) -> None:
    width = max(len(f"{c.name} {c.argument}") for c in COMMANDS)
    for command in COMMANDS:
        terminal.note(f"{f'{command.name} {command.argument}':<{width}}  {command.help}")
    terminal.note("Alt-Enter, or a backslash at the end of a line, goes on to another line")


def _system(terminal: Terminal, argument: str) -> None:
    session = terminal.session
    if argument == "none":
        session.system = None
    elif argument:
        session.system = argument
    terminal.note(f"system message: {session.system or 'none'}")


def _regenerate(terminal: Terminal, argument: str) -> None:
    terminal.answer(terminal.session.regenerate)


def _undo(terminal: Terminal, argument: str) -> None:
    message = terminal.session.undo()
    terminal.note(f"taken back: {message['content']}" if message else "there is nothing to undo")


def _edit(terminal: Terminal, argument: str) -> None:
    message = terminal.session.undo()
    if message is None:
        terminal.note("there is no request to edit")
    elif argument:
        terminal.answer(lambda stopped: terminal.session.ask(argument, stopped=stopped))
    else:
        terminal.draft = message["content"]


def _save(terminal: Terminal, argument: str) -> None:
    path = _path(argument, "/save")
    if path.exists():
        raise CannotCreateError("exists already", path=path, hint="choose another name")
    session = terminal.session
    write_conversation(
        path, session.record(), model=session.engine.description.path,
        template=session.template.name,
    )  # fmt: skip
    terminal.note(f"saved as {path}")


def _load(terminal: Terminal, argument: str) -> None:
    messages = read_conversation(_path(argument, "/load"))
    terminal.session.restore(messages)
    if terminal.transcript is not None:
        terminal.transcript.begin_another()
    for message in messages:
        mark = {"system": "system: ", "user": "> ", "assistant": ""}[message["role"]]
        terminal.note(mark + message["content"])


def _clear(terminal: Terminal, argument: str) -> None:
    terminal.session.clear()
    if terminal.transcript is not None:
        terminal.transcript.begin_another()
    terminal.note("a new conversation")


def _set(terminal: Terminal, argument: str) -> None:
    session = terminal.session
    key, _, value = argument.partition(" ")
    name = key.replace("-", "_")
    if not key:
        shown = (f"{setting} {getattr(session.sampling, setting)}" for setting in SETTINGS)
        terminal.note(", ".join(shown))
        return
    if name not in SETTINGS:
        raise UsageError(f'/set: no setting "{key}"', hint=f"known: {', '.join(SETTINGS)}")
    field = next(field for field in option_fields(ChatOptions) if field.name == name)
    parsed = field.parse(value.strip(), "/set")
    field.check(parsed)
    if parsed is None:
        raise UsageError(f"/set {key}: needs a number")
    session.sampling = dataclasses.replace(session.sampling, **{name: parsed})
    terminal.note(f"{name} {parsed}")


def _template(terminal: Terminal, argument: str) -> None:
    session = terminal.session
    if argument:
        if argument not in TEMPLATE_CHOICES:
            raise UsageError(f'/template: "{argument}" is not one of {", ".join(TEMPLATE_CHOICES)}')
        session.template = choose_template(argument, session.engine.description)
    terminal.note(f"template {session.template.name}")


def _stats(terminal: Terminal, argument: str) -> None:
    if terminal.totals.answers:
        terminal.note(terminal.speed())
    terminal.tells_speed = not terminal.tells_speed
    terminal.note(f"speed after each answer: {'on' if terminal.tells_speed else 'off'}")


def _tokens(terminal: Terminal, argument: str) -> None:
    if not argument:
        raise UsageError("/tokens: needs a text")
    vocabulary = terminal.session.engine.vocabulary
    ids = vocabulary.encode(argument)
    terminal.note(" ".join(f"{vocabulary.spelling(i)}({i})" for i in ids))
    terminal.note(f"{len(ids)} tokens")


def _quit(terminal: Terminal, argument: str) -> None:
    terminal.has_ended = True


def _path(argument: str, command: str) -> Path:
    if not argument:
        raise UsageError(f"{command}: needs a file name")
    return Path(argument).expanduser()


COMMANDS = (
    SlashCommand("/help", "", "List the commands", _help),
    SlashCommand("/regen", "", "Answer the last request again", _regenerate),
    SlashCommand("/undo", "", "Take the last request and its answer back", _undo),
    SlashCommand("/edit", "[TEXT]", "Change the last request and ask again", _edit),
    SlashCommand("/clear", "", "Begin a new conversation", _clear),
    SlashCommand("/system", "[TEXT]", "Show or set the system message; none for none", _system),
    SlashCommand("/template", "[NAME]", "Show or set the words around a request", _template),
    SlashCommand("/set", "[KEY VALUE]", "Show or set temperature, top-p and the like", _set),
    SlashCommand("/tokens", "TEXT", "Show how a text is cut into tokens", _tokens),
    SlashCommand("/stats", "", "Tell the speed after each answer, or stop telling", _stats),
    SlashCommand("/save", "FILE", "Save the conversation", _save),
    SlashCommand("/load", "FILE", "Go on with a saved conversation", _load),
    SlashCommand("/quit", "", "Leave, as Ctrl-D does", _quit),
)


def find_command(word: str) -> SlashCommand:
    """Return a command by its name.

    Raises:
        UsageError: There is none; the closest is named.
    """
    name = {"/exit": "/quit", "/?": "/help"}.get(word, word)
    for command in COMMANDS:
        if command.name == name:
            return command
    close = difflib.get_close_matches(word, [c.name for c in COMMANDS], n=1)
    raise UsageError(
        f'no command "{word}"', hint=f"did you mean {close[0]}?" if close else "/help lists them"
    )
