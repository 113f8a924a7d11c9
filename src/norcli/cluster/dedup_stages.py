"""`dedup` as many tasks: what is refused, and the first and the last of its stages.

Documents are signed, compared by ranges of keys and made into clusters (`norcli.cluster
.dedup_signing`, `.dedup_comparing`), or their lines are hashed and chosen (`.dedup_cutting`); then
each part is written, and all are joined. Every file that a stage takes from another is checked
against its manifest, every slice of a file against its own checksum, and the counts of the stages
against each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from norcli.cluster.dedup_comparing import clusters, compare, rank
from norcli.cluster.dedup_cutting import choose_cuts, find_repeats, hash_units, write_cut
from norcli.cluster.dedup_groups import (
    CLUSTERS,
    COMPARE,
    CUTS,
    FINISH,
    RANK,
    REPEATS,
    SIGN,
    UNITS,
    WRITE,
    Group,
    groups_of,
    outputs_of,
    place_of,
)
from norcli.cluster.dedup_signing import ENTRY_BYTES, Bands, SignedParts, load_arrays, sign
from norcli.cluster.executors import carry_out, warn_of_bad_records
from norcli.cluster.outputs import TASK_MARK, join, places
from norcli.cluster.planning import check_sharing, in_one_process, shared_run, write_counts
from norcli.cluster.runs import Made, Run, Stage, option_values
from norcli.cluster.tasks import Task
from norcli.console import Console
from norcli.dedup.collecting import Collected, open_evaluation
from norcli.dedup.deciding import Decisions
from norcli.dedup.ids import IdStore
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import banding_of
from norcli.dedup.pipeline import plan as plan_of_one_process
from norcli.dedup.reading import RecordSource
from norcli.dedup.repeated_ids import warn_of_repeated_ids
from norcli.dedup.signatures import Signatures
from norcli.dedup.splicing import Splicer
from norcli.dedup.statistics import DedupResult
from norcli.dedup.survivors import Policy
from norcli.errors import UsageError
from norcli.formats.documents import input_paths


def plan_run(options: DedupOptions) -> Run:
    """Return the run that some options ask for.

    Raises:
        NorcliError: An input, an output or an option is wrong.
    """
    outputs = outputs_of(options)
    check_sharing(options, outputs)
    _check_options(options)
    plan_of_one_process(in_one_process(options))
    stages = [stage for group in groups_of(options) for stage in group.stages(options.tasks or 1)]
    return shared_run("dedup", options, outputs, input_paths(options), [*stages, Stage(FINISH, 1)])


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
    del known["passes"]
    known.pop("memory_bytes_per_document", None)
    known |= plan_of_executor(run, options)
    compared = [group.options for group in groups_of(options) if not group.cuts_passages]
    if compared:
        banding = banding_of(options)
        entries = max(len(Bands.of(one)) for one in compared) * ENTRY_BYTES
        known["disk_bytes_per_document"] = 64 + entries + (banding.num_perm if banding else 0)
    return known


def _check_options(options: DedupOptions) -> None:
    if "substring" in options.method:
        raise UsageError("--executor does not run --method substring",
                         hint="cut spans in one process before or after")  # fmt: skip
    if options.save_index is not None:
        raise UsageError("--save-index does not go with --executor",
                         hint="make the index from the output afterwards")  # fmt: skip
    for flag in ("online", "sweep"):
        if getattr(options, flag):
            raise UsageError(f"--{flag} does not go with --executor")
    if len(groups_of(options)) > 1 and TASK_MARK in (options.rejects or ""):
        raise UsageError(
            f"several methods one after another fill one --rejects: {options.rejects}",
            hint=f"name it without {TASK_MARK}",
        )


def _write(task: Task) -> Made:
    """Read a part again and write what stays of it."""
    group, _ = place_of(task)
    files = places(task, group.outputs())
    named = {name: str(path) for name, path in files.items()}
    write = write_cut if group.cuts_passages else _write_documents
    return Made(files, option_values(write(task, named)))


def _write_documents(task: Task, named: dict[str, Any]) -> DedupResult:
    group, _ = place_of(task)
    options, part = group.options, group.known_parts + task.number
    signed, told_by = SignedParts(task.run, group), _last_clusters(group)
    notes, stats = signed.notes(part), signed.stats[part]
    told = load_arrays(task.run.verified(told_by, 0, f"verdicts-{task.number:05}"))
    count = stats["documents"]
    if len(told["survivors"]) != count:
        raise task.run.not_whole(told_by, 0, f"{len(told['survivors'])} verdicts on {count}")
    ids = IdStore()
    ids.extend(notes["ids"].tobytes(), notes["id_ends"])
    ids.extend(told["ids"].tobytes(), told["id_ends"])
    own = np.arange(count)
    stays = told["survivors"] == own + signed.begin(part)
    hits = notes["hits"]
    contaminated = hits >= options.decontaminate_hits if options.decontaminate else hits < 0
    # The ids of survivors, wherever they are, stand behind those of the part's documents.
    decisions = Decisions(
        survivors=np.where(stays, own, own + count), sizes=told["sizes"], jaccard=told["jaccard"],
        exact=told["exact"], same_url=told["same_url"], contaminated=contaminated,
    )  # fmt: skip
    collected = Collected(
        0, _NO_SIGNATURES, ids, Policy(options.keep), stats["sources"], notes["codes"],
        bytearray(notes["without_id"].tobytes()), open_evaluation(options, Console.silent()),
        hits, notes["hit_texts"],
    )  # fmt: skip
    writing = dataclasses.replace(group.reading(task, task.number), **named)
    source = RecordSource(writing, task.console)
    source.take_up(count, stats["skipped"])
    result = DedupResult(records_in=count)
    Splicer(writing, collected, decisions, result).write(source, task.console)
    return result


_NO_SIGNATURES = Signatures(
    np.empty((0, 2), np.uint64), np.empty(0, np.int32), np.empty((0, 0), np.uint8),
    np.empty((0, 0), np.uint64),
)  # fmt: skip


def _last_clusters(group: Group) -> str:
    """Return the stage that told the parts what becomes of their documents."""
    return group.name(CLUSTERS, len(group.options.comparisons) - 1)


def _finish(task: Task) -> Made:
    """Join the parts, and sum up the counts."""
    run, options = task.run, DedupOptions(**task.run.options)
    groups = groups_of(options)
    total, *later = [_sum(run, group) for group in groups]
    for result in later:
        total.add_stage(result)
    outputs = outputs_of(options)
    rejects = {name: path for name, path in outputs.items() if name == "rejects"}
    others = {name: path for name, path in outputs.items() if name != "rejects"}
    writes = [group.name(WRITE) for group in groups]
    files = join(run, writes[-1:], others) | join(run, writes, rejects)
    write_counts(run, options.stats, total.as_dict())
    return Made(files, option_values(total))


def _sum(run: Run, group: Group) -> DedupResult:
    """Return the counts of a group of methods; those of its stages have to agree."""
    first = UNITS if group.cuts_passages else SIGN
    read = [run.manifest(group.name(first), number)["stats"]
            for number in range(run.stage(group.name(first)).tasks)]  # fmt: skip
    total = DedupResult()
    if not group.cuts_passages:
        total = DedupResult(**run.manifest(_last_clusters(group), 0)["stats"])
        for turn in range(len(group.options.comparisons) - 1):
            earlier = run.manifest(group.name(CLUSTERS, turn), 0)["stats"]
            total.pairs_compared += earlier["pairs_compared"]
            total.searches_cut += earlier["searches_cut"]
        total.texts_without_ngrams = sum(stats["without_ngrams"] for stats in read)
    for number in range(run.stage(group.name(WRITE)).tasks):
        stats = run.manifest(group.name(WRITE), number)["stats"]
        expected = read[group.known_parts + number]["documents"]
        if stats["records_in"] != expected:
            raise run.not_whole(
                group.name(WRITE), number, f"{stats['records_in']} documents of {expected}"
            )
        for name, value in stats.items():
            if isinstance(value, int):
                setattr(total, name, getattr(total, name) + value)
            elif isinstance(value, dict):
                counts = getattr(total, name)
                counts |= {key: counts.get(key, 0) + count for key, count in value.items()}
    total.bytes_in = sum(stats["bytes"] for stats in read)
    total.bad_records = sum(stats["bad"] for stats in read)
    return total


STAGES: dict[str, Callable[[Task], Made]] = {
    SIGN: sign, RANK: rank, COMPARE: compare, CLUSTERS: clusters,
    UNITS: hash_units, REPEATS: find_repeats, CUTS: choose_cuts, WRITE: _write, FINISH: _finish,
}  # fmt: skip
