"""A report for terminals and pipes: aligned tables and bars, drawn by rich.

In a pipe the lines are as wide as they have to be and bear no colour; on a terminal they fit it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from norcli.corpus.layout import Chart, Report, Table

BAR_WIDTH = 24
_WIDE = 400
_EIGHTHS = " ▏▎▍▌▋▊▉"
_STYLES = ("blue", "yellow", "cyan", "magenta", "red", "white", "green", "bright_black")


def report_text(report: Report, width: int | None, color: bool) -> str:
    """Return a report as text.

    Args:
        report: What to show.
        width: Columns of the terminal, None for a pipe.
        color: Whether to write escape codes.
    """
    from rich.console import Console
    from rich.text import Text

    from norcli.corpus.layout import Chart

    stream = io.StringIO()
    console = Console(
        file=stream, width=width or _WIDE, force_terminal=color, no_color=not color,
        color_system="standard" if color else None, highlight=False, legacy_windows=False,
    )  # fmt: skip
    console.print(Text(report.title, style="bold"))
    console.print(Text(", ".join(f"{value} {name}" for name, value in report.summary)))
    for section in report.sections:
        if section.text:
            console.print()
            console.print(Text(section.text, style="dim"))
        for item in section.items:
            if isinstance(item, Chart) and item.has_table:
                continue
            caption = item.caption if isinstance(item, Chart) else item.title
            console.print()
            console.print(Text(caption, style="bold"))
            console.print(_chart(item) if isinstance(item, Chart) else _table(item))
            if item.note:
                console.print(Text(item.note, style="dim"))
    return "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())


def _new_table() -> Any:
    from rich.table import Table as RichTable

    return RichTable(
        box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_edge=False
    )


def _table(table: Table) -> Any:
    from rich.text import Text

    drawn = _new_table()
    for k, heading in enumerate(table.headings):
        drawn.add_column(Text(heading), justify="left" if table.is_left(k) else "right",
                         overflow="fold")  # fmt: skip
    if table.bars is not None:
        drawn.add_column("", justify="left", no_wrap=True)
    for number, row in enumerate(table.rows):
        cells = [Text(cell) for cell in row]
        if table.bars is not None:
            cells.append(Text(_bar(table.bars[number]), style=_STYLES[0]))
        drawn.add_row(*cells)
    return drawn


def _chart(chart: Chart) -> Any:
    """Return bars with their series in different colours, and a line that names these."""
    from rich.text import Text

    drawn = _new_table()
    for name in ("", "", ""):
        drawn.add_column(name, justify="left", no_wrap=True)
    drawn.columns[2].justify = "right"
    drawn.show_header = False
    most = max(chart.sums(), default=0) or 1
    signs = "█" if len(chart.series) == 1 else "█▓▒░▪•+-"
    for k, category in enumerate(chart.categories):
        bar = Text()
        if len(chart.series) == 1:
            bar.append(_bar(chart.series[0].values[k] / most), style=_STYLES[0])
        else:
            for number, series in enumerate(chart.series):
                size = round(2 * BAR_WIDTH * series.values[k] / most)
                bar.append(signs[number % len(signs)] * size, style=_STYLES[series.colour % 8])
        drawn.add_row(Text(category), bar, Text(chart.labels[k]))
    if len(chart.series) > 1:
        legend = Text()
        for number, series in enumerate(chart.series):
            legend.append(signs[number % len(signs)] + " ", style=_STYLES[series.colour % 8])
            legend.append(series.name + "  ")
        drawn.add_row("", legend, "")
    return drawn


def _bar(share: float) -> str:
    """Return a bar of up to `BAR_WIDTH` characters, to an eighth of one."""
    eighths = round(8 * BAR_WIDTH * min(max(share, 0.0), 1.0))
    if share > 0 and eighths == 0:
        eighths = 1
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
