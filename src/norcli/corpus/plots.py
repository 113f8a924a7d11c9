"""Charts as files for papers and slides: SVG, PNG or PDF, drawn by matplotlib.

The same report gives the same bytes: no date is written and identifiers are not random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from norcli.corpus.layout import Chart, Report, Table
from norcli.streams import atomic_directory

COLOURS = ("#2b6cb0", "#d9822b", "#2f9e8f", "#8a63b3", "#c2504c", "#7f8a99", "#a08b2c", "#4d7c3c")
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.edgecolor": "#5d6878", "figure.dpi": 100,
    "savefig.dpi": 200, "svg.hashsalt": "norcli", "svg.fonttype": "none", "pdf.fonttype": 42,
    "text.parse_math": False,
}  # fmt: skip
_NO_DATE: dict[str, dict[str, Any]] = {
    "svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {},
}  # fmt: skip


def draw_charts(report: Report, folder: str, formats: Sequence[str], overwrite: bool) -> list[str]:
    """Draw every chart of a report into a new folder and return the file names.

    Raises:
        UnavailableError: matplotlib is not installed.
        CannotCreateError: The folder exists already.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = []
    with atomic_directory(folder, overwrite=overwrite) as target, mpl.rc_context(_STYLE):
        for item in (item for section in report.sections for item in section.items):
            figure = Figure(layout="constrained")
            FigureCanvasAgg(figure)
            if isinstance(item, Table):
                if not item.drawing or not item.rows:
                    continue
                _heat_map(figure, item)
            elif item.upright:
                _columns(figure, item)
            else:
                _rows(figure, item)
            for form in formats:
                name = f"{item.drawing if isinstance(item, Table) else item.name}.{form}"
                figure.savefig(target / name, metadata=_NO_DATE[form])
                names.append(name)
    return names


def _begin(figure: Any, chart: Chart, width: float, height: float) -> Any:
    legend = 0.3 if len(chart.series) > 1 else 0.0
    note = 0.25 if chart.note else 0.0
    figure.set_size_inches(width, height + legend + note)
    axes = figure.add_subplot()
    axes.set_title(chart.title, pad=8 + 72 * legend)
    return axes


def _finish(axes: Any, chart: Chart) -> None:
    if len(chart.series) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(chart.series), frameon=False,
            handlelength=1, handleheight=1, columnspacing=1.2, fontsize=8.5,
        )  # fmt: skip
    if chart.note:
        axes.figure.supxlabel(chart.note, x=0.01, ha="left", fontsize=7.5, color="#5d6878")


def _rows(figure: Any, chart: Chart) -> None:
    axes = _begin(figure, chart, 7.0, 0.95 + 0.3 * len(chart.categories))
    places = range(len(chart.categories))
    begins = [0.0] * len(chart.categories)
    for series in chart.series:
        axes.barh(places, series.values, left=begins, height=0.64, label=series.name,
                  color=COLOURS[series.colour % len(COLOURS)])  # fmt: skip
        begins = [b + v for b, v in zip(begins, series.values, strict=True)]
    most = max(begins, default=0) or 1
    for place, (end, label) in enumerate(zip(begins, chart.labels, strict=True)):
        axes.text(end + 0.01 * most, place, label, va="center", fontsize=8.5)
    longest = max(map(len, chart.labels), default=0)
    axes.set_xlim(0, most * (1.03 + 0.0155 * longest))
    axes.set_yticks(places, chart.categories)
    axes.set_ylim(len(chart.categories) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(chart.unit)
    axes.xaxis.set_major_formatter(_scaled)
    _finish(axes, chart)


def _columns(figure: Any, chart: Chart) -> None:
    axes = _begin(figure, chart, 7.0, 3.0)
    places = range(len(chart.categories))
    begins = [0.0] * len(chart.categories)
    for series in chart.series:
        axes.bar(places, series.values, bottom=begins, width=0.86, label=series.name,
                 color=COLOURS[series.colour % len(COLOURS)])  # fmt: skip
        begins = [b + v for b, v in zip(begins, series.values, strict=True)]
    if len(chart.categories) <= 16:
        for place, (end, label) in enumerate(zip(begins, chart.labels, strict=True)):
            axes.text(place, end, label, ha="center", va="bottom", fontsize=7, color="#5d6878")
    axes.set_xticks(places, chart.categories, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(chart.unit)
    axes.yaxis.set_major_formatter(_scaled)
    _finish(axes, chart)


def _heat_map(figure: Any, table: Table) -> None:
    """Draw a table of numbers, its cells as dark as their shades."""
    from matplotlib.colors import LinearSegmentedColormap

    columns = [k for k in range(1, len(table.headings)) if _shade(table, 0, k) is not None]
    shades = [[_shade(table, row, k) or 0.0 for k in columns] for row in range(len(table.rows))]
    figure.set_size_inches(2.2 + 0.85 * len(columns), 1.5 + 0.3 * len(table.rows))
    axes = figure.add_subplot()
    axes.set_title(table.title, pad=10)
    colours = LinearSegmentedColormap.from_list("shades", ["#ffffff", COLOURS[0]])
    axes.imshow(shades, cmap=colours, vmin=0, vmax=1.4, aspect="auto")
    axes.set_xticks(range(len(columns)), [table.headings[k] for k in columns], rotation=35,
                    ha="right", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(range(len(table.rows)), [row[0] for row in table.rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row, cells in enumerate(table.rows):
        for place, k in enumerate(columns):
            axes.text(place, row, cells[k], ha="center", va="center", fontsize=8)


def _shade(table: Table, row: int, column: int) -> float | None:
    return None if table.shades is None else table.shades[row][column]


def _scaled(value: float, _: int) -> str:
    for divisor, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= divisor:
            return f"{value / divisor:g}{suffix}"
    return f"{value:g}"
