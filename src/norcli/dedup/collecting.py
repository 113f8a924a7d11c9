"""The first pass of dedup: read all documents, sign them, note what decides about them.

What it leaves in memory is all that the decision needs; texts and records are let go at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from norcli.ahead import map_ahead
from norcli.console import Console
from norcli.dedup.banding import Banding
from norcli.dedup.blocks import BlockSigner, Signed
from norcli.dedup.contamination import EvaluationTexts, read_evaluation_texts
from norcli.dedup.ids import IdStore
from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import Lines, Reading, Records, RecordSource
from norcli.dedup.signatures import Signatures, Signer, scope_hashes
from norcli.dedup.spilling import SignatureStore, SpilledSignatures
from norcli.dedup.storage import StoredIndex, read_index, settings_of
from norcli.dedup.survivors import Policy

SIGNATURE_SHARE = 0.2
"""Of --memory for signatures before they go to disk, and for looking them up there."""


def batch_scopes(members: list[Reading], scope: str) -> npt.NDArray[np.uint64] | None:
    """Return the scope hash of each document, None when all are compared."""
    if scope == "global":
        return None
    return scope_hashes([str(member.record.get(scope)) for member in members])


SignUnits = Callable[[BlockSigner, Iterator[Lines | Records], int], Iterator[Signed]]


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
            self.ids.extend(bytes(index.ids.raw_bytes), index.ids.ends)
            self._note_sources([path] * len(index.ids))

    def note(self, signed: Signed) -> None:
        """Note the next documents."""
        self.ids.extend(signed.ids, signed.id_ends)
        self.without_id += signed.without_id
        self.policy.note(signed.values, signed.letters)
        self._note_sources(signed.sources)

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
        urls: Hash of each address, zeros for none; None when addresses are not compared.
    """

    known: int
    signatures: Signatures | SpilledSignatures
    ids: IdStore
    policy: Policy
    sources: list[str]
    source_codes: npt.NDArray[np.int32]
    without_id: bytearray
    evaluation: EvaluationTexts | None
    hits: npt.NDArray[np.int64]
    hit_texts: npt.NDArray[np.int64]
    urls: npt.NDArray[np.uint64] | None = None

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
    source: RecordSource, options: DedupOptions, banding: Banding | None, console: Console,
    sign: SignUnits | None = None,
) -> Collected:  # fmt: skip
    """Read all documents once and sign them.

    Args:
        source: Of the documents.
        options: Of the run.
        banding: Bands and rows; None for exact matching.
        console: Shows progress.
        sign: Signs the units instead of `sign_units`.

    Raises:
        DataError: A bad record under --on-bad-record stop.
    """
    signer = Signer(options.ngram, banding, options.seed, open_evaluation(options, console))
    indexes = open_indexes(options, banding)
    notes = Notes(options.keep, indexes)
    memory = options.memory_bytes
    store = SignatureStore(
        signer.num_perm, signer.bands, None if memory is None else int(memory * SIGNATURE_SHARE)
    )
    for path in list(indexes):
        store.append(indexes.pop(path).signatures)
    hits = [np.zeros(notes.known, np.int64)]
    hit_texts = [np.full(notes.known, -1, np.int64)]
    url_key = options.url_key if "url" in options.method else None
    urls = [np.zeros((notes.known, 2), np.uint64)]
    blocks = BlockSigner(signer, options.text_key, options.scope, notes.policy.field, url_key)
    with console.progress("reading", None, "documents") as progress:
        for signed in (sign or sign_units)(blocks, source.units(), options.jobs or 1):
            wanted = source.settle(len(signed), signed.bad)
            if wanted < len(signed):
                signed = signed.first(wanted)
            if wanted:
                notes.note(signed)
                store.append(signed.signatures)
                if signed.found is not None:
                    hits.append(signed.found[0])
                    hit_texts.append(signed.found[1])
                if signed.urls is not None:
                    urls.append(signed.urls)
                progress.advance(wanted)
            if source.is_full:
                break
    source.finish()
    sources, codes = notes.sources()
    return Collected(
        notes.known, store.close(), notes.ids, notes.policy, sources, codes, notes.without_id,
        signer.evaluation, np.concatenate(hits), np.concatenate(hit_texts),
        np.concatenate(urls) if url_key else None,
    )  # fmt: skip


def sign_units(
    blocks: BlockSigner, units: Iterator[Lines | Records], jobs: int
) -> Iterator[Signed]:
    """Sign units on `jobs` threads; the results keep the order.

    The kernels run without Python's lock, so threads are enough to use several cores.
    """
    return map_ahead(blocks.sign, units, jobs)
