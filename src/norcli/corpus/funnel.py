"""What went in, what came out, and by which rule the rest fell: the counts of `crawl-filter`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from norcli.columns import aligned

if TYPE_CHECKING:
    from norcli.corpus.pipeline import Decision

STAGES: dict[str, tuple[str, ...]] = {
    "source": ("blocked_url", "removal_list", "retweet", "deleted"),
    "page": (
        "http_status",
        "not_html",
        "page_too_large",
        "page_too_deep",
        "page_too_complex",
        "extraction_failed",
        "no_main_text",
    ),
    "text": ("empty_text",),
    "language": ("language", "min_main_language_share", "min_lang_score"),
    "quality": (),
    "privacy": ("personal_data",),
}
KEPT = "kept"
NOT_STATED = "not stated"
MOST_COLUMNS = 6
"""Languages or sources that the table of the funnel shows; --stats has all."""
_STAGE_OF = {reason: stage for stage, reasons in STAGES.items() for reason in reasons}


def stage_of(reason: str) -> str:
    """Return the stage a reason belongs to; whatever is not listed is a quality rule."""
    return _STAGE_OF.get(reason, "quality")


@dataclass(slots=True)
class Tally:
    """Documents and the UTF-8 bytes of their texts."""

    documents: int = 0
    bytes: int = 0

    def add(self, other: Tally) -> None:
        """Count what another counted."""
        self.documents += other.documents
        self.bytes += other.bytes


Cell = tuple[str, str, str]  # source, language, and the rule or KEPT


@dataclass
class Funnel:
    """Counts of one run, or of a part of it.

    Attributes:
        input_bytes: Size of the inputs on disk, None for a pipe.
        text_bytes: UTF-8 bytes of all texts as they came.
        cells: What became of the documents: bytes as they came, of kept ones as they are now.
        personal_data: Finds by field name.
        removed_lines: Boilerplate lines taken out.
        would_drop: With --annotate: documents by the rule they would be dropped by.
        spared: Kept documents that Bokmål's thresholds would have dropped, by (language, rule).
        bad_records: Records that could not be used.
        damaged_files: Files whose rest was skipped.
        seconds: What the run took.
    """

    input_bytes: int | None = None
    text_bytes: int = 0
    cells: dict[Cell, Tally] = field(default_factory=dict)
    personal_data: Counter[str] = field(default_factory=Counter)
    removed_lines: int = 0
    would_drop: Counter[str] = field(default_factory=Counter)
    spared: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad_records: int = 0
    damaged_files: int = 0
    seconds: float = 0.0

    def add(self, decision: Decision) -> None:
        """Count one decision."""
        self.text_bytes += decision.bytes_in
        if decision.violation is None:
            reason, size = KEPT, decision.bytes_out
        else:
            reason, size = decision.violation.rule, decision.bytes_in
        tally = self.cells.setdefault((decision.source or "", decision.lang, reason), Tally())
        tally.documents += 1
        tally.bytes += size
        if decision.personal_data:
            self.personal_data.update(decision.personal_data)
        if decision.would_drop is not None:
            self.would_drop[decision.would_drop] += 1
        if decision.spared is not None:
            self.spared[decision.lang, decision.spared] += 1
        self.removed_lines += decision.removed_lines

    def merge(self, part: Funnel) -> None:
        """Count what was counted over a part of the documents."""
        self.text_bytes += part.text_bytes
        for cell, tally in part.cells.items():
            self.cells.setdefault(cell, Tally()).add(tally)
        self.personal_data.update(part.personal_data)
        self.removed_lines += part.removed_lines
        self.would_drop.update(part.would_drop)
        self.spared.update(part.spared)

    def by(self, *places: int) -> dict[tuple[str, ...], Tally]:
        """Return the tallies summed over all but some places of a `Cell`."""
        sums: dict[tuple[str, ...], Tally] = {}
        for cell, tally in self.cells.items():
            sums.setdefault(tuple(cell[k] for k in places), Tally()).add(tally)
        return sums

    @property
    def documents(self) -> int:
        """Documents read."""
        return sum(tally.documents for tally in self.cells.values())

    @property
    def kept(self) -> Tally:
        """Documents kept."""
        return self.by(2).get((KEPT,), Tally())

    @property
    def dropped(self) -> dict[str, Tally]:
        """Dropped documents by rule, in the order of the stages, the commonest rule first."""
        rules = [(rule, tally) for (rule,), tally in self.by(2).items() if rule != KEPT]
        return dict(sorted(rules, key=_by_stage))

    @property
    def kept_share(self) -> float:
        """Share of documents kept so far."""
        return self.kept.documents / max(self.documents, 1)

    def as_state(self) -> dict[str, Any]:
        """Return the counts as JSON values, for a journal; see `of_state`."""
        return {
            "text_bytes": self.text_bytes,
            "cells": [[*cell, tally.documents, tally.bytes] for cell, tally in self.cells.items()],
            "personal_data": dict(self.personal_data),
            "removed_lines": self.removed_lines,
            "would_drop": dict(self.would_drop),
            "spared": [[*key, count] for key, count in self.spared.items()],
            "bad_records": self.bad_records,
            "damaged_files": self.damaged_files,
            "seconds": self.seconds,
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Funnel:
        """Return the counts that `as_state` gave."""
        plain = ("text_bytes", "removed_lines", "bad_records", "damaged_files", "seconds")
        return cls(
            cells={(a, b, c): Tally(count, size) for a, b, c, count, size in state["cells"]},
            personal_data=Counter(state["personal_data"]),
            would_drop=Counter(state["would_drop"]),
            spared=Counter({(lang, rule): count for lang, rule, count in state["spared"]}),
            **{name: state[name] for name in plain},
        )

    def as_stats(self) -> dict[str, Any]:
        """Return everything for ``--stats``."""
        return {
            "input_bytes": self.input_bytes,
            "documents_in": self.documents,
            "text_bytes_in": self.text_bytes,
            "documents_out": self.kept.documents,
            "text_bytes_out": self.kept.bytes,
            "bad_records": self.bad_records,
            "damaged_files": self.damaged_files,
            "dropped": [
                {"stage": stage_of(reason), "reason": reason, **_as_json(tally)}
                for reason, tally in self.dropped.items()
            ],
            "languages": _nested(self.by(1, 2)),
            "sources": _nested(self.by(0, 1, 2)),
            "would_drop": dict(sorted(self.would_drop.items())),
            "spared_from_bokmaal_thresholds": {
                lang: {rule: count for (code, rule), count in sorted(self.spared.items())
                       if code == lang}
                for lang in sorted({lang for lang, _ in self.spared})
            },
            "boilerplate_lines": self.removed_lines,
            "personal_data": dict(sorted(self.personal_data.items())),
            "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def summary(self) -> str:
        """Return the run in one line."""
        counts = f"{_number(self.documents)} in, {_number(self.kept.documents)} out"
        speed = self.text_bytes / 1e6 / max(self.seconds, 1e-9)
        return (
            f"{counts} ({self.kept_share:.1%}), {format_bytes(self.kept.bytes)}, "
            f"{self.seconds:.1f} s, {speed:.1f} MB/s"
        )

    def table(self) -> list[str]:
        """Return the funnel as lines: what each rule took, by language, and by source if several.

        A last line names the documents of Nynorsk and Sámi that Bokmål's thresholds would drop.
        """
        lines = aligned(self._rows("reason", 1, whole=True), left=(0, 1))
        if len(self.by(0)) > 1:
            lines += ["", *aligned(self._rows("source", 0, whole=False), left=(0, 1))]
        if self.spared:
            lines += ["", self._spared_line()]
        return lines

    def _rows(self, heading: str, place: int, whole: bool) -> list[tuple[str, ...]]:
        """Return the funnel's rows, a column for each of the commonest languages or sources."""
        totals = sorted(self.by(place).items(), key=lambda item: (-item[1].documents, item[0]))
        names = [name for (name,), _ in totals[:MOST_COLUMNS]]
        counts = self.by(2, place)
        read = Tally(self.documents, self.text_bytes)
        lead = ("documents", "share", "bytes") if whole else ()
        rows = [("", heading if whole else "by source", *lead, *(n or NOT_STATED for n in names))]

        def row(stage: str, reason: str, tally: Tally, shown: list[int]) -> tuple[str, ...]:
            cells = _cells(tally, read) if whole else ()
            return (stage, reason, *cells, *(_number(count) if count else "·" for count in shown))

        by_name = self.by(place)
        rows.append(row("in", "", read, [by_name[name,].documents for name in names]))
        for stage, reason, key, tally in [
            *((stage_of(rule), rule, rule, tally) for rule, tally in self.dropped.items()),
            ("out", "", KEPT, self.kept),
        ]:
            shown = [counts.get((key, name), Tally()).documents for name in names]
            rows.append(row(stage, reason, tally, shown))
        return rows

    def _spared_line(self) -> str:
        parts = []
        for lang in sorted({lang for lang, _ in self.spared}):
            rules = [(n, rule) for (code, rule), n in self.spared.items() if code == lang]
            shown = ", ".join(f"{rule} {_number(n)}" for n, rule in sorted(rules, reverse=True))
            parts.append(f"{lang} {_number(sum(n for n, _ in rules))} ({shown})")
        return "kept, but Bokmål's thresholds would drop: " + "; ".join(parts)


def _as_json(tally: Tally) -> dict[str, int]:
    return {"documents": tally.documents, "bytes": tally.bytes}


def _nested(sums: dict[tuple[str, ...], Tally]) -> dict[str, Any]:
    """Return sums as dictionaries in dictionaries, in the order of their keys."""
    nested: dict[str, Any] = {}
    for key, tally in sorted(sums.items()):
        inner = nested
        for name in key[:-1]:
            inner = inner.setdefault(name or NOT_STATED, {})
        inner[key[-1]] = _as_json(tally)
    return nested


def _by_stage(item: tuple[str, Tally]) -> tuple[int, int, str]:
    reason, tally = item
    return list(STAGES).index(stage_of(reason)), -tally.documents, reason


def _cells(tally: Tally, whole: Tally) -> tuple[str, str, str]:
    share = tally.documents / max(whole.documents, 1)
    return _number(tally.documents), f"{share:.1%}", format_bytes(tally.bytes)


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def format_bytes(count: int) -> str:
    """Return a byte count for people, in powers of ten."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"
