"""The first stage of `dedup` as many tasks: sign a part of the input, and read back what was made.

A part leaves three files: the lanes of its documents, their entries (for each band, sorted by
ranges of keys, since each range is read by another task), and what was noted of them. Documents of
an --against index become a part of the same form.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.cluster.dedup_groups import COMPARE, SIGN, Group, place_of
from norcli.cluster.planning import in_one_process
from norcli.cluster.runs import Made, Run
from norcli.cluster.slices import Numbers, read_slice, write_slices
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

ENTRY_BYTES = 32


@dataclass(frozen=True)
class Bands:
    """The numbers of a part's bands: those of MinHash, the text as a whole, the address."""

    near: range
    exact: int
    url: int | None

    @classmethod
    def of(cls, options: DedupOptions) -> Bands:
        """Return the bands that some options need."""
        banding = banding_of(options)
        count = banding.bands if banding is not None else 0
        return cls(range(count), count, count + 1 if "url" in options.method else None)

    def __len__(self) -> int:
        return len(self.near) + 1 + (self.url is not None)


@dataclass
class SignedParts:
    """What the tasks of the first stage made, for the later ones.

    The numbers of documents are those of one process: first those of the --against indexes, then
    the inputs in order.
    """

    run: Run
    group: Group

    @cached_property
    def stage(self) -> str:
        """The name of the stage."""
        return self.group.name(SIGN)

    @cached_property
    def stats(self) -> list[dict[str, Any]]:
        """The counts of each part."""
        return [self.run.manifest(self.stage, part)["stats"] for part in range(len(self))]

    @cached_property
    def ends(self) -> npt.NDArray[np.int64]:
        """int64 [parts], the number behind the last document of each."""
        return np.cumsum([stats["documents"] for stats in self.stats], dtype=np.int64)

    def __len__(self) -> int:
        return self.run.stage(self.stage).tasks

    @property
    def documents(self) -> int:
        """Documents of all parts."""
        return int(self.ends[-1])

    def begin(self, part: int) -> int:
        """Return the number of a part's first document."""
        return int(self.ends[part - 1]) if part else 0

    def notes(self, part: int) -> dict[str, npt.NDArray[Any]]:
        """Return what was noted of a part's documents."""
        return load_arrays(self.run.verified(self.stage, part, "notes"))

    def entries(self, band: int, key_range: int) -> Entries:
        """Return the entries of one band and one range of keys, of all parts.

        Raises:
            ResumableStopError: They are not what a task wrote.
        """
        ranges = self.run.stage(self.group.name(COMPARE)).tasks
        found = []
        for part, stats in enumerate(self.stats):
            numbers = read_slice(self.run, self.stage, part, "entries", stats["entries"],
                                 band * ranges + key_range).reshape(-1, 4)  # fmt: skip
            numbers[:, DOCUMENT] += np.uint64(self.begin(part))
            found.append(numbers)
        return np.concatenate(found)

    def lanes(self, part: int, num_perm: int) -> npt.NDArray[np.uint8]:
        """Return the lanes of a part, mapped from the file once all of it is checked."""
        path = self.run.verified_path(self.stage, part, "lanes")
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


@dataclass
class _Part:
    """What is known of the documents of one part before it is written."""

    signatures: Signatures
    urls: npt.NDArray[np.uint64] | None
    active: npt.NDArray[np.int64]
    banding: Banding | None

    def slices(self, ranges: int) -> Iterator[Numbers]:
        """Yield the entries of each range of each band."""
        hashes = self.signatures.text_hashes
        near = self.active[self.signatures.shingles[self.active] > 0]
        for band in range(self.banding.bands if self.banding is not None else 0):
            keys = self.signatures.keys[:, band]
            yield from _split(*entries_by_range(keys, hashes, near, ranges))
        yield from _split(*entries_by_range(hashes[:, 0], hashes, self.active, ranges))
        if self.urls is not None:
            known = self.active[self.urls[self.active].any(axis=1)]
            yield from _split(*entries_by_range(self.urls[:, 0], self.urls, known, ranges))


def _split(entries: Entries, begins: npt.NDArray[np.int64]) -> Iterator[Numbers]:
    for first, last in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        yield entries[first:last]


def sign(task: Task) -> Made:
    """Sign the documents of one part, or take them from an index."""
    group, _ = place_of(task)
    part = task.number - group.known_parts
    if part < 0:
        return _take_index(task, group, group.options.against[task.number])
    own = group.reading(task, part)
    banding = banding_of(own)
    source = RecordSource(own, task.console)
    signer = Signer(own.ngram, banding, own.seed, open_evaluation(own, task.console))
    notes = Notes(own.keep, {})
    url_key = own.url_key if "url" in own.method else None
    blocks = BlockSigner(signer, own.text_key, own.scope, notes.policy.field, url_key)
    columns: dict[str, list[Any]] = {
        "hashes": [np.empty((0, 2), np.uint64)], "shingles": [np.empty(0, np.int32)],
        "keys": [np.empty((0, signer.bands), np.uint64)], "urls": [np.empty((0, 2), np.uint64)],
        "hits": [np.empty(0, np.int64)], "hit_texts": [np.empty(0, np.int64)],
    }  # fmt: skip
    with (task.folder / "lanes").open("wb") as lanes:
        for signed in sign_units(blocks, source.units(), task.jobs):
            source.settle(len(signed), signed.bad)
            notes.note(signed)
            lanes.write(signed.signatures.lanes.tobytes())
            zeros = np.zeros(len(signed), np.int64)
            hits, hit_texts = signed.found or (zeros, zeros)
            known = {
                "hashes": signed.signatures.text_hashes, "shingles": signed.signatures.shingles,
                "keys": signed.signatures.keys, "hits": hits, "hit_texts": hit_texts,
            }  # fmt: skip
            for name, values in known.items():
                columns[name].append(values)
            if signed.urls is not None:
                columns["urls"].append(signed.urls)
    source.finish()
    found = {name: np.concatenate(values) for name, values in columns.items()}
    signatures = Signatures(found["hashes"], found["shingles"],
                            np.empty((0, signer.num_perm), np.uint8), found["keys"])  # fmt: skip
    hits = found["hits"]
    clean = hits < own.decontaminate_hits if own.decontaminate else np.ones(len(hits), np.bool_)
    made = _Part(signatures, found["urls"] if url_key else None, np.flatnonzero(clean), banding)
    sources, codes = notes.sources()
    return _record(
        task, group, made, notes.ids,
        {"sources": sources, "bytes": source.bytes_read, "bad": source.bad_count,
         "skipped": source.skipped},
        merits=notes.policy.merits(), codes=codes, hits=hits, hit_texts=found["hit_texts"],
        without_id=np.frombuffer(bytes(notes.without_id), np.uint8),
    )  # fmt: skip


def _take_index(task: Task, group: Group, path: str) -> Made:
    """Give the documents of an earlier index the form of a part."""
    options = in_one_process(group.options)
    banding = banding_of(options)
    index = read_index(path, settings_of(options, banding))
    count = len(index.ids)
    (task.folder / "lanes").write_bytes(index.signatures.lanes.tobytes())
    by_order = Policy(options.keep).by_order
    return _record(
        task, group, _Part(index.signatures, None, np.arange(count), banding), index.ids,
        {"sources": [path], "bytes": 0, "bad": 0, "skipped": []},
        merits=np.full(0 if by_order else count, np.inf), codes=np.zeros(count, np.int32),
        hits=np.zeros(count, np.int64), hit_texts=np.zeros(count, np.int64),
        without_id=np.zeros(count, np.uint8),
    )  # fmt: skip


def _record(
    task: Task, group: Group, part: _Part, ids: IdStore, stats: dict[str, Any],
    **notes: npt.NDArray[Any],
) -> Made:  # fmt: skip
    """Write what is known of a part beside its lanes."""
    files = {name: task.folder / name for name in ("lanes", "entries", "notes")}
    ranges = task.run.stage(group.name(COMPARE)).tasks
    table = write_slices(files["entries"], part.slices(ranges))
    save_arrays(files["notes"], ids=np.frombuffer(bytes(ids.raw_bytes), np.uint8),
                id_ends=ids.ends, hashes=part.signatures.text_hashes, **notes)  # fmt: skip
    return Made(files, stats | {
        "documents": len(part.signatures), "entries": table,
        "without_ngrams": int(np.count_nonzero(part.signatures.shingles == 0)),
    })  # fmt: skip


def options_of(task: Task) -> DedupOptions:
    """Return the options of a task's own work."""
    group, _ = place_of(task)
    return dataclasses.replace(in_one_process(group.options), jobs=task.jobs)


def save_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to one file, uncompressed."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file that `save_arrays` wrote."""
    with np.load(io.BytesIO(content)) as arrays:
        return {name: arrays[name] for name in arrays.files}
