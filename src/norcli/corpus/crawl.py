"""The run of `crawl-filter`: batches from the sources, decisions in order, records and counts out.

With several jobs batches are decided in other processes; their results are written in the order of
the input, so the output is the same for any number.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from typing import Any

from norcli.console import Console
from norcli.corpus.funnel import Funnel
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.pipeline import Decision, FilterPipeline
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.reader import read_sources, source_paths
from norcli.errors import UsageError
from norcli.formats.documents import BadRecords, RecordWriter, input_bytes
from norcli.options import RecordOutputOptions
from norcli.streams import check_output

FIRST_BATCH = 8
LARGEST_BATCH = 512
BATCH_BYTES = 1 << 20

_pipeline: FilterPipeline | None = None


def check_run(options: CrawlFilterOptions) -> list[str]:
    """Check, before any work, inputs, outputs and options; return the input files.

    Raises:
        NorcliError: Whatever is wrong first.
    """
    paths = source_paths(options)
    check_output(options.output, options.overwrite)
    if options.rejects is not None:
        if options.rejects.endswith(".parquet"):
            raise UsageError("--rejects writes JSONL: name a .jsonl, .jsonl.gz or .jsonl.zst file")
        if options.rejects == options.output:
            raise UsageError("--rejects and --output must be different files")
        check_output(options.rejects, options.overwrite)
    return paths


def filter_crawl(options: CrawlFilterOptions, console: Console) -> Funnel:
    """Run the whole command and return its counts.

    Raises:
        NorcliError: Bad input, configuration or output; nothing is left under the output's name.
    """
    paths = check_run(options)
    started = time.monotonic()
    bad = BadRecords(options, console)
    funnel = Funnel(input_bytes=input_bytes(paths))
    # The rules are read before the outputs are opened, so that a wrong rule leaves no trace.
    pipeline = FilterPipeline(options)
    with ExitStack() as stack:
        writer = stack.enter_context(RecordWriter(options))
        rejects = None
        if options.rejects is not None:
            target = RecordOutputOptions(
                output=options.rejects, overwrite=options.overwrite, output_format="jsonl"
            )
            rejects = stack.enter_context(RecordWriter(target))
        progress = stack.enter_context(console.progress("filter", unit="documents"))
        batches = make_batches(read_sources(options, console, bad))
        for number, decisions in enumerate(_decide(batches, pipeline, options)):
            for decision in decisions:
                funnel.add(decision)
                if decision.violation is None:
                    writer.write(decision.record)
                elif rejects is not None:
                    rejects.write(decision.record)
            if number == 0:
                writer.flush()
            progress.advance(len(decisions), note=f"{funnel.kept_share:.1%} kept")
    bad.report()
    funnel.bad_records = bad.count
    funnel.damaged_files = bad.damaged_files
    funnel.seconds = time.monotonic() - started
    return funnel


def make_batches(documents: Iterable[RawDocument]) -> Iterator[list[RawDocument]]:
    """Group documents: few at first, so that the first comes out soon, then a mebibyte or so."""
    batch: list[RawDocument] = []
    size, most = 0, FIRST_BATCH
    for document in documents:
        batch.append(document)
        size += document.size
        if len(batch) >= most or size >= BATCH_BYTES:
            yield batch
            batch, size, most = [], 0, min(2 * most, LARGEST_BATCH)
    if batch:
        yield batch


def _decide(
    batches: Iterator[list[RawDocument]], pipeline: FilterPipeline, options: CrawlFilterOptions
) -> Iterator[list[Decision]]:
    jobs = options.jobs or 1
    if jobs == 1:
        yield from map(pipeline.process, batches)
        return
    # forkserver: a fork of this process would copy its threads' locks and signal handlers.
    context = multiprocessing.get_context("forkserver")
    executor = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(options,))
    waiting: deque[Future[list[Decision]]] = deque()
    try:
        for batch in batches:
            waiting.append(executor.submit(_process_in_worker, batch))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start_worker(options: CrawlFilterOptions) -> None:
    global _pipeline
    # Ctrl-C goes to the whole group; the parent alone decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _pipeline = FilterPipeline(options)


def _process_in_worker(batch: list[RawDocument]) -> list[Decision]:
    assert _pipeline is not None, "the initializer runs first"
    return _pipeline.process(batch)


def plan(options: CrawlFilterOptions) -> dict[str, Any]:
    """Return what a run would read, keep and write, for --dry-run.

    Raises:
        NorcliError: An input, output or option is wrong.
    """
    from norcli.corpus.pipeline import kept_languages
    from norcli.corpus.quality import Rules

    paths = check_run(options)
    rules = Rules.load(options.rules, options.disable)
    return {
        "inputs": len(paths),
        "input_bytes": input_bytes(paths),
        "languages": list(kept_languages(options)),
        "rules": len(rules.thresholds["nob"]),
        "output": options.output,
        "rejects": options.rejects,
        "jobs": options.jobs or 1,
    }
