"""One way to declare an option: a dataclass field with its help, group and limits.

Each command has one options dataclass, built from the mixins here. Flags, environment variables,
TOML keys, help, man page, completions and the Python API are all read off that dataclass, so an
option's name, default and help are written once. Standard library only: the command line's start
depends on it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from norcli.errors import ConfigError, UsageError

INPUT = "Input"
OUTPUT = "Output"
GENERAL = "General"


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """What the command line knows of an option beyond its type and default."""

    help: str
    group: str
    short: str | None
    metavar: str | None
    choices: tuple[str, ...]
    complete: str | None
    minimum: float | None
    maximum: float | None
    positional: bool
    default_text: str | None
    in_config: bool


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    group: str = GENERAL,
    short: str | None = None,
    metavar: str | None = None,
    choices: Sequence[str] = (),
    complete: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    positional: bool = False,
    default_text: str | None = None,
    in_config: bool = True,
    default_factory: Callable[[], Any] | None = None,
) -> Any:
    """Declare one option of a command as a dataclass field.

    The flag is the field's name with hyphens. Types: ``bool`` (``--x``, or ``--x/--no-x`` where
    the default is true), ``int``, ``float``, ``str``, each ``| None``, and ``list[str]``
    (repeatable; a comma-separated value is split for non-positional ones).

    Args:
        default: The default; none makes the option required.
        help: One imperative sentence without a full stop, units in it.
        group: Heading in help and man page: Input, Output, a topic, or General.
        short: One letter, only of -h -o -q -v -n -j -c.
        metavar: The value's name in help, default from the type.
        choices: The accepted values; also completed in shells.
        complete: ``file``, ``file:.jsonl,.parquet``, ``dir`` or ``preset``.
        minimum: Lowest accepted number.
        maximum: Highest accepted number.
        positional: True for an argument without a flag.
        default_text: How help words a default that is worked out later.
        in_config: False keeps it out of TOML and environment (``--help``-like switches).
        default_factory: For list defaults.
    """
    info = OptionInfo(
        help=help, group=group, short=short, metavar=metavar, choices=tuple(choices),
        complete=complete, minimum=minimum, maximum=maximum, positional=positional,
        default_text=default_text, in_config=in_config,
    )  # fmt: skip
    metadata = {"option": info}
    if default_factory is not None:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option of a dataclass as the bridge, the docs and the completions see it."""

    name: str
    kind: type
    optional: bool
    repeated: bool
    required: bool
    default: Any
    info: OptionInfo

    @property
    def key(self) -> str:
        """The name in TOML; a field called ``for_`` is ``for`` to the user."""
        return self.name.rstrip("_")

    @property
    def flag(self) -> str:
        """The long flag, ``--text-key`` for ``text_key``."""
        return "--" + self.key.replace("_", "-")

    @property
    def metavar(self) -> str:
        """The value's name in help; empty for switches."""
        if self.kind is bool:
            return ""
        if self.info.metavar:
            return self.info.metavar
        if self.info.choices:
            return "{" + ",".join(self.info.choices) + "}"
        if self.info.positional:
            return self.name.upper().replace("_", "-")
        return {int: "N", float: "X", str: "TEXT"}[self.kind]

    def parse(self, value: Any, where: str) -> Any:
        """Turn a TOML value or an environment string into the option's type.

        Raises:
            ConfigError: The value has the wrong type or is out of range.
        """
        if self.repeated:
            items = value.split(",") if isinstance(value, str) else value
            if not isinstance(items, list):
                raise ConfigError(f'{where}: "{self.name}" takes a list, not {value!r}')
            return [self._parse_one(item, where) for item in items]
        if self.optional and value in ("", "none"):
            return None
        return self._parse_one(value, where)

    def _parse_one(self, value: Any, where: str) -> Any:
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
        wrong = ConfigError(f'{where}: "{self.name}" takes {wanted[self.kind]}, not {value!r}')
        parsed: Any = value
        if self.kind is bool:
            if isinstance(value, str):
                table = {"1": True, "true": True, "yes": True, "0": False, "false": False,
                         "no": False}  # fmt: skip
                parsed = table.get(value.lower())
            if not isinstance(parsed, bool):
                raise wrong
        elif self.kind in (int, float):
            if isinstance(value, bool):
                raise wrong
            try:
                parsed = self.kind(value)
            except (TypeError, ValueError) as error:
                raise wrong from error
            if self.kind is int and parsed != float(value):
                raise wrong
        elif not isinstance(value, str):
            raise wrong
        return parsed

    def check(self, value: Any) -> None:
        """Check choices and range.

        Raises:
            UsageError: The value is not one of the choices, or out of range.
        """
        for item in value if self.repeated else [value]:
            if item is None:
                continue
            if self.info.choices and item not in self.info.choices:
                close = difflib.get_close_matches(str(item), self.info.choices, n=1)
                raise UsageError(
                    f'{self.label}: "{item}" is not one of {", ".join(self.info.choices)}',
                    hint=f"did you mean {close[0]}?" if close else None,
                )
            low, high = self.info.minimum, self.info.maximum
            if low is not None and item < low:
                raise UsageError(f"{self.label}: {item} is below {low:g}")
            if high is not None and item > high:
                raise UsageError(f"{self.label}: {item} is above {high:g}")

    @property
    def label(self) -> str:
        """The flag, or the metavar of an argument."""
        return self.metavar if self.info.positional else self.flag


def option_fields(options_class: type) -> list[OptionField]:
    """Return the options of a dataclass in the order of help: by group, General last."""
    hints = typing.get_type_hints(options_class)
    fields = [
        _option_field(field, hints[field.name])
        for field in dataclasses.fields(options_class)
        if "option" in field.metadata
    ]
    groups = list(dict.fromkeys(field.info.group for field in fields))
    topics = [group for group in groups if group not in (INPUT, OUTPUT, GENERAL)]
    order = {group: rank for rank, group in enumerate([INPUT, OUTPUT, *topics, GENERAL])}
    return sorted(fields, key=lambda field: order[field.info.group])


def options_as_toml(command: str, options: Any) -> str:
    """Return the options of a run as the TOML section that `--config` reads back."""
    lines = [f"[{'.'.join(command.split())}]"]
    for field in option_fields(type(options)):
        value = getattr(options, field.name)
        if not field.info.in_config:
            continue
        if value is None:
            lines.append(f"# {field.key} is not set")
        else:
            lines.append(f"{field.key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _option_field(field: dataclasses.Field[Any], hint: Any) -> OptionField:
    optional = False
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        arguments = [a for a in typing.get_args(hint) if a is not type(None)]
        optional = True
        hint = arguments[0]
    repeated = typing.get_origin(hint) is list
    kind = typing.get_args(hint)[0] if repeated else hint
    if kind not in (bool, int, float, str):
        raise TypeError(f"option {field.name} has unsupported type {hint}")
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    default: Any = None
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return OptionField(
        name=field.name, kind=kind, optional=optional, repeated=repeated, required=required,
        default=default, info=field.metadata["option"],
    )  # fmt: skip


@dataclass(kw_only=True)
class GeneralOptions:
    """Options that every command has, with the same meaning in each."""

    config: str | None = option(
        None, help="Read options from this TOML file, section named after the command",
        short="c", metavar="FILE", complete="file:.toml", in_config=False,
    )  # fmt: skip
    print_config: bool = option(
        False, help="Print the effective options as TOML and exit", in_config=False
    )
    dry_run: bool = option(
        False, help="Check the inputs and print the plan; write nothing", short="n",
        in_config=False,
    )  # fmt: skip
    json: bool = option(False, help="Print plans and reports as JSON")
    stats: str | None = option(
        None, help="Write the run's counts as JSON to this file", metavar="FILE", complete="file"
    )
    seed: int = option(0, help="Seed of everything random", minimum=0)
    jobs: int | None = option(
        None, help="Threads or processes to use at most", short="j", minimum=1,
        default_text="SLURM_CPUS_PER_TASK, else 1",
    )  # fmt: skip
    quiet: bool = option(False, help="Print errors only", short="q")
    verbose: int = option(0, help="Say more; twice for debugging detail", short="v")
    progress: bool = option(True, help="Show progress on standard error")
    color: str = option("auto", help="Colour on terminals", choices=("auto", "always", "never"))
    log_format: str = option("text", help="Form of log lines", choices=("text", "json"))
    debug: bool = option(False, help="Show tracebacks", in_config=False)


@dataclass(kw_only=True)
class RecordInputOptions:
    """Options of commands that read documents or records."""

    inputs: list[str] = option(
        default_factory=list, help="Files to read, - for standard input", group=INPUT,
        positional=True, metavar="FILE", complete="file", default_text="standard input",
        in_config=False,
    )  # fmt: skip
    files_from: str | None = option(
        None, help="Read the names of the input files from this file, one a line", group=INPUT,
        metavar="FILE", complete="file",
    )  # fmt: skip
    input_format: str = option(
        "auto", help="Format of the input; auto goes by suffix, JSONL on a pipe", group=INPUT,
        choices=("auto", "jsonl", "parquet", "text"),
    )  # fmt: skip
    text_key: str = option("text", help="Field that holds the text", group=INPUT, metavar="KEY")
    on_bad_record: str = option(
        "stop", help="What to do with a record that cannot be read", group=INPUT,
        choices=("stop", "skip"),
    )  # fmt: skip
    max_bad: int | None = option(
        None, help="With skip: fail after this many bad records", group=INPUT, minimum=0
    )
    limit: int | None = option(None, help="Read at most this many records", group=INPUT, minimum=1)
    shard: str | None = option(
        None, help="Take only part I of N of the input, I from 0", group=INPUT, metavar="I/N"
    )


@dataclass(kw_only=True)
class OutputOptions:
    """Options of commands that write one file or directory."""

    output: str = option(
        "-", help="File to write, - for standard output", group=OUTPUT, short="o",
        metavar="FILE", complete="file",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Replace an output that exists", group=OUTPUT, in_config=False
    )


@dataclass(kw_only=True)
class RecordOutputOptions(OutputOptions):
    """Options of commands that write documents or records."""

    output_format: str = option(
        "auto", help="Format of the output; auto goes by suffix, JSONL on a pipe", group=OUTPUT,
        choices=("auto", "jsonl", "parquet", "text"),
    )  # fmt: skip


def parse_shard(shard: str | None) -> tuple[int, int]:
    """Parse ``I/N`` (0-based) into ``(index, count)``; ``(0, 1)`` for no sharding.

    Raises:
        UsageError: Not two whole numbers with 0 ≤ I < N.
    """
    if shard is None:
        return 0, 1
    index, _, count = shard.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise UsageError(
            f'--shard: "{shard}" is not I/N with 0 <= I < N',
            hint='in a SLURM array use --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"',
        )
    return int(index), int(count)


def groups_in_order(fields: Sequence[OptionField]) -> Iterator[tuple[str, list[OptionField]]]:
    """Yield each group's heading with its non-positional options."""
    for group in dict.fromkeys(field.info.group for field in fields):
        members = [f for f in fields if f.info.group == group and not f.info.positional]
        if members:
            yield group, members
