"""What a run of dedup counts, for its summary and ``--stats``: by method, and between sources."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

SOURCES_AT_ONCE = 64
"""Sources of a cluster are noted as bits of one number."""


@dataclass
class DedupResult:
    """Counts of a run, as ``--stats`` writes them.

    Attributes:
        dropped_short: Documents dropped since too little was left of them once passages were cut.
        cut_documents: Documents that passages were cut out of and that stay.
        cut: Passages cut, by their kind (lines, paragraphs, spans).
        cut_bytes: Bytes of text in these.
        spilled_bytes: Signatures on disk under --memory.
        repeated_ids: Documents whose id an earlier document has, too.
        matching: Bands and rows, and the share of pairs they are expected to find.
        contaminated_by: Documents dropped for passages of each evaluation file.
        source_pairs: For sources a and b, the documents of a that repeat a document of b.
        sweep: One row for each threshold of --sweep.
    """

    records_in: int = 0
    records_out: int = 0
    bad_records: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped_url: int = 0
    dropped_exact: int = 0
    dropped_minhash: int = 0
    dropped_contaminated: int = 0
    dropped_short: int = 0
    cut_documents: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    cut_bytes: int = 0
    known_documents: int = 0
    clusters: int = 0
    largest_cluster: int = 0
    texts_without_ngrams: int = 0
    pairs_compared: int = 0
    searches_cut: int = 0
    spilled_bytes: int = 0
    repeated_ids: int = 0
    matching: dict[str, Any] = field(default_factory=dict)
    contaminated_by: dict[str, int] = field(default_factory=dict)
    source_pairs: list[dict[str, Any]] = field(default_factory=list)
    sweep: list[dict[str, float | int]] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Records found to be duplicates, whether dropped or marked."""
        return self.dropped_url + self.dropped_exact + self.dropped_minhash

    def as_dict(self) -> dict[str, Any]:
        """Return the counts by name."""
        counts = asdict(self)
        if not self.sweep:
            del counts["sweep"]
        return counts

    def count_drop(self, method: str) -> None:
        """Count one duplicate."""
        name = f"dropped_{method}"
        setattr(self, name, getattr(self, name) + 1)

    def count_contaminated(self, place: str) -> None:
        """Count one document that holds passages of an evaluation text."""
        self.dropped_contaminated += 1
        file = place.partition("#")[0].rpartition(":")[0] or place.partition("#")[0]
        self.contaminated_by[file] = self.contaminated_by.get(file, 0) + 1

    def _add_pairs(self, rows: list[dict[str, Any]]) -> None:
        counts = {(row["a"], row["b"]): row["documents"] for row in self.source_pairs}
        for row in rows:
            key = row["a"], row["b"]
            counts[key] = counts.get(key, 0) + row["documents"]
        self.source_pairs = [
            {"a": a, "b": b, "documents": count} for (a, b), count in sorted(counts.items())
        ]

    def add_stage(self, later: DedupResult) -> None:
        """Take up the counts of a further stage, which read what this one wrote."""
        for one in fields(self):
            name, value = one.name, getattr(later, one.name)
            if name in ("records_out", "bytes_out"):
                setattr(self, name, value)
            elif name in ("records_in", "bytes_in"):
                continue
            elif name == "largest_cluster":
                self.largest_cluster = max(self.largest_cluster, value)
            elif name == "source_pairs":
                self._add_pairs(value)
            elif isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
            elif isinstance(value, dict):
                getattr(self, name).update(value)
            else:
                getattr(self, name).extend(value)


def source_pairs(
    survivors: npt.NDArray[np.int64], codes: npt.NDArray[np.int32], names: list[str]
) -> list[dict[str, Any]]:
    """Count, for each pair of sources, the documents of one that repeat a document of the other.

    Does not depend on which duplicates survive. With both the same it counts the documents of a
    source that repeat another one of it.

    Args:
        survivors: int64 [documents], equal within a cluster.
        codes: int32 [documents], each one's source.
        names: Of the sources.

    Returns:
        Rows of `a`, `b`, `documents`, by name, without those of no document.
    """
    if not len(survivors):
        return []
    grouped = np.flatnonzero(np.bincount(survivors, minlength=len(survivors))[survivors] > 1)
    if not len(grouped):
        return []
    _, clusters = np.unique(survivors[grouped], return_inverse=True)
    sources = codes[grouped].astype(np.int64)
    pairs, pair_of, counts = np.unique(
        clusters.astype(np.int64) * len(names) + sources, return_inverse=True, return_counts=True
    )
    alone = counts[pair_of] == 1
    total = np.zeros((len(names), len(names)), np.int64)
    for first in range(0, len(names), SOURCES_AT_ONCE):
        chosen = (pairs % len(names)) // SOURCES_AT_ONCE == first // SOURCES_AT_ONCE
        bits = np.zeros(int(clusters.max()) + 1, np.uint64)
        column = (pairs[chosen] % len(names) - first).astype(np.uint64)
        np.bitwise_or.at(bits, pairs[chosen] // len(names), np.uint64(1) << column)
        for other in range(first, min(first + SOURCES_AT_ONCE, len(names))):
            there = bits[clusters] >> np.uint64(other - first) & np.uint64(1) == 1
            there &= ~(alone & (sources == other))
            total[:, other] += np.bincount(sources[there], minlength=len(names))
    order = sorted(range(len(names)), key=names.__getitem__)
    return [
        {"a": names[a], "b": names[b], "documents": int(total[a, b])}
        for a in order for b in order if total[a, b]
    ]  # fmt: skip


def source_table(pairs: list[dict[str, Any]]) -> list[str]:
    """Return the matrix of duplicates between sources as aligned lines; none for one source."""
    names = sorted({name for row in pairs for name in (row["a"], row["b"])})
    if len(names) < 2:
        return []
    counts = {(row["a"], row["b"]): row["documents"] for row in pairs}
    shown = {name: name or "(none)" for name in names}
    cells = [["documents of", *(shown[name] for name in names)]]
    cells += [
        [shown[a], *(f"{counts.get((a, b), 0):,}".replace(",", " ") for b in names)] for a in names
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names) + 1)]
    return [
        row[0].ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in cells
    ]
