"""The slash commands of the terminal: one table, one function each.

Help, completion and dispatch all come from the table. Each function gets the terminal and the
rest of the line; errors are raised as everywhere and shown by the terminal.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from norcli.chat.attachment import read_attachment
from norcli.chat.clipboard import copy_text
from norcli.chat.mode_commands import set_adapter, set_mode, show_thinking
from norcli.chat.options import MODES, TEMPLATE_CHOICES, ChatOptions
from norcli.chat.prompting import choose_template
from norcli.chat.themes import THEMES
from norcli.chat.transcript import (
    SavedConversation,
    find_saved,
    read_saved,
    saved_files,
    write_conversation,
)
from norcli.errors import CannotCreateError, NorcliError, UsageError
from norcli.options import option_fields

if TYPE_CHECKING:
    from norcli.chat.terminal import Terminal

LISTED_CONVERSATIONS = 20
SWITCH = {"on": True, "off": False}
LOOKS: dict[str, tuple[str, ...]] = {"theme": tuple(THEMES), "markdown": tuple(SWITCH)}
FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.M | re.S)
SETTINGS = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "max_new_tokens", "seed")


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command.

    Attributes:
        name: With its slash.
        argument: What may follow, for help.
        help: One line.
        run: Does it.
        complete: Gives what may be written after it, from what stands there already.
    """

    name: str
    argument: str
    help: str
    run: Callable[[Terminal, str], None]
    complete: Callable[[Terminal, str], Iterable[str]] = lambda terminal, written: ()


def _help(terminal: Terminal, argument: str) -> None:
    if argument:
        command = find_command(f"/{argument.removeprefix('/')}")
        terminal.note(f"{command.name} {command.argument}".rstrip() + f": {command.help}")
        return
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
    terminal.answer(lambda stopped: terminal.session.regenerate(stopped=stopped))


def _continue(terminal: Terminal, argument: str) -> None:
    terminal.answer(lambda stopped: terminal.session.go_on(stopped))


def _read(terminal: Terminal, argument: str) -> None:
    if argument in ("", "none"):
        terminal.attached = None if argument else terminal.attached
        terminal.note(terminal.attached.about if terminal.attached else "no file is read")
        return
    terminal.attached = read_attachment(_path(argument, "/read"))
    terminal.note(f"{terminal.attached.about}: goes with the next request; /read none drops it")


def _undo(terminal: Terminal, argument: str) -> None:
    message = terminal.session.undo()
    terminal.note(f"taken back: {message['content']}" if message else "there is nothing to undo")


def _edit(terminal: Terminal, argument: str) -> None:
    message = terminal.session.last_request
    if message is None:
        terminal.note("there is no request to edit")
    elif argument:
        terminal.answer(lambda stopped: terminal.session.regenerate(argument, stopped))
    else:
        terminal.draft = message["content"]
        terminal.is_editing = True
        terminal.note("change it and press Enter; Ctrl-C leaves it as it was")


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
    if not argument:
        show_saved(terminal)
        return
    path = Path(argument).expanduser()
    if not path.exists() and terminal.chats is not None:
        path = find_saved(terminal.chats, argument)
    go_on_with(terminal, read_saved(path))


def show_saved(terminal: Terminal) -> None:
    """List the newest saved conversations with their numbers."""
    files = saved_files(terminal.chats) if terminal.chats is not None else []
    if not files:
        terminal.note("no conversation is saved; /load FILE reads one from elsewhere")
    for number, path in enumerate(files[:LISTED_CONVERSATIONS], 1):
        try:
            requests = read_saved(path).requests
            about = f"{len(requests)} turns  {_first_line(requests[0] if requests else '')}"
        except NorcliError as error:
            about = error.message
        terminal.note(f"{number:>3}  {path.stem}  {about}")
    if len(files) > LISTED_CONVERSATIONS:
        terminal.note(f"     and {len(files) - LISTED_CONVERSATIONS} older")


def _first_line(text: str, longest: int = 50) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def go_on_with(terminal: Terminal, saved: SavedConversation) -> None:
    """Take over a saved conversation and show it.

    One of the chat's own goes on in its file; another is left as it is.
    """
    terminal.session.restore(saved.messages)
    if terminal.transcript is not None:
        terminal.transcript.begin_another()
        if saved.path.parent == terminal.chats:
            terminal.transcript.go_on_with(saved.path)
    for message in saved.messages:
        if message["role"] == "assistant":
            terminal.show(message["content"])
        else:
            mark = {"system": "system: ", "user": "> "}[message["role"]]
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
        shown = [f"{setting} {getattr(session.sampling, setting)}" for setting in SETTINGS]
        shown += [f"theme {terminal.theme}", f"markdown {'on' if terminal.markdown else 'off'}"]
        terminal.note(", ".join(shown))
        return
    if name in LOOKS:
        _set_look(terminal, name, value.strip())
        return
    if name not in SETTINGS:
        known = ", ".join([*SETTINGS, *LOOKS])
        raise UsageError(f'/set: no setting "{key}"', hint=f"known: {known}")
    field = next(field for field in option_fields(ChatOptions) if field.name == name)
    parsed = field.parse(value.strip(), "/set")
    field.check(parsed)
    if parsed is None:
        raise UsageError(f"/set {key}: needs a number")
    session.sampling = dataclasses.replace(session.sampling, **{name: parsed})
    terminal.note(f"{name} {parsed}")


def _set_look(terminal: Terminal, name: str, value: str) -> None:
    if value not in LOOKS[name]:
        raise UsageError(f'/set {name}: "{value}" is not one of {", ".join(LOOKS[name])}')
    if not terminal.can_render:
        raise UsageError(f"/set {name}: answers are plain here (NO_COLOR, --color, or no terminal)")
    if name == "theme":
        terminal.theme = value
    else:
        terminal.markdown = SWITCH[value]
    terminal.note(f"{name} {value}")


def _copy(terminal: Terminal, argument: str) -> None:
    answers = [m["content"] for m in terminal.session.messages if m["role"] == "assistant"]
    if not answers:
        raise UsageError("/copy: there is no answer yet")
    if argument not in ("", "code"):
        raise UsageError(f'/copy: "{argument}" is not "code"')
    text = answers[-1]
    if argument == "code":
        text = "\n".join(match[2] for match in FENCED.finditer(text))
        if not text:
            raise UsageError("/copy code: the last answer has no code block")
    stream = terminal.console.stream if terminal.console.is_terminal else None
    terminal.note(copy_text(text, stream, os.environ))


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


def _exit(terminal: Terminal, argument: str) -> None:
    terminal.has_ended = True


def _path(argument: str, command: str) -> Path:
    if not argument:
        raise UsageError(f"{command}: needs a file name")
    return Path(argument).expanduser()


def _complete_name(terminal: Terminal, written: str) -> Iterator[str]:
    yield from (command.name.removeprefix("/") for command in COMMANDS)


def _complete_setting(terminal: Terminal, written: str) -> Iterator[str]:
    key, space, _ = written.partition(" ")
    if space:
        yield from (f"{key} {value}" for value in LOOKS.get(key, ()))
    else:
        yield from (*(name.replace("_", "-") for name in SETTINGS), *LOOKS)


def _complete_path(terminal: Terminal, written: str) -> Iterator[str]:
    return _entries(written, ".jsonl")


def _complete_file(terminal: Terminal, written: str) -> Iterator[str]:
    return _entries(written, "")


def _entries(written: str, suffix: str) -> Iterator[str]:
    start = written[: written.rfind("/") + 1]
    try:
        entries = sorted(os.scandir(Path(start or ".").expanduser()), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir() or entry.name.endswith(suffix):
            yield start + entry.name + ("/" if entry.is_dir() else "")


def _complete_saved(terminal: Terminal, written: str) -> Iterator[str]:
    if terminal.chats is not None and "/" not in written:
        yield from (path.stem for path in saved_files(terminal.chats)[:LISTED_CONVERSATIONS])
    yield from _complete_path(terminal, written)


def complete(terminal: Terminal, text: str) -> list[tuple[str, str, str]]:
    """Return what a line that begins with a slash may go on with.

    Args:
        terminal: Knows what there is.
        text: The line up to the cursor.

    Returns:
        For each: the text that is to be put in, the text it replaces, and a word about it.
    """
    name, space, written = text.partition(" ")
    if not space:
        return [(c.name, name, c.help) for c in COMMANDS if c.name.startswith(name)]
    try:
        command = find_command(name)
    except UsageError:
        return []
    found = command.complete(terminal, written)
    return [(value, written, "") for value in found if value.startswith(written)]


COMMANDS = (
    SlashCommand("/help", "[COMMAND]", "List the commands, or tell of one", _help, _complete_name),
    SlashCommand("/regen", "", "Answer the last request again", _regenerate),
    SlashCommand("/continue", "", "Go on with an answer that was cut off or stopped", _continue),
    SlashCommand("/read", "FILE", "Ask the next request about a text file", _read, _complete_file),
    SlashCommand("/undo", "", "Take the last request and its answer back", _undo),
    SlashCommand("/edit", "[TEXT]", "Change the last request and ask again", _edit),
    SlashCommand("/clear", "", "Begin a new conversation", _clear),
    SlashCommand("/system", "[TEXT]", "Show or set the system message; none for none", _system),
    SlashCommand(
        "/template",
        "[NAME]",
        "Show or set the words around a request",
        _template,
        lambda terminal, written: TEMPLATE_CHOICES,
    ),
    SlashCommand(
        "/set",
        "[KEY VALUE]",
        "Show or set temperature, theme and the like",
        _set,
        _complete_setting,
    ),
    SlashCommand("/tokens", "TEXT", "Show how a text is cut into tokens", _tokens),
    SlashCommand("/stats", "", "Tell the speed after each answer, or stop telling", _stats),
    SlashCommand("/save", "FILE", "Save the conversation", _save, _complete_path),
    SlashCommand(
        "/load", "[FILE]", "List saved conversations, or go on with one", _load, _complete_saved
    ),
    SlashCommand(
        "/copy",
        "[code]",
        "Copy the last answer, or its code blocks",
        _copy,
        lambda terminal, written: ("code",),
    ),
    SlashCommand(
        "/mode",
        "[NAME]",
        "Show or set the mode: answer, completion, short, long",
        set_mode,
        lambda terminal, written: MODES,
    ),
    SlashCommand("/think", "", "Show the draft of the last answer", show_thinking),
    SlashCommand(
        "/adapter",
        "DIR",
        "Answer with a LoRA adapter from now on; none for none",
        set_adapter,
        _complete_path,
    ),
    SlashCommand("/exit", "", "Leave, as Ctrl-D does", _exit),
)


def find_command(word: str) -> SlashCommand:
    """Return a command by its name.

    Raises:
        UsageError: There is none; the closest is named.
    """
    name = {"/quit": "/exit", "/?": "/help"}.get(word, word)
    for command in COMMANDS:
        if command.name == name:
            return command
    close = difflib.get_close_matches(word, [c.name for c in COMMANDS], n=1)
    raise UsageError(
        f'no command "{word}"', hint=f"did you mean {close[0]}?" if close else "/help lists them"
    )
