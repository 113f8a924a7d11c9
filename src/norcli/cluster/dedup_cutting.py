"""`dedup --method lines` and `paragraphs` as many tasks: hash, find what repeats, decide, cut.

Whether a line goes depends on all documents before it, since one that is dropped gives its lines
back. So each task hashes a part, another finds the hashes of a range that occur more than once,
and one decides in the order of the input about these alone, with the kernel of one process. Then
each part is read again and cut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.cluster.dedup_groups import CUTS, REPEATS, UNITS, Group, place_of
from norcli.cluster.dedup_signing import load_arrays, save_arrays
from norcli.cluster.runs import Made, Run
from norcli.cluster.slices import Numbers, Table, read_slice, write_slices
from norcli.cluster.tasks import Task
from norcli.console import Console
from norcli.dedup.collecting import batch_scopes
from norcli.dedup.cuts import Cuts
from norcli.dedup.cutting import encoded_texts, run_cutting
from norcli.dedup.gathering import Gatherer
from norcli.dedup.hash_set import HashSet
from norcli.dedup.lines import UnitSplitter, choose_units, settle_texts
from norcli.dedup.options import DedupOptions
from norcli.dedup.parts import range_of
from norcli.dedup.reading import Reading, RecordSource
from norcli.dedup.statistics import DedupResult
from norcli.errors import DataError

HASH, UNIT = 0, 1


def _splitter(options: DedupOptions) -> UnitSplitter:
    return UnitSplitter(options.method[0] == "paragraphs")


def hash_units(task: Task) -> Made:
    """Hash the lines of a part that are long enough to be cut."""
    group, _ = place_of(task)
    own = group.reading(task, task.number)
    splitter, source = _splitter(own), RecordSource(own, task.console, twice=False)
    hashes, words = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    counts, totals = [np.empty(0, np.int64)], [np.empty(0, np.int64)]

    def note(batch: list[Reading]) -> None:
        units = splitter.split(encoded_texts(batch), batch_scopes(batch, own.scope))
        long = units.long(own.min_chars)
        hashes.append(units.hashes[long])
        words.append(units.words[long])
        before = np.append(0, np.cumsum(long))
        counts.append(np.diff(before[units.bounds]))
        before = np.append(0, np.cumsum(units.words, dtype=np.int64))
        totals.append(np.diff(before[units.bounds]))

    gatherer = Gatherer(note)
    for reading in source.documents():
        gatherer.add(reading)
    gatherer.flush()
    found = np.concatenate(hashes)
    ranges = task.run.stage(group.name(REPEATS)).tasks
    files = write_slices(task.folder, "units", _by_range(found, ranges))
    files["notes"] = task.folder / "notes.npz"
    save_arrays(files["notes"], words=np.concatenate(words), counts=np.concatenate(counts),
                totals=np.concatenate(totals))  # fmt: skip
    return Made(files, {
        "documents": sum(map(len, counts)), "bytes": source.bytes_read,
        "bad": source.bad_count,
    })  # fmt: skip


def _by_range(hashes: Numbers, ranges: int) -> Iterator[Numbers]:
    """Yield uint64 [units, 2] for each range of hashes: each one's hash, and its number."""
    places = range_of(hashes, ranges)
    order = np.argsort(places, kind="stable")
    rows = np.stack([hashes[order], order.astype(np.uint64)], axis=1)
    ends = np.searchsorted(places[order], np.arange(1, ranges, dtype=np.uint64))
    yield from np.split(rows, ends)


def find_repeats(task: Task) -> Made:
    """Find the hashes of one range that occur more than once, and say so to each part."""
    group, _ = place_of(task)
    run, stage = task.run, group.name(UNITS)
    parts = []
    for part in range(run.stage(stage).tasks):
        table = Table.load(run, stage, part, "units")
        parts.append(read_slice(run, stage, part, "units", table, task.number).reshape(-1, 2))
    hashes = np.concatenate([rows[:, HASH] for rows in parts])
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    repeats = np.zeros(len(hashes), np.bool_)
    repeats[order[1:]] |= same
    repeats[order[:-1]] |= same
    ends = np.cumsum([len(rows) for rows in parts])[:-1]
    told = [rows[own] for rows, own in zip(parts, np.split(repeats, ends), strict=True)]
    return Made(write_slices(task.folder, "repeats", told), {"repeats": int(repeats.sum())})


def choose_cuts(task: Task) -> Made:
    """Decide which of the repeated lines go, part after part, in the order of the input."""
    group, _ = place_of(task)
    run, stage, options = task.run, group.name(UNITS), group.options
    seen = HashSet()
    files = {}
    for part in range(run.stage(stage).tasks):
        notes = load_arrays(run.verified(stage, part, "notes"))
        rows = _repeats_of(run, group, part)
        gone = _choose(rows, notes, seen, 0 if options.mark else options.min_words)
        files[f"cuts-{part:05}"] = task.folder / f"cuts-{part:05}.npz"
        save_arrays(files[f"cuts-{part:05}"], units=rows[gone, UNIT].astype(np.int64))
    return Made(files, {"repeated": seen.size})


def _repeats_of(run: Run, group: Group, part: int) -> Numbers:
    """Return the hashes and numbers of a part's lines that occur more than once, in order."""
    stage = group.name(REPEATS)
    found = []
    for number in range(run.stage(stage).tasks):
        table = Table.load(run, stage, number, "repeats")
        found.append(read_slice(run, stage, number, "repeats", table, part).reshape(-1, 2))
    rows = np.concatenate(found)
    return rows[np.argsort(rows[:, UNIT])]


def _choose(
    rows: Numbers, notes: dict[str, npt.NDArray[Any]], seen: HashSet, min_words: int
) -> npt.NDArray[np.bool_]:
    """Return which of a part's repeated lines go."""
    numbers = rows[:, UNIT].astype(np.int64)
    owners = np.searchsorted(np.cumsum(notes["counts"]), numbers, side="right")
    texts, begins = np.unique(owners, return_index=True)
    # The other lines of a text stand before these as one that is short, so that it stays.
    bounds = np.append(begins, len(numbers)) + np.arange(len(texts) + 1)
    words = notes["words"][numbers].astype(np.int64)
    others = notes["totals"][texts] - np.bincount(owners, words, len(notes["totals"]))[texts]
    all_words = np.insert(words, begins, others.astype(np.int64))
    letters = np.insert(np.full(len(numbers), 2), begins, 1)
    hashes = np.insert(rows[:, HASH], begins, 0)
    seen.reserve(len(numbers))
    gone, slots = np.empty(len(hashes), np.bool_), np.empty(len(hashes), np.int64)
    cut, left = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64)
    seen.size += choose_units(
        hashes, letters, all_words.astype(np.int32), bounds, 2, min_words, seen.table, gone, cut,
        left, slots,
    )  # fmt: skip
    return np.delete(gone, bounds[:-1])


class _GivenCuts:
    """Cuts the lines of a part that were chosen elsewhere."""

    def __init__(self, options: DedupOptions, gone: npt.NDArray[np.bool_]) -> None:
        self._splitter = _splitter(options)
        self._min_chars = options.min_chars
        self._gone = gone
        self.done = 0

    def cut(self, texts: list[bytes], scopes: npt.NDArray[np.uint64] | None) -> list[Cuts | None]:
        """Return for each text what to cut, None for nothing."""
        units = self._splitter.split(texts, scopes)
        long = units.long(self._min_chars)
        begin, self.done = self.done, self.done + int(np.count_nonzero(long))
        if self.done > len(self._gone):
            raise DataError("an input holds more lines than when it was first read")
        gone = np.zeros(len(long), np.bool_)
        gone[long] = self._gone[begin : self.done]
        cut, left = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64)
        settle_texts(units.letters, units.words, units.bounds, gone, cut, left)
        return units.cuts(gone, cut, left)


def write_cut(task: Task, named: dict[str, Any]) -> DedupResult:
    """Read a part again and write it without what was chosen.

    Args:
        task: The task.
        named: Where to write each output.
    """
    group, _ = place_of(task)
    run = task.run
    counts = load_arrays(run.verified(group.name(UNITS), task.number, "notes"))["counts"]
    chosen = load_arrays(run.verified(group.name(CUTS), 0, f"cuts-{task.number:05}"))["units"]
    gone = np.zeros(int(counts.sum()), np.bool_)
    if len(chosen) and chosen[-1] >= len(gone):
        raise run.not_whole(group.name(CUTS), 0, f"it cuts line {chosen[-1]} of {len(gone)}")
    gone[chosen] = True
    options = dataclasses.replace(group.reading(task, task.number), **named)
    given = _GivenCuts(options, gone)
    result = run_cutting(options, options.method[0], Console.silent(), given.cut)
    if given.done != len(gone):
        raise run.not_whole(group.name(UNITS), task.number, f"{given.done} lines of {len(gone)}")
    return result
