"""Duplicates between sources: how many documents of one source repeat a document of another.

From the marks of `norcli dedup --mark` or from the counts of its ``--stats``. No peer prints this
table, and a corpus stacked from mC4, OSCAR, CulturaX and HPLT (the report's V3) needs it most.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from norcli.corpus.statistics import NOT_STATED


class Mark(NamedTuple):
    """One document that dedup marked.

    Attributes:
        cluster: 64-bit hash of the survivor's id.
        source: The document's source.
        is_survivor: Whether it is the one that stays.
    """

    cluster: int
    source: str
    is_survivor: bool


def mark_of(fields: dict[str, Any], source: str) -> Mark | None:
    """Return the mark of a record, None for one without duplicates."""
    role = fields.get("dedup_role")
    if role not in ("survivor", "duplicate"):
        return None
    cluster = str(fields.get("dedup_cluster_id", "")).encode("utf-8", "replace")
    digest = hashlib.blake2b(cluster, digest_size=8).digest()
    return Mark(int.from_bytes(digest, "little"), source, role == "survivor")


@dataclass
class SourcePairs:
    """Documents of source a whose surviving copy is in source b, by (a, b)."""

    documents: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_pairs(self, pairs: Iterable[dict[str, Any]]) -> None:
        """Add the ``source_pairs`` of a run of dedup.

        Raises:
            KeyError: One lacks a, b or documents.
        """
        for pair in pairs:
            a, b = (str(pair[side] or NOT_STATED) for side in "ab")
            self.documents[a, b] += int(pair["documents"])

    @property
    def sources(self) -> list[str]:
        """All sources, those with the most duplicates first."""
        sums: Counter[str] = Counter()
        for (a, b), count in self.documents.items():
            sums[a] += count
            sums[b] += count
        return sorted(sums, key=lambda source: (source == NOT_STATED, -sums[source], source))


class MarkedDuplicates:
    """Joins marked duplicates with their survivors, wherever in the input these stand.

    Memory grows with marked clusters alone, not with documents.
    """

    def __init__(self) -> None:
        self._survivors: dict[int, str] = {}
        self._duplicates: Counter[tuple[int, str]] = Counter()

    def add(self, marks: Iterable[Mark]) -> None:
        """Take note of marked documents."""
        for mark in marks:
            if mark.is_survivor:
                self._survivors[mark.cluster] = mark.source
            else:
                self._duplicates[mark.cluster, mark.source] += 1

    def pairs(self) -> SourcePairs:
        """Return the pairs; a survivor that is not among the inputs has no source."""
        pairs = SourcePairs()
        for (cluster, source), count in self._duplicates.items():
            pairs.documents[source, self._survivors.get(cluster, NOT_STATED)] += count
        return pairs
