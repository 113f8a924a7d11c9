"""The first stage of `dedup` as many tasks: sign a part of the input, and read back what was made.

A part leaves three files: the lanes of its documents, their entries (for each band, sorted by
ranges of keys, since each range is read by another task), and what was noted of them. Documents of
an --against index become a part of the same form.
"""

from __future__ import annotations

import dataclasses
import io
import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.cluster.dedup_groups import COMPARE, SIGN, Group, place_of
from norcli.cluster.planning import in_one_process
from norcli.cluster.runs import Made, Run
from norcli.cluster.slices import Numbers, SliceWriter, Table, read_slice
from norcli.cluster.tasks import Task
from norcli.dedup.blocks import BlockSigner
from norcli.dedup.collecting import SIGNATURE_SHARE, Notes, open_evaluation, sign_units
from norcli.dedup.ids import IdStore
from norcli.dedup.options import DedupOptions
from norcli.dedup.parts import DOCUMENT, Entries, cut_at, entries_by_range
from norcli.dedup.pipeline import banding_of
from norcli.dedup.reading import RecordSource
from norcli.dedup.signatures import Signatures, Signer
from norcli.dedup.storage import read_index, settings_of
from norcli.dedup.survivors import Policy

ENTRY_BYTES = 32
LANE_ROWS = 1 << 15
"""Documents whose lanes are read before the pages they stand on are let go."""

_NO_LANES = np.empty((0, 0), np.uint8)


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

    def whole(self, method: str) -> int:
        """Return the band whose entries are equal for the exact duplicates of a method."""
        return self.url if method == "url" and self.url is not None else self.exact


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

    @cached_property
    def _ranges(self) -> int:
        return self.run.stage(self.group.name(COMPARE)).tasks * self.group.splits

    def _slices(self, part: int, band: int, key_range: int) -> Iterator[int]:
        """Yield the places of the slices that hold the entries of a part."""
        bands = len(Bands.of(self.group.options))
        for chunk in range(self.stats[part]["chunks"]):
            yield (chunk * bands + band) * self._ranges + key_range

    @cached_property
    def _tables(self) -> list[Table]:
        return [Table.load(self.run, self.stage, part, "entries") for part in range(len(self))]

    def entry_bytes(self, bands: Sequence[int], key_range: int) -> int:
        """Return how long the entries of some bands and one range of keys are."""
        return sum(
            table.length(index)
            for part, table in enumerate(self._tables)
            for band in bands
            for index in self._slices(part, band, key_range)
        )

    def entries(self, band: int, key_ranges: Sequence[int]) -> Entries:
        """Return the entries of one band and some ranges of keys, of all parts.

        Raises:
            ResumableStopError: They are not what a task wrote.
        """
        found = [np.empty((0, 4), np.uint64)]
        for part, table in enumerate(self._tables):
            for key_range in key_ranges:
                for index in self._slices(part, band, key_range):
                    numbers = read_slice(
                        self.run, self.stage, part, "entries", table, index
                    ).reshape(-1, 4)
                    numbers[:, DOCUMENT] += np.uint64(self.begin(part))
                    found.append(numbers)
        return np.concatenate(found)

    def gather(self, num_perm: int) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]]:
        """Return a function that takes document numbers and returns their lanes."""
        opened: dict[int, _Lanes] = {}

        def lanes_of(documents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            lanes = np.empty((len(documents), num_perm), np.uint8)
            for part, rows in cut_at(self.ends, documents):
                if part not in opened:
                    path = self.run.verified_path(self.stage, part, "lanes")
                    opened[part] = _Lanes(path, num_perm)
                for first in range(0, len(rows), LANE_ROWS):
                    some = rows[first : first + LANE_ROWS]
                    lanes[some] = opened[part].rows(documents[some] - self.begin(part))
            return lanes

        return lanes_of


class _Lanes:
    """The lanes of a part, mapped from its file."""

    def __init__(self, path: Path, num_perm: int) -> None:
        with path.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._lanes = np.frombuffer(self._map, np.uint8).reshape(-1, num_perm)

    def rows(self, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the lanes of documents, by their rows; pages that were read are let go."""
        found = self._lanes[documents]
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
        return found


class _Entries:
    """Writes the entries of a part, as many documents at a time as the memory allows.

    Args:
        group: Says how much that is, and how many ranges of keys there are.
        writer: Of the slices.
        ranges: Of keys.
    """

    def __init__(self, group: Group, writer: SliceWriter, ranges: int) -> None:
        memory = group.options.memory_bytes
        self._most = None if memory is None else int(memory * SIGNATURE_SHARE)
        self._banding = banding_of(group.options)
        self._ranges = ranges
        self._writer = writer
        self._waiting: list[tuple[Signatures, npt.NDArray[np.uint64] | None, Any]] = []
        self._bytes, self._written = 0, 0
        self.chunks = 0

    @property
    def files(self) -> dict[str, Path]:
        """What is written."""
        return self._writer.files

    def add(
        self, signatures: Signatures, urls: npt.NDArray[np.uint64] | None,
        clean: npt.NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Take further documents; those that are not clean have no entries."""
        self._waiting.append((signatures, urls, clean))
        self._bytes += signatures.keys.nbytes + 16 * len(signatures)
        if self._most is not None and self._bytes > self._most:
            self.flush()

    def flush(self) -> None:
        """Write what waits: for each band, the entries of each range."""
        if not self._waiting:
            return
        documents = sum(len(one[0]) for one in self._waiting)
        hashes = np.concatenate([one[0].text_hashes for one in self._waiting])
        active = np.flatnonzero(np.concatenate([one[2] for one in self._waiting]))
        shingles = np.concatenate([one[0].shingles for one in self._waiting])
        near = active[shingles[active] > 0]
        for band in range(self._banding.bands if self._banding is not None else 0):
            keys = np.concatenate([one[0].keys[:, band] for one in self._waiting])
            self._write(keys, hashes, near)
        self._write(hashes[:, 0], hashes, active)
        if self._waiting[0][1] is not None:
            urls = np.concatenate([one[1] for one in self._waiting if one[1] is not None])
            self._write(urls[:, 0], urls, active[urls[active].any(axis=1)])
        self.chunks += 1
        self._written += documents
        self._waiting, self._bytes = [], 0

    def _write(self, keys: Any, hashes: Any, documents: npt.NDArray[np.int64]) -> None:
        entries, begins = entries_by_range(keys, hashes, documents, self._ranges)
        entries[:, DOCUMENT] += np.uint64(self._written)
        self._writer.write(_split(entries, begins))


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
    source = RecordSource(own, task.console)
    signer = Signer(own.ngram, banding_of(own), own.seed, open_evaluation(own, task.console))
    notes = Notes(own.keep, {})
    url_key = own.url_key if "url" in own.method else None
    blocks = BlockSigner(signer, own.text_key, own.scope, notes.policy.field, url_key)
    columns: dict[str, list[Any]] = {
        "hashes": [np.empty((0, 2), np.uint64)], "hits": [np.empty(0, np.int64)],
        "hit_texts": [np.empty(0, np.int64)],
    }  # fmt: skip
    without_ngrams = 0
    with _writing(task, group) as (lanes, entries):
        for signed in sign_units(blocks, source.units(), task.jobs):
            source.settle(len(signed), signed.bad)
            notes.note(signed)
            lanes.write(signed.signatures.lanes.tobytes())
            zeros = np.zeros(len(signed), np.int64)
            hits, hit_texts = signed.found or (zeros, zeros)
            clean = np.ones(len(hits), np.bool_)
            if own.decontaminate:
                clean = hits < own.decontaminate_hits
            hashes, shingles = signed.signatures.text_hashes, signed.signatures.shingles
            without_ngrams += int(np.count_nonzero(shingles == 0))
            unlaned = Signatures(hashes, shingles, _NO_LANES, signed.signatures.keys)
            entries.add(unlaned, signed.urls, clean)
            for name, values in (("hashes", hashes), ("hits", hits), ("hit_texts", hit_texts)):
                columns[name].append(values)
    source.finish()
    sources, codes = notes.sources()
    return _record(
        task, entries, notes.ids,
        {"sources": sources, "bytes": source.bytes_read, "bad": source.bad_count,
         "skipped": source.skipped, "without_ngrams": without_ngrams},
        merits=notes.policy.merits(), codes=codes,
        without_id=np.frombuffer(bytes(notes.without_id), np.uint8),
        **{name: np.concatenate(values) for name, values in columns.items()},
    )  # fmt: skip


def _take_index(task: Task, group: Group, path: str) -> Made:
    """Give the documents of an earlier index the form of a part."""
    options = in_one_process(group.options)
    index = read_index(path, settings_of(options, banding_of(options)))
    count = len(index.ids)
    with _writing(task, group) as (lanes, entries):
        lanes.write(index.signatures.lanes.tobytes())
        entries.add(index.signatures, None, np.ones(count, np.bool_))
    by_order = Policy(options.keep).by_order
    return _record(
        task, entries, index.ids,
        {"sources": [path], "bytes": 0, "bad": 0, "skipped": [],
         "without_ngrams": int(np.count_nonzero(index.signatures.shingles == 0))},
        hashes=index.signatures.text_hashes, merits=np.full(0 if by_order else count, np.inf),
        codes=np.zeros(count, np.int32), hits=np.zeros(count, np.int64),
        hit_texts=np.zeros(count, np.int64), without_id=np.zeros(count, np.uint8),
    )  # fmt: skip


@contextmanager
def _writing(task: Task, group: Group) -> Iterator[tuple[BinaryIO, _Entries]]:
    """Open the files of a part for its lanes and entries."""
    ranges = task.run.stage(group.name(COMPARE)).tasks * group.splits
    with (task.folder / "lanes").open("wb") as lanes, SliceWriter(task.folder, "entries") as writer:
        entries = _Entries(group, writer, ranges)
        yield lanes, entries
        entries.flush()


def _record(
    task: Task, entries: _Entries, ids: IdStore, stats: dict[str, Any], **notes: npt.NDArray[Any]
) -> Made:
    """Write what was noted of a part beside its lanes and entries."""
    files = {name: task.folder / name for name in ("lanes", "notes")} | entries.files
    save_arrays(files["notes"], ids=np.frombuffer(bytes(ids.raw_bytes), np.uint8),
                id_ends=ids.ends, **notes)  # fmt: skip
    return Made(files, stats | {
        "documents": len(ids), "chunks": entries.chunks,
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
