"""Where an option's value comes from: flag, environment, TOML file, default, in this order.

``NORCLI_<COMMAND>_<OPTION>`` and the TOML section named after the command ("[dedup]",
"[rlhf.ppo]") both use the option's name. `--print-config` writes the result back as TOML.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from norcli.errors import ConfigError, InputMissingError, UsageError
from norcli.options import OptionField


def environment_name(command: str, field: OptionField) -> str:
    """Return the environment variable of an option."""
    words = f"norcli {command} {field.key}".replace("-", "_").replace(" ", "_")
    return words.upper()


def merge_options(
    command: str,
    options_class: type,
    fields: list[OptionField],
    given: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Any:
    """Build the options object of a run.

    Raises:
        UsageError: A required option is missing, or a value is out of range.
        ConfigError: The TOML file or an environment variable is wrong.
        InputMissingError: The TOML file does not exist.
    """
    values = dict(given)
    file = read_section(str(given["config"]), command, fields) if "config" in given else {}
    for field in fields:
        if field.name in values or not field.info.in_config:
            continue
        variable = environment_name(command, field)
        if environment.get(variable):
            values[field.name] = field.parse(environment[variable], variable)
        elif field.name in file:
            values[field.name] = file[field.name]
    for field in fields:
        if field.required and field.name not in values:
            raise UsageError(f"missing {field.label}", hint=f"see norcli {command} --help")
        if field.name in values:
            field.check(values[field.name])
    return options_class(**values)


def read_section(path: str, command: str, fields: list[OptionField]) -> dict[str, Any]:
    """Read a command's section of a TOML file.

    Raises:
        ConfigError: Not TOML, an unknown key, or a value of the wrong type.
        InputMissingError: No such file.
    """
    try:
        with Path(path).open("rb") as stream:
            section: Any = tomllib.load(stream)
    except OSError:
        raise InputMissingError("no such file", path=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", path=path) from None
    for word in command.split():
        section = section.get(word, {})
        if not isinstance(section, dict):
            raise ConfigError(f'"{word}" must be a section: [{word}]', path=path)
    known = {field.key: field for field in fields if field.info.in_config}
    result: dict[str, Any] = {}
    for key, value in section.items():
        name = key.replace("-", "_")
        if name in known:
            result[known[name].name] = known[name].parse(value, path)
        elif not isinstance(value, dict):
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f'unknown option "{key}" in [{command.replace(" ", ".")}]', path=path,
                hint=f"did you mean {close[0]}?" if close else None,
            )  # fmt: skip
    return result
