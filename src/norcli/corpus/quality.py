"""Quality rules: thresholds per language, as data, over the measures of the quality kernel.

Fourth stage of `crawl-filter`. A rule's name is its key in rules.toml, the reason in the funnel and
the word for --disable. The first rule that a document breaks, in the order of rules.toml, is the
reason it is dropped for. Sámi and Nynorsk have thresholds of their own (the report: Nynorsk and
Sámi shares were raised on purpose); nothing tuned for Bokmål decides over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.corpus.language.codes import LANGUAGES, NORWEGIAN, UNDETERMINED
from norcli.corpus.quality_kernel import (
    BULLET,
    MARKS,
    MEASURES,
    STOP_SLOTS,
    TERMINAL,
    measure_texts,
    read_words,
)
from norcli.corpus.rule_files import RuleFile, Settings, near, read_rule_file, shipped_rules
from norcli.errors import ConfigError

PROTECTED = ("nno", "sme", "smj", "sma")
"""Languages in which documents are told that Bokmål's thresholds would have dropped."""
# A share of lines says nothing of a text in two or three: one headline would decide.
LINE_SHARES = tuple(
    MEASURES.index(f"{name}_line_ratio") for name in ("bullet", "ellipsis", "terminal", "short")
)
PLACEHOLDER = "placeholder_text"
OTHER_RULES = ("language", "empty_text", "personal_data", "boilerplate", "blocked_url")
DECIMALS = 6

_LINES = MEASURES.index("lines")

Rows = npt.NDArray[np.float64]


class Violation(NamedTuple):
    """The rule a document broke, what was measured, and the threshold."""

    rule: str
    value: float | str
    threshold: float | str


class _Checks(NamedTuple):
    """The rules of one language as arrays; one is broken where signs * (value - limit) > 0."""

    names: list[str]
    columns: npt.NDArray[np.int64]
    signs: npt.NDArray[np.float64]
    limits: npt.NDArray[np.float64]
    shown: list[float]  # the limits as they stand in the file
    of_lines: npt.NDArray[np.bool_]


class Rules:
    """Thresholds for every language, read from TOML.

    Attributes:
        thresholds: Language code → rule → threshold; every language has every rule in force.
        settings: What counts as a short line and the like.
        stop_words: Language code → words.
    """

    def __init__(self, file: RuleFile) -> None:
        base = file.tables.get("default", {})
        codes = (*LANGUAGES, NORWEGIAN, UNDETERMINED)
        self.thresholds = {code: {**base, **file.tables.get(code, {})} for code in codes}
        for rules in self.thresholds.values():
            for name in [name for name, value in rules.items() if value is False]:
                del rules[name]
        self.settings = Settings(**file.settings)
        self.stop_words = file.stop_words
        self._checks = {code: _compile(rules) for code, rules in self.thresholds.items()}

    @classmethod
    def load(cls, path: str | None = None, disabled: Sequence[str] = ()) -> Rules:
        """Read the shipped rules, a file that overrides them, and the rules switched off.

        Raises:
            ConfigError: A rule, language or value is unknown or wrong; names what there is.
        """
        file = shipped_rules()
        if path is not None:
            file.update(read_rule_file(path))
        tables = file.tables.values()
        for name in disabled:
            if not any(name in rules for rules in tables) and name not in OTHER_RULES:
                known = dict.fromkeys(rule for rules in tables for rule in rules)
                hint = near(name, [*known, *OTHER_RULES], f"rules: {', '.join(known)}")
                raise ConfigError(f'--disable: no rule "{name}"', hint=hint)
            for rules in tables:
                rules.pop(name, None)
        return cls(file)

    def threshold(self, lang: str, rule: str) -> float | None:
        """Return the threshold of a rule for a language, None where it is off."""
        return self.thresholds.get(lang, self.thresholds[UNDETERMINED]).get(rule)

    def check(self, lang: str, rows: Rows, texts: Sequence[str]) -> list[Violation | None]:
        """Return, for each of some texts in one language, the first rule that it breaks.

        Args:
            lang: Their language.
            rows: Their measures as `QualityMeter.measure` gives them, (T, measures).
            texts: The texts themselves, for rules that look for words.
        """
        code = lang if lang in self._checks else UNDETERMINED
        checks = self._checks[code]
        values, broken = self._compare(checks, rows)
        found: list[Violation | None] = [None] * len(texts)
        for i in np.flatnonzero(broken.any(axis=1)).tolist():
            k = int(broken[i].argmax())
            found[i] = Violation(checks.names[k], float(values[i, k]), checks.shown[k])
        if PLACEHOLDER in self.thresholds[code]:
            for i, text in enumerate(texts):
                if found[i] is None and "orem ipsum dolor" in text:
                    found[i] = Violation(PLACEHOLDER, "lorem ipsum", "none")
        return found

    def broken(self, lang: str, row: Rows) -> list[str]:
        """Return all rules of measures that one text breaks; its row is (measures,)."""
        checks = self._checks[lang if lang in self._checks else UNDETERMINED]
        _, broken = self._compare(checks, row[None])
        return [checks.names[k] for k in np.flatnonzero(broken[0]).tolist()]

    def _compare(self, checks: _Checks, rows: Rows) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """Return what each rule looks at, and whether it is broken, both (T, rules)."""
        values = rows[:, checks.columns]
        broken = checks.signs * (values - checks.limits) > 0
        few_lines = rows[:, _LINES] < self.settings.least_lines
        return values, broken & ~(few_lines[:, None] & checks.of_lines)


def _compile(rules: Mapping[str, float]) -> _Checks:
    parts = [(rule, *rule.partition("_")[::2]) for rule in rules]
    chosen = [(rule, bound, MEASURES.index(name)) for rule, bound, name in parts
              if name in MEASURES]  # fmt: skip
    columns = np.array([column for _, _, column in chosen], np.int64)
    return _Checks(
        [rule for rule, _, _ in chosen],
        columns,
        np.array([1.0 if bound == "max" else -1.0 for _, bound, _ in chosen]),
        np.array([rules[rule] for rule, _, _ in chosen], np.float64),
        [rules[rule] for rule, _, _ in chosen],
        np.isin(columns, LINE_SHARES),
    )


class QualityMeter:
    """Measures batches of texts; holds the stop words of each language."""

    def __init__(self, stop_words: Mapping[str, Sequence[str]], settings: Settings) -> None:
        """Lay the words out as hash tables, one row a language; the last row is empty.

        Raises:
            ConfigError: There are more than 64 stop words of a language.
        """
        self._short_line = settings.short_line
        self._marks = np.zeros(MARKS, np.uint8)
        for bit, characters in (
            (TERMINAL, settings.terminal_characters),
            (BULLET, settings.bullet_characters),
        ):
            for character in characters:
                self._marks[ord(character)] |= bit
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

    def measure(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        languages: Sequence[str],
    ) -> Rows:
        """Return the measures of each text, rounded as they are compared and shown.

        Args:
            buffer: Normalized texts end to end as UTF-8.
            offsets: Start of each text and the end of the last, (T + 1,).
            languages: The language of each, for its stop words.

        Returns:
            (T, measures).
        """
        rows = np.empty((len(languages), len(MEASURES)))
        none = len(self._rows)
        indices = np.array([self._rows.get(code, none) for code in languages], np.int64)
        measure_texts(
            buffer, offsets, indices, self._keys, self._numbers, self._marks, self._short_line, rows
        )
        return rows.round(DECIMALS)


def _hash_words(words: Sequence[str]) -> list[int]:
    if len(set(words)) > 64:
        raise ConfigError("at most 64 stop words a language")
    data = np.frombuffer("\n".join(dict.fromkeys(words)).encode("utf-8"), np.uint8)
    hashes = np.empty(len(data) + 1, np.uint64)
    before = np.empty(len(data) + 2, np.int64)
    count = read_words(data, 0, len(data), hashes, before, np.empty(8, np.int64))
    return [int(value) for value in hashes[:count]]


def warm_up() -> None:
    """Compile the kernels that a document passes on its way through `crawl-filter`."""
    from norcli.corpus.language.identifier import pack
    from norcli.corpus.languages import LanguageJudge
    from norcli.corpus.normalization import normalize_batch

    texts = normalize_batch(["Hei  på deg."]).texts
    LanguageJudge(["nob"]).judge(texts)
    rules = Rules.load()
    QualityMeter(rules.stop_words, rules.settings).measure(*pack(texts), ["nob"])
