"""The middle stages of `dedup` as many tasks: compare ranges of keys, make clusters, in rounds.

Each comparison of --method is a round: its tasks compare what the rounds before kept, each one
range of keys, and one task joins their pairs and chooses survivors. What is computed is in
`norcli.dedup.parts` and `norcli.dedup.stars`; this is who reads and writes what. Every file that
is taken from another task is checked, and so are the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.cluster.dedup_groups import CLUSTERS, COMPARE, RANK, place_of
from norcli.cluster.dedup_signing import (
    Bands,
    SignedParts,
    load_arrays,
    options_of,
    save_arrays,
)
from norcli.cluster.runs import Made
from norcli.cluster.tasks import Task
from norcli.dedup.ids import IdStore
from norcli.dedup.parts import (
    DOCUMENT,
    KEY,
    Entries,
    Forest,
    NotedPolicy,
    exact_pairs,
    near_pairs,
    shared_keys,
    similarity,
)
from norcli.dedup.pipeline import banding_of
from norcli.dedup.repeated_ids import count_repeated_ids
from norcli.dedup.stars import join_stars, star_pairs
from norcli.dedup.statistics import source_pairs
from norcli.dedup.survivors import choose_survivors

ENTRY_SHARE = 0.2
"""Of --memory for the entries that a task compares together."""

_NO_PAIRS = np.empty((0, 2), np.int64)


class Verdicts(NamedTuple):
    """What the rounds so far decided about all documents.

    Attributes:
        survivors: int64, the document that stays for each.
        exact: bool, whether it went as an exact copy.
        same_url: bool, whether it went because of its address.
    """

    survivors: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]
    same_url: npt.NDArray[np.bool_]

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each stays so far."""
        found: npt.NDArray[np.bool_] = self.survivors == np.arange(len(self.survivors))
        return found


def _verdicts_before(task: Task, documents: int) -> Verdicts:
    """Return what the rounds before a task's own decided."""
    group, turn = place_of(task)
    if turn == 0:
        none = np.zeros(documents, np.bool_)
        return Verdicts(np.arange(documents), none, none.copy())
    stage = group.name(CLUSTERS, turn - 1)
    found = Verdicts(**load_arrays(task.run.verified(stage, 0, "verdicts")))
    if len(found.survivors) != documents:
        raise task.run.not_whole(stage, 0, f"{len(found.survivors)} verdicts on {documents}")
    return found


class _Found(NamedTuple):
    """Pairs of some ranges of keys: exact and near ones, comparisons made and cut short."""

    exact: npt.NDArray[np.int64]
    near: npt.NDArray[np.int64]
    compared: int
    cut: int


def compare(task: Task) -> Made:
    """Find the pairs whose keys lie in the task's range, as much of it at a time as fits."""
    group, turn = place_of(task)
    signed, method = SignedParts(task.run, group), group.options.comparisons[turn]
    kept = _verdicts_before(task, signed.documents).kept if turn else None
    order = None
    if group.is_star and method == "minhash":
        ranked = _ranked(task)
        order = np.empty(signed.documents, np.int64)
        order[ranked] = np.arange(len(ranked))
    banding = banding_of(group.options)
    lanes_of = None
    if method == "minhash" and banding is not None:
        lanes_of = signed.gather(banding.num_perm)
    found = [
        _compare(signed, method, kept, order, key_ranges, lanes_of)
        for key_ranges in _shares(signed, method, task.number)
    ]
    exact = np.concatenate([one.exact for one in found])
    near = np.concatenate([one.near for one in found])
    path = task.folder / "pairs.npz"
    save_arrays(path, exact=exact, near=near)
    return Made({"pairs": path}, {
        "compared": sum(one.compared for one in found), "cut": sum(one.cut for one in found),
        "exact": len(exact), "near": len(near),
    })  # fmt: skip


def _shares(signed: SignedParts, method: str, number: int) -> Iterator[list[int]]:
    """Yield the ranges of keys that a task compares together, within its memory."""
    group = signed.group
    bands, memory = Bands.of(group.options), group.options.memory_bytes
    own = range(number * group.splits, (number + 1) * group.splits)
    if memory is None:
        yield list(own)
        return
    read = [*(bands.near if method == "minhash" else ()), bands.whole(method)]
    some: list[int] = []
    size = 0
    for key_range in own:
        more = signed.entry_bytes(read, key_range)
        if some and size + more > memory * ENTRY_SHARE:
            yield some
            some, size = [], 0
        some.append(key_range)
        size += more
    yield some


def _compare(
    signed: SignedParts, method: str, kept: npt.NDArray[np.bool_] | None,
    order: npt.NDArray[np.int64] | None, key_ranges: list[int],
    lanes_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]] | None,
) -> _Found:  # fmt: skip
    """Compare the documents that share a key in some ranges.

    Args:
        signed: All parts.
        method: How to compare.
        kept: Whether each document was kept by the rounds before; None in the first.
        order: The place of each document among all, the best first, for stars.
        key_ranges: Of the keys.
        lanes_of: Takes document numbers and returns their lanes; None for exact matching.
    """
    bands, banding = Bands.of(signed.group.options), banding_of(signed.group.options)

    def entries(band: int) -> Entries:
        found = signed.entries(band, key_ranges)
        return found if kept is None else found[kept[found[:, DOCUMENT].astype(np.int64)]]

    exact = exact_pairs(entries(bands.whole(method)))
    if lanes_of is None or banding is None:
        return _Found(exact, _NO_PAIRS, 0, 0)
    shared = [shared_keys(entries(band)) for band in bands.near]
    documents = np.unique(np.concatenate([found[:, DOCUMENT] for found in shared]))
    documents = documents.astype(np.int64)
    lanes = lanes_of(documents)
    if order is None:
        found = near_pairs(shared, documents, lanes, banding)
        return _Found(exact, found.pairs, found.compared, found.cut)
    buckets = [bucket for found in shared for bucket in _buckets(found, documents, order)]
    rows, compared, cut = star_pairs(buckets, lanes, banding.needed_lanes)
    near = np.concatenate([documents[rows[:, :2]], rows[:, 2:]], axis=1)
    return _Found(exact, near, compared, cut)


def _buckets(
    entries: Entries, documents: npt.NDArray[np.int64], order: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the documents that share a key, as rows of `documents`, in order."""
    numbers = entries[:, DOCUMENT].astype(np.int64)
    places = np.lexsort((order[numbers], entries[:, KEY]))
    keys, rows = entries[places, KEY], np.searchsorted(documents, numbers[places])
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))[: len(keys)]
    yield from np.split(rows, begins[1:]) if len(keys) else ()


def rank(task: Task) -> Made:
    """Order all documents, the most worth keeping first."""
    group, _ = place_of(task)
    signed, options = SignedParts(task.run, group), options_of(task)
    notes = _joined_notes(signed)
    policy = NotedPolicy(options.keep, signed.begin(group.known_parts), notes.merits)
    path = task.folder / "ranked.npz"
    save_arrays(path, ranked=policy.ranked(notes.ids, notes.hashes))
    return Made({"ranked": path}, {"documents": signed.documents})


def _ranked(task: Task) -> npt.NDArray[np.int64]:
    group, _ = place_of(task)
    return load_arrays(task.run.verified(group.name(RANK), 0, "ranked"))["ranked"]


def _pairs(task: Task) -> Iterator[dict[str, npt.NDArray[np.int64]]]:
    """Yield the pairs that the tasks of the round found; their counts are checked."""
    group, turn = place_of(task)
    stage = group.name(COMPARE, turn)
    for number in range(task.run.stage(stage).tasks):
        stats = task.run.manifest(stage, number)["stats"]
        found = load_arrays(task.run.verified(stage, number, "pairs"))
        for name, pairs in found.items():
            if len(pairs) != stats[name]:
                raise task.run.not_whole(stage, number, f"it has {len(pairs)} {name} pairs")
        yield found


def _labels(task: Task, signed: SignedParts) -> npt.NDArray[np.int64]:
    """Return int64 [documents], equal within a cluster of the round."""
    group, turn = place_of(task)
    forest = Forest(signed.documents)
    is_star = group.is_star and options_of(task).comparisons[turn] == "minhash"
    stars = []
    for found in _pairs(task):
        forest.join(found["exact"])
        if is_star:
            stars.append(found["near"].reshape(-1, 3))
        else:
            forest.join(found["near"])
    labels = forest.labels()
    if not is_star:
        return labels
    # What takes no part has no pairs, and is the whole of its own star.
    pairs = np.unique(np.concatenate(stars), axis=0)
    return join_stars(_ranked(task), labels, pairs)


def clusters(task: Task) -> Made:
    """Join the pairs of a round and choose survivors; in the last, tell each part of its own."""
    group, turn = place_of(task)
    run, options, signed = task.run, options_of(task), SignedParts(task.run, group)
    known = signed.begin(group.known_parts)
    notes, before = _joined_notes(signed), _verdicts_before(task, signed.documents)
    policy = NotedPolicy(options.keep, known, notes.merits)
    chosen, _ = choose_survivors(_labels(task, signed), policy, notes.ids, notes.hashes)
    documents = np.arange(len(chosen))
    gone = documents[chosen != documents]
    is_url = options.comparisons[turn] == "url"
    same = (notes.hashes[gone] == notes.hashes[chosen[gone]]).all(axis=1)
    before.exact[gone] = same & (not is_url)
    before.same_url[gone] = is_url
    found = before._replace(survivors=chosen[before.survivors])
    stats = [run.manifest(group.name(COMPARE, turn), number)["stats"]
             for number in range(run.stage(group.name(COMPARE, turn)).tasks)]  # fmt: skip
    counts = {"pairs_compared": sum(one["compared"] for one in stats),
              "searches_cut": sum(one["cut"] for one in stats)}  # fmt: skip
    if turn + 1 < len(options.comparisons):
        path = task.folder / "verdicts.npz"
        save_arrays(path, **found._asdict())
        return Made({"verdicts": path}, counts)
    sizes = np.bincount(found.survivors, minlength=len(documents))[found.survivors]
    heads = (sizes > 1) & (found.survivors == documents)
    return Made(_told(task, signed, notes.ids, found, sizes), counts | {
        "known_documents": known,
        "clusters": int(np.count_nonzero(heads)),
        "largest_cluster": int(sizes.max(initial=0)),
        "source_pairs": source_pairs(found.survivors, notes.codes, notes.sources),
        "repeated_ids": count_repeated_ids(notes.ids, notes.without_id, known),
    })  # fmt: skip


def _told(
    task: Task, signed: SignedParts, ids: IdStore, found: Verdicts, sizes: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Write a file for each part with all that was decided about its documents."""
    options, known_parts = options_of(task), signed.group.known_parts
    survivors = found.survivors
    jaccard = np.full(len(survivors), np.nan, np.float32)
    jaccard[found.exact] = 1.0
    banding = banding_of(options)
    near = np.flatnonzero(~found.kept & ~found.exact & ~found.same_url)
    if banding is not None and (options.mark or options.rejects or options.clusters):
        jaccard[near] = similarity(near, survivors[near], signed.gather(banding.num_perm))
    files = {}
    for part in range(known_parts, len(signed)):
        own = slice(signed.begin(part), int(signed.ends[part]))
        name = f"verdicts-{part - known_parts:05}"
        files[name] = task.folder / f"{name}.npz"
        named = [ids.raw(one) for one in survivors[own].tolist()]
        save_arrays(
            files[name], survivors=survivors[own], sizes=sizes[own], jaccard=jaccard[own],
            exact=found.exact[own], same_url=found.same_url[own],
            ids=np.frombuffer(b"".join(named), np.uint8),
            id_ends=np.cumsum([len(one) for one in named], dtype=np.uint64),
        )  # fmt: skip
    return files


class _Notes(NamedTuple):
    """What was noted of the documents of all parts, by number; the sources by name."""

    ids: IdStore
    hashes: npt.NDArray[np.uint64]
    merits: npt.NDArray[np.float64]
    codes: npt.NDArray[np.int32]
    without_id: bytes
    sources: list[str]


def _joined_notes(signed: SignedParts) -> _Notes:
    ids, without_id = IdStore(), bytearray()
    hashes, merits, codes = [], [], []
    names: dict[str, int] = {}
    for part in range(len(signed)):
        notes = signed.notes(part)
        ids.extend(notes["ids"].tobytes(), notes["id_ends"])
        hashes.append(notes["hashes"])
        merits.append(notes["merits"])
        places = [names.setdefault(one, len(names)) for one in signed.stats[part]["sources"]]
        codes.append(np.array(places, np.int32)[notes["codes"]])
        without_id += notes["without_id"].tobytes()
    return _Notes(ids, np.concatenate(hashes), np.concatenate(merits), np.concatenate(codes),
                  bytes(without_id), list(names))  # fmt: skip
