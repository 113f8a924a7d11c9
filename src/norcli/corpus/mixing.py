"""Write a mixture: the second pass of `norcli mix`.

Each part is read from the files that hold it, epoch after epoch, and the parts are merged by how
far each has come, so that any stretch of the output has about the proportions of the whole. Lines
of JSON pass through byte for byte but for the field ``mix_epoch`` at their end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from norcli.console import Console
from norcli.corpus.mixture import (
    BlockSurveyor,
    MixPlan,
    PartFinder,
    PartPlan,
    Stamp,
    buckets_of,
    plan_mixture,
    stamp,
    survey,
    surveyor,
)
from norcli.corpus.recipe import Recipe, load_recipe, parse_amount, recipe_of_flags
from norcli.corpus.record_blocks import RecordBlock, read_blocks
from norcli.corpus.report_options import MixOptions
from norcli.errors import DataError, UsageError
from norcli.formats.bad_records import FaultList
from norcli.formats.documents import RecordWriter, input_paths, text_id
from norcli.formats.lines import Part
from norcli.streams import check_output

EPOCH_FIELD = "mix_epoch"

Item = bytes | dict[str, Any]


@dataclass
class MixResult:
    """What was planned and written.

    Attributes:
        plan: The plan.
        documents: Documents written, by part.
        amounts: Amount written, by part.
    """

    plan: MixPlan
    documents: list[int] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plan and counts as plain data."""
        plan = self.plan
        whole = max(sum(self.amounts) if self.amounts else plan.total, 1)
        parts = []
        for k, part in enumerate(plan.parts):
            amount = self.amounts[k] if self.amounts else part.target
            parts.append({
                "part": part.size.name,
                "available_documents": part.size.count,
                f"available_{plan.unit}": part.size.amount,
                "documents": self.documents[k] if self.documents else part.documents,
                plan.unit: amount,
                "share": round(amount / whole, 6),
                "epochs": round(part.epochs, 4),
                "problem": part.problem or None,
            })  # fmt: skip
        return {"unit": plan.unit, "total": plan.total, "left_out_documents": plan.left_out,
                "parts": parts}  # fmt: skip


def load_parts(options: MixOptions) -> Recipe:
    """Return the recipe of a run.

    Raises:
        UsageError: It is not named, or named twice.
        ConfigError: The recipe is wrong.
    """
    amounts = options.shares or options.weights or options.epochs
    if options.recipe is None:
        return recipe_of_flags(options.by, options.shares, options.weights, options.epochs)
    if amounts:
        raise UsageError("--recipe does not go with --shares, --weights or --epochs")
    return load_recipe(options.recipe)


def check_mix(options: MixOptions) -> list[str]:
    """Check, before any work, inputs, output and options; return the input files.

    Raises:
        NorcliError: Whatever is wrong first.
    """
    if options.shard is not None or options.limit is not None:
        raise UsageError("mix needs all of its input: --shard and --limit do not apply",
                         hint="give --total to make less")  # fmt: skip
    paths = input_paths(options)
    if "-" in paths:
        raise UsageError("mix reads its input twice", hint="save standard input to a file first")
    check_output(options.output, options.overwrite)
    return list(dict.fromkeys(paths))


def make_plan(
    options: MixOptions, recipe: Recipe, console: Console
) -> tuple[MixPlan, dict[str, Stamp]]:
    """Read the inputs once and work out what to write.

    Raises:
        NorcliError: Bad input, options or recipe.
    """
    paths = check_mix(options)
    unit = options.chosen_unit(recipe.unit)
    total = None if options.total is None else parse_amount(options.total)
    found = survey(options, recipe, paths, console)
    return plan_mixture(recipe, found, unit, total, options.max_epochs), found.stamps


def mix(options: MixOptions, console: Console) -> MixResult:
    """Build a corpus.

    Raises:
        NorcliError: Bad input, options, recipe or output; nothing is left under its name.
    """
    recipe = load_parts(options)
    plan, stamps = make_plan(options, recipe, console)
    plan.check(recipe.by)
    if plan.left_out:
        console.warn(f"{plan.left_out} documents are of no part of the recipe and left out")
    for path, before in stamps.items():
        if stamp(path) != before:
            raise DataError("was changed while it was being read", path=path)
    finder = PartFinder(recipe)
    measure = surveyor(options, recipe)()
    readers = [_PartReader(k, part, finder, measure, options) for k, part in enumerate(plan.parts)]
    items = _interleaved(readers) if options.order == "interleaved" else _one_by_one(readers)
    with (
        RecordWriter(options, options.text_key) as writer,
        console.progress("mix", sum(p.documents for p in plan.parts), "documents") as progress,
    ):
        for item in items:
            if isinstance(item, bytes):
                writer.write_line(item)
            else:
                writer.write(item)
            progress.advance()
    return MixResult(plan, [r.documents for r in readers], [r.amount for r in readers])


class _PartReader:
    """The documents of one part as they are to be written, epoch after epoch."""

    def __init__(
        self, number: int, plan: PartPlan, finder: PartFinder, measure: BlockSurveyor,
        options: MixOptions,
    ) -> None:  # fmt: skip
        self.number = number
        self.plan = plan
        self.documents = 0
        self.amount = 0
        self._finder = finder
        self._measure = measure
        self._options = options

    def items(self) -> Iterator[Item]:
        """Yield lines and records, marked with their epoch."""
        size = self.plan.size
        for epoch in range(1, self.plan.whole_epochs + 1):
            yield from self._epoch(epoch, None)
            self.amount += size.amount
        bucket, rest = self.plan.cut
        if bucket or rest:
            self.amount += int(size.amounts[:bucket].sum())
            yield from self._epoch(self.plan.whole_epochs + 1, (bucket, rest))

    def _epoch(self, epoch: int, cut: tuple[int, int] | None) -> Iterator[Item]:
        """Yield one epoch: all documents, or those of the first buckets and some of the next."""
        seen, rest = 0, 0 if cut is None else cut[1]
        parts = [Part(path, 0, None) for path in self.plan.size.paths]
        for block in read_blocks(parts, self._options):
            found = list(self._of_block(block))
            taken = np.ones(len(found), bool)
            if cut is not None:
                name = self.plan.size.name
                buckets = buckets_of(self._options.seed, name, seen, len(found))
                taken = buckets < cut[0]
                for k in np.flatnonzero(buckets == cut[0]).tolist():
                    amount = int(self._measure.amounts([found[k][2]])[0])
                    # Taken if that comes nearer to the amount wanted than leaving it.
                    if rest > 0 and amount <= 2 * rest:
                        taken[k] = True
                        rest -= amount
                        self.amount += amount
            seen += len(found)
            for k in np.flatnonzero(taken).tolist():
                self.documents += 1
                yield _marked(*found[k], epoch)

    def _of_block(self, block: RecordBlock) -> Iterator[tuple[bytes | None, dict[str, Any], str]]:
        """Yield the part's documents in a block: the line, if it is one of JSON, record, text."""
        lines: Sequence[bytes] | None = None
        if block.lines is not None and not block.is_text:
            lines = block.lines.data.split(b"\n")
        # What is wrong was told in the first pass.
        for place, fields, text in block.documents(self._options.text_key, FaultList()):
            if self._finder.number(fields) != self.number:
                continue
            first = block.lines.first_line if block.lines is not None else 0
            yield (None if lines is None else lines[place.line - first]), fields, text


def _marked(line: bytes | None, fields: dict[str, Any], text: str, epoch: int) -> Item:
    """Return a document with its epoch, and with an id where it came without one."""
    if fields.get("id") is None:
        fields = {"id": text_id(text), **{k: v for k, v in fields.items() if k != "id"}}
        line = None
    if line is None or EPOCH_FIELD in fields:
        marked = fields | {EPOCH_FIELD: epoch}
        return marked if line is None else orjson.dumps(marked)
    return b'%s,"%s":%d}' % (line.rstrip()[:-1].rstrip(), EPOCH_FIELD.encode(), epoch)


def _one_by_one(readers: Sequence[_PartReader]) -> Iterator[Item]:
    for reader in readers:
        yield from reader.items()


def _interleaved(readers: Sequence[_PartReader]) -> Iterator[Item]:
    """Yield from the part that has come least far; ties go to the first."""
    streams = [reader.items() for reader in readers]
    planned = [max(reader.plan.documents, 1) for reader in readers]
    heap = [(0.5 / count, k, 0) for k, count in enumerate(planned)]
    heapq.heapify(heap)
    while heap:
        _, k, written = heap[0]
        item = next(streams[k], None)
        if item is None:
            heapq.heappop(heap)
            continue
        yield item
        written += 1
        heapq.heapreplace(heap, ((written + 0.5) / planned[k], k, written))
