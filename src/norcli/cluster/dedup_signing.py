"""The first stage of `dedup` as many tasks: sign a part of the input, and read back what was made.

A part leaves three files: the lanes of its documents, their entries (for each band, sorted by
ranges of keys, each range with a checksum of its own, for each is read by another task), and what
was noted of them. Documents of an --against index become a part of the same form.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.cluster.planning import in_one_process
from norcli.cluster.runs import Made, Run
from norcli.cluster.tasks import Task
from norcli.dedup.banding import Banding
from norcli.dedup.blocks import BlockSigner
from norcli.dedup.collecting import Notes, open_evaluation, sign_units
from norcli.dedup.ids import IdStore
from norcli.dedup.options import DedupOptions
from norcli.dedup.parts import DOCUMENT, Entries, cut_at, entries_by_range
from norcli.dedup.pipeline import banding_of
from norcli.dedup.reading import RecordSource
from norcli.dedup.signatures import Signatures, Signer
from norcli.dedup.storage import read_index, settings_of
from norcli.dedup.survivors import Policy

SIGN, COMPARE = "sign", "compare"
ENTRY_BYTES = 32


def bands_of(banding: Banding | None) -> range:
    """Return the numbers of the bands; the last stands for the text as a whole."""
    return range((banding.bands if banding is not None else 0) + 1)


@dataclass
class SignedParts:
    """What the tasks of the first stage made, for the later ones.

    The numbers of documents are those of one process: first those of the --against indexes, then
    the inputs in order.
    """

    run: Run

    @cached_property
    def stats(self) -> list[dict[str, Any]]:
        """The counts of each part."""
        return [self.run.manifest(SIGN, part)["stats"] for part in range(len(self))]

    @cached_property
    def ends(self) -> npt.NDArray[np.int64]:
        """int64 [parts], the number behind the last document of each."""
        return np.cumsum([stats["documents"] for stats in self.stats], dtype=np.int64)

    def __len__(self) -> int:
        return self.run.stage(SIGN).tasks

    @property
    def documents(self) -> int:
        """Documents of all parts."""
        return int(self.ends[-1])

    def begin(self, part: int) -> int:
        """Return the number of a part's first document."""
        return int(self.ends[part - 1]) if part else 0

    def notes(self, part: int) -> dict[str, npt.NDArray[Any]]:
        """Return what was noted of a part's documents."""
        content = self.run.verified(SIGN, part, "notes")
        with np.load(io.BytesIO(content)) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def entries(self, part: int, band: int, key_range: int) -> Entries:
        """Return the entries of one band and one range of keys, with the run's numbers.

        Raises:
            ResumableStopError: They are not what the task wrote.
        """
        path, _ = self.run.part(SIGN, part, "entries")
        begins, digests = self.stats[part]["begins"][band], self.stats[part]["digests"][band]
        first, last = begins[key_range], begins[key_range + 1]
        with path.open("rb") as stream:
            stream.seek(first * ENTRY_BYTES)
            content = stream.read((last - first) * ENTRY_BYTES)
        if _slice_digest(content) != digests[key_range]:
            raise self.run.not_whole(SIGN, part, f"{path.name} is not what it wrote")
        found = np.frombuffer(bytearray(content), np.uint64).reshape(-1, 4)
        found[:, DOCUMENT] += np.uint64(self.begin(part))
        return found

    def lanes(self, part: int, num_perm: int) -> npt.NDArray[np.uint8]:
        """Return the lanes of a part, mapped from the file once all of it is checked."""
        path = self.run.verified_path(SIGN, part, "lanes")
        shape = (self.stats[part]["documents"], num_perm)
        return np.memmap(path, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, "u1")

    def gather(self, num_perm: int) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]]:
        """Return a function that takes document numbers and returns their lanes."""
        opened: dict[int, npt.NDArray[np.uint8]] = {}

        def lanes_of(documents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            lanes = np.empty((len(documents), num_perm), np.uint8)
            for part, rows in cut_at(self.ends, documents):
                if part not in opened:
                    opened[part] = self.lanes(part, num_perm)
                lanes[rows] = opened[part][documents[rows] - self.begin(part)]
            return lanes

        return lanes_of


def _slice_digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def options_of(task: Task) -> DedupOptions:
    """Return the options of a task's own work."""
    return dataclasses.replace(in_one_process(DedupOptions(**task.run.options)), jobs=task.jobs)


def sign(task: Task) -> Made:
    """Sign the documents of one part, or take them from an index."""
    options = options_of(task)
    shard = task.number - len(options.against)
    if shard < 0:
        return _take_index(task, options, options.against[task.number])
    own = dataclasses.replace(options, shard=f"{shard}/{task.count - len(options.against)}")
    banding = banding_of(own)
    source = RecordSource(own, task.console)
    signer = Signer(own.ngram, banding, own.seed, open_evaluation(own, task.console))
    notes = Notes(own.keep, {})
    blocks = BlockSigner(signer, own.text_key, own.scope, notes.policy.field)
    hashes, shingles, keys, hits, hit_texts = [], [], [], [], []
    lanes_path = task.folder / "lanes"
    with lanes_path.open("wb") as lanes:
        for signed in sign_units(blocks, source.units(), task.jobs):
            source.settle(len(signed), signed.bad)
            notes.note(signed)
            lanes.write(signed.signatures.lanes.tobytes())
            hashes.append(signed.signatures.text_hashes)
            shingles.append(signed.signatures.shingles)
            keys.append(signed.signatures.keys)
            found = signed.found
            zeros = np.zeros(len(signed), np.int64)
            hits.append(zeros if found is None else found[0])
            hit_texts.append(zeros if found is None else found[1])
    source.finish()
    signatures = Signatures(
        _stacked(hashes, np.empty((0, 2), np.uint64)), _stacked(shingles, np.empty(0, np.int64)),
        np.empty((0, signer.num_perm), np.uint8),
        _stacked(keys, np.empty((0, signer.bands), np.uint64)),
    )  # fmt: skip
    found_hits = _stacked(hits, np.empty(0, np.int64))
    contaminated = found_hits >= own.decontaminate_hits if own.decontaminate else found_hits < 0
    files = {"lanes": lanes_path}
    stats = _write_entries(task, files, signatures, banding, np.flatnonzero(~contaminated))
    sources, codes = notes.sources()
    _write_notes(
        task, files, notes.ids, hashes=signatures.text_hashes, merits=notes.policy.merits(),
        codes=codes, without_id=np.frombuffer(bytes(notes.without_id), np.uint8),
        hits=found_hits, hit_texts=_stacked(hit_texts, np.empty(0, np.int64)),
    )  # fmt: skip
    return Made(files, stats | {
        "sources": sources, "bytes": source.bytes_read, "bad": source.bad_count,
        "skipped": source.skipped,
        "without_ngrams": int(np.count_nonzero(signatures.shingles == 0)),
    })  # fmt: skip


def _take_index(task: Task, options: DedupOptions, path: str) -> Made:
    """Give the documents of an earlier index the form of a part."""
    banding = banding_of(options)
    index = read_index(path, settings_of(options, banding))
    signatures, count = index.signatures, len(index.ids)
    lanes_path = task.folder / "lanes"
    lanes_path.write_bytes(signatures.lanes.tobytes())
    files = {"lanes": lanes_path}
    stats = _write_entries(task, files, signatures, banding, np.arange(count))
    by_order = Policy(options.keep).by_order
    _write_notes(
        task, files, index.ids, hashes=signatures.text_hashes,
        merits=np.full(0 if by_order else count, np.inf), codes=np.zeros(count, np.int32),
        without_id=np.zeros(count, np.uint8), hits=np.zeros(count, np.int64),
        hit_texts=np.zeros(count, np.int64),
    )  # fmt: skip
    return Made(files, stats | {
        "sources": [path], "bytes": 0, "bad": 0, "skipped": [],
        "without_ngrams": int(np.count_nonzero(signatures.shingles == 0)),
    })  # fmt: skip


def _stacked(arrays: list[Any], empty: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else empty


def _write_entries(
    task: Task, files: dict[str, Path], signatures: Signatures, banding: Banding | None,
    active: npt.NDArray[np.int64],
) -> dict[str, Any]:  # fmt: skip
    """Write the entries of all bands; return where each range begins, and its checksum."""
    ranges = task.run.stage(COMPARE).tasks
    near = active[signatures.shingles[active] > 0]
    files["entries"] = task.folder / "entries"
    begins: list[list[int]] = []
    digests: list[list[str]] = []
    written = 0
    with files["entries"].open("wb") as stream:
        for band in bands_of(banding)[:-1]:
            keys = signatures.keys[:, band]
            found = entries_by_range(keys, signatures.text_hashes, near, ranges)
            written = _write_band(stream, *found, begins, digests, written)
        keys = signatures.text_hashes[:, 0]
        found = entries_by_range(keys, signatures.text_hashes, active, ranges)
        _write_band(stream, *found, begins, digests, written)
    return {"documents": len(signatures), "begins": begins, "digests": digests}


def _write_band(
    stream: BinaryIO, entries: Entries, ranges: npt.NDArray[np.int64], begins: list[list[int]],
    digests: list[list[str]], written: int,
) -> int:  # fmt: skip
    stream.write(entries.tobytes())
    begins.append((ranges + written).tolist())
    digests.append([
        _slice_digest(entries[first:last].tobytes())
        for first, last in zip(ranges[:-1].tolist(), ranges[1:].tolist(), strict=True)
    ])  # fmt: skip
    return written + len(entries)


def _write_notes(task: Task, files: dict[str, Path], ids: IdStore, **arrays: Any) -> None:
    files["notes"] = task.folder / "notes.npz"
    save_arrays(files["notes"], ids=np.frombuffer(bytes(ids.raw_bytes), np.uint8), id_ends=ids.ends,
          **arrays)  # fmt: skip


def save_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to one file, uncompressed."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
