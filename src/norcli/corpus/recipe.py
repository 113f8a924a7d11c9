"""Recipes: what a corpus is made of, as TOML. The report's V1, V2 and V3 are shipped.

A recipe names a field and, for values of that field, amounts, weights, shares or epochs. What a
recipe comes to with the documents at hand is worked out in `norcli.corpus.mixture`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli.corpus.source_groups import canonical_group
from norcli.errors import ConfigError, InputMissingError, UsageError

SHIPPED = ("v1", "v2", "v3")
KINDS = ("amount", "weight", "share", "epochs")
UNITS = ("tokens", "words", "bytes", "documents")
_FOLDER = Path(__file__).parent / "recipes"
_KEYS = {"name", "by", "unit", "total", "part"}
# What the shipped recipes tell beside; `norcli stats --beside-report` shows it.
_NOTES = {"compiled", "models", "stated_total", "nynorsk_of_norwegian", "sami_of_norwegian"}


@dataclass(frozen=True)
class RecipePart:
    """One part of a recipe: a value of the recipe's field, and how much of it."""

    name: str
    value: float
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of.

    Attributes:
        name: The recipe's name.
        by: Field of the records whose values are the parts.
        kind: What the parts' values are: amount, weight, share or epochs.
        parts: The parts in the order they are written in.
        unit: What amounts are of; None leaves it to the command line.
        total: Amount to make; None for what the parts come to.
        notes: Further keys of the shipped recipes.
    """

    name: str
    by: str
    kind: str
    parts: tuple[RecipePart, ...]
    unit: str | None
    total: float | None
    notes: dict[str, Any]

    @property
    def amount(self) -> float:
        """Sum of the parts' values."""
        return sum(part.value for part in self.parts)

    def value_of(self, fields: dict[str, Any]) -> str:
        """Return the part a record belongs to, by its name."""
        value = fields.get(self.by)
        text = "" if value is None else str(value)
        return canonical_group(text) if self.by == "source_group" else text


def load_recipe(name: str) -> Recipe:
    """Load a shipped recipe or a TOML file.

    Raises:
        InputMissingError: There is no such file.
        ConfigError: It is not TOML, or says something unknown or impossible.
    """
    path = _FOLDER / f"{name}.toml" if name in SHIPPED else Path(name)
    if not path.is_file():
        raise InputMissingError(
            "no such recipe", path=name, hint=f"shipped are {', '.join(SHIPPED)}"
        )
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not valid TOML: {error}", path=name) from error
    try:
        return _recipe(data, path.stem)
    except ConfigError as error:
        error.path = name
        raise


def _recipe(data: dict[str, Any], stem: str) -> Recipe:
    if unknown := data.keys() - _KEYS - _NOTES:
        raise ConfigError(f'unknown key "{sorted(unknown)[0]}"', hint=f"known: {_words(_KEYS)}")
    if not all(isinstance(data.get(key, ""), str) for key in ("by", "name")):
        raise ConfigError('"by" and "name" take a string')
    entries = data.get("part", [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ConfigError("has parts that are no tables", hint="write each under [[part]]")
    if not entries:
        raise ConfigError("has no [[part]]")
    kinds = {key for entry in entries for key in entry if key in KINDS}
    if len(kinds) != 1:
        raise ConfigError(f"every part needs one of {', '.join(KINDS)}, the same in all")
    kind = kinds.pop()
    parts = []
    for entry in entries:
        if unknown := entry.keys() - {"name", "sources", kind}:
            raise ConfigError(f'a part has the unknown key "{sorted(unknown)[0]}"')
        value = entry.get(kind)
        if not isinstance(entry.get("name"), str) or not _is_number(value):
            raise ConfigError(f"a part needs a name and a number as {kind}")
        sources = entry.get("sources", [])
        if not isinstance(sources, list) or not all(isinstance(one, str) for one in sources):
            raise ConfigError(f'sources of "{entry["name"]}" must be a list of names')
        parts.append(RecipePart(entry["name"], float(value), tuple(sources)))
    unit, total = data.get("unit"), data.get("total")
    if unit is not None and unit not in UNITS:
        raise ConfigError(f'unit "{unit}" is not one of {", ".join(UNITS)}')
    if total is not None and not _is_number(total):
        raise ConfigError(f'"total" takes a number, not {total!r}')
    _check_parts(parts, kind)
    return Recipe(
        str(data.get("name", stem)), str(data.get("by", "source")), kind, tuple(parts), unit,
        None if total is None else float(total), {k: data[k] for k in _NOTES if k in data},
    )  # fmt: skip


def recipe_of_flags(
    by: str, shares: Sequence[str], weights: Sequence[str], epochs: Sequence[str]
) -> Recipe:
    """Return the recipe that --shares, --weights or --epochs spell out.

    Raises:
        UsageError: None or several of them are given, or one is not PART=NUMBER.
    """
    given = {"share": shares, "weight": weights, "epochs": epochs}
    named = [kind for kind, words in given.items() if words]
    if len(named) != 1:
        raise UsageError(
            "name what to mix by one of --recipe, --shares, --weights and --epochs",
            hint="norcli mix corpus.jsonl --by lang --shares nob=0.6,nno=0.3,sme=0.1",
        )
    kind = named[0]
    flag = {"share": "--shares", "weight": "--weights", "epochs": "--epochs"}[kind]
    parts = []
    for word in given[kind]:
        name, equals, text = word.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UsageError(f'{flag}: "{word}" is not PART=NUMBER')
        name = canonical_group(name) if by == "source_group" else name
        parts.append(RecipePart(name, value))
    try:
        _check_parts(parts, kind)
    except ConfigError as error:
        raise UsageError(f"{flag}: {error.message}") from error
    return Recipe("mix", by, kind, tuple(parts), None, None, {})


def _check_parts(parts: Sequence[RecipePart], kind: str) -> None:
    names = [part.name for part in parts]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f'"{double}" is named twice')
    for part in parts:
        if not 0 <= part.value < float("inf"):
            raise ConfigError(f'the {kind} of "{part.name}" is {part.value:g}')
    whole = sum(part.value for part in parts)
    if kind == "share" and whole > 1 + 1e-9:
        raise ConfigError(f"the shares add up to {whole:g}, more than 1")
    if whole == 0:
        raise ConfigError(f"every {kind} is 0")


def parse_amount(text: str) -> float:
    """Return the number of ``500K``, ``25M``, ``1.5B`` or ``0.1T``.

    Raises:
        UsageError: It is not a positive number.
    """
    factors = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
    digits = text.strip().upper()
    factor = factors.get(digits[-1:], 1.0)
    try:
        value = float(digits[:-1] if digits[-1:] in factors else digits) * factor
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f'--total: "{text}" is not an amount', hint="such as 500K, 25M or 1.5B")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _words(names: set[str]) -> str:
    return ", ".join(sorted(names))
