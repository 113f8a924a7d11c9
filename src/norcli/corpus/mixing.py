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
import numpy.typing as npt
import orjson

from norcli.console import Console
from norcli.corpus.mixture import (
    EPOCH_FIELD,
    NEEDS_PARSING,
    BlockSurveyor,
    LineLabels,
    MixPlan,
    PartFinder,
    PartPlan,
    Survey,
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
from norcli.streams import check_output, is_pipe

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
    if any(map(is_pipe, paths)):
        raise UsageError("mix reads its input twice", hint="save what a pipe gives to a file first")
    check_output(options.output, options.overwrite)
    return list(dict.fromkeys(paths))


def make_plan(options: MixOptions, recipe: Recipe, console: Console) -> tuple[MixPlan, Survey]:
    """Read the inputs once and work out what to write.

    Raises:
        NorcliError: Bad input, options or recipe.
    """
    paths = check_mix(options)
    unit = options.chosen_unit(recipe.unit)
    total = None if options.total is None else parse_amount(options.total)
    found = survey(options, recipe, paths, console)
    return plan_mixture(recipe, found, unit, total, options.max_epochs), found


def mix(options: MixOptions, console: Console) -> MixResult:
    """Build a corpus.

    Raises:
        NorcliError: Bad input, options, recipe or output; nothing is left under its name.
    """
    recipe = load_parts(options)
    plan, found = make_plan(options, recipe, console)
    plan.check(recipe.by)
    if plan.left_out:
        console.warn(f"{plan.left_out} documents are of no part of the recipe and left out")
    for path, before in found.stamps.items():
        if stamp(path) != before:
            raise DataError("was changed while it was being read", path=path)
    finder = PartFinder(recipe)
    measure = surveyor(options, recipe)()
    readers = [
        _PartReader(k, part, finder, measure, options, found.labels)
        for k, part in enumerate(plan.parts)
    ]
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


@dataclass(frozen=True, slots=True)
class _Found:
    """A document of a part: its line, or what it was parsed to, or both."""

    line: bytes | None
    fields: dict[str, Any] | None
    text: str = ""

    def text_of(self, key: str) -> str:
        """Return its text."""
        if self.fields is None:
            assert self.line is not None, "one of the two is there"
            return str(orjson.loads(self.line)[key])
        return self.text

    def marked(self, epoch: int) -> Item:
        """Return it with its epoch, and with an id where it came without one."""
        if self.fields is None:
            assert self.line is not None, "one of the two is there"
            return b'%s,"%s":%d}' % (self.line.rstrip()[:-1].rstrip(), EPOCH_FIELD.encode(), epoch)
        fields = self.fields
        if fields.get("id") is None:
            fields = {"id": text_id(self.text), **{k: v for k, v in fields.items() if k != "id"}}
        return fields | {EPOCH_FIELD: epoch}


class _PartReader:
    """The documents of one part as they are to be written, epoch after epoch."""

    def __init__(
        self, number: int, plan: PartPlan, finder: PartFinder, measure: BlockSurveyor,
        options: MixOptions, labels: LineLabels,
    ) -> None:  # fmt: skip
        self.number = number
        self.plan = plan
        self.documents = 0
        self.amount = 0
        self._finder = finder
        self._measure = measure
        self._options = options
        self._labels = labels

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
        for path in self.plan.size.paths:
            for block in read_blocks([Part(path, 0, None)], self._options):
                found = list(self._of_block(block, path))
                taken = np.ones(len(found), bool)
                if cut is not None:
                    taken, rest = self._drawn(found, seen, cut[0], rest)
                seen += len(found)
                for k in np.flatnonzero(taken).tolist():
                    self.documents += 1
                    yield found[k].marked(epoch)

    def _drawn(
        self, found: Sequence[_Found], seen: int, bucket: int, rest: int
    ) -> tuple[npt.NDArray[np.bool_], int]:
        """Return which documents of a block are drawn, and what is still to be taken."""
        buckets = buckets_of(self._options.seed, self.plan.size.name, seen, len(found))
        taken = buckets < bucket
        for k in np.flatnonzero(buckets == bucket).tolist() if rest > 0 else ():
            amount = int(self._measure.amounts([found[k].text_of(self._options.text_key)])[0])
            # Taken if that comes nearer to the amount wanted than leaving it.
            if rest > 0 and amount <= 2 * rest:
                taken[k] = True
                rest -= amount
                self.amount += amount
        return taken, rest

    def _of_block(self, block: RecordBlock, path: str) -> Iterator[_Found]:
        """Yield the part's documents in a block."""
        key = self._options.text_key
        if block.lines is None or block.is_text:
            # What is wrong was told in the first pass.
            for _, fields, text in block.documents(key, FaultList()):
                if self._finder.number(fields) == self.number:
                    yield _Found(None, fields, text)
            return
        data = block.lines.data
        if not data:  # a line that was too long
            return
        count = data.count(b"\n") + (not data.endswith(b"\n"))
        labels = self._labels.read(path, block.lines.first_line, count)
        mine = np.flatnonzero((labels & ~NEEDS_PARSING == self.number) & (labels >= 0))
        lines = data.split(b"\n") if len(mine) else []
        for k in mine.tolist():
            record = orjson.loads(lines[k]) if labels[k] & NEEDS_PARSING else None
            yield _Found(lines[k], record, "" if record is None else str(record[key]))


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
