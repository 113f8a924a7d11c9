"""The run of `crawl-filter`: units of input in, decisions in order, records and counts out.

Units are parsed, decided and serialized by a worker; here they are only written, in the order of
the input, so the output is the same for any number of jobs. With --resume a journal beside the
output says after which unit to go on.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, islice
from typing import Any

from norcli.console import Console, Progress
from norcli.corpus.filter_outputs import (
    FilterOutputs,
    UnitResult,
    check_outputs,
    open_outputs,
)
from norcli.corpus.funnel import Funnel
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.pipeline import FilterPipeline, kept_languages
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.reader import read_units, source_paths
from norcli.corpus.sources.units import Unit
from norcli.corpus.workers import map_in_order
from norcli.formats.bad_records import BadRecords, FaultList
from norcli.formats.documents import input_bytes
from norcli.streams import input_position

LARGEST_BATCH = 512
BATCH_BYTES = 1 << 20


def check_run(options: CrawlFilterOptions) -> list[str]:
    """Check, before any work, inputs, outputs and options; return the input files.

    Raises:
        NorcliError: Whatever is wrong first.
    """
    paths = source_paths(options)
    check_outputs(options)
    return paths


def filter_crawl(options: CrawlFilterOptions, console: Console) -> Funnel:
    """Run the whole command and return its counts.

    Raises:
        NorcliError: Bad input, configuration or output; nothing is left under the output's name.
    """
    paths = check_run(options)
    # The rules are read before the outputs are opened, so that a wrong rule leaves no trace.
    pipeline = FilterPipeline(options)
    bad = BadRecords(options, console)
    with open_outputs(options, paths, console) as outputs:
        funnel = outputs.funnel
        funnel.input_bytes = input_bytes(paths)
        bad.count, bad.damaged_files = funnel.bad_records, funnel.damaged_files
        with console.progress("filter", unit="documents") as progress:
            if not outputs.is_complete:
                units = islice(read_units(options, console, bad), outputs.units_done, None)
                results = _results(units, pipeline, options)
                _write_results(results, bad, outputs, _Told(paths, progress))
    bad.report()
    return funnel


def _results(
    units: Iterator[Unit], pipeline: FilterPipeline, options: CrawlFilterOptions
) -> Iterator[UnitResult]:
    """Yield what became of each unit, in order."""
    jobs = options.jobs or 1
    if jobs == 1:
        yield from (_filter_unit(pipeline, options, unit) for unit in units)
    else:
        yield from map_in_order(functools.partial(make_worker, options), units, jobs)


def _write_results(
    results: Iterator[UnitResult], bad: BadRecords, outputs: FilterOutputs, told: _Told
) -> None:
    """Write and count what no earlier run has done."""
    funnel, before, started = outputs.funnel, outputs.funnel.seconds, time.monotonic()
    for number, result in enumerate(results):
        bad.replay(result.faults)
        funnel.merge(result.funnel)
        outputs.write(result)
        funnel.bad_records, funnel.damaged_files = bad.count, bad.damaged_files
        funnel.seconds = before + time.monotonic() - started
        outputs.end_unit()
        if number == 0:
            outputs.flush()
        told.advance(result, funnel)


class _Told:
    """The progress of a run: documents and megabytes a second, what is kept, the time left."""

    def __init__(self, paths: list[str], progress: Progress) -> None:
        self._progress = progress
        self._whole = input_bytes(paths)
        sizes = [os.path.getsize(path) for path in paths] if self._whole else []
        self._starts = dict(zip(paths, accumulate(sizes, initial=0), strict=False))
        self._size = self._text_bytes = 0
        self._started = time.monotonic()

    def advance(self, result: UnitResult, funnel: Funnel) -> None:
        """Tell of one more unit."""
        documents = result.funnel.documents
        self._size += result.size
        self._text_bytes += result.funnel.text_bytes
        seconds = max(time.monotonic() - self._started, 1e-9)
        done = self._progress.done + documents
        if self._whole:
            share = min(max(self._bytes_read() / self._whole, 1e-9), 1.0)
            self._progress.total = done / share
        rate = f"{done / seconds:,.0f}/s".replace(",", " ")
        speed = f"{self._text_bytes / 1e6 / seconds:.1f} MB/s"
        self._progress.advance(documents, note=f"{rate}, {speed}, {funnel.kept_share:.1%} kept")

    def _bytes_read(self) -> int:
        """Return how far the inputs are read, in bytes on disk."""
        name, offset = input_position() or ("", 0)
        if name in self._starts:
            return self._starts[name] + offset
        return self._size  # pages, which the workers open


def make_worker(options: CrawlFilterOptions) -> Callable[[Unit], UnitResult]:
    """Return the function that filters one unit; made once in each process."""
    return functools.partial(_filter_unit, FilterPipeline(options), options)


def _filter_unit(pipeline: FilterPipeline, options: CrawlFilterOptions, unit: Unit) -> UnitResult:
    faults = FaultList()
    result = UnitResult(Funnel(), faults, unit.size)
    for batch in make_batches(unit.documents(options, faults)):
        for decision in pipeline.process(batch):
            result.take(decision, options)
    return result


def make_batches(documents: Iterable[RawDocument]) -> Iterator[list[RawDocument]]:
    """Group documents, a mebibyte or so at a time."""
    batch: list[RawDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += document.size
        if len(batch) >= LARGEST_BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def plan(options: CrawlFilterOptions) -> dict[str, Any]:
    """Return what a run would read, keep and write, for --dry-run.

    Raises:
        NorcliError: An input, output or option is wrong.
    """
    from norcli.corpus.hooks import Hooks
    from norcli.corpus.quality import Rules

    paths = check_run(options)
    rules = Rules.load(options.rules, options.disable)
    hooks = Hooks.load(options)
    return {
        "inputs": len(paths),
        "input_bytes": input_bytes(paths),
        "languages": list(kept_languages(options)),
        "rules": len(rules.thresholds["nob"]),
        "blocked_addresses": len(hooks.blocklist) if hooks.blocklist is not None else 0,
        "output": options.output,
        "rejects": options.rejects,
        "jobs": options.jobs or 1,
    }
