"""Tables and charts as data, before they become text, Markdown, HTML or a drawing.

A report is a list of sections; each form draws the same sections. Numbers are written as the
NorwAI report does: a point before decimals, a space between thousands, B for billions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Table:
    """A table of words and formatted numbers.

    Attributes:
        title: Caption.
        headings: One for each column.
        rows: As long as the headings.
        left: Number of columns, from the first, that hold words and stand to the left.
        last_left: Whether the last column holds words as well.
        note: A line under it.
        spanner: A heading over several columns: its text, the first column, how many.
        bars: A length from 0 to 1 for each row, drawn where `bar_column` is.
        bar_column: The column of shares that the bars are of; the last by default.
        shades: For tables of numbers: how dark each cell is, 0 to 1, None for no shade.
        drawing: File name, without a suffix, of its drawing as a heat map; empty for none.
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    left: int = 1
    last_left: bool = False
    note: str = ""
    spanner: tuple[str, int, int] | None = None
    bars: list[float] | None = None
    bar_column: int = -1
    shades: list[list[float | None]] | None = None
    drawing: str = ""

    def __post_init__(self) -> None:
        if self.bar_column < 0:
            object.__setattr__(self, "bar_column", len(self.headings) + self.bar_column)

    def is_left(self, column: int) -> bool:
        """Whether a column stands to the left."""
        return column < self.left or (self.last_left and column == len(self.headings) - 1)


class Series(NamedTuple):
    """One colour of a chart: its name, a value for each category, and which colour it is."""

    name: str
    values: tuple[float, ...]
    colour: int = 0


@dataclass(frozen=True)
class Chart:
    """Bars: one row (or column) for each category, its series end to end.

    Attributes:
        name: File name of its drawing, without a suffix.
        title: Caption.
        categories: What the bars are of.
        series: Values; several are stacked.
        labels: A text for each bar.
        unit: What the values are.
        note: A line under it.
        upright: Columns instead of rows: for histograms and years.
        has_table: Whether a table beside it has the same numbers, so that text forms without
            drawings leave it out.
    """

    name: str
    title: str
    categories: tuple[str, ...]
    series: tuple[Series, ...]
    labels: tuple[str, ...]
    unit: str
    note: str = ""
    upright: bool = False
    has_table: bool = False

    @property
    def caption(self) -> str:
        """The title, with the unit where it does not name it."""
        named = self.unit in self.title.lower()
        return self.title if named else f"{self.title} ({self.unit})"

    def sums(self) -> list[float]:
        """Return the length of each bar."""
        return [sum(s.values[k] for s in self.series) for k in range(len(self.categories))]

    def as_table(self) -> Table:
        """Return its numbers as a table, for forms without drawings."""
        if len(self.series) == 1:
            pairs = list(zip(self.categories, self.labels, strict=True))
            return Table(self.title, ("", self.unit), [*pairs], note=self.note)
        scale = Scale.of(self.sums())
        names = tuple(series.name for series in self.series)
        rows_of_series = [
            (category, *(scale.number(s.values[k]) for s in self.series), self.labels[k])
            for k, category in enumerate(self.categories)
        ]
        return Table(self.title, ("", *names, ""), list(rows_of_series), note=self.note)


@dataclass(frozen=True)
class Section:
    """A heading with its tables and charts.

    Attributes:
        title: The heading.
        items: What stands under it.
        text: A paragraph before them.
    """

    title: str
    items: list[Table | Chart]
    text: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that is told about a corpus."""

    title: str
    summary: list[tuple[str, str]]
    sections: list[Section] = field(default_factory=list)

    @property
    def charts(self) -> list[Chart]:
        """All charts, in order."""
        return [i for section in self.sections for i in section.items if isinstance(i, Chart)]


class Scale(NamedTuple):
    """One unit for all numbers of a table: 20.41B beside 0.13B."""

    divisor: float
    suffix: str
    word: str

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        """Return the scale in which the largest value has one to three digits before the point."""
        most = max(values, default=0)
        for divisor, suffix, word in (
            (1e12, "T", "trillions"), (1e9, "B", "billions"), (1e6, "M", "millions"),
            (1e3, "K", "thousands"),
        ):  # fmt: skip
            if most >= divisor:
                return cls(divisor, suffix, word)
        return cls(1, "", "")

    def number(self, value: float) -> str:
        """Return a value in this scale, with two decimals: ``3.38B``."""
        if self.divisor == 1:
            return number(round(value))
        return f"{value / self.divisor:.2f}{self.suffix}"

    def of_unit(self, unit: str) -> str:
        """Return the unit with the scale: ``billions of tokens``."""
        return f"{self.word} of {unit}" if self.word else unit


def number(value: float, digits: int = 0) -> str:
    """Return a number with a space between thousands."""
    return f"{value:,.{digits}f}".replace(",", " ")


def percent(value: float | None, digits: int = 2) -> str:
    """Return a share as per cent, ``5.217%``; "not stated" for None."""
    return "not stated" if value is None else f"{100 * value:.{digits}f}%"


def to_markdown(report: Report, drawings: str | None = None) -> str:
    """Return a report as Markdown.

    Args:
        report: What to write.
        drawings: Folder and suffix of the drawn charts, ``plots/{}.svg``, to be shown as images;
            None writes their numbers instead.
    """
    lines = [f"# {_escaped(report.title)}", ""]
    lines += [f"- {name}: **{_escaped(value)}**" for name, value in report.summary]
    for section in report.sections:
        lines += ["", f"## {_escaped(section.title)}", ""]
        if section.text:
            lines += [_escaped(section.text), ""]
        for item in section.items:
            lines += _markdown_item(item, drawings)
    text = "\n".join(lines).rstrip() + "\n"
    return text.replace("\n\n\n", "\n\n")


def _markdown_item(item: Table | Chart, drawings: str | None) -> list[str]:
    if isinstance(item, Chart):
        if drawings is not None:
            note = [item.note, ""] if item.note else []
            return [f"![{_escaped(item.title)}]({drawings.format(item.name)})", "", *note]
        if item.has_table:
            return []
        item = item.as_table()
    lines = [f"**{_escaped(item.title)}**", ""]
    lines.append("| " + " | ".join(_escaped(cell) for cell in item.headings) + " |")
    marks = ["---" if item.is_left(k) else "--:" for k in range(len(item.headings))]
    lines.append("|" + "|".join(marks) + "|")
    lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in item.rows]
    return [*lines, "", *([_escaped(item.note), ""] if item.note else [])]


def _escaped(text: str) -> str:
    """Keep a value from the data from becoming markup."""
    text = " ".join(text.split())
    for character in "\\|*_`<>[]":
        text = text.replace(character, "\\" + character)
    return text
