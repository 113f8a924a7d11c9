"""The first pass of dedup: read all documents, sign them, note what decides about them.

What it leaves in memory is all that the decision needs; texts and records are let go at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from norcli.console import Console
from norcli.dedup.banding import Banding
from norcli.dedup.contamination import EvaluationTexts, read_evaluation_texts
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
from norcli.dedup.storage import StoredIndex, read_index, settings_of
from norcli.dedup.survivors import IdStore, Policy
from norcli.formats.documents import text_id

Batch = tuple[list[bytes], npt.NDArray[np.uint64] | None]


def text_batches(readings: Iterable[Reading]) -> Iterator[tuple[list[bytes], list[Reading]]]:
    """Group documents into batches of about `BATCH_BYTES` of text."""
    texts: list[bytes] = []
    members: list[Reading] = []
    size = 0
    for reading in readings:
        text = reading.text.encode("utf-8", "surrogatepass")
        texts.append(text)
        members.append(reading)
        size += len(text)
        if size >= BATCH_BYTES or len(texts) >= BATCH_TEXTS:
            yield texts, members
            texts, members, size = [], [], 0
    if texts:
        yield texts, members


def batch_scopes(members: list[Reading], scope: str) -> npt.NDArray[np.uint64] | None:
    """Return the scope hash of each document, None when all are compared."""
    if scope == "global":
        return None
    return scope_hashes([str(member.record.get(scope)) for member in members])


class Notes:
    """What is noted of each document beside its signature: id, source, merit.

    Documents of earlier indexes come first and have the source of their index's name.
    """

    def __init__(self, keep: str, indexes: dict[str, StoredIndex]) -> None:
        self.known = sum(len(index.ids) for index in indexes.values())
        self.ids = IdStore()
        self.policy = Policy(keep, self.known)
        self.without_id = bytearray(self.known)
        self._names: dict[str, int] = {}
        self._codes: list[npt.NDArray[np.int32]] = []
        for path, index in indexes.items():
            for number in range(len(index.ids)):
                self.ids.append_raw(index.ids.raw(number))
            self._note_sources([path] * len(index.ids))

    def note(self, members: list[Reading]) -> None:
        """Note the next documents."""
        for member in members:
            record_id = member.record.get("id")
            self.without_id.append(record_id is None)
            self.ids.append(text_id(member.text) if record_id is None else str(record_id))
            self.policy.note(member.record, member.text)
        self._note_sources([str(member.record.get("source") or "") for member in members])

    def _note_sources(self, sources: list[str]) -> None:
        names = self._names
        codes = [names.setdefault(source, len(names)) for source in sources]
        self._codes.append(np.array(codes, np.int32))

    def sources(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        """Return the names of all sources, and each document's place among them."""
        codes = np.concatenate(self._codes) if self._codes else np.empty(0, np.int32)
        return list(self._names), codes


@dataclass
class Collected:
    """What the first pass leaves in memory, by document number.

    Attributes:
        known: Documents of earlier indexes; they have the numbers below.
        signatures: Of known and new documents.
        hits: Passages of evaluation sets in each document; None when none were looked for.
        hit_texts: The evaluation text of the first passage, -1 for none.
    """

    known: int
    signatures: Signatures
    ids: IdStore
    policy: Policy
    sources: list[str]
    source_codes: npt.NDArray[np.int32]
    without_id: bytearray
    evaluation: EvaluationTexts | None
    hits: npt.NDArray[np.int64]
    hit_texts: npt.NDArray[np.int64]

    @property
    def new(self) -> int:
        """Documents read in this run."""
        return len(self.ids) - self.known

    def source_of(self, number: int) -> str:
        """Return the source of a document."""
        return self.sources[self.source_codes[number]]


def open_indexes(options: DedupOptions, banding: Banding | None) -> dict[str, StoredIndex]:
    """Read the indexes of --against.

    Raises:
        InputMissingError: One is not there.
        DataError: One is damaged.
        ConfigError: One was made with other settings.
    """
    settings = settings_of(options, banding)
    return {path: read_index(path, settings) for path in options.against}


def open_evaluation(options: DedupOptions, console: Console) -> EvaluationTexts | None:
    """Read the files of --decontaminate.

    Raises:
        InputMissingError: One is not there.
        DataError: One cannot be read.
    """
    if not options.decontaminate:
        return None
    return read_evaluation_texts(options.decontaminate, options.decontaminate_ngram, console)


def collect(
    source: RecordSource, options: DedupOptions, banding: Banding | None, console: Console
) -> Collected:
    """Read all documents once and sign them.

    Raises:
        DataError: A bad record under --on-bad-record stop.
    """
    signer = Signer(options.ngram, banding, options.seed, open_evaluation(options, console))
    indexes = open_indexes(options, banding)
    notes = Notes(options.keep, indexes)
    store = SignatureStore(signer.num_perm, signer.bands)
    for path in list(indexes):
        store.append(indexes.pop(path).signatures)
    hits = [np.zeros(notes.known, np.int64)]
    hit_texts = [np.full(notes.known, -1, np.int64)]

    def batches() -> Iterator[Batch]:
        for texts, members in text_batches(source.documents()):
            notes.note(members)
            yield texts, batch_scopes(members, options.scope)

    with console.progress("reading", None, "documents") as progress:
        for signatures, found in signer.sign_all(batches(), options.jobs or 1):
            store.append(signatures)
            if found is not None:
                hits.append(found[0])
                hit_texts.append(found[1])
            progress.advance(len(signatures))
    sources, codes = notes.sources()
    return Collected(
        notes.known, store.close(), notes.ids, notes.policy, sources, codes, notes.without_id,
        signer.evaluation, np.concatenate(hits), np.concatenate(hit_texts),
    )  # fmt: skip
