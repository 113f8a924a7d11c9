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
    """One document of several that dedup found to be the same.

    Attributes:
        cluster: 64-bit hash of the survivor's id.
        source: The document's source.
    """

    cluster: int
    source: str


def mark_of(fields: dict[str, Any], source: str) -> Mark | None:
    """Return the mark of a record, None for one without duplicates."""
    if fields.get("dedup_role") not in ("survivor", "duplicate"):
        return None
    cluster = str(fields.get("dedup_cluster_id", "")).encode("utf-8", "replace")
    digest = hashlib.blake2b(cluster, digest_size=8).digest()
    return Mark(int.from_bytes(digest, "little"), source)


@dataclass
class SourcePairs:
    """Documents of source a that repeat a document of source b, by (a, b).

    With both the same: documents of a source that repeat another one of it. This is what
    `norcli.dedup.statistics.source_pairs` counts; it does not depend on which copy survives.
    """

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
    """Joins marked documents of one cluster, wherever in the input they stand.

    Memory grows with marked clusters alone, not with documents.
    """

    def __init__(self) -> None:
        self._clusters: dict[int, dict[str, int]] = {}

    def add(self, marks: Iterable[Mark]) -> None:
        """Take note of marked documents."""
        for mark in marks:
            sources = self._clusters.setdefault(mark.cluster, {})
            sources[mark.source] = sources.get(mark.source, 0) + 1

    def pairs(self) -> SourcePairs:
        """Return the pairs."""
        pairs = SourcePairs()
        for sources in self._clusters.values():
            for a, count in sources.items():
                for b in sources:
                    if a != b or count > 1:
                        pairs.documents[a, b] += count
        return pairs
