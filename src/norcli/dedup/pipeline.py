"""Deduplicate documents in two passes: sign all, decide, then write those that stay.

The core of ``norcli dedup``. Between the passes only signatures and ids are in memory; texts are
read again. The one-pass form, which decides about each document as it comes, is in
`norcli.dedup.online`. Report section 3.2 (deduplication of the corpora V1 to V3).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from norcli.console import Console
from norcli.dedup import index
from norcli.dedup.banding import Banding, choose_banding
from norcli.dedup.collecting import Collected, collect
from norcli.dedup.deciding import Decisions, decide, sweep
from norcli.dedup.options import PASSAGES_OF, DedupOptions
from norcli.dedup.reading import RecordSource
from norcli.dedup.recall import banding_lines, describe_banding
from norcli.dedup.repeated_ids import count_repeated_ids, warn_of_repeated_ids
from norcli.dedup.resuming import Resumption
from norcli.dedup.splicing import Splicer
from norcli.dedup.stages import run_stages, stages_of
from norcli.dedup.statistics import DedupResult, source_pairs
from norcli.dedup.storage import save_index, settings_of
from norcli.formats.documents import input_bytes, input_paths
from norcli.options import RecordInputOptions
from norcli.streams import check_distinct, check_output, require_directory


def banding_of(options: DedupOptions) -> Banding | None:
    """Return the bands and rows of a run; None for exact matching.

    Raises:
        UsageError: They do not fit the number of MinHash values.
    """
    if not options.near:
        return None
    # The bands of the lowest threshold of a sweep find the pairs of all its thresholds.
    threshold = options.sweep_thresholds()[0] if options.sweep else options.threshold
    return choose_banding(threshold, options.num_perm, options.bands, options.rows)


def check_outputs(options: DedupOptions) -> None:
    """Check, before any work, that everything asked for can be written.

    Raises:
        UsageError: Two outputs are one file, or both standard output.
        CannotCreateError: A file exists already, or its folder is missing.
    """
    check_distinct(output=options.output, rejects=options.rejects, clusters=options.clusters)
    outputs = [options.output, options.rejects, options.clusters]
    if options.resume:
        outputs = []  # the journal knows which outputs may be there
    for path in (*outputs, options.save_index):
        if path is not None and not (options.sweep and path == options.output):
            check_output(path, options.overwrite)


def plan(options: DedupOptions) -> dict[str, Any]:
    """Return what a run would do.

    Raises:
        InputMissingError: An input is missing.
        CannotCreateError: An output cannot be made.
    """
    options.check()
    check_outputs(options)
    banding = banding_of(options)
    source = RecordSource(options, Console.silent())
    if options.decontaminate:
        input_paths(RecordInputOptions(inputs=options.decontaminate))
    for path in options.against:
        require_directory(path, "an index of norcli dedup")
    known: dict[str, Any] = {
        "inputs": source.paths,
        "input_bytes": input_bytes(source.paths),
        "output": options.output,
        "method": ", ".join(options.method),
        "stages": len(stages_of(options.method)),
        "passes": 1 if options.one_pass else 3 if "substring" in options.method else 2,
        "keep": options.keep,
    }
    if set(options.method) <= set(PASSAGES_OF):
        return known
    per_document = 24
    if banding is not None:
        per_document += banding.num_perm + 8 * banding.bands
        known |= describe_banding(banding)
    return known | {"memory_bytes_per_document": per_document}


def run_dedup(options: DedupOptions, console: Console) -> DedupResult:
    """Deduplicate the inputs and write what stays.

    Raises:
        UsageError: Options that do not go together.
        DataError: A bad record under --on-bad-record stop.
        CannotCreateError: An output exists already.
        IOFailureError: The disk is full, or standard input exceeds the spool.
    """
    options.check()
    check_outputs(options)
    if len(stages_of(options.method)) > 1:
        return run_stages(options, console, _run_stage)
    return _run_stage(options, console)


def _run_stage(options: DedupOptions, console: Console) -> DedupResult:
    if options.method[0] in PASSAGES_OF:
        from norcli.dedup.cutting import run_cutting

        return run_cutting(options, options.method[0], console)
    banding = banding_of(options)
    matching = {} if banding is None else describe_banding(banding)
    for line in [] if banding is None else banding_lines(banding):
        console.info(line)
    if options.one_pass:
        from norcli.dedup.online import run_online

        result = run_online(options, banding, console)
    else:
        result = _run_two_passes(options, banding, console)
    result.matching = matching
    return result


def _run_two_passes(
    options: DedupOptions, banding: Banding | None, console: Console
) -> DedupResult:
    if not options.resume:
        return _sign_and_write(options, banding, console, None)
    with Resumption(options, console) as resumption:
        result = resumption.result
        if result is None:
            result = _sign_and_write(options, banding, console, resumption)
        resumption.finish(result)
        return result


def _sign_and_write(
    options: DedupOptions, banding: Banding | None, console: Console,
    resumption: Resumption | None,
) -> DedupResult:  # fmt: skip
    source = RecordSource(options, console)
    try:
        sign = resumption.sign if resumption else None
        with _deciding_soon(options.jobs or 1):
            collected = collect(source, options, banding, console, sign)
        result = DedupResult(
            records_in=collected.new, bytes_in=source.bytes_read, bad_records=source.bad_count,
            known_documents=collected.known,
        )  # fmt: skip
        if options.sweep:
            result.sweep = sweep(collected, options, banding)
            return result
        decisions = decide(collected, options, banding, result)
        result.source_pairs = source_pairs(
            decisions.survivors, collected.source_codes, collected.sources
        )
        result.repeated_ids = count_repeated_ids(
            collected.ids, collected.without_id, collected.known
        )
        warn_of_repeated_ids(result.repeated_ids, console)
        _warn(result, console)
        Splicer(options, collected, decisions, result, resumption).write(source, console)
        if options.save_index is not None:
            _save(options.save_index, options, banding, collected, decisions)
    finally:
        source.close()
    return result


@contextmanager
def _deciding_soon(jobs: int) -> Iterator[None]:
    """Load the kernels of the decision beside the first pass, if more than one thread may work."""
    if jobs <= 1:
        yield
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(index.warm_up)  # what fails here fails again, and is told, where it is used
        yield


def _save(
    path: str, options: DedupOptions, banding: Banding | None, collected: Collected,
    decisions: Decisions,
) -> None:  # fmt: skip
    """Save what stays, and what was known before, as an index."""
    rows = np.flatnonzero(decisions.kept)
    settings = settings_of(options, banding)
    save_index(path, options.overwrite, settings, collected.signatures, collected.ids, rows)


def _warn(result: DedupResult, console: Console) -> None:
    if result.records_in == 0:
        console.warn("the input holds no records; the output is empty")
    if result.searches_cut:
        console.warn(
            f"{result.searches_cut} searches among very many similar keys were cut short; "
            "give more --rows, or fewer documents of boilerplate"
        )
