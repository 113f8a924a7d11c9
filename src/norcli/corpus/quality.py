"""Quality rules: thresholds per language, as data, over the measures of the quality kernel.

Fourth stage of `crawl-filter`. A rule's name is its key in rules.toml, the reason in the funnel and
the word for --disable. The first rule that a document breaks, in the order of rules.toml, is the
reason it is dropped for. Sámi and Nynorsk have thresholds of their own (the report: Nynorsk and
Sámi shares were raised on purpose); nothing tuned for Bokmål decides over them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.corpus.language.codes import LANGUAGES, NORWEGIAN
from norcli.corpus.language.identifier import pack
from norcli.corpus.quality_kernel import MEASURES, STOP_SLOTS, measure_texts, read_words
from norcli.errors import ConfigError

RULES_FILE = Path(__file__).with_name("rules.toml")
STOP_WORDS_FILE = Path(__file__).with_name("stop_words.toml")

LANGUAGE_RULES = ("min_lang_score", "min_main_language_share")
TEXT_RULES = ("placeholder_text",)
MEASURE_RULES = tuple(f"{bound}_{name}" for name in MEASURES for bound in ("min", "max"))
# A share of lines says nothing of a text in two or three: one headline would decide.
LINE_SHARES = tuple(
    MEASURES.index(f"{name}_line_ratio") for name in ("bullet", "ellipsis", "terminal", "short")
)
LEAST_LINES = 4
OTHER_RULES = ("language", "empty_text", "personal_data", "boilerplate")


class Violation(NamedTuple):
    """The rule a document broke, what was measured, and the threshold."""

    rule: str
    value: float | str
    threshold: float | str


class Rules:
    """Thresholds for every language, read from TOML.

    Attributes:
        thresholds: Language code → rule → threshold; every language has every rule in force.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, float]]) -> None:
        base = tables.get("default", {})
        codes = (*LANGUAGES, NORWEGIAN, "und")
        self.thresholds = {code: {**base, **tables.get(code, {})} for code in codes}
        for rules in self.thresholds.values():
            for name in [name for name, value in rules.items() if value is False]:
                del rules[name]
        # (column, sign, rule, threshold): a rule is broken where sign * (value - threshold) > 0.
        self._checks = {code: _compile(rules) for code, rules in self.thresholds.items()}

    @classmethod
    def load(cls, path: str | None = None, disabled: Sequence[str] = ()) -> Rules:
        """Read the shipped rules, a file that overrides them, and the rules switched off.

        Raises:
            ConfigError: A rule, language or value is unknown or wrong; names what there is.
        """
        tables = _read_tables(str(RULES_FILE))
        if path is not None:
            for code, rules in _read_tables(path).items():
                tables.setdefault(code, {}).update(rules)
        for name in disabled:
            if not any(name in rules for rules in tables.values()) and name not in OTHER_RULES:
                known = ", ".join(
                    dict.fromkeys(rule for rules in tables.values() for rule in rules)
                )
                raise ConfigError(f'--disable: no rule "{name}"', hint=f"rules: {known}")
            for rules in tables.values():
                rules.pop(name, None)
        return cls(tables)

    def threshold(self, lang: str, rule: str) -> float | None:
        """Return the threshold of a rule for a language, None where it is off."""
        return self.thresholds.get(lang, self.thresholds["und"]).get(rule)

    def check(self, lang: str, row: Sequence[float], text: str) -> Violation | None:
        """Return the first rule that a measured text breaks.

        Args:
            lang: Its language.
            row: Its measures, in the order of `MEASURES`.
            text: The text itself, for rules that look for words.
        """
        code = lang if lang in self._checks else "und"
        few_lines = row[MEASURES.index("lines")] < LEAST_LINES
        for column, sign, rule, limit in self._checks[code]:
            if sign * (row[column] - limit) > 0 and not (few_lines and column in LINE_SHARES):
                return Violation(rule, round(row[column], 6), limit)
        if "placeholder_text" in self.thresholds[code] and "orem ipsum dolor" in text:
            return Violation("placeholder_text", "lorem ipsum", "none")
        return None


def _compile(rules: Mapping[str, float]) -> list[tuple[int, float, str, float]]:
    checks = []
    for rule, limit in rules.items():
        bound, _, measure = rule.partition("_")
        if measure in MEASURES:
            checks.append((MEASURES.index(measure), 1.0 if bound == "max" else -1.0, rule, limit))
    return checks


def _read_tables(path: str) -> dict[str, dict[str, float]]:
    try:
        with open(path, "rb") as stream:
            tables: dict[str, Any] = tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError("no such file", path=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"cannot be read as TOML: {error}", path=path) from error
    known = (*LANGUAGE_RULES, *MEASURE_RULES, *TEXT_RULES)
    for code, rules in tables.items():
        if not isinstance(rules, dict):
            raise ConfigError(
                f'"{code}" must be a table', path=path, hint="put rules under [default]"
            )
        if code != "default" and code not in (*LANGUAGES, NORWEGIAN, "und"):
            raise ConfigError(
                f'no language "{code}"', path=path, hint=f"default, {', '.join(LANGUAGES)}"
            )
        for rule, value in rules.items():
            if rule not in known:
                raise ConfigError(
                    f'no rule "{rule}"', path=path, hint=f"measures: {', '.join(MEASURES)}"
                )
            if not isinstance(value, int | float):
                raise ConfigError(f'rule "{rule}" takes a number or false', path=path)
    return tables


class QualityMeter:
    """Measures batches of texts; holds the stop words of each language."""

    def __init__(self, stop_words: Mapping[str, Sequence[str]]) -> None:
        """Lay the words out as hash tables, one row a language; the last row is empty."""
        self._rows = {code: i for i, code in enumerate(stop_words)}
        self._keys = np.zeros((len(stop_words) + 1, STOP_SLOTS), np.uint64)
        self._numbers = np.zeros((len(stop_words) + 1, STOP_SLOTS), np.uint8)
        for row, words in enumerate(stop_words.values()):
            for number, value in enumerate(_hash_words(words)):
                slot = value % STOP_SLOTS
                while self._keys[row, slot]:
                    slot = (slot + 1) % STOP_SLOTS
                self._keys[row, slot] = value
                self._numbers[row, slot] = number

    @classmethod
    def load(cls) -> QualityMeter:
        """Read the shipped stop words."""
        with STOP_WORDS_FILE.open("rb") as stream:
            return cls({code: words.split() for code, words in tomllib.load(stream).items()})

    def measure(self, texts: Sequence[str], languages: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the measures of each text, float64 (T, measures).

        Args:
            texts: Normalized texts.
            languages: The language of each, for its stop words.
        """
        buffer, offsets = pack(texts)
        rows = np.empty((len(texts), len(MEASURES)))
        none = len(self._rows)
        indices = np.array([self._rows.get(code, none) for code in languages], np.int64)
        measure_texts(buffer, offsets, indices, self._keys, self._numbers, rows)
        return rows


def _hash_words(words: Sequence[str]) -> list[int]:
    if len(set(words)) > 64:
        raise ValueError("at most 64 stop words a language")
    data = np.frombuffer("\n".join(dict.fromkeys(words)).encode("utf-8"), np.uint8)
    hashes = np.empty(len(data), np.uint64)
    lengths = np.empty(len(data), np.int32)
    count = read_words(data, 0, len(data), hashes, lengths, np.empty(8, np.int64))
    return [int(value) for value in hashes[:count]]


def warm_up() -> None:
    """Compile the kernels that a document passes on its way through `crawl-filter`."""
    from norcli.corpus.languages import LanguageJudge
    from norcli.corpus.normalization import normalize_batch

    texts = normalize_batch(["Hei  på deg."]).texts
    LanguageJudge(["nob"]).judge(texts, [True])
    QualityMeter.load().measure(texts, ["nob"])
