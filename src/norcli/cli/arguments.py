"""From an options dataclass to Typer and back: the flags that were given, and nothing else.

Typer parses and words its complaints; defaults, environment and TOML are merged afterwards
(`norcli.cli.configuration`), so every flag here defaults to "not given".
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from typer._click.exceptions import ClickException

from norcli.errors import UsageError
from norcli.options import OptionField


def parse_arguments(name: str, fields: list[OptionField], arguments: list[str]) -> dict[str, Any]:
    """Parse a command's arguments.

    Args:
        name: The command, for messages.
        fields: Its options.
        arguments: The words after the command.

    Returns:
        Values by option name, of the options that were given only.

    Raises:
        UsageError: An unknown flag, a missing value, or a wrong number.
    """

    def collect(**values: Any) -> dict[str, Any]:
        return {key: value for key, value in values.items() if value not in (None, [])}

    parameters = [_parameter(field) for field in fields]
    collect.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    collect.__annotations__ = {p.name: p.annotation for p in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(add_help_option=False)(collect)
    try:
        given = typer.main.get_command(app).main(
            arguments, prog_name=f"norcli {name}", standalone_mode=False
        )
    except ClickException as error:
        message = error.format_message().replace("\n", " ").rstrip(".")
        raise UsageError(
            message[:1].lower() + message[1:], hint=f"see norcli {name} --help"
        ) from None
    return {key: _split(key, value, fields) for key, value in given.items()}


def _split(key: str, value: Any, fields: list[OptionField]) -> Any:
    """Split comma-separated values of repeatable flags: ``--languages nob,nno``."""
    field = next(field for field in fields if field.name == key)
    if field.repeated and not field.info.positional:
        return [item for text in value for item in str(text).split(",") if item]
    return value


def _parameter(field: OptionField) -> inspect.Parameter:
    info = field.info
    kind: Any = list[str] if field.repeated else field.kind
    if info.positional:
        declared: Any = typer.Argument(metavar=field.metavar, show_default=False)
        kind = kind | None
    elif field.name == "verbose":
        declared = typer.Option("--verbose", "-v", count=True)
        kind = int
    else:
        names = [field.flag]
        if field.kind is bool and field.default is True:
            names = [f"{field.flag}/--no-{field.flag[2:]}"]
        if info.short:
            names.append(f"-{info.short}")
        declared = typer.Option(*names)
        kind = kind | None
    default = 0 if field.name == "verbose" else None
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, declared],
    )
