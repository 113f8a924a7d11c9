"""What a user hangs into `crawl-filter`: blocklists, word lists, a quality model; all off at first.

They are loaded once per process. What they measure is judged like the other rules, by thresholds
per language, and is kept by --annotate, so that a decision can be taken again without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.corpus.blocklist import Blocklist
from norcli.corpus.classifier import Scorer, load_scorer, score_texts
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.quality import Rules, Violation
from norcli.corpus.word_list import WordLists
from norcli.errors import DataError
from norcli.formats.documents import Place

BLOCKED = "blocked_url"
TOXIC_FIELD = "quality_toxic_words"
MODEL_FIELD = "quality_model"
# Field, the rule that judges it, and on which side of the threshold it is broken.
_RULES = ((TOXIC_FIELD, "toxic_words", 1), (MODEL_FIELD, "min_quality_model", -1))


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one run.

    Attributes:
        blocklist: Addresses whose pages are dropped.
        words: Lists of words of which a text may not have many.
        scorer: Scores texts.
        fields: What is measured, or taken from annotations.
    """

    blocklist: Blocklist | None
    words: WordLists | None
    scorer: Scorer | None
    fields: frozenset[str]

    @classmethod
    def load(cls, options: CrawlFilterOptions) -> Hooks:
        """Read the files that the options name; annotations make word lists and model needless.

        Raises:
            NorcliError: A file is not there or wrong, a package is missing.
        """
        blocks = options.blocklist and BLOCKED not in options.disable
        measures = not options.from_annotations
        given = {TOXIC_FIELD: bool(options.toxic_words), MODEL_FIELD: bool(options.quality_model)}
        words = WordLists.load(options.toxic_words) if measures and options.toxic_words else None
        scorer = load_scorer(options.quality_model) if measures and options.quality_model else None
        return cls(
            Blocklist.load(options.blocklist) if blocks else None, words, scorer,
            frozenset(field for field, wanted in given.items() if wanted),
        )  # fmt: skip

    def blocked(self, url: Any) -> Violation | None:
        """Return the violation of an address on a blocklist."""
        if self.blocklist is None or not isinstance(url, str):
            return None
        found = self.blocklist.find(url)
        return Violation(BLOCKED, found.entry, found.source) if found else None

    def measure(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        texts: Sequence[str],
        languages: Sequence[str],
    ) -> list[dict[str, float]]:
        """Return what the word lists and the model say of each text, by field name.

        Raises:
            DataError: The model returned something else than scores.
        """
        found: list[dict[str, float]] = [{} for _ in texts]
        if self.words is not None:
            for values, share in zip(
                found, self.words.shares(buffer, offsets, languages).tolist(), strict=True
            ):
                values[TOXIC_FIELD] = share
        if self.scorer is not None:
            for values, score in zip(found, score_texts(self.scorer, texts), strict=True):
                values[MODEL_FIELD] = score
        return found

    def take(self, fields: dict[str, Any], place: Place) -> dict[str, float]:
        """Take what was measured before out of a record's fields.

        Raises:
            DataError: A hook of this run was not measured, or is no number.
        """
        values = {name: fields.pop(name) for name, _, _ in _RULES if name in fields}
        for name in self.fields:
            if not isinstance(values.get(name), int | float):
                raise DataError(
                    f'record is not annotated: no "{name}"', path=place.path, line=place.line,
                    hint="give the option to crawl-filter --annotate as well",
                )  # fmt: skip
        return {name: float(value) for name, value in values.items() if name in self.fields}


def check_hooks(rules: Rules, lang: str, values: dict[str, float]) -> Violation | None:
    """Return the first of the hooks' rules that a text breaks."""
    for name, rule, sign in _RULES:
        limit = rules.threshold(lang, rule)
        if name in values and limit is not None and sign * (values[name] - limit) > 0:
            return Violation(rule, values[name], limit)
    return None
