"""The second pass of dedup: read the inputs again, copy what stays, tell about what goes.

Lines of JSON that stay are copied as they are, neighbours in one piece; only lines that are told
about (--rejects, --clusters, --mark), or came without an id, are parsed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from norcli.ahead import read_ahead
from norcli.console import Console
from norcli.dedup.collecting import Collected
from norcli.dedup.deciding import Decisions
from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import Again, DocumentLines, Item, RecordSource
from norcli.dedup.resuming import Resumption
from norcli.dedup.statistics import DedupResult
from norcli.dedup.writing import Verdict, parsed, side_file, write_item, write_rows
from norcli.formats.documents import Place, RecordWriter

AHEAD = 4
"""Units that are read before they can be written."""


@dataclass
class Splicer:
    """Writes what stays, what goes, and the clusters.

    Args:
        options: Where to, and whether documents are marked instead of dropped.
        collected: What is known of each document.
        decisions: What becomes of it.
        result: Counts what is written.
        resumption: What was written before, if the run can go on after a kill.
    """

    options: DedupOptions
    collected: Collected
    decisions: Decisions
    result: DedupResult
    resumption: Resumption | None = None

    def write(self, source: RecordSource, console: Console) -> None:
        """Write all outputs.

        Raises:
            DataError: An input has changed since it was read.
            IOFailureError: The disk is full.
        """
        options, number = self.options, self.collected.known
        self._kept = self.decisions.kept
        self._without_id = np.frombuffer(self.collected.without_id, np.bool_)
        with ExitStack() as stack:
            self._open(stack)
            written = self.resumption.written if self.resumption else 0
            progress = stack.enter_context(
                console.progress("writing", self.collected.new, "documents")
            )
            units = source.again_units()
            if (options.jobs or 1) > 1:
                units = read_ahead(units, AHEAD)
            for place, unit in enumerate(units):
                if place < written:
                    number += len(unit)
                    continue
                documents = np.arange(number, number + len(unit))
                if options.mark:
                    self._mark(unit, number)
                else:
                    self._copy(unit, number, self._kept[documents])
                self._tell(unit, number, documents)
                number += len(unit)
                progress.advance(len(unit))
                if self.resumption is not None:
                    self.resumption.wrote_unit(place + 1, self._out.bytes)
        self.result.bytes_out = self._out.bytes
        self._count()

    def _open(self, stack: ExitStack) -> None:
        options, before = self.options, self.resumption
        parts = {name: before.open_part(name) if before else None
                 for name in ("output", "rejects", "clusters")}  # fmt: skip
        writer = RecordWriter(options, options.text_key, parts["output"])
        writer.bytes = before.bytes_out if before else 0
        self._out = stack.enter_context(writer)
        self._rejects = side_file(stack, options.rejects, options, parts["rejects"])
        self._clusters = side_file(stack, options.clusters, options, parts["clusters"])

    def _count(self) -> None:
        """Count what stays and what goes, and why."""
        new = np.arange(self.collected.known, len(self._kept))
        dropped, contaminated = new[~self._kept[new]], self.decisions.contaminated
        self.result.records_out = len(new) if self.options.mark else len(new) - len(dropped)
        for document in dropped[contaminated[dropped]].tolist():
            self.result.count_contaminated(self._verdict(document).duplicate_of or "")
        duplicates = dropped[~contaminated[dropped]]
        exact, same_url = self.decisions.exact[duplicates], self.decisions.same_url[duplicates]
        self.result.dropped_url += int(np.count_nonzero(same_url))
        self.result.dropped_exact += int(np.count_nonzero(exact))
        self.result.dropped_minhash += int(np.count_nonzero(~exact & ~same_url))

    def _copy(self, unit: Again, begin: int, kept: npt.NDArray[np.bool_]) -> None:
        """Write the documents of a unit that stay."""
        if not isinstance(unit, DocumentLines):
            for row in np.flatnonzero(kept).tolist():
                write_item(self._out, self._with_id(begin + row, unit[row][1]))
            return
        rows = np.flatnonzero(kept)
        # Lines without an id get one, so the copying halts before each of them.
        halts = np.flatnonzero(self._without_id[begin + rows])
        done = 0
        for halt in halts.tolist():
            write_rows(self._out, unit, rows[done:halt])
            self._out.write(parsed(unit.line(int(rows[halt])), self.options.text_key))
            done = halt + 1
        write_rows(self._out, unit, rows[done:])

    def _mark(self, unit: Again, begin: int) -> None:
        for row in range(len(unit)):
            record = parsed(_item(unit, row)[1], self.options.text_key)
            self._out.write(record | self._verdict(begin + row).marks())

    def _with_id(self, document: int, item: Item) -> Item:
        return parsed(item, self.options.text_key) if self._without_id[document] else item

    def _tell(self, unit: Again, begin: int, documents: npt.NDArray[np.int64]) -> None:
        """Write what goes to --rejects, and what has duplicates to --clusters."""
        options = self.options
        dropped, grouped = ~self._kept[documents], self.decisions.sizes[documents] > 1
        told = dropped & (self._rejects is not None) | grouped & (self._clusters is not None)
        for row in np.flatnonzero(told).tolist():
            place, item = _item(unit, row)
            verdict = self._verdict(begin + row)
            if self._rejects is not None and dropped[row]:
                reasons = verdict.reasons(options.threshold, options.decontaminate_hits)
                self._rejects.write(parsed(item, options.text_key) | reasons)
            if self._clusters is not None and grouped[row]:
                marks = {"id": self.collected.ids[begin + row], **verdict.marks()}
                self._clusters.write(marks | {"path": place.path, "line": place.line})

    def _verdict(self, document: int) -> Verdict:
        collected, decisions = self.collected, self.decisions
        survivor = int(decisions.survivors[document])
        verdict = Verdict(collected.ids[survivor], int(decisions.sizes[document]))
        if decisions.contaminated[document]:
            assert collected.evaluation is not None, "contaminated by nothing"
            place = collected.evaluation.places[collected.hit_texts[document]]
            return verdict.contaminated(place, int(collected.hits[document]))
        if survivor == document:
            return verdict
        method = "exact" if decisions.exact[document] else "minhash"
        if decisions.same_url[document]:
            method = "url"
        return verdict.duplicate(method, float(decisions.jaccard[document]))


def _item(unit: Again, row: int) -> tuple[Place, Item]:
    """Return a document of a unit and where it stands."""
    if isinstance(unit, DocumentLines):
        return unit.place(row), unit.line(row)
    return unit[row]
