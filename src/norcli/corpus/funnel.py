"""What went in, what came out, and by which rule the rest fell: the counts of `crawl-filter`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from norcli.corpus.pipeline import Decision

STAGES: dict[str, tuple[str, ...]] = {
    "page": ("http_status", "not_html", "extraction_failed", "no_main_text"),
    "text": ("empty_text",),
    "language": ("language", "min_main_language_share", "min_lang_score"),
    "quality": (),
    "privacy": ("personal_data",),
}
_STAGE_OF = {reason: stage for stage, reasons in STAGES.items() for reason in reasons}


def stage_of(reason: str) -> str:
    """Return the stage a reason belongs to; whatever is not listed is a quality rule."""
    return _STAGE_OF.get(reason, "quality")


@dataclass
class Tally:
    """Documents and the UTF-8 bytes of their texts."""

    documents: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one document."""
        self.documents += 1
        self.bytes += size


@dataclass
class Funnel:
    """Counts of one run."""

    input_bytes: int | None = None
    read: Tally = field(default_factory=Tally)
    kept: Tally = field(default_factory=Tally)
    dropped: dict[str, Tally] = field(default_factory=dict)
    languages: dict[str, dict[str, Tally]] = field(default_factory=dict)
    personal_data: Counter[str] = field(default_factory=Counter)
    removed_lines: int = 0
    would_drop: Counter[str] = field(default_factory=Counter)
    bad_records: int = 0
    damaged_files: int = 0
    seconds: float = 0.0

    def add(self, decision: Decision) -> None:
        """Count one decision."""
        self.read.add(decision.bytes_in)
        by_language = self.languages.setdefault(decision.lang, {})
        if decision.violation is None:
            reason = "kept"
            self.kept.add(decision.bytes_out)
            by_language.setdefault("kept", Tally()).add(decision.bytes_out)
        else:
            reason = decision.violation.rule
            self.dropped.setdefault(reason, Tally()).add(decision.bytes_in)
            by_language.setdefault(reason, Tally()).add(decision.bytes_in)
        if would := decision.record.get("would_be_dropped_by"):
            self.would_drop[would] += 1
        self.personal_data.update(decision.personal_data)
        self.removed_lines += decision.removed_lines

    @property
    def kept_share(self) -> float:
        """Share of documents kept so far."""
        return self.kept.documents / max(self.read.documents, 1)

    def as_stats(self) -> dict[str, Any]:
        """Return everything for ``--stats``."""
        order = sorted(self.dropped.items(), key=_by_stage)
        return {
            "input_bytes": self.input_bytes,
            "documents_in": self.read.documents,
            "text_bytes_in": self.read.bytes,
            "documents_out": self.kept.documents,
            "text_bytes_out": self.kept.bytes,
            "bad_records": self.bad_records,
            "damaged_files": self.damaged_files,
            "dropped": [
                {"stage": stage_of(reason), "reason": reason, "documents": tally.documents,
                 "bytes": tally.bytes}
                for reason, tally in order
            ],
            "languages": {
                lang: {
                    reason: {"documents": tally.documents, "bytes": tally.bytes}
                    for reason, tally in sorted(reasons.items())
                }
                for lang, reasons in sorted(self.languages.items())
            },
            "would_drop": dict(self.would_drop),
            "boilerplate_lines": self.removed_lines,
            "personal_data": dict(self.personal_data),
            "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def summary(self) -> str:
        """Return the run in one line."""
        counts = f"{_number(self.read.documents)} in, {_number(self.kept.documents)} out"
        share = f"({self.kept_share:.1%})"
        return f"{counts} {share}, {format_bytes(self.kept.bytes)}, {self.seconds:.1f} s"

    def table(self) -> list[str]:
        """Return the funnel as lines: what each rule took, in the order of the stages."""
        rows = [("", "reason", "documents", "share", "bytes")]
        rows.append(("in", "", *_cells(self.read, self.read)))
        rows += [
            (stage_of(reason), reason, *_cells(tally, self.read))
            for reason, tally in sorted(self.dropped.items(), key=_by_stage)
        ]
        rows.append(("out", "", *_cells(self.kept, self.read)))
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        return [
            "  ".join(
                cell.ljust(width) if k < 2 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]


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
