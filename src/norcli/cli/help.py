"""Plain help of the program and of each command, made from the options dataclasses.

Also the file of the ``help`` command, which shows the manual page where man(1) and the page are
there, and this text elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

from norcli.cli.command import Command, Outcome
from norcli.cli.registry import REGISTRY, load, subcommands, top_level
from norcli.console import Console
from norcli.errors import UsageError
from norcli.options import (
    GeneralOptions,
    OptionField,
    groups_in_order,
    option,
    option_fields,
)
from norcli.streams import stdout_is_terminal, write_text

INTRODUCTION = (
    "Norwegian language models from the command line: small tools that filter, deduplicate, "
    "tokenize, train, align, quantize, evaluate and chat, joined by pipes."
)


def _width() -> int:
    return max(60, min(100, shutil.get_terminal_size((100, 24)).columns))


def overview() -> str:
    """Return the text of ``norcli --help``."""
    lines = ["usage: norcli COMMAND [OPTION]... [FILE]...", ""]
    lines += textwrap.wrap(INTRODUCTION, _width())
    lines += ["", "Commands:"]
    lines += [f"  {name:<15} {REGISTRY[name].summary}" for name in top_level()]
    lines += ["", "norcli COMMAND --help lists a command's options; norcli help COMMAND shows its "
              "manual page.", "norcli --version prints the version."]  # fmt: skip
    return "\n".join(lines) + "\n"


def synopsis(name: str, fields: list[OptionField]) -> str:
    """Return the usage line of a command."""
    words = [f"norcli {name}", "[OPTION]..."]
    for field in fields:
        if field.info.positional:
            word = field.metavar + ("..." if field.repeated else "")
            words.append(word if field.required else f"[{word}]")
    return " ".join(words)


def option_heading(field: OptionField) -> str:
    """Return an option as help and man page name it: ``-o, --output FILE``."""
    flag = field.flag
    if field.kind is bool and field.default is True:
        flag = f"--no-{field.flag[2:]}"
    short = f"-{field.info.short}, " if field.info.short else ""
    value = "" if field.name == "verbose" else field.metavar
    return f"{short}{flag} {value}".rstrip()


def option_text(field: OptionField) -> str:
    """Return an option's help with its default."""
    text = field.info.help
    if field.kind is bool:
        if field.default is True:
            text = f"Do not: {text[:1].lower()}{text[1:]}"
        return text
    if field.info.default_text:
        return f"{text} (default: {field.info.default_text})"
    if field.default in (None, [], "") or field.name == "verbose":
        return text
    default = ",".join(field.default) if field.repeated else field.default
    return f"{text} (default: {default})"


def command_help(name: str, command: Command) -> str:
    """Return the text of ``norcli COMMAND --help``."""
    fields = option_fields(command.options)
    width = _width()
    lines = textwrap.wrap("usage: " + synopsis(name, fields), width, subsequent_indent="    ")
    lines += ["", REGISTRY[name].summary + "."]
    if subs := subcommands(name):
        lines += ["", "Subcommands:"]
        lines += [f"  {sub:<15} {REGISTRY[f'{name} {sub}'].summary}" for sub in subs]
    positional = [field for field in fields if field.info.positional]
    if positional:
        lines += ["", "Arguments:"]
        for field in positional:
            lines += _entry(field.metavar, option_text(field), width)
    for group, members in groups_in_order(fields):
        lines += ["", f"{group}:"]
        for field in members:
            lines += _entry(option_heading(field), option_text(field), width)
    lines += _entry("-h, --help", "Show this text", width)
    if command.examples:
        lines += ["", "Examples:"]
        for comment, example in command.examples:
            lines += [f"  # {comment}", f"  {example}"]
    return "\n".join(lines) + "\n"


def _entry(heading: str, text: str, width: int) -> list[str]:
    body = textwrap.wrap(text, width - 30) or [""]
    if len(heading) <= 26:
        first = [f"  {heading:<27} {body[0]}"]
        rest = body[1:]
    else:
        first, rest = [f"  {heading}"], body
    return first + [" " * 30 + line for line in rest]


@dataclass(kw_only=True)
class HelpOptions(GeneralOptions):
    """Options of ``norcli help``."""

    command: list[str] = option(
        default_factory=list, help="Command and subcommand to show", positional=True,
        metavar="COMMAND", in_config=False,
    )  # fmt: skip


def manual_page(name: str) -> Path | None:
    """Return the manual page of a command beside the package, or where a wheel installed it."""
    installed = Path(shutil.which("norcli") or "/").parents[1] / "share" / "man"
    for root in (Path(__file__).resolve().parents[3] / "man", installed):
        page = root / "man1" / f"norcli-{name.split()[0]}.1"
        if page.is_file():
            return page
    return None


def run(options: HelpOptions, console: Console) -> Outcome:
    """Show the manual page of a command, or its help text where there is no man(1)."""
    name = " ".join(options.command)
    if not name:
        write_text(overview())
        return Outcome()
    if name not in REGISTRY:
        raise UsageError(f'no command "{name}"', hint="norcli --help lists them")
    page = manual_page(name)
    if page is not None and stdout_is_terminal() and shutil.which("man"):
        subprocess.run(["man", str(page)], check=False)
        return Outcome()
    write_text(command_help(name, load(name)))
    return Outcome()


COMMANDS = {
    "help": Command(
        options=HelpOptions,
        run=run,
        description="Shows the manual page where man(1) is installed, and the help text elsewhere.",
        examples=(("The manual page of dedup", "norcli help dedup"),),
    )
}
