"""Files of quality rules: the shipped rules.toml and stop_words.toml, and those of `--rules`.

A file has a table of thresholds for each language, ``[default]`` for the others, ``[settings]`` and
``[stop_words]``; every name and value is checked here, so that a slip is told with what there is.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from norcli.corpus.language.codes import LANGUAGES, NORWEGIAN, UNDETERMINED
from norcli.corpus.quality_kernel import MARKS, MEASURES
from norcli.errors import ConfigError

RULES_FILE = Path(__file__).with_name("rules.toml")
STOP_WORDS_FILE = Path(__file__).with_name("stop_words.toml")

LANGUAGE_RULES = ("min_lang_score", "min_main_language_share")
TEXT_RULES = ("placeholder_text",)
HOOK_RULES = ("toxic_words", "min_quality_model")
MEASURE_RULES = tuple(f"{bound}_{name}" for name in MEASURES for bound in ("min", "max"))
_KNOWN_RULES = frozenset((*LANGUAGE_RULES, *MEASURE_RULES, *TEXT_RULES, *HOOK_RULES))
_CODES = (*LANGUAGES, NORWEGIAN, UNDETERMINED)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the measures of lines go by.

    Attributes:
        terminal_characters: A line that ends so is likely running text.
        bullet_characters: A line that begins so is an item of a list.
        short_line: Up to so many characters a line is short.
        least_lines: Below so many lines shares of lines are not judged.
    """

    terminal_characters: str
    bullet_characters: str
    short_line: int
    least_lines: int


@dataclass
class RuleFile:
    """What a file of rules says, checked.

    Attributes:
        tables: Language, or ``default`` → rule → threshold.
        settings: Fields of `Settings`.
        stop_words: Language → its words.
        provenance: Language → what text its thresholds were derived from.
    """

    tables: dict[str, dict[str, float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    stop_words: dict[str, list[str]] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def update(self, other: RuleFile) -> None:
        """Let another file override this one, rule by rule."""
        for code, rules in other.tables.items():
            self.tables.setdefault(code, {}).update(rules)
        self.settings.update(other.settings)
        self.stop_words.update(other.stop_words)


def shipped_rules() -> RuleFile:
    """Read the rules and stop words that norcli ships."""
    rules = read_rule_file(str(RULES_FILE))
    with STOP_WORDS_FILE.open("rb") as stream:
        rules.stop_words = {code: words.split() for code, words in tomllib.load(stream).items()}
    return rules


def read_rule_file(path: str) -> RuleFile:
    """Read a file of rules.

    Raises:
        ConfigError: It is missing or no TOML, or a name or value in it is unknown or wrong.
    """
    try:
        with open(path, "rb") as stream:
            tables: dict[str, Any] = tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError("no such file", path=path) from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"cannot be read: {reason}", path=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as TOML: {error}", path=path) from error
    file = RuleFile()
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(
                f'"{name}" must be a table', path=path, hint="put rules under [default]"
            )
        if name == "settings":
            file.settings = _checked_settings(table, path)
        elif name == "stop_words":
            file.stop_words = _checked_words(table, path)
        elif name == "default" or name in _CODES:
            if "provenance" in table:
                file.provenance[name] = str(table.pop("provenance"))
            file.tables[name] = _checked_rules(table, path)
        else:
            known = ("default", "settings", "stop_words", *_CODES)
            raise ConfigError(
                f'no language "{name}"', path=path, hint=near(name, known, ", ".join(known))
            )
    return file


def near(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a hint: the name that was probably meant, or something else where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else otherwise


def _checked_rules(table: dict[str, Any], path: str) -> dict[str, float]:
    for rule, value in table.items():
        if rule not in _KNOWN_RULES:
            hint = near(rule, sorted(_KNOWN_RULES), f"measures: {', '.join(MEASURES)}")
            raise ConfigError(f'no rule "{rule}"', path=path, hint=hint)
        takes = "true or false" if rule in TEXT_RULES else "a number or false"
        if isinstance(value, bool) and (rule in TEXT_RULES or not value):
            continue
        if rule in TEXT_RULES or isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f'rule "{rule}" takes {takes}', path=path)
    return table


def _checked_settings(table: dict[str, Any], path: str) -> dict[str, Any]:
    kinds = {item.name: str if item.type == "str" else int for item in fields(Settings)}
    for name, value in table.items():
        if name not in kinds:
            hint = near(name, kinds, f"settings: {', '.join(kinds)}")
            raise ConfigError(f'no setting "{name}"', path=path, hint=hint)
        if type(value) is not kinds[name]:
            kind = "a string" if kinds[name] is str else "a whole number"
            raise ConfigError(f'setting "{name}" takes {kind}', path=path)
        if isinstance(value, str) and any(ord(character) >= MARKS for character in value):
            raise ConfigError(f'setting "{name}" takes characters below U+10000', path=path)
    return table


def _checked_words(table: dict[str, Any], path: str) -> dict[str, list[str]]:
    for code, words in table.items():
        if code not in _CODES:
            raise ConfigError(f'[stop_words]: no language "{code}"', path=path,
                              hint=", ".join(_CODES))  # fmt: skip
        if not isinstance(words, str):
            raise ConfigError(
                f"[stop_words]: {code} takes words parted by spaces, in one string", path=path
            )
    return {code: words.split() for code, words in table.items()}
