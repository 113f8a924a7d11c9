"""Deduplicate in one pass: drop what repeats an earlier document, hand on the rest at once.

``norcli dedup --online``. Documents are decided in small batches; a batch ends early when a pipe
has nothing more to read, so that nothing waits for data that may never come. Memory grows with
the documents kept, not with their texts.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from norcli.console import Console
from norcli.dedup.banding import Banding
from norcli.dedup.collecting import batch_scopes, open_evaluation, open_indexes
from norcli.dedup.kept import EXACT, KeptIndex
from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import Reading, RecordSource
from norcli.dedup.signatures import Signer
from norcli.dedup.statistics import DedupResult
from norcli.dedup.storage import StoredIndex
from norcli.dedup.survivors import IdStore
from norcli.dedup.writing import ItemWriter, Verdict, parsed, side_file
from norcli.formats.documents import text_id

DELAY_TEXTS = 256
DELAY_BYTES = 1 << 20
"""A document is decided after at most so many further ones, or bytes of text."""


@dataclass
class _OnlineRun:
    """The state of one run: the kept documents, the batch being gathered, the outputs."""

    options: DedupOptions
    signer: Signer
    index: KeptIndex
    out: ItemWriter
    rejects: ItemWriter | None
    result: DedupResult
    ids: IdStore = field(default_factory=IdStore)
    sources: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    waiting: list[Reading] = field(default_factory=list)
    waiting_bytes: int = 0
    known: int = 0

    def add(self, reading: Reading) -> None:
        """Take the next document, and decide when enough are waiting."""
        record_id = reading.record.get("id")
        self.ids.append(text_id(reading.text) if record_id is None else str(record_id))
        source = str(reading.record.get("source") or "")
        self.sources.append(self.names.setdefault(source, source))
        self.waiting.append(reading)
        self.waiting_bytes += len(reading.text)
        if len(self.waiting) >= DELAY_TEXTS or self.waiting_bytes >= DELAY_BYTES:
            self.decide()

    def begin_with(self, path: str, index: StoredIndex) -> None:
        """Take the documents of an earlier index as kept."""
        begin = len(self.ids)
        numbers = np.arange(begin, begin + len(index.ids), dtype=np.int64)
        for number in range(len(index.ids)):
            self.ids.append_raw(index.ids.raw(number))
        self.sources += [path] * len(index.ids)
        self.index.offer(index.signatures, numbers - begin, numbers)
        self.known = self.result.known_documents = len(self.ids)

    def decide(self) -> None:
        """Decide about the documents that wait, and write them."""
        batch, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if not batch:
            return
        texts = [reading.text.encode("utf-8", "surrogatepass") for reading in batch]
        scopes = batch_scopes(batch, self.options.scope)
        signatures, found = self.signer.examine(texts, scopes)
        begin = self.known + self.result.records_in
        clean = np.ones(len(batch), bool)
        if found is not None:
            clean = found[0] < self.options.decontaminate_hits
        rows = np.flatnonzero(clean)
        offered = iter(zip(*self.index.offer(signatures, rows, begin + rows), strict=True))
        self.result.records_in += len(batch)
        self.result.texts_without_ngrams += int(np.count_nonzero(signatures.shingles == 0))
        for row, reading in enumerate(batch):
            verdict = Verdict(self.ids[begin + row], None)
            if clean[row]:
                survivor, similarity = next(offered)
                verdict = self._verdict(begin + row, int(survivor), float(similarity))
            elif found is not None and self.signer.evaluation is not None:
                place = self.signer.evaluation.places[found[1][row]]
                verdict = verdict.contaminated(place, int(found[0][row]))
                self.result.dropped_contaminated += 1
            self._write(reading, verdict)

    def _verdict(self, number: int, survivor: int, similarity: float) -> Verdict:
        verdict = Verdict(self.ids[survivor], None)
        if survivor == number:
            return verdict
        exact = similarity == EXACT
        verdict = verdict.duplicate(1.0 if exact else similarity, exact)
        self.result.count_drop(verdict.method or "", self.sources[number], self.sources[survivor])
        return verdict

    def _write(self, reading: Reading, verdict: Verdict) -> None:
        options, key = self.options, self.options.text_key
        kept = verdict.method is None
        if options.mark:
            self.out.write(parsed(reading.item, key) | verdict.marks())
        elif kept:
            made = reading.record.get("id") is None
            self.out.write(parsed(reading.item, key) if made else reading.item)
        elif self.rejects is not None:
            reasons = verdict.reasons(options.threshold, options.decontaminate_hits)
            self.rejects.write(parsed(reading.item, key) | reasons)
        self.result.records_out += kept or options.mark

    def hand_on(self) -> None:
        """Decide and flush: standard input has nothing more for now."""
        self.decide()
        self.out.flush()


def run_online(options: DedupOptions, banding: Banding | None, console: Console) -> DedupResult:
    """Deduplicate the inputs in one pass.

    Raises:
        DataError: A bad record under --on-bad-record stop; what was decided is written before.
    """
    result = DedupResult()
    source = RecordSource(options, console, twice=False)
    signer = Signer(options.ngram, banding, options.seed, open_evaluation(options, console))
    indexes = open_indexes(options, banding)
    with ExitStack() as stack:
        out = stack.enter_context(ItemWriter(options, options.text_key))
        rejects = side_file(stack, options.rejects, options)
        run = _OnlineRun(options, signer, KeptIndex(banding), out, rejects, result)
        for path, index in indexes.items():
            run.begin_with(path, index)
        source.before_wait = run.hand_on
        progress = stack.enter_context(console.progress("deduplicating", None, "documents"))
        for reading in source.documents():
            run.add(reading)
            progress.advance()
        run.decide()
    result.bytes_in, result.bad_records = source.bytes_read, source.bad_count
    result.bytes_out = out.bytes
    result.pairs_compared, result.searches_cut = run.index.compared, run.index.cut
    if result.records_in == 0:
        console.warn("the input holds no records; the output is empty")
    return result
