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
from norcli.dedup.kept import EXACT, KeptIndex
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import DedupResult, batch_scopes, side_file
from norcli.dedup.reading import Reading, RecordSource
from norcli.dedup.signatures import Signer
from norcli.dedup.survivors import IdStore
from norcli.dedup.writing import ItemWriter, Verdict, parsed
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

    def decide(self) -> None:
        """Decide about the documents that wait, and write them."""
        batch, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if not batch:
            return
        texts = [reading.text.encode("utf-8", "surrogatepass") for reading in batch]
        signatures = self.signer.sign(texts, batch_scopes(batch, self.options.scope))
        begin = self.result.records_in
        numbers = np.arange(begin, begin + len(batch), dtype=np.int64)
        survivors, jaccard = self.index.offer(signatures, numbers - begin, numbers)
        self.result.records_in += len(batch)
        self.result.texts_without_ngrams += int(np.count_nonzero(signatures.shingles == 0))
        for number, reading, survivor, similarity in zip(
            numbers.tolist(), batch, survivors.tolist(), jaccard.tolist(), strict=True
        ):
            self._write(number, reading, survivor, similarity)

    def _write(self, number: int, reading: Reading, survivor: int, similarity: float) -> None:
        key = self.options.text_key
        kept = survivor == number
        verdict = Verdict(self.ids[survivor], None)
        if not kept:
            exact = similarity == EXACT
            verdict = verdict.duplicate(1.0 if exact else similarity, exact)
            self.result.count_drop(
                verdict.method or "", self.sources[number], self.sources[survivor]
            )
        if self.options.mark:
            self.out.write(parsed(reading.item, key) | verdict.marks())
        elif kept:
            made = reading.record.get("id") is None
            self.out.write(parsed(reading.item, key) if made else reading.item)
        elif self.rejects is not None:
            self.rejects.write(parsed(reading.item, key) | verdict.reasons(self.options.threshold))
        self.result.records_out += kept or self.options.mark

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
    with ExitStack() as stack:
        out = stack.enter_context(ItemWriter(options, options.text_key))
        rejects = side_file(stack, options.rejects, options)
        signer = Signer(options.ngram, banding, options.seed)
        run = _OnlineRun(options, signer, KeptIndex(banding), out, rejects, result)
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
