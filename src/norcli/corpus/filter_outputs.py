"""What a unit of input became, and the files of `crawl-filter`: records kept and rejected.

A worker makes a `UnitResult`, which holds lines ready to be written; the parent writes them,
either to files that appear when they are complete or, with --resume, to the parts of a journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from norcli.console import Console
from norcli.corpus.funnel import Funnel
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.pipeline import Decision
from norcli.errors import UsageError
from norcli.formats.bad_records import FaultList
from norcli.formats.documents import RecordWriter, format_of, record_line
from norcli.options import RecordOutputOptions
from norcli.resume import Journal, effective_config, watched_files
from norcli.streams import check_distinct, check_output

COMMIT_UNITS = 16
"""Units between two commits of a journal: some 16 MiB of input."""


class UnitResult:
    """What became of one unit; can be pickled.

    Attributes:
        funnel: Its counts.
        faults: What could not be read in it.
        size: Bytes of input it stands for.
        lines: The kept records as they are written.
        records: The kept records themselves, for Parquet.
        rejects: The dropped records as they are written.
    """

    def __init__(self, funnel: Funnel, faults: FaultList, size: int) -> None:
        self.funnel = funnel
        self.faults = faults
        self.size = size
        self.lines: list[bytes] = []
        self.records: list[dict[str, Any]] = []
        self.rejects: list[bytes] = []

    def take(self, decision: Decision, options: CrawlFilterOptions) -> None:
        """Count a decision and serialize its record."""
        self.funnel.add(decision)
        if decision.record is None:
            return
        if decision.violation is not None:
            self.rejects.append(record_line(decision.record, "jsonl"))
            return
        form = _format_of(options)
        if form == "parquet":
            self.records.append(decision.record)
        else:
            self.lines.append(record_line(decision.record, form))


def _format_of(options: CrawlFilterOptions) -> str:
    return format_of(options.output, options.output_format)


class FilterOutputs:
    """The open files of a run; made by `open_outputs`.

    Attributes:
        funnel: Counts of the run, those of an unfinished run before it included.
        units_done: Units that an unfinished run has done.
        is_complete: Whether an earlier run did everything but the renaming.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self.funnel = Funnel.of_state(journal.state) if journal and journal.state else Funnel()
        self.units_done = journal.units_done if journal else 0
        self.is_complete = journal.is_complete if journal else False
        self._journal = journal
        self._uncommitted = 0
        self.kept: RecordWriter | None = None
        self.rejects: RecordWriter | None = None

    def write(self, result: UnitResult) -> None:
        """Write the records of the next unit; with a journal they count after every few units."""
        if self.kept is not None:
            if result.lines:
                self.kept.write_lines(b"".join(result.lines), len(result.lines))
            for record in result.records:
                self.kept.write(record)
        if self.rejects is not None:
            self.rejects.write_lines(b"".join(result.rejects), len(result.rejects))

    def flush(self) -> None:
        """Hand on what was written so far; a journal does so when it commits."""
        if self.kept is not None and self._journal is None:
            self.kept.flush()

    def end_unit(self) -> None:
        """Commit with a journal, where the number of units says so and not the clock."""
        self._uncommitted += 1
        if self._journal is not None and self._uncommitted == COMMIT_UNITS:
            self._commit()

    def _commit(self) -> None:
        assert self._journal is not None, "checked by the callers"
        self._journal.commit(self.funnel.as_state(), self._uncommitted)
        self._uncommitted = 0

    def finish(self) -> None:
        """Bring the journal, if there is one, to its end."""
        if self._journal is not None:
            if not self.is_complete:
                self._commit()
            self._journal.finish()


def check_outputs(options: CrawlFilterOptions) -> None:
    """Check, before any work, that the outputs can be made.

    Raises:
        NorcliError: Whatever is wrong first.
    """
    if not options.resume:
        check_output(options.output, options.overwrite)
    elif options.limit is not None:
        raise UsageError("--resume and --limit exclude each other")
    if options.rejects is None:
        return
    if options.rejects.endswith(".parquet"):
        raise UsageError("--rejects writes JSONL: name a .jsonl, .jsonl.gz or .jsonl.zst file")
    check_distinct(output=options.output, rejects=options.rejects)
    if not options.resume:
        check_output(options.rejects, options.overwrite)


@contextmanager
def open_outputs(
    options: CrawlFilterOptions, inputs: list[str], console: Console
) -> Iterator[FilterOutputs]:
    """Open the outputs; they get their names at the end of the block.

    Args:
        options: What to write, where, and whether to go on with an unfinished run.
        inputs: The input files.
        console: Told when a run goes on.

    Raises:
        NorcliError: An output cannot be made, or the unfinished run is another one.
    """
    with ExitStack() as stack:
        journal = None
        if options.resume:
            journal = stack.enter_context(_open_journal(options, inputs, console))
        outputs = FilterOutputs(journal)
        if not outputs.is_complete:
            part = journal.open_part("output") if journal else None
            outputs.kept = stack.enter_context(RecordWriter(options, stream=part))
            if options.rejects is not None:
                part = journal.open_part("rejects") if journal else None
                named = RecordOutputOptions(
                    output=options.rejects, output_format="jsonl", overwrite=options.overwrite
                )
                outputs.rejects = stack.enter_context(RecordWriter(named, stream=part))
        yield outputs
        outputs.finish()


def _open_journal(options: CrawlFilterOptions, inputs: list[str], console: Console) -> Journal:
    parts = {"output": options.output}
    if options.rejects is not None:
        parts["rejects"] = options.rejects
    if _format_of(options) == "parquet":
        raise UsageError(
            "--resume cannot go on inside a Parquet file", hint="write .jsonl.zst instead"
        )
    return Journal.open(
        options.output, parts=parts, config=effective_config(options),
        inputs=watched_files(options, inputs, parts.values()), overwrite=options.overwrite,
        console=console,
    )  # fmt: skip
