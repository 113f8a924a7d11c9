"""Between the passes of dedup: which documents belong together, and which of them stay."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from norcli.dedup.banding import Banding
from norcli.dedup.collecting import Collected
from norcli.dedup.index import Matches, content_order, group_exact, match_documents
from norcli.dedup.kept import KeptIndex
from norcli.dedup.options import DedupOptions
from norcli.dedup.parts import similarity
from norcli.dedup.spilling import SpilledSignatures
from norcli.dedup.statistics import DedupResult
from norcli.dedup.survivors import choose_survivors

STAR_BATCH = 1 << 16


def match_star(
    collected: Collected, banding: Banding | None, active: npt.NDArray[np.int64], jobs: int
) -> Matches:
    """Join each document, the best first, to the kept one most similar to it, or keep it."""
    signatures = collected.signatures
    order = collected.policy.ranked(collected.ids, signatures.text_hashes)
    order = order[np.isin(order, active)] if len(active) < len(order) else order
    index = KeptIndex(banding)
    labels = np.arange(len(signatures), dtype=np.int64)
    for begin in range(0, len(order), STAR_BATCH):
        chosen = order[begin : begin + STAR_BATCH]
        batch = signatures.take(chosen)
        labels[chosen], _ = index.offer(batch, np.arange(len(chosen)), chosen)
    return Matches(labels, index.compared, 0, index.cut)


@dataclass
class Decisions:
    """What was decided about each document, by number.

    Attributes:
        survivors: int64, the document that stays for it; itself when it stays.
        sizes: int64, documents in its cluster.
        jaccard: float32, estimated similarity to the survivor, NaN for survivors.
        exact: bool, whether it goes as an exact copy.
        same_url: bool, whether it goes because of its address.
        contaminated: bool, whether it goes because of passages of evaluation sets.
    """

    survivors: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    jaccard: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    same_url: npt.NDArray[np.bool_]
    contaminated: npt.NDArray[np.bool_]

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each document stays."""
        itself = self.survivors == np.arange(len(self.survivors))
        kept: npt.NDArray[np.bool_] = itself & ~self.contaminated
        return kept


def contaminated_documents(collected: Collected, options: DedupOptions) -> npt.NDArray[np.bool_]:
    """Return which documents hold enough passages of evaluation sets to go."""
    if collected.evaluation is None:
        return np.zeros(len(collected.signatures), bool)
    contaminated: npt.NDArray[np.bool_] = collected.hits >= options.decontaminate_hits
    return contaminated


def decide(
    collected: Collected, options: DedupOptions, banding: Banding | None, result: DedupResult
) -> Decisions:
    """Find the clusters and choose their survivors; count clusters and comparisons."""
    signatures = collected.signatures
    contaminated = contaminated_documents(collected, options)
    match = match_star if options.cluster == "star" else match_components
    documents = np.arange(len(signatures), dtype=np.int64)
    survivors = documents.copy()
    exact, same_url = np.zeros(len(documents), bool), np.zeros(len(documents), bool)
    # Each method compares what the ones before it kept.
    for method in options.comparisons:
        active = np.flatnonzero((survivors == documents) & ~contaminated)
        if method == "url":
            matches = match_urls(collected, active)
        else:
            near = banding if method == "minhash" else None
            matches = match(collected, near, active, options.jobs or 1)
        chosen, _ = choose_survivors(
            matches.labels, collected.policy, collected.ids, signatures.text_hashes
        )
        gone = documents[chosen != documents]
        same = signatures.text_hashes[gone] == signatures.text_hashes[chosen[gone]]
        same_url[gone] = method == "url"
        exact[gone] = same.all(axis=1) & (method != "url")
        survivors = chosen[survivors]
        result.pairs_compared += matches.compared
        result.searches_cut += matches.cut_buckets
    sizes = np.bincount(survivors, minlength=len(documents))[survivors]
    dropped = documents[survivors != documents]
    jaccard = np.full(len(survivors), np.nan, np.float32)
    if banding is not None:
        jaccard[dropped] = similarity(dropped, survivors[dropped], signatures.gather)
    jaccard[exact] = 1.0
    if isinstance(signatures, SpilledSignatures):
        result.spilled_bytes = signatures.disk_bytes
    result.clusters = int(np.count_nonzero((sizes > 1) & (survivors == documents)))
    result.largest_cluster = int(sizes.max(initial=0))
    result.texts_without_ngrams = int(np.count_nonzero(signatures.shingles == 0))
    return Decisions(survivors, sizes, jaccard, exact, same_url, contaminated)


def match_urls(collected: Collected, active: npt.NDArray[np.int64]) -> Matches:
    """Join documents of one address; those without any stay alone."""
    assert collected.urls is not None, "collected for this method"
    active = active[collected.urls[active].any(axis=1)]
    order = content_order(collected.urls, active)
    return Matches(group_exact(collected.urls, order))


def match_components(
    collected: Collected, banding: Banding | None, active: npt.NDArray[np.int64], jobs: int
) -> Matches:
    """Join duplicates, duplicates of duplicates, and so on."""
    return match_documents(collected.signatures, banding, active, jobs)


def sweep(
    collected: Collected, options: DedupOptions, banding: Banding | None
) -> list[dict[str, float | int]]:
    """Return what each threshold of --sweep would drop, from one set of signatures.

    Counts for connected components; documents of earlier indexes are never dropped.
    """
    contaminated = contaminated_documents(collected, options)
    active = np.flatnonzero(~contaminated)
    assert banding is not None, "thresholds without MinHash are refused by the options"

    def kept_with(chosen: Banding | None) -> int:
        labels = match_documents(collected.signatures, chosen, active).labels
        new = labels[active[active >= collected.known]]
        return len(np.setdiff1d(new, labels[: collected.known]))

    clean = int(np.count_nonzero(active >= collected.known))
    dropped_exact = clean - kept_with(None)
    rows: list[dict[str, float | int]] = []
    for threshold in options.sweep_thresholds():
        kept = kept_with(replace(banding, threshold=threshold))
        rows.append({
            "threshold": threshold, "documents": collected.new, "exact": dropped_exact,
            "minhash": clean - kept - dropped_exact, "contaminated": collected.new - clean,
            "kept": kept,
        })  # fmt: skip
    return rows
