"""Counts of a corpus: one cell for each combination of provenance, language and year.

What `norcli stats` counts and `stats merge` adds up (report section 3.2, Table 2, Figure 1). Every
table and share is a sum over cells, so counts of shards and of corpora can be added without
reading a text again. Cells and values per field are bounded; what is beyond is counted as "other
values". Counting is in `norcli.corpus.counting`, layout in `norcli.corpus.report`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError

NOT_STATED = "not stated"
OTHER_VALUES = "other values"
NORWEGIAN_PORTION = ("nob", "nno", "nor", "sme", "smj", "sma")
SAMI = ("sme", "smj", "sma")

MEASURES = ("documents", "words", "bytes", "sentences", "tokens")
# Lower ends of the histogram's bins, in words: steps of 1, 2, 5.
BINS = (0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
COLUMNS = len(MEASURES) + len(BINS)

FORMAT = "norcli-stats-1"
MOST_CELLS = 50_000


class Cell(NamedTuple):
    """What documents counted together have in common; "not stated" where they do not say."""

    corpus: str
    source: str
    source_group: str
    lang: str
    license: str
    copyrighted: str
    doc_type: str
    year: str


FIELDS = Cell._fields
# The fields of Table 2 and Figure 1 are kept apart to the last; the others are joined first.
_JOINED_FIRST = ("source", "license", "doc_type", "year")
MOST_VALUES = {"source": 2000, "license": 200, "doc_type": 200, "year": 500, "lang": 500,
               "source_group": 100, "corpus": 100, "copyrighted": 3}  # fmt: skip

Counted = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """What a set of documents amounts to; `bytes` are UTF-8 bytes of text."""

    documents: int = 0
    words: int = 0
    bytes: int = 0
    sentences: int = 0
    tokens: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in MEASURES))

    @property
    def mean_words(self) -> float:
        """Words per document."""
        return self.words / max(self.documents, 1)


class CorpusStatistics:
    """Counts by cell, with the sums that tables and figures are made of.

    Args:
        has_tokens: Whether tokens were counted; shares are of tokens then, of words otherwise.
        has_sentences: Whether sentences were counted.

    Attributes:
        joined: Documents whose cell had to be joined with others because there were too many.
    """

    def __init__(self, has_tokens: bool = False, has_sentences: bool = False) -> None:
        self.has_tokens = has_tokens
        self.has_sentences = has_sentences
        self.joined = 0
        self._rows: dict[Cell, int] = {}
        self._counts = np.zeros((16, COLUMNS), np.int64)
        self._values: dict[str, set[str]] = {field: set() for field in FIELDS}

    @property
    def unit(self) -> str:
        """What shares are of."""
        return "tokens" if self.has_tokens else "words"

    def add(self, cells: Iterable[Cell], counts: Counted) -> None:
        """Add counts.

        Args:
            cells: K cells.
            counts: int64 (K, COLUMNS): `MEASURES`, then documents by `BINS`.
        """
        for cell, row in zip(cells, counts, strict=True):
            place = self._row_of(cell, int(row[0]))  # first, for it may enlarge the array
            self._counts[place] += row

    def _row_of(self, cell: Cell, documents: int) -> int:
        row = self._rows.get(cell)
        if row is not None:
            return row
        bounded = self._bounded(cell)
        if bounded != cell:
            self.joined += documents
        row = self._rows.setdefault(bounded, len(self._rows))
        if row == len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        return row

    def _bounded(self, cell: Cell) -> Cell:
        """Return the cell with values beyond the bounds replaced."""
        changed = {}
        for field, value in zip(FIELDS, cell, strict=True):
            known = self._values[field]
            if value in known or len(known) < MOST_VALUES[field] or value == NOT_STATED:
                known.add(value)
            else:
                changed[field] = OTHER_VALUES
        cell = cell._replace(**changed)
        if cell not in self._rows and len(self._rows) >= MOST_CELLS:
            cell = cell._replace(**dict.fromkeys(_JOINED_FIRST, OTHER_VALUES))
        return cell

    def merge(self, other: CorpusStatistics) -> None:
        """Add the counts of another run.

        Raises:
            DataError: One counted tokens or sentences and the other did not.
        """
        if (self.has_tokens, self.has_sentences) != (other.has_tokens, other.has_sentences):
            raise DataError("tokens or sentences were counted in some of the files only")
        self.joined += other.joined
        self.add(other._rows, other._counts[: len(other._rows)])

    def _sum(self, where: Mapping[str, Collection[str]], field: str | None) -> dict[str, Counted]:
        """Return rows of counts by a field's values, of the cells that match."""
        index = FIELDS.index(field) if field is not None else None
        tests = [(FIELDS.index(name), values) for name, values in where.items()]
        groups: dict[str, list[int]] = {}
        for cell, row in self._rows.items():
            if all(cell[i] in values for i, values in tests):
                groups.setdefault("" if index is None else cell[index], []).append(row)
        return {value: self._counts[rows].sum(axis=0) for value, rows in groups.items()}

    def count(self, **where: Collection[str]) -> Counts:
        """Return the sum of the cells whose fields have one of the values given."""
        summed = self._sum(where, None).get("")
        return _counts(summed) if summed is not None else Counts()

    @property
    def total(self) -> Counts:
        """The sum of everything."""
        return self.count()

    def by(self, field: str, **where: Collection[str]) -> dict[str, Counts]:
        """Return counts by the values of a field, the largest first, "not stated" last."""
        groups = {value: _counts(row) for value, row in self._sum(where, field).items()}

        def rank(item: tuple[str, Counts]) -> tuple[bool, int, int, str]:
            value, counts = item
            size = self.amount(counts)
            return value in (NOT_STATED, OTHER_VALUES), -size, -counts.documents, value

        return dict(sorted(groups.items(), key=rank))

    def histogram(self, **where: Collection[str]) -> list[int]:
        """Return documents by length in words, one number for each of `BINS`."""
        row = self._sum(where, None).get("")
        return [0] * len(BINS) if row is None else row[len(MEASURES) :].tolist()

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora in the order they were first met; one that has none is last."""
        names = list(dict.fromkeys(cell.corpus for cell in self._rows))
        return sorted(names, key=lambda name: name == NOT_STATED)

    def states(self, field: str) -> bool:
        """Whether any record states a field."""
        index = FIELDS.index(field)
        return any(cell[index] != NOT_STATED for cell in self._rows)

    def amount(self, counts: Counts) -> int:
        """Return tokens or words, whichever shares are of."""
        return counts.tokens if self.has_tokens else counts.words

    def shares(self, **where: Collection[str]) -> dict[str, float | None]:
        """Return the shares of the report's Figure 1; None where nothing is there to share.

        ``nynorsk_of_norwegian`` and ``sami_of_norwegian`` are of the Norwegian portion (Bokmål,
        Nynorsk, Sámi); ``copyrighted`` is of what says whether it is, ``copyright_stated`` how
        much that is.
        """
        by_language = {lang: self.amount(c) for lang, c in self.by("lang", **where).items()}
        norwegian = sum(by_language.get(lang, 0) for lang in NORWEGIAN_PORTION)
        copyrighted = {k: self.amount(c) for k, c in self.by("copyrighted", **where).items()}
        stated = copyrighted.get("yes", 0) + copyrighted.get("no", 0)
        total = self.amount(self.count(**where))
        return {
            "norwegian": _share(norwegian, total),
            "nynorsk_of_norwegian": _share(by_language.get("nno", 0), norwegian),
            "sami_of_norwegian": _share(sum(by_language.get(x, 0) for x in SAMI), norwegian),
            "copyrighted": _share(copyrighted.get("yes", 0), stated),
            "copyright_stated": _share(stated, total),
        }

    def plain(self, counts: Counts) -> dict[str, Any]:
        """Return counts as plain data, without what was not counted."""
        data: dict[str, Any] = asdict(counts)
        if not self.has_tokens:
            del data["tokens"]
        if not self.has_sentences:
            del data["sentences"]
        data["mean_words"] = round(counts.mean_words, 2)
        return data

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data: sums by field, shares, and the cells themselves."""

        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 6)

        return {
            "format": FORMAT,
            "shares_of": self.unit,
            "total": self.plain(self.total),
            **{f: {k: self.plain(c) for k, c in self.by(f).items()} for f in FIELDS},
            "shares": {k: rounded(v) for k, v in self.shares().items()},
            "histogram": [
                {"words_from": low, "documents": count}
                for low, count in zip(BINS, self.histogram(), strict=True)
            ],
            "has_tokens": self.has_tokens,
            "has_sentences": self.has_sentences,
            "joined": self.joined,
            "cells": [
                [*cell, *self._counts[row].tolist()]
                for cell, row in sorted(self._rows.items(), key=lambda item: item[1])
            ],
        }

    @classmethod
    def from_dict(cls, data: Any, path: str) -> CorpusStatistics:
        """Read what `as_dict` returned.

        Raises:
            DataError: It is something else.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(
                "is not what norcli stats --json writes", path=path,
                hint="count first: norcli stats CORPUS --json -o counts.json",
            )  # fmt: skip
        try:
            statistics = cls(bool(data["has_tokens"]), bool(data["has_sentences"]))
            statistics.joined = int(data["joined"])
            names = [Cell(*map(str, row[: len(FIELDS)])) for row in data["cells"]]
            rows = [[int(n) for n in row[len(FIELDS) :]] for row in data["cells"]]
            counts = np.array(rows, np.int64).reshape(len(rows), COLUMNS)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("holds damaged counts", path=path, hint="count again") from error
        statistics.add(names, counts)
        return statistics


def _counts(row: Counted) -> Counts:
    return Counts(*row[: len(MEASURES)].tolist())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
