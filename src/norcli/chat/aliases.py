"""Names for models: ``[models.NAME]`` in the user's chat.toml, with the options they bring along.

A name is looked up where MODEL is neither a file nor a URL. What the command line says goes
before what the file says.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from norcli.chat.options import ChatOptions
from norcli.errors import ConfigError, InputMissingError, NorcliError
from norcli.options import option_fields

KEYS = (
    "model", "adapter", "template", "system", "mode", "think_tokens", "temperature", "top_k",
    "top_p", "min_p", "repeat_penalty", "max_new_tokens", "stop", "engine", "context",
    "model_name", "api_key_file", "timeout",
)  # fmt: skip


def read_aliases(file: Path) -> dict[str, dict[str, Any]]:
    """Read the names that a file gives to models; a file that is not there gives none.

    Returns:
        For each name its options, parsed and checked. A path in ``model``, ``adapter`` or
        ``api_key_file`` may begin with ``~``.

    Raises:
        ConfigError: The file is not TOML, or says something that chat does not know.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError("cannot be read", path=file) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not valid TOML: {error}", path=file) from error
    models = tables.pop("models", {})
    if tables or not isinstance(models, dict):
        odd = next(iter(tables), "models")
        raise ConfigError(f'"{odd}" is not known here', path=file,
                          hint="it holds tables like [models.norsk]")  # fmt: skip
    return {name: _parse(file, name, table) for name, table in models.items()}


def _parse(file: Path, name: str, table: Any) -> dict[str, Any]:
    where = f"[models.{name}]"
    if not isinstance(table, dict) or not isinstance(table.get("model"), str):
        raise ConfigError(f'{where} names no "model"', path=file)
    fields = {field.name: field for field in option_fields(ChatOptions) if field.name in KEYS}
    parsed: dict[str, Any] = {}
    for key, value in table.items():
        field = fields.get(key.replace("-", "_"))
        if field is None:
            close = difflib.get_close_matches(key, KEYS, n=1)
            raise ConfigError(f'{where}: "{key}" is not known', path=file,
                              hint=f"did you mean {close[0]}?" if close else
                              f"known: {', '.join(KEYS)}")  # fmt: skip
        try:
            parsed[field.name] = field.parse(value, where)
            field.check(parsed[field.name])
        except NorcliError as error:
            raise ConfigError(error.message, path=file, hint=error.hint) from error
        if field.name in ("model", "adapter", "api_key_file"):
            parsed[field.name] = os.path.expanduser(parsed[field.name])
    return parsed


def resolve_alias(options: ChatOptions, file: Path | None) -> ChatOptions:
    """Return the options with a model's name replaced by what it stands for.

    Args:
        options: Of the command; those that have their default take the alias's value.
        file: The user's chat.toml; None for none.

    Raises:
        InputMissingError: MODEL is neither a path, a URL nor a name.
        ConfigError: The file is bad.
    """
    is_name = "://" not in options.model and os.sep not in options.model
    if not is_name or Path(options.model).exists() or file is None:
        return options
    aliases = read_aliases(file)
    if options.model not in aliases:
        if not aliases:
            return options
        raise InputMissingError(
            "no such model, file or name", path=options.model,
            hint=f"names in {file}: {', '.join(sorted(aliases))}",
        )  # fmt: skip
    defaults = {field.name: field.default for field in option_fields(ChatOptions)}
    taken = {
        key: value for key, value in aliases[options.model].items()
        if key == "model" or getattr(options, key) == defaults[key]
    }  # fmt: skip
    return dataclasses.replace(options, **taken)
