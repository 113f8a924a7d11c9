"""Deduplicate documents in two passes: sign all, decide, then write those that stay.

The core of ``norcli dedup``. Between the passes only signatures and ids are in memory; texts are
read again. The one-pass form, which decides about each document as it comes, is in
`norcli.dedup.online`. Report section 3.2 (deduplication of the corpora V1 to V3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.console import Console
from norcli.dedup.banding import Banding, choose_banding
from norcli.dedup.index import Matches, match_documents
from norcli.dedup.kept import KeptIndex
from norcli.dedup.minhash import estimate_jaccard
from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import Reading, RecordSource
from norcli.dedup.signatures import (
    BATCH_BYTES,
    BATCH_TEXTS,
    Signatures,
    SignatureStore,
    Signer,
    scope_hashes,
)
from norcli.dedup.survivors import IdStore, Policy, choose_survivors
from norcli.dedup.writing import ItemWriter, Verdict, parsed
from norcli.formats.documents import Place, input_bytes, text_id
from norcli.options import RecordOutputOptions
from norcli.streams import check_output

STAR_BATCH = 1 << 16

Batch = tuple[list[bytes], npt.NDArray[np.uint64] | None, list[Reading]]


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
    clusters: int = 0
    largest_cluster: int = 0
    texts_without_ngrams: int = 0
    pairs_compared: int = 0
    searches_cut: int = 0
    between_sources: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        """Records found to be duplicates, whether dropped or marked."""
        return self.dropped_exact + self.dropped_minhash

    def as_dict(self) -> dict[str, Any]:
        """Return the counts by name."""
        return asdict(self)

    def count_drop(self, method: str, source: str, survivor_source: str) -> None:
        """Count one duplicate, and between which sources it stands."""
        if method == "exact":
            self.dropped_exact += 1
        else:
            self.dropped_minhash += 1
        row = self.between_sources.setdefault(source, {})
        row[survivor_source] = row.get(survivor_source, 0) + 1


def banding_of(options: DedupOptions) -> Banding | None:
    """Return the bands and rows of a run; None for exact matching.

    Raises:
        UsageError: They do not fit the number of MinHash values.
    """
    if options.method == "exact":
        return None
    return choose_banding(options.threshold, options.num_perm, options.bands, options.rows)


def check_outputs(options: DedupOptions) -> None:
    """Check, before any work, that everything asked for can be written.

    Raises:
        CannotCreateError: A file exists already, or its folder is missing.
    """
    for path in (options.output, options.rejects, options.clusters):
        if path is not None:
            check_output(path, options.overwrite)


def plan(options: DedupOptions) -> dict[str, Any]:
    """Return what a run would do.

    Raises:
        InputMissingError: An input is missing.
        CannotCreateError: An output cannot be made.
    """
    options.check()
    check_outputs(options)
    banding = banding_of(options)
    source = RecordSource(options, Console.silent())
    known: dict[str, Any] = {
        "inputs": source.paths,
        "input_bytes": input_bytes(source.paths),
        "output": options.output,
        "method": options.method,
        "passes": 1 if options.online else 2,
        "keep": options.keep,
    }
    per_document = 24
    if banding is not None:
        per_document += banding.num_perm + 8 * banding.bands
        known |= {
            "threshold": banding.threshold,
            "bands": banding.bands,
            "rows": banding.rows,
            "pairs_found": banding.curve(),
        }
    return known | {"memory_bytes_per_document": per_document}


def text_batches(readings: Iterable[Reading], scope: str) -> Iterator[Batch]:
    """Group documents into batches of about `BATCH_BYTES`, with the hashes of their scopes."""
    texts: list[bytes] = []
    members: list[Reading] = []
    size = 0
    for reading in readings:
        text = reading.text.encode("utf-8", "surrogatepass")
        texts.append(text)
        members.append(reading)
        size += len(text)
        if size >= BATCH_BYTES or len(texts) >= BATCH_TEXTS:
            yield texts, batch_scopes(members, scope), members
            texts, members, size = [], [], 0
    if texts:
        yield texts, batch_scopes(members, scope), members


def batch_scopes(members: list[Reading], scope: str) -> npt.NDArray[np.uint64] | None:
    """Return the scope hash of each document, None when all are compared."""
    if scope == "global":
        return None
    return scope_hashes([str(member.record.get(scope)) for member in members])


@dataclass
class Collected:
    """What the first pass leaves in memory."""

    signatures: Signatures
    ids: IdStore
    policy: Policy
    sources: list[str]
    source_codes: npt.NDArray[np.int32]
    without_id: bytearray


def collect(
    source: RecordSource, options: DedupOptions, banding: Banding | None, console: Console
) -> Collected:
    """Read all documents once and sign them.

    Raises:
        DataError: A bad record under --on-bad-record stop.
    """
    signer = Signer(options.ngram, banding, options.seed)
    store = SignatureStore(signer.num_perm, signer.bands)
    ids, policy, without_id = IdStore(), Policy(options.keep), bytearray()
    names: dict[str, int] = {}
    codes: list[npt.NDArray[np.int32]] = []

    def noted() -> Iterator[Batch]:
        for batch in text_batches(source.documents(), options.scope):
            members = batch[2]
            for member in members:
                record_id = member.record.get("id")
                without_id.append(record_id is None)
                ids.append(text_id(member.text) if record_id is None else str(record_id))
                policy.note(member.record, member.text)
            found = [str(member.record.get("source") or "") for member in members]
            codes.append(np.array([names.setdefault(name, len(names)) for name in found],
                                  np.int32))  # fmt: skip
            # The texts are signed, their records have told what they hold: let them go.
            yield batch[0], batch[1], []

    with console.progress("reading", None, "documents") as progress:
        for signatures, _ in signer.sign_all(noted(), options.jobs or 1):
            store.append(signatures)
            progress.advance(len(signatures))
    all_codes = np.concatenate(codes) if codes else np.empty(0, np.int32)
    return Collected(store.close(), ids, policy, list(names), all_codes, without_id)


def match_star(collected: Collected, banding: Banding | None) -> Matches:
    """Join each document, the best first, to the kept one most similar to it, or keep it."""
    signatures = collected.signatures
    order = collected.policy.ranked(collected.ids, signatures.text_hashes)
    index = KeptIndex(banding)
    labels = np.empty(len(signatures), np.int64)
    for begin in range(0, len(order), STAR_BATCH):
        chosen = order[begin : begin + STAR_BATCH]
        batch = Signatures(
            signatures.text_hashes[chosen], signatures.shingles[chosen],
            signatures.lanes[chosen], signatures.keys[chosen],
        )  # fmt: skip
        labels[chosen], _ = index.offer(batch, np.arange(len(chosen)), chosen)
    return Matches(labels, labels, index.compared, 0, index.cut)


@dataclass
class Decisions:
    """What the two passes have in common: each document's survivor, by number."""

    survivors: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    jaccard: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]


def decide(
    collected: Collected, options: DedupOptions, banding: Banding | None, result: DedupResult
) -> Decisions:
    """Find the clusters and choose their survivors."""
    signatures = collected.signatures
    if options.cluster == "star":
        matches = match_star(collected, banding)
    else:
        matches = match_documents(signatures, banding)
    survivors, sizes = choose_survivors(
        matches.labels, collected.policy, collected.ids, signatures.text_hashes
    )
    documents = np.arange(len(survivors), dtype=np.int64)
    dropped = documents[survivors != documents]
    exact = np.zeros(len(survivors), bool)
    same = signatures.text_hashes[dropped] == signatures.text_hashes[survivors[dropped]]
    exact[dropped] = same.all(axis=1)
    jaccard = np.full(len(survivors), np.nan)
    if banding is not None:
        jaccard[dropped] = estimate_jaccard(signatures.lanes, dropped, survivors[dropped])
    jaccard[exact] = 1.0
    result.clusters = int(np.count_nonzero((sizes > 1) & (survivors == documents)))
    result.largest_cluster = int(sizes.max(initial=0))
    result.texts_without_ngrams = int(np.count_nonzero(signatures.shingles == 0))
    result.pairs_compared, result.searches_cut = matches.compared, matches.cut_buckets
    return Decisions(survivors, sizes, jaccard, exact)


def run_dedup(options: DedupOptions, console: Console) -> DedupResult:
    """Deduplicate the inputs and write what stays.

    Raises:
        UsageError: Options that do not go together.
        DataError: A bad record under --on-bad-record stop.
        CannotCreateError: An output exists already.
        IOFailureError: The disk is full, or standard input exceeds the spool.
    """
    options.check()
    check_outputs(options)
    banding = banding_of(options)
    if banding is not None:
        console.info(
            f"{banding.bands} bands of {banding.rows} of {banding.num_perm} MinHash values; "
            f"pairs found: {banding.curve()}"
        )
    if options.online:
        from norcli.dedup.online import run_online

        return run_online(options, banding, console)
    source = RecordSource(options, console)
    try:
        collected = collect(source, options, banding, console)
        result = DedupResult(records_in=len(collected.ids), bytes_in=source.bytes_read)
        decisions = decide(collected, options, banding, result)
        _warn(result, console)
        _write(source, collected, decisions, options, result, console)
    finally:
        source.close()
    result.bad_records = source.bad_count
    return result


def _warn(result: DedupResult, console: Console) -> None:
    if result.records_in == 0:
        console.warn("the input holds no records; the output is empty")
    if result.searches_cut:
        console.warn(
            f"{result.searches_cut} searches among very many similar keys were cut short; "
            "give more --rows, or fewer documents of boilerplate"
        )


def _write(
    source: RecordSource, collected: Collected, decisions: Decisions, options: DedupOptions,
    result: DedupResult, console: Console,
) -> None:  # fmt: skip
    """Read the documents again and write what stays, what goes, and the clusters."""
    with ExitStack() as stack:
        out = stack.enter_context(ItemWriter(options, options.text_key))
        rejects = side_file(stack, options.rejects, options)
        clusters = side_file(stack, options.clusters, options)
        progress = stack.enter_context(
            console.progress("writing", len(decisions.survivors), "documents")
        )
        for number, (place, item) in enumerate(source.again()):
            progress.advance()
            kept = decisions.survivors[number] == number
            if kept and collected.without_id[number]:
                item = parsed(item, options.text_key)
            if kept and not options.mark:
                result.records_out += 1
                out.write(item)
                if decisions.sizes[number] == 1 or clusters is None:
                    continue
            verdict = _verdict(number, collected, decisions)
            if not kept:
                _count(number, collected, decisions, verdict, result)
            if options.mark:
                result.records_out += 1
                out.write(parsed(item, options.text_key) | verdict.marks())
            elif not kept and rejects is not None:
                rejects.write(parsed(item, options.text_key) | verdict.reasons(options.threshold))
            if clusters is not None and decisions.sizes[number] > 1:
                clusters.write(_cluster_row(collected.ids[number], verdict, place))
    result.bytes_out = out.bytes


def _count(
    number: int, collected: Collected, decisions: Decisions, verdict: Verdict, result: DedupResult
) -> None:
    codes = collected.source_codes[[number, decisions.survivors[number]]]
    source, survivor_source = (collected.sources[code] for code in codes)
    result.count_drop(verdict.method or "", source, survivor_source)


def _cluster_row(identity: str, verdict: Verdict, place: Place) -> dict[str, Any]:
    return {"id": identity, **verdict.marks(), "path": place.path, "line": place.line}


def side_file(stack: ExitStack, path: str | None, options: DedupOptions) -> ItemWriter | None:
    """Open a further output, if it was asked for."""
    if path is None:
        return None
    named = RecordOutputOptions(output=path, overwrite=options.overwrite)
    return stack.enter_context(ItemWriter(named, options.text_key))


def _verdict(number: int, collected: Collected, decisions: Decisions) -> Verdict:
    survivor = int(decisions.survivors[number])
    verdict = Verdict(collected.ids[survivor], int(decisions.sizes[number]))
    if survivor == number:
        return verdict
    return verdict.duplicate(float(decisions.jaccard[number]), bool(decisions.exact[number]))
