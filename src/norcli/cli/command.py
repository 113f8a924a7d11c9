"""What a command of the command line is: its options, its run function, its examples.

A command file under ``norcli/cli`` defines `COMMANDS`; help, man page and completions are made
from it together with the one-line summaries in `norcli.cli.registry`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from norcli.console import Console
from norcli.errors import ExitCode
from norcli.streams import write_text


@dataclass(frozen=True)
class Outcome:
    """What a run has to tell when it is done.

    Args:
        stats: Counts for ``--stats FILE``.
        summary: One line for standard error, without the command's name.
        exit_code: Other than OK where a requested check failed.
    """

    stats: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    exit_code: ExitCode = ExitCode.OK


@dataclass(frozen=True)
class Command:
    """One command or subcommand.

    Args:
        options: Its options dataclass.
        run: Does the work; imports the stage's core inside.
        description: Paragraphs for help and man page, separated by blank lines.
        examples: Pairs of what an example shows and the command.
    """

    options: type
    run: Callable[[Any, Console], Outcome]
    description: str = ""
    examples: tuple[tuple[str, str], ...] = ()


def write_plan(plan: Mapping[str, Any], as_json: bool) -> None:
    """Print what a run would do, as aligned lines or as one JSON object."""
    if as_json:
        write_text(json.dumps(plan, ensure_ascii=False) + "\n")
        return
    width = max((len(key) for key in plan), default=0)
    lines = []
    for key, value in plan.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{key.replace('_', ' '):<{width}}  {shown}")
    write_text("\n".join(lines) + "\n")
