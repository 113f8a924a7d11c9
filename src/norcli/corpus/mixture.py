"""What a mixture comes to: sizes of the parts at hand, and how often each is to be read.

The first of two passes of `norcli mix`. Besides its size, each part keeps how its documents fall
into buckets by a hash of seed, part and number; a fraction of an epoch is then the first buckets,
and of the last of these as many documents as are wanted. So the choice depends on nothing but the
part's own documents, memory does not grow with them, and amounts are met to within a document.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.console import Console
from norcli.corpus.counting import TextMeter
from norcli.corpus.recipe import Recipe
from norcli.corpus.record_blocks import RecordBlock, read_blocks
from norcli.corpus.report_options import MixOptions
from norcli.corpus.statistics import MEASURES
from norcli.corpus.workers import map_in_order
from norcli.errors import DataError
from norcli.formats.bad_records import BadRecords, FaultList
from norcli.formats.lines import Part

BUCKETS = 1 << 14
NO_DOCUMENT = -1
NEEDS_PARSING = 1 << 30
"""Set in the label of a line that cannot pass through as it is."""
REST = "the rest"
EPOCH_FIELD = "mix_epoch"
_MOST_VALUES = 8

Integers = npt.NDArray[np.int64]
Stamp = tuple[int, int]


def buckets_of(seed: int, part: str, first: int, count: int) -> Integers:
    """Return the buckets of a part's documents numbered from `first`, int64 (count,)."""
    digest = hashlib.blake2b(f"{seed}\0{part}".encode(), digest_size=8).digest()
    # SplitMix64 (Steele, Lea and Flood 2014) over the number.
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + count + 1, dtype=np.uint64)
        z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(int.from_bytes(digest, "little"))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(64 - 14)).astype(np.int64)


@dataclass
class PartSize:
    """What there is of a part.

    Attributes:
        name: The part.
        documents: Documents by bucket, int64 (BUCKETS,).
        amounts: Their amount by bucket, int64 (BUCKETS,).
        paths: Files that hold documents of it, in order.
    """

    name: str
    documents: Integers = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    amounts: Integers = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    paths: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """All its documents."""
        return int(self.documents.sum())

    @property
    def amount(self) -> int:
        """All there is of it, in the unit."""
        return int(self.amounts.sum())


@dataclass
class Survey:
    """What the inputs hold, part by part; the last part is what the recipe does not name.

    Attributes:
        parts: Sizes in the order of the recipe, then the rest.
        others: Some values of the field that the recipe does not name.
        stamps: Size and time of change of each file, to notice a change before the second pass.
        labels: The part of each line of JSON, so that the second pass need not parse them.
    """

    parts: list[PartSize]
    others: list[str] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    labels: LineLabels = field(default_factory=lambda: LineLabels())


class LineLabels:
    """The part of each line, four bytes a line in a temporary file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the run
        self._starts: dict[str, int] = {}

    def add(self, path: str, labels: npt.NDArray[np.int32]) -> None:
        """Append the labels of a block of lines."""
        self._starts.setdefault(path, self._file.tell())
        self._file.write(labels.tobytes())

    def read(self, path: str, first_line: int, count: int) -> npt.NDArray[np.int32]:
        """Return the labels of lines of a file, numbered from 1."""
        self._file.flush()
        start = self._starts[path] + 4 * (first_line - 1)
        return np.frombuffer(os.pread(self._file.fileno(), 4 * count, start), np.int32)


class BlockParts(NamedTuple):
    """What is known of a block.

    Attributes:
        path: The file it is of.
        parts: The parts of its documents.
        amounts: Their amounts.
        others: Values that no part is named after.
        faults: What was wrong.
        labels: For lines of JSON, the part of each line.
    """

    path: str
    parts: Integers
    amounts: Integers
    others: list[str]
    faults: FaultList
    labels: npt.NDArray[np.int32] | None


class PartFinder:
    """Tells which part of a recipe a record belongs to.

    Args:
        recipe: The recipe.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._numbers = {part.name: k for k, part in enumerate(recipe.parts)}
        self.rest = len(recipe.parts)

    def number(self, fields: dict[str, Any]) -> int:
        """Return the number of the part, that of the rest for a part not named."""
        return self._numbers.get(self._recipe.value_of(fields), self.rest)

    def value(self, fields: dict[str, Any]) -> str:
        """Return the record's value of the recipe's field."""
        return self._recipe.value_of(fields)


class BlockSurveyor:
    """Finds parts and amounts of the documents of blocks; made once per process.

    Args:
        recipe: The recipe.
        unit: What amounts are of.
        tokenizer: Path of the tokenizer, for tokens.
        text_key: Field that holds the text.
    """

    def __init__(self, recipe: Recipe, unit: str, tokenizer: str | None, text_key: str) -> None:
        self._finder = PartFinder(recipe)
        self._meter = TextMeter(tokenizer if unit == "tokens" else None)
        self._column = MEASURES.index(unit)
        self._text_key = text_key

    def __call__(self, block: RecordBlock) -> BlockParts:
        """Look at a block."""
        faults = FaultList()
        numbers, texts = [], []
        others: dict[str, None] = {}
        labels = None
        first = 0
        if block.lines is not None and not block.is_text:
            labels = np.full(block.lines.data.count(b"\n") + 1, NO_DOCUMENT, np.int32)
            first = block.lines.first_line
        for place, fields, text in block.documents(self._text_key, faults):
            number = self._finder.number(fields)
            if labels is not None:
                passes = fields.get("id") is not None and EPOCH_FIELD not in fields
                labels[place.line - first] = number if passes else number | NEEDS_PARSING
            if number == self._finder.rest and len(others) < _MOST_VALUES:
                others[self._finder.value(fields)] = None
            numbers.append(number)
            texts.append(text)
        amounts = self.amounts(texts)
        if labels is not None and block.lines is not None and block.lines.data.endswith(b"\n"):
            labels = labels[:-1]
        parts = np.array(numbers, np.int64)
        return BlockParts(block.name, parts, amounts, list(others), faults, labels)

    def amounts(self, texts: Sequence[str]) -> Integers:
        """Return the amount of each text in the unit."""
        return self._meter.measure(texts)[:, self._column]


def surveyor(options: MixOptions, recipe: Recipe) -> partial[BlockSurveyor]:
    """Return what makes a surveyor, here or in another process."""
    unit = options.chosen_unit(recipe.unit)
    return partial(BlockSurveyor, recipe, unit, options.tokenizer, options.text_key)


def survey(options: MixOptions, recipe: Recipe, paths: Sequence[str], console: Console) -> Survey:
    """Read all inputs once and return what there is of each part.

    Raises:
        NorcliError: A bad record or input, or no tokenizer where one was named.
    """
    found = Survey([PartSize(part.name) for part in recipe.parts] + [PartSize(REST)])
    bad = BadRecords(options, console)
    make = surveyor(options, recipe)
    with console.progress("measure", unit="documents") as progress:
        found.stamps = {path: stamp(path) for path in paths}
        blocks = read_blocks([Part(path, 0, None) for path in paths], options)
        for block in map_in_order(make, blocks, options.jobs or 1):
            bad.replay(block.faults)
            _add(found, block, options.seed)
            if block.labels is not None:
                found.labels.add(block.path, block.labels)
            progress.advance(len(block.parts))
    bad.report()
    return found


def _add(found: Survey, block: BlockParts, seed: int) -> None:
    for number in np.unique(block.parts).tolist():
        part = found.parts[number]
        mine = block.parts == number
        buckets = buckets_of(seed, part.name, part.count, int(mine.sum()))
        np.add.at(part.documents, buckets, 1)
        np.add.at(part.amounts, buckets, block.amounts[mine])
        if block.path not in part.paths:
            part.paths.append(block.path)
    found.others += [v for v in block.others if v not in found.others]
    del found.others[_MOST_VALUES:]


def stamp(path: str) -> Stamp:
    """Return size and time of change of a file."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class PartPlan:
    """What becomes of one part.

    Attributes:
        size: What there is of it.
        target: The amount to write.
        max_epochs: How often it may be read.
        is_wanted: Whether any of it is asked for.
    """

    size: PartSize
    target: int
    max_epochs: float
    is_wanted: bool = True

    @property
    def epochs(self) -> float:
        """How often it is read."""
        return self.target / self.size.amount if self.size.amount else 0.0

    @property
    def whole_epochs(self) -> int:
        """How often all of it is read."""
        return self.target // self.size.amount if self.size.amount else 0

    @property
    def cut(self) -> tuple[int, int]:
        """Buckets of the last, partial epoch that are read whole, and the amount of the next."""
        rest = self.target - self.whole_epochs * self.size.amount
        ends = np.cumsum(self.size.amounts)
        bucket = int(np.searchsorted(ends, rest, side="right"))
        return bucket, rest - (int(ends[bucket - 1]) if bucket else 0)

    @property
    def documents(self) -> int:
        """How many documents are to be written, about."""
        bucket, rest = self.cut
        count = self.whole_epochs * self.size.count + int(self.size.documents[:bucket].sum())
        if rest and bucket < BUCKETS:
            count += round(self.size.documents[bucket] * rest / self.size.amounts[bucket])
        return count

    @property
    def problem(self) -> str:
        """Why it cannot be done, empty if it can."""
        if not self.is_wanted:
            return ""
        if not self.size.count:
            return "missing"
        if not self.size.amount:
            return "empty"
        # A millionth allows for amounts that were rounded to whole units.
        return "too small" if self.epochs > self.max_epochs * (1 + 1e-6) else ""


@dataclass(frozen=True)
class MixPlan:
    """What a run of mix will write.

    Attributes:
        parts: The parts that are read.
        unit: What amounts are of.
        left_out: Documents of parts that the recipe does not name and leaves out.
        others: Some of the values of these.
    """

    parts: list[PartPlan]
    unit: str
    left_out: int
    others: list[str]

    @property
    def total(self) -> int:
        """The amount to write."""
        return sum(part.target for part in self.parts)

    @property
    def largest_total(self) -> int:
        """The largest amount of the same proportions that keeps to the epochs allowed."""
        # Parts that are not there at all are told as missing; no total helps them.
        parts = [part for part in self.parts if part.target and part.size.amount]
        factors = [part.max_epochs * part.size.amount / part.target for part in parts]
        return int(self.total * min(factors, default=0))

    def check(self, by: str) -> None:
        """Check that it can be done.

        Args:
            by: The recipe's field, for messages.

        Raises:
            DataError: A part is missing, empty, or too small.
        """
        for part in self.parts:
            name = part.size.name
            if part.problem == "missing":
                found = ", ".join(f'"{value}"' for value in self.others) or "no other"
                raise DataError(f'no record has {by} "{name}"', hint=f"found: {found}")
            if part.problem == "empty":
                raise DataError(f'the documents of "{name}" hold no {self.unit}')
            if part.problem:
                raise DataError(
                    f'"{name}" is too small: it would be read {part.epochs:.2f} times, more than '
                    f"{part.max_epochs:g}",
                    hint=f"--total {self.largest_total} fits; --max-epochs allows more",
                )


def plan_mixture(
    recipe: Recipe, found: Survey, unit: str, total: float | None, max_epochs: float
) -> MixPlan:
    """Work out how much of each part is written.

    Args:
        recipe: The recipe.
        found: What there is.
        unit: What amounts are of.
        total: Amount to make, None for the recipe's, or for what repeats nothing.
        max_epochs: How often a part may be read.

    Raises:
        DataError: Shares leave something over and there is nothing to fill it with.
    """
    sizes, rest = found.parts[:-1], found.parts[-1]
    wanted = [part.value for part in recipe.parts]
    left_out = 0
    if recipe.kind == "epochs":
        targets = [value * size.amount for value, size in zip(wanted, sizes, strict=True)]
        targets.append(float(rest.amount))
        factor = 1.0 if total is None else total / max(sum(targets), 1)
        targets = [target * factor for target in targets]
    else:
        shares = _shares(recipe, wanted, rest)
        if shares[-1] == 0:
            left_out = rest.count
        total = total if total is not None else _default_total(recipe, shares, found.parts)
        targets = [share * total for share in shares]
    # Ends are rounded, so that whole amounts add up to the whole total.
    ends = np.rint(np.cumsum([0.0, *targets])).astype(np.int64)
    rounded = np.diff(ends).tolist()
    parts = [
        PartPlan(size, target, max_epochs, value > 0)
        for size, target, value in zip(found.parts, rounded, [*wanted, 1.0], strict=True)
        if size is not rest or target
    ]
    return MixPlan(parts, unit, left_out, found.others)


def _shares(recipe: Recipe, wanted: list[float], rest: PartSize) -> list[float]:
    """Return shares of the whole for the parts and the rest."""
    if recipe.kind != "share":
        whole = sum(wanted)
        return [value / whole for value in wanted] + [0.0]
    left = 1.0 - sum(wanted)
    if left > 1e-9 and not rest.amount:
        raise DataError(
            f"the shares add up to {1 - left:g}, and there is nothing else to take the rest from"
        )
    return [*wanted, left if left > 1e-9 else 0.0]


def _default_total(recipe: Recipe, shares: list[float], sizes: list[PartSize]) -> float:
    if recipe.total is not None:
        return recipe.total
    if recipe.kind == "amount":
        return recipe.amount
    # Parts that are not there are told later; they must not make all others nothing.
    pairs = zip(sizes, shares, strict=True)
    return min((s.amount / share for s, share in pairs if share and s.amount), default=0.0)
