"""A report as one HTML page that needs nothing else: no network, no script, inline SVG.

Everything from the data is escaped. Colours follow the reader's light or dark setting, and print
light; a content security policy in the page forbids whatever is not in it.
"""

from __future__ import annotations

from html import escape

from norcli.corpus.chart_svg import chart_svg
from norcli.corpus.layout import Chart, Report, Section, Table

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_LIGHT = """\
--page:#fff;--ink:#1b2430;--soft:#5d6878;--line:#d5dae1;--band:#f5f7f9;--bar:#cfe0f1;
--c0:#2b6cb0;--c1:#d9822b;--c2:#2f9e8f;--c3:#8a63b3;--c4:#c2504c;--c5:#7f8a99;--c6:#a08b2c;
--c7:#4d7c3c;--shade:43,108,176"""
_DARK = """\
--page:#12171e;--ink:#e4e9f0;--soft:#9aa6b6;--line:#333d4a;--band:#1a212a;--bar:#23425f;
--c0:#5c9bd6;--c1:#e69a4e;--c2:#4fbcae;--c3:#a98bd0;--c4:#db7874;--c5:#97a2b1;--c6:#c2ac4c;
--c7:#7bab68;--shade:92,155,214"""
_STYLE = f"""\
:root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:64rem;background:var(--page);
color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
h1{{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}}
h2{{font-size:1.2rem;margin:2.6rem 0 .8rem;padding-bottom:.3rem;
border-bottom:1px solid var(--line)}}
p{{max-width:46rem}}
.summary{{display:flex;flex-wrap:wrap;gap:.5rem 2.2rem;margin:0;padding:0}}
.summary div{{display:flex;flex-direction:column-reverse}}
.summary dt{{color:var(--soft);font-size:.85rem}}
.summary dd{{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}}
nav{{margin-top:1.4rem;color:var(--soft);font-size:.9rem}}
nav a{{color:inherit;margin-right:1rem;white-space:nowrap}}
figure{{margin:1.2rem 0 1.8rem}}
.scroll{{overflow-x:auto}}
caption,figcaption{{text-align:left;font-weight:600;margin-bottom:.5rem;padding:0 0 .4rem}}
.note{{color:var(--soft);font-size:.88rem;margin:.4rem 0 0}}
table{{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;
border-top:2px solid var(--ink);border-bottom:2px solid var(--ink)}}
caption{{caption-side:top}}caption.hidden{{font-size:0;line-height:0;padding:0;margin:0}}
th,td{{padding:.28rem .75rem;text-align:right;white-space:nowrap;font-weight:400}}
thead th{{font-weight:600;white-space:normal;border-bottom:1px solid var(--ink);
vertical-align:bottom}}
thead th.span{{text-align:center;border-bottom:1px solid var(--line)}}
thead tr.spanner th{{border-bottom-color:var(--line)}}
tbody tr:nth-child(even){{background:var(--band)}}
.l{{text-align:left}}
.wrap{{white-space:normal;min-width:14rem}}
td.bar{{position:relative;min-width:9rem}}
td.bar i{{position:absolute;left:.3rem;top:18%;bottom:18%;background:var(--bar);border-radius:2px;
max-width:calc(100% - .6rem)}}
td.bar span{{position:relative}}
td.s{{background:rgba(var(--shade),var(--a))}}
svg{{display:block;width:100%;max-width:760px;height:auto;font-size:12px}}
svg text{{fill:var(--ink)}}svg .small{{font-size:10.5px;fill:var(--soft)}}
svg .axis{{stroke:var(--soft);stroke-width:1}}
{"".join(f".c{k}{{fill:var(--c{k})}}" for k in range(8))}
@media print{{:root{{color-scheme:light;{_LIGHT}}}
*{{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
body{{padding:0;max-width:none;font-size:10pt}}nav{{display:none}}
figure,tr,svg{{break-inside:avoid}}h2{{break-after:avoid}}.scroll{{overflow:visible}}
th,td{{padding:.18rem .45rem}}table{{font-size:8.5pt}}@page{{margin:16mm}}}}
"""


def to_html(report: Report) -> str:
    """Return the page."""
    summary = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in report.summary
    )
    links = " ".join(
        f'<a href="#s{number}">{escape(section.title)}</a>'
        for number, section in enumerate(report.sections)
    )
    sections = "\n".join(
        _section(section, number) for number, section in enumerate(report.sections)
    )
    title = escape(report.title)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{_STYLE}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<dl class="summary">{summary}</dl>
<nav>{links}</nav>
</header>
<main>
{sections}
</main>
</body>
</html>
"""


def _section(section: Section, number: int) -> str:
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    items = "\n".join(
        _chart(item) if isinstance(item, Chart) else _table(item)
        for item in section.items
        # The bars in a table's cells say the same as a chart of it.
        if isinstance(item, Table) or item.upright or not item.has_table
    )
    # A caption that repeats the heading is for screen readers alone.
    items = items.replace(
        f"<caption>{escape(section.title)}</caption>",
        f'<caption class="hidden">{escape(section.title)}</caption>',
    )
    return f'<section id="s{number}">\n<h2>{escape(section.title)}</h2>\n{text}{items}\n</section>'


def _chart(chart: Chart) -> str:
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    caption = f"<figcaption>{escape(chart.caption)}</figcaption>"
    return f"<figure>{caption}\n{chart_svg(chart)}{note}</figure>"


def _table(table: Table) -> str:
    head = "".join(f"<th{_class(table, k)}>{escape(h)}</th>" for k, h in enumerate(table.headings))
    spanner = ""
    if table.spanner is not None:
        text, first, count = table.spanner
        after = len(table.headings) - first - count
        spanner = '<tr class="spanner">' + "<th></th>" * first
        spanner += f'<th class="span" colspan="{count}">{escape(text)}</th>'
        spanner += "<th></th>" * after + "</tr>"
    rows = "\n".join(f"<tr>{_row(table, k)}</tr>" for k in range(len(table.rows)))
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<figure><div class="scroll"><table><caption>{escape(table.title)}</caption>\n'
        f"<thead>{spanner}<tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
        f"{note}</figure>"
    )


def _class(table: Table, column: int) -> str:
    if not table.is_left(column):
        return ""
    return ' class="l wrap"' if table.last_left and column == len(table.headings) - 1 else (
        ' class="l"'
    )  # fmt: skip


def _row(table: Table, number: int) -> str:
    cells = []
    last = len(table.headings) - 1
    bar_column = table.bar_column if table.bars is not None else None
    for k, text in enumerate(table.rows[number]):
        shade = table.shades[number][k] if table.shades is not None else None
        if k == bar_column and table.bars is not None:
            width = 100 * min(max(table.bars[number], 0.0), 1.0)
            cells.append(f'<td class="bar"><i style="width:{width:.2f}%"></i>'
                         f"<span>{escape(text)}</span></td>")  # fmt: skip
        elif shade is not None and shade > 0:
            cells.append(f'<td class="s" style="--a:{0.06 + 0.5 * shade:.2f}">{escape(text)}</td>')
        else:
            tag = "th" if k < table.left and k != last else "td"
            scope = ' scope="row"' if tag == "th" else ""
            cells.append(f"<{tag}{scope}{_class(table, k)}>{escape(text)}</{tag}>")
    return "".join(cells)
