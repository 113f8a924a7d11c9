"""What a run of dedup counts, for its summary and ``--stats``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class DedupResult:
    """Counts of a run, as ``--stats`` writes them."""

    records_in: int = 0
    records_out: int = 0
    bad_records: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped_exact: int = 0
    dropped_minhash: int = 0
    dropped_contaminated: int = 0
    known_documents: int = 0
    clusters: int = 0
    largest_cluster: int = 0
    texts_without_ngrams: int = 0
    pairs_compared: int = 0
    searches_cut: int = 0
    between_sources: dict[str, dict[str, int]] = field(default_factory=dict)
    sweep: list[dict[str, float | int]] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Records found to be duplicates, whether dropped or marked."""
        return self.dropped_exact + self.dropped_minhash

    def as_dict(self) -> dict[str, Any]:
        """Return the counts by name."""
        counts = asdict(self)
        if not self.sweep:
            del counts["sweep"]
        return counts

    def count_drop(self, method: str, source: str, survivor_source: str) -> None:
        """Count one duplicate, and between which sources it stands."""
        if method == "exact":
            self.dropped_exact += 1
        else:
            self.dropped_minhash += 1
        row = self.between_sources.setdefault(source, {})
        row[survivor_source] = row.get(survivor_source, 0) + 1
