"""Charts as inline SVG for the HTML page: no script, no font, colours from the page's style.

Drawings for papers are `norcli.corpus.plots`, which needs matplotlib; these need nothing.
"""

from __future__ import annotations

from html import escape

from norcli.corpus.layout import Chart

WIDTH = 760
COLOURS = 8
_ROW, _BAR = 26, 17
_LETTER = 7.2  # width of a letter at 12 px, on the generous side
_COLUMN_HEIGHT, _FOOT = 190, 74


def chart_svg(chart: Chart) -> str:
    """Return one chart as an <svg> element."""
    return _columns(chart) if chart.upright else _rows(chart)


def _svg(chart: Chart, height: float, parts: list[str]) -> str:
    title = escape(chart.title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{title}">'
        f"<title>{title}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _legend(chart: Chart, left: float) -> tuple[list[str], float]:
    """Return the names of several series beside their colours, and the room they take."""
    if len(chart.series) < 2:
        return [], 0
    parts, x, y = [], left, 6.0
    for series in chart.series:
        width = 36 + _LETTER * len(series.name)
        if x + width > WIDTH and x > left:
            x, y = left, y + 20
        parts.append(f'<rect class="c{series.colour % COLOURS}" x="{x:.1f}" y="{y:.1f}" width="11" '
                     f'height="11" rx="2"/>')  # fmt: skip
        parts.append(_text(x + 16, y + 10, series.name))
        x += width
    return parts, y + 24


def _rows(chart: Chart) -> str:
    """Draw horizontal bars, series end to end."""
    left = min(12 + _LETTER * max(map(len, chart.categories), default=0), 0.4 * WIDTH)
    right = 12 + _LETTER * max(map(len, chart.labels), default=0)
    parts, top = _legend(chart, left)
    most = max(chart.sums(), default=0) or 1
    room = WIDTH - left - right
    for k, category in enumerate(chart.categories):
        y = top + k * _ROW
        middle = y + _BAR / 2 + 4
        longest = int((left - 12) / _LETTER) + 1
        shown = category if len(category) <= longest else category[: longest - 1] + "…"
        parts.append(_text(left - 8, middle, shown, "end"))
        x = left
        for series in chart.series:
            width = room * series.values[k] / most
            if width:
                tip = f"{series.name}: {series.values[k]:,.0f}".replace(",", " ")
                parts.append(
                    f'<rect class="c{series.colour % COLOURS}" x="{x:.1f}" y="{y:.1f}" '
                    f'width="{max(width, 0.6):.1f}" height="{_BAR}"><title>{escape(tip)}</title>'
                    "</rect>"
                )
            x += width
        parts.append(_text(x + 6, middle, chart.labels[k]))
    height = top + _ROW * len(chart.categories)
    parts.append(f'<line class="axis" x1="{left:.1f}" x2="{left:.1f}" y1="{top - 3:.1f}" '
                 f'y2="{height - 4:.1f}"/>')  # fmt: skip
    return _svg(chart, height, parts)


def _columns(chart: Chart) -> str:
    """Draw columns on a common foot, their names slanted below."""
    most = max(chart.sums(), default=0) or 1
    step = (WIDTH - 60) / max(len(chart.categories), 1)
    step = min(step, 90)
    foot = 18 + _COLUMN_HEIGHT
    parts = []
    for k, category in enumerate(chart.categories):
        x, y = 50 + k * step, float(foot)
        for series in chart.series:
            height = _COLUMN_HEIGHT * series.values[k] / most
            if height:
                y -= height
                parts.append(
                    f'<rect class="c{series.colour % COLOURS}" x="{x + 2:.1f}" y="{y:.1f}" '
                    f'width="{step - 4:.1f}" height="{max(height, 0.6):.1f}"/>'
                )
        middle = x + step / 2
        if _LETTER * len(chart.labels[k]) <= step + 8:
            parts.append(_text(middle, y - 4, chart.labels[k], "middle", ' class="small"'))
        slant = f' transform="rotate(-35 {middle + 4:.1f} {foot + 14:.1f})"'
        parts.append(_text(middle + 4, foot + 14, category, "end", slant))
    end = 50 + step * len(chart.categories)
    parts.append(f'<line class="axis" x1="50" x2="{end:.1f}" y1="{foot}" y2="{foot}"/>')
    return _svg(chart, foot + _FOOT, parts)
