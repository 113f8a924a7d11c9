"""Manual pages in man(7) macros, made from the options dataclasses."""

from __future__ import annotations

from norcli import __version__
from norcli.cli.configuration import environment_name
from norcli.cli.help import INTRODUCTION, option_heading, option_text
from norcli.cli.registry import REGISTRY, load, subcommands, top_level
from norcli.errors import EXIT_MEANINGS, ExitCode
from norcli.options import GENERAL, OptionField, groups_in_order, option_fields

EXITS_OF_ALL = (
    ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.DATA, ExitCode.NO_INPUT,
    ExitCode.UNAVAILABLE, ExitCode.BUG, ExitCode.CANNOT_CREATE, ExitCode.IO, ExitCode.RESUMABLE,
    ExitCode.CONFIG, ExitCode.SIGINT, ExitCode.SIGPIPE, ExitCode.SIGTERM,
)  # fmt: skip


def escape(text: str) -> str:
    """Escape text for roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\`")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


def header(name: str, date: str, section: int = 1) -> list[str]:
    """Return the title line of a page."""
    return [f'.TH "{name.upper()}" "{section}" "{date}" "norcli {__version__}" "norcli manual"']


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for index, paragraph in enumerate(part for part in text.split("\n\n") if part.strip()):
        if index:
            lines.append(".PP")
        lines.append(escape(" ".join(paragraph.split())))
    return lines


def _tagged(term: str, text: str) -> list[str]:
    return [".TP", f".B {escape(term)}", escape(text)]


def _synopsis(name: str) -> list[str]:
    words = ["\\fBnorcli " + escape(name) + "\\fR", "[\\fIOPTION\\fR]..."]
    for field in option_fields(load(name).options):
        if field.info.positional:
            word = f"\\fI{escape(field.metavar)}\\fR" + ("..." if field.repeated else "")
            words.append(word if field.required else f"[{word}]")
    return [" ".join(words)]


def _options(fields: list[OptionField], general: bool) -> list[str]:
    lines: list[str] = []
    positional = [field for field in fields if field.info.positional]
    for field in positional:
        lines += _tagged(field.metavar, option_text(field) + ".")
    for group, members in groups_in_order(fields):
        if group == GENERAL and not general:
            continue
        lines += [".PP", f"{escape(group)}:"]
        for field in members:
            lines += _tagged(option_heading(field), option_text(field) + ".")
    return lines


def _examples(name: str) -> list[str]:
    lines: list[str] = []
    for comment, example in load(name).examples:
        lines += [".PP", escape(comment) + ":", ".PP", ".RS 4", ".nf", escape(example), ".fi",
                  ".RE"]  # fmt: skip
    return lines[1:] if lines else []


def _exit_status() -> list[str]:
    lines = [".SH EXIT STATUS"]
    for code in EXITS_OF_ALL:
        lines += _tagged(str(int(code)), EXIT_MEANINGS[code] + ".")
    return lines


def _environment(name: str) -> list[str]:
    fields = [field for field in option_fields(load(name).options) if field.info.in_config]
    example = environment_name(name, fields[0])
    prefix = example[: -len(fields[0].name)]
    lines = [".SH ENVIRONMENT"]
    lines += _tagged(
        f"{prefix}OPTION",
        f"Sets an option by its name in capitals, such as {example}. "
        "A flag comes first, then the environment, then --config, then the default.",
    )
    lines += _tagged("SLURM_CPUS_PER_TASK", "Sets --jobs where it is not given.")
    lines += _tagged("NO_COLOR, FORCE_COLOR, TERM", "Colour on terminals.")
    lines += _tagged("NUMBA_CACHE_DIR", "Where compiled kernels are kept.")
    lines += _tagged("NORCLI_DEBUG", "1 shows tracebacks, as --debug does.")
    lines += _tagged(
        "NORCLI_PROGRESS_SECONDS", "Time between progress lines off a terminal (default: 60)."
    )
    return lines


def command_page(name: str, date: str) -> str:
    """Return the manual page of a command with its subcommands.

    Args:
        name: The command.
        date: Date of the page.
    """
    command = load(name)
    summary = REGISTRY[name].summary
    lines = header(f"norcli-{name}", date)
    lines += [
        ".SH NAME",
        f"{escape(f'norcli-{name}')} \\- {escape(summary[:1].lower() + summary[1:])}",
    ]
    lines += [".SH SYNOPSIS", *_synopsis(name)]
    for sub in subcommands(name):
        lines += [".br", *_synopsis(f"{name} {sub}")]
    lines += [".SH DESCRIPTION", escape(summary + ".")]
    if command.description:
        lines += [".PP", *_paragraphs(command.description)]
    if command.examples:
        lines += [".SH EXAMPLES", *_examples(name)]
    lines += [".SH OPTIONS", *_options(option_fields(command.options), general=True)]
    for sub in subcommands(name):
        full = f"{name} {sub}"
        inner = load(full)
        lines += [f".SH NORCLI {escape(full.upper())}", escape(REGISTRY[full].summary + ".")]
        if inner.description:
            lines += [".PP", *_paragraphs(inner.description)]
        lines += _options(option_fields(inner.options), general=False)
        if inner.examples:
            lines += [".PP", "Examples:", *([".PP", *_examples(full)])]
    lines += _environment(name) + _exit_status()
    others = [other for other in top_level() if other != name]
    lines += [".SH SEE ALSO", ".BR norcli (1),", ".BR norcli\\-formats (5),"]
    lines += [f".BR norcli\\-{escape(other)} (1)," for other in others[:-1]]
    lines += [f".BR norcli\\-{escape(others[-1])} (1)"]
    return "\n".join(_clean(lines)) + "\n"


def overview_page(date: str) -> str:
    """Return norcli(1)."""
    lines = header("norcli", date)
    lines += [".SH NAME", "norcli \\- Norwegian language models from the command line"]
    lines += [
        ".SH SYNOPSIS",
        "\\fBnorcli\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIFILE\\fR]...",
    ]
    lines += [".SH DESCRIPTION", escape(INTRODUCTION)]
    manners = (
        "Records go through pipes as JSON lines; - stands for standard input or output. Messages "
        "and progress go to standard error. Outputs appear under their name only when they are "
        "complete."
    )
    lines += [".PP", escape(manners)]
    lines += [".SH COMMANDS"]
    for name in top_level():
        lines += [".TP", f".BR norcli\\-{escape(name)} (1)", escape(REGISTRY[name].summary + ".")]
    lines += _exit_status()
    lines += [".SH SEE ALSO", ".BR norcli\\-formats (5)"]
    return "\n".join(_clean(lines)) + "\n"


def _clean(lines: list[str]) -> list[str]:
    """Drop paragraph breaks where mandoc would warn: right after a heading or another break."""
    result: list[str] = []
    for line in lines:
        after = result[-1] if result else ""
        if line == ".PP" and (after == ".PP" or after.startswith(".SH")):
            continue
        result.append(line)
    return result
