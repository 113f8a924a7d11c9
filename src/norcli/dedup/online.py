"""Deduplicate in one pass: drop what repeats an earlier document, hand on the rest at once.

``norcli dedup --online``, and what compares whole texts or addresses alone when it reads a pipe.
Documents are decided in small batches; a batch ends early when a pipe has nothing more to read,
so that nothing waits for data that may never come. Memory grows with the documents kept, not
with their texts.
"""

from __future__ import annotations

from array import array
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.console import Console
from norcli.dedup.banding import Banding
from norcli.dedup.collecting import batch_scopes, open_evaluation, open_indexes
from norcli.dedup.gathering import Gatherer
from norcli.dedup.ids import IdStore
from norcli.dedup.kept import EXACT, KeptIndex
from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import Reading, RecordSource
from norcli.dedup.repeated_ids import count_repeated_ids, warn_of_repeated_ids
from norcli.dedup.signatures import Signatures, Signer
from norcli.dedup.statistics import DedupResult, source_pairs
from norcli.dedup.storage import StoredIndex
from norcli.dedup.urls import url_hashes
from norcli.dedup.writing import Verdict, parsed, side_file, write_item
from norcli.formats.documents import RecordWriter, text_id


class _Stages:
    """The methods of a run, one after the other; each compares what the ones before let pass."""

    def __init__(self, options: DedupOptions, banding: Banding | None) -> None:
        self._url_key = options.url_key
        self.indexes = {
            method: KeptIndex(banding if method == "minhash" else None)
            for method in options.comparisons
        }

    def offer(
        self, batch: list[Reading], signatures: Signatures, scopes: Any,
        rows: npt.NDArray[np.int64], begin: int,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], list[str | None]]:  # fmt: skip
        """Offer the documents of some rows.

        Returns:
            For all rows the number of the document each repeats (its own for none), the
            estimated similarity, and the method that found it.
        """
        numbers = begin + np.arange(len(batch), dtype=np.int64)
        survivors, similarity = numbers.copy(), np.full(len(batch), np.nan)
        methods: list[str | None] = [None] * len(batch)
        for method, index in self.indexes.items():
            compared, chosen = signatures, rows
            if method == "url":
                compared = _url_signatures(batch, self._url_key, scopes)
                chosen = rows[compared.shingles[rows] > 0]
            found, similar = index.offer(compared, chosen, numbers[chosen])
            repeats = found != numbers[chosen]
            for row, one in zip(chosen[repeats].tolist(), similar[repeats].tolist(), strict=True):
                methods[row] = "exact" if method == "minhash" and one == EXACT else method
            survivors[chosen], similarity[chosen] = found, similar
            rows = np.setdiff1d(rows, chosen[repeats])
        return survivors, similarity, methods

    def begin_with(self, signatures: Signatures, numbers: npt.NDArray[np.int64]) -> None:
        """Take the documents of an earlier index as kept."""
        for method, index in self.indexes.items():
            if method != "url":
                index.offer(signatures, np.arange(len(numbers)), numbers)


def _url_signatures(batch: list[Reading], key: str, scopes: Any) -> Signatures:
    """Return the hashed addresses in the form of exact signatures; 0 shingles for no address."""
    hashes = url_hashes([reading.record.get(key) for reading in batch], scopes)
    known = np.array(hashes.any(axis=1), np.int32)
    empty = np.empty((len(batch), 0), np.uint8)
    return Signatures(hashes, known, empty, empty.astype(np.uint64))


@dataclass
class _OnlineRun:
    """The state of one run: the kept documents and the outputs."""

    options: DedupOptions
    signer: Signer
    stages: _Stages
    out: RecordWriter
    rejects: RecordWriter | None
    result: DedupResult
    ids: IdStore = field(default_factory=IdStore)
    # By number: the document that each repeats, its own number for none; its source.
    survivors: array[int] = field(default_factory=lambda: array("q"))
    sources: array[int] = field(default_factory=lambda: array("i"))
    names: dict[str, int] = field(default_factory=dict)
    without_id: bytearray = field(default_factory=bytearray)

    def begin_with(self, path: str, index: StoredIndex) -> None:
        """Take the documents of an earlier index as kept."""
        begin = len(self.ids)
        numbers = np.arange(begin, begin + len(index.ids), dtype=np.int64)
        for number in range(len(index.ids)):
            self.ids.append(index.ids[number])
        self.survivors.extend(numbers.tolist())
        self.sources.extend([self.names.setdefault(path, len(self.names))] * len(index.ids))
        self.stages.begin_with(index.signatures, numbers)
        self.without_id += bytes(len(index.ids))
        self.result.known_documents = len(self.ids)

    def _note(self, reading: Reading) -> None:
        record_id = reading.record.get("id")
        self.without_id.append(record_id is None)
        self.ids.append(text_id(reading.text) if record_id is None else str(record_id))
        source = str(reading.record.get("source") or "")
        self.sources.append(self.names.setdefault(source, len(self.names)))

    def decide(self, batch: list[Reading]) -> None:
        """Decide about documents, and write them."""
        begin = len(self.ids)
        texts = [reading.text.encode("utf-8", "surrogatepass") for reading in batch]
        scopes = batch_scopes(batch, self.options.scope)
        signatures, found = self.signer.examine(texts, scopes)
        clean = np.ones(len(batch), bool)
        if found is not None:
            clean = found[0] < self.options.decontaminate_hits
        survivors, similarity, methods = self.stages.offer(
            batch, signatures, scopes, np.flatnonzero(clean), begin
        )
        self.result.records_in += len(batch)
        self.result.texts_without_ngrams += int(np.count_nonzero(signatures.shingles == 0))
        self.survivors.extend(survivors.tolist())
        for row, reading in enumerate(batch):
            self._note(reading)
            verdict = Verdict(self.ids[begin + row], None)
            if not clean[row] and found is not None and self.signer.evaluation is not None:
                place = self.signer.evaluation.places[found[1][row]]
                verdict = verdict.contaminated(place, int(found[0][row]))
                self.result.count_contaminated(place)
            elif methods[row] is not None:
                verdict = self._duplicate(begin + row, methods[row] or "", float(similarity[row]))
            self._write(reading, verdict)

    def _duplicate(self, number: int, method: str, similarity: float) -> Verdict:
        survivor = self.survivors[number]
        # What one method kept may have been dropped by a later one.
        while self.survivors[survivor] != survivor:
            survivor = self.survivors[survivor]
        self.survivors[number] = survivor
        self.result.count_drop(method)
        return Verdict(self.ids[survivor], None).duplicate(method, similarity)

    def _write(self, reading: Reading, verdict: Verdict) -> None:
        options, key = self.options, self.options.text_key
        kept = verdict.method is None
        if options.mark:
            self.out.write(parsed(reading.item, key) | verdict.marks())
        elif kept:
            made = reading.record.get("id") is None
            write_item(self.out, parsed(reading.item, key) if made else reading.item)
        elif self.rejects is not None:
            reasons = verdict.reasons(options.threshold, options.decontaminate_hits)
            self.rejects.write(parsed(reading.item, key) | reasons)
        self.result.records_out += kept or options.mark


def run_online(options: DedupOptions, banding: Banding | None, console: Console) -> DedupResult:
    """Deduplicate the inputs in one pass.

    Raises:
        DataError: A bad record under --on-bad-record stop; what was decided is written before.
    """
    result = DedupResult()
    source = RecordSource(options, console, twice=False)
    signer = Signer(options.ngram, banding, options.seed, open_evaluation(options, console))
    indexes = open_indexes(options, banding)
    stages = _Stages(options, banding)
    with ExitStack() as stack:
        out = stack.enter_context(RecordWriter(options, options.text_key))
        rejects = side_file(stack, options.rejects, options)
        run = _OnlineRun(options, signer, stages, out, rejects, result)
        for path in list(indexes):
            run.begin_with(path, indexes.pop(path))
        gatherer = Gatherer(run.decide)

        def hand_on() -> None:
            gatherer.flush()
            out.flush()

        source.before_wait = hand_on
        progress = stack.enter_context(console.progress("deduplicating", None, "documents"))
        for reading in source.documents():
            gatherer.add(reading)
            progress.advance()
        gatherer.flush()
    result.bytes_in, result.bad_records = source.bytes_read, source.bad_count
    result.bytes_out = out.bytes
    result.pairs_compared = sum(index.compared for index in stages.indexes.values())
    result.searches_cut = sum(index.cut for index in stages.indexes.values())
    result.source_pairs = source_pairs(
        np.array(run.survivors, np.int64), np.array(run.sources, np.int32), list(run.names)
    )
    result.repeated_ids = count_repeated_ids(run.ids, run.without_id, result.known_documents)
    warn_of_repeated_ids(result.repeated_ids, console)
    if result.records_in == 0:
        console.warn("the input holds no records; the output is empty")
    return result
