"""`dedup` as many tasks: sign parts, compare ranges of keys, make clusters, write parts, join.

The numbers of documents are those of one process: first those of the --against indexes, then the
inputs in order. What is computed is in `norcli.dedup.parts`; this is who reads and writes what.
Every file that a stage takes from another is checked against its manifest, every slice of a file
against its own checksum, and the counts of the stages against each other.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.cluster.dedup_signing import (
    COMPARE,
    ENTRY_BYTES,
    SIGN,
    SignedParts,
    bands_of,
    options_of,
    save_arrays,
    sign,
)
from norcli.cluster.executors import carry_out, warn_of_bad_records
from norcli.cluster.outputs import join, places
from norcli.cluster.planning import check_sharing, in_one_process, shared_run, write_counts
from norcli.cluster.runs import Made, Run, Stage, option_values
from norcli.cluster.tasks import Task
from norcli.console import Console
from norcli.dedup.collecting import Collected, open_evaluation
from norcli.dedup.deciding import Decisions
from norcli.dedup.ids import IdStore
from norcli.dedup.options import DedupOptions
from norcli.dedup.parts import (
    DOCUMENT,
    Entries,
    Forest,
    NotedPolicy,
    exact_pairs,
    near_pairs,
    shared_keys,
    similarity,
)
from norcli.dedup.pipeline import banding_of
from norcli.dedup.pipeline import plan as plan_of_one_process
from norcli.dedup.reading import RecordSource
from norcli.dedup.repeated_ids import count_repeated_ids, warn_of_repeated_ids
from norcli.dedup.signatures import Signatures
from norcli.dedup.splicing import Splicer
from norcli.dedup.statistics import DedupResult, source_pairs
from norcli.dedup.survivors import Policy, choose_survivors
from norcli.errors import UsageError
from norcli.formats.documents import input_paths

CLUSTERS, WRITE, FINISH = "clusters", "write", "finish"


def plan_run(options: DedupOptions) -> Run:
    """Return the run that some options ask for.

    Raises:
        NorcliError: An input, an output or an option is wrong.
    """
    outputs = _outputs(options)
    check_sharing(options, outputs)
    _check_options(options)
    plan_of_one_process(in_one_process(options))
    tasks = options.tasks or 1
    stages = (
        Stage(SIGN, len(options.against) + tasks), Stage(COMPARE, tasks), Stage(CLUSTERS, 1),
        Stage(WRITE, tasks), Stage(FINISH, 1),
    )  # fmt: skip
    return shared_run("dedup", options, outputs, input_paths(options), stages)


def run_in_tasks(options: DedupOptions, console: Console) -> DedupResult | None:
    """Deduplicate through an executor.

    Returns:
        The counts of the whole run; None where it was handed to SLURM.

    Raises:
        NorcliError: What is wrong, or which task failed and how.
    """
    run = plan_run(options)
    if not carry_out(run, options, options.jobs or 1, options.overwrite, console):
        return None
    result = DedupResult(**run.manifest(FINISH, 0)["stats"])
    warn_of_bad_records(result.bad_records, run, console)
    warn_of_repeated_ids(result.repeated_ids, console)
    if result.searches_cut:
        console.warn(
            f"{result.searches_cut} searches among very many similar keys were cut short; one "
            "process may find other pairs there: give more --rows, or less boilerplate"
        )
    return result


def plan(options: DedupOptions) -> dict[str, Any]:
    """Return what a run through an executor would do, for --dry-run.

    Raises:
        NorcliError: An input, an output or an option is wrong.
    """
    from norcli.cluster.executors import plan as plan_of_executor

    run = plan_run(options)
    known = plan_of_one_process(in_one_process(options))
    banding = banding_of(options)
    disk = 64 + (len(bands_of(banding)) * ENTRY_BYTES + (banding.num_perm if banding else 0))
    del known["passes"], known["memory_bytes_per_document"]
    return known | plan_of_executor(run, options) | {"disk_bytes_per_document": disk}


def _check_options(options: DedupOptions) -> None:
    if not set(options.method) <= {"exact", "minhash"}:
        raise UsageError("--executor runs the methods exact and minhash",
                         hint="run the others in one process before or after")  # fmt: skip
    if options.cluster != "components":
        raise UsageError("--cluster star decides about one document after the other",
                         hint="run it in one process: leave --executor out")  # fmt: skip
    if options.save_index is not None:
        raise UsageError("--save-index does not go with --executor",
                         hint="make the index from the output afterwards")  # fmt: skip
    for flag in ("online", "sweep"):
        if getattr(options, flag):
            raise UsageError(f"--{flag} does not go with --executor")
    if options.memory is not None:
        raise UsageError("--memory bounds one process", hint="more --tasks take less memory each")


def _outputs(options: DedupOptions) -> dict[str, str]:
    named = {"output": options.output, "rejects": options.rejects, "clusters": options.clusters}
    return {name: path for name, path in named.items() if path is not None}


def _compare(task: Task) -> Made:
    """Find the pairs whose keys lie in the task's range."""
    signed, banding = SignedParts(task.run), banding_of(options_of(task))
    bands = bands_of(banding)

    def entries(band: int) -> Entries:
        return np.concatenate(
            [signed.entries(part, band, task.number) for part in range(len(signed))]
        )

    exact = exact_pairs(entries(bands[-1]))
    files = {"pairs": task.folder / "pairs.npz"}
    if banding is None:
        save_arrays(files["pairs"], exact=exact, near=np.empty((0, 2), np.int64))
        return Made(files, {"compared": 0, "cut": 0, "exact": len(exact), "near": 0})
    shared = [shared_keys(entries(band)) for band in bands[:-1]]
    documents = np.unique(np.concatenate([found[:, DOCUMENT] for found in shared]))
    documents = documents.astype(np.int64)
    lanes = signed.gather(banding.num_perm)(documents)
    found = near_pairs(shared, documents, lanes, banding)
    save_arrays(files["pairs"], exact=exact, near=found.pairs)
    return Made(files, {"compared": found.compared, "cut": found.cut, "exact": len(exact),
                        "near": len(found.pairs)})  # fmt: skip


def _pairs(run: Run) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the pairs that the tasks of the second stage found; their counts are checked."""
    for number in range(run.stage(COMPARE).tasks):
        stats = run.manifest(COMPARE, number)["stats"]
        with np.load(io.BytesIO(run.verified(COMPARE, number, "pairs"))) as arrays:
            for name in ("exact", "near"):
                pairs = arrays[name]
                if len(pairs) != stats[name]:
                    raise run.not_whole(COMPARE, number, f"it has {len(pairs)} {name} pairs")
                yield pairs


def _clusters(task: Task) -> Made:
    """Join all pairs, choose the survivors, and tell each part about its documents."""
    run, options, signed = task.run, options_of(task), SignedParts(task.run)
    forest = Forest(signed.documents)
    for pairs in _pairs(run):
        forest.join(pairs)
    known = signed.begin(len(options.against))
    notes = _joined_notes(signed)
    ids, hashes = notes.ids, notes.hashes
    policy = NotedPolicy(options.keep, known, notes.merits)
    survivors, sizes = choose_survivors(forest.labels(), policy, ids, hashes)
    dropped = np.flatnonzero(survivors != np.arange(len(survivors)))
    same = (hashes[dropped] == hashes[survivors[dropped]]).all(axis=1)
    exact = np.zeros(len(survivors), np.bool_)
    exact[dropped] = same
    jaccard = np.full(len(survivors), np.nan, np.float32)
    jaccard[exact] = 1.0
    banding, near = banding_of(options), dropped[~same]
    if banding is not None and (options.mark or options.rejects or options.clusters):
        jaccard[near] = similarity(near, survivors[near], signed.gather(banding.num_perm))
    files = {}
    for part in range(len(options.against), len(signed)):
        own = slice(signed.begin(part), int(signed.ends[part]))
        name = f"verdicts-{part - len(options.against):05}"
        files[name] = task.folder / f"{name}.npz"
        named = [ids.raw(one) for one in survivors[own].tolist()]
        save_arrays(files[name], survivors=survivors[own], sizes=sizes[own], jaccard=jaccard[own],
              exact=exact[own], ids=np.frombuffer(b"".join(named), np.uint8),
              id_ends=np.cumsum([len(one) for one in named], dtype=np.uint64))  # fmt: skip
    stats = [run.manifest(COMPARE, number)["stats"] for number in range(run.stage(COMPARE).tasks)]
    heads = (sizes > 1) & (survivors == np.arange(len(survivors)))
    return Made(files, {
        "known_documents": known,
        "clusters": int(np.count_nonzero(heads)),
        "largest_cluster": int(sizes.max(initial=0)),
        "pairs_compared": sum(one["compared"] for one in stats),
        "searches_cut": sum(one["cut"] for one in stats),
        "source_pairs": source_pairs(survivors, notes.codes, notes.sources),
        "repeated_ids": count_repeated_ids(ids, notes.without_id, known),
    })  # fmt: skip


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


def _write(task: Task) -> Made:
    """Read a part again and write what stays of it."""
    options = DedupOptions(**task.run.options)
    part = len(options.against) + task.number
    signed = SignedParts(task.run)
    notes, stats = signed.notes(part), signed.stats[part]
    name = f"verdicts-{task.number:05}"
    with np.load(io.BytesIO(task.run.verified(CLUSTERS, 0, name))) as arrays:
        verdicts = {name: arrays[name] for name in arrays.files}
    count = stats["documents"]
    if len(verdicts["survivors"]) != count:
        raise task.run.not_whole(CLUSTERS, 0, f"{len(verdicts['survivors'])} verdicts on {count}")
    ids = IdStore()
    ids.extend(notes["ids"].tobytes(), notes["id_ends"])
    ids.extend(verdicts["ids"].tobytes(), verdicts["id_ends"])
    own = np.arange(count)
    stays = verdicts["survivors"] == own + signed.begin(part)
    hits = notes["hits"]
    contaminated = hits >= options.decontaminate_hits if options.decontaminate else hits < 0
    # The ids of survivors, wherever they are, stand behind those of the part's documents.
    decisions = Decisions(
        survivors=np.where(stays, own, own + count), sizes=verdicts["sizes"],
        jaccard=verdicts["jaccard"], exact=verdicts["exact"],
        same_url=np.zeros(count, np.bool_), contaminated=contaminated,
    )  # fmt: skip
    collected = Collected(
        0, _NO_SIGNATURES, ids, Policy(options.keep), stats["sources"], notes["codes"],
        bytearray(notes["without_id"].tobytes()), open_evaluation(options, Console.silent()),
        hits, notes["hit_texts"],
    )  # fmt: skip
    files = places(task, _outputs(options))
    named: dict[str, Any] = {name: str(path) for name, path in files.items()}
    writing = dataclasses.replace(
        in_one_process(options), jobs=task.jobs, shard=f"{task.number}/{task.count}", **named
    )
    source = RecordSource(writing, task.console)
    source.take_up(count, stats["skipped"])
    result = DedupResult(records_in=count)
    Splicer(writing, collected, decisions, result).write(source, task.console)
    return Made(files, option_values(result))


_NO_SIGNATURES = Signatures(
    np.empty((0, 2), np.uint64), np.empty(0, np.int64), np.empty((0, 0), np.uint8),
    np.empty((0, 0), np.uint64),
)  # fmt: skip


def _finish(task: Task) -> Made:
    """Join the parts, and sum up the counts."""
    run, options, signed = task.run, DedupOptions(**task.run.options), SignedParts(task.run)
    total = DedupResult(**run.manifest(CLUSTERS, 0)["stats"])
    for number in range(run.stage(WRITE).tasks):
        stats = run.manifest(WRITE, number)["stats"]
        expected = signed.stats[len(options.against) + number]["documents"]
        if stats["records_in"] != expected:
            raise run.not_whole(WRITE, number, f"{stats['records_in']} documents of {expected}")
        for name, value in stats.items():
            if isinstance(value, int):
                setattr(total, name, getattr(total, name) + value)
        for file, count in stats["contaminated_by"].items():
            total.contaminated_by[file] = total.contaminated_by.get(file, 0) + count
    total.bytes_in = sum(stats["bytes"] for stats in signed.stats)
    total.bad_records = sum(stats["bad"] for stats in signed.stats)
    total.texts_without_ngrams = sum(stats["without_ngrams"] for stats in signed.stats)
    files = join(run, WRITE, _outputs(options))
    write_counts(run, options.stats, total.as_dict())
    return Made(files, option_values(total))


STAGES: dict[str, Callable[[Task], Made]] = {
    SIGN: sign, COMPARE: _compare, CLUSTERS: _clusters, WRITE: _write, FINISH: _finish,
}  # fmt: skip
