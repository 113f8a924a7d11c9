"""The funnel by rule, and duplicates between sources, as tables and charts."""

from __future__ import annotations

from norcli.corpus.funnel import format_bytes
from norcli.corpus.layout import Chart, Section, Series, Table, number, percent
from norcli.corpus.runs import Runs
from norcli.corpus.source_pairs import SourcePairs

MOST_SOURCES = 12
_REST = "others"


def funnel_section(runs: Runs, documents: int) -> Section:
    """Return what each rule took, in the order of the stages, and what was left after it.

    Args:
        runs: Counts of crawl-filter and dedup.
        documents: Documents of the corpus, for what is left where no run tells.
    """
    rules = runs.rules()
    kept = documents if runs.documents_out is None else runs.documents_out
    read = runs.documents_in
    if read is None:
        read = kept + sum(count for _, _, count in rules)
    rows: list[tuple[str, ...]] = [("", "read", number(read), "", "100.00%", "")]
    left, bars = read, [1.0]
    for stage, rule, count in rules:
        left -= count
        size = runs.dropped_bytes.get((stage, rule))
        rows.append((
            stage, rule, f"−{number(count)}", "" if size is None else format_bytes(size),
            percent(left / max(read, 1)), number(left),
        ))  # fmt: skip
        bars.append(left / max(read, 1))
    rows.append(("", "kept", number(kept), "", percent(kept / max(read, 1)), ""))
    bars.append(kept / max(read, 1))
    headings = ("Stage", "Rule", "Documents", "Text", "Left of all", "Left")
    items: list[Table | Chart] = [
        Table("Funnel by rule", headings, rows, left=2, bars=bars, bar_column=4),
        Chart("funnel", "Documents dropped by rule", tuple(rule for _, rule, _ in rules),
              (Series("documents", tuple(float(count) for _, _, count in rules)),),
              tuple(number(count) for _, _, count in rules), "documents", has_table=True),
    ]  # fmt: skip
    if runs.rejected:
        items.append(_rejected_by_source(runs))
    return Section("Funnel", items)


def _rejected_by_source(runs: Runs) -> Table:
    """Return rejected documents by rule and source; a row is shaded by its own share."""
    sums: dict[str, int] = {}
    for (_, _, source), count in runs.rejected.items():
        sums[source] = sums.get(source, 0) + count
    sources = _first(sorted(sums, key=lambda s: (-sums[s], s)))
    by_rule: dict[tuple[str, str], dict[str, int]] = {}
    for (stage, rule, source), count in runs.rejected.items():
        row = by_rule.setdefault((stage, rule), {})
        name = source if source in sources else _REST
        row[name] = row.get(name, 0) + count
    ranked = sorted(by_rule.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    rows, shades = [], []
    for (_, rule), row in ranked:
        whole = sum(row.values())
        rows.append((rule, *(number(row.get(s, 0)) for s in sources), number(whole)))
        shades.append([None, *(row.get(s, 0) / whole for s in sources), None])
    headings = ("Rule", *sources, "All")
    return Table("Rejected documents by rule and source", headings, rows, shades=shades)


def pairs_section(pairs: SourcePairs) -> Section:
    """Return the matrix of duplicates between sources."""
    shown = _first(pairs.sources)
    cells: dict[tuple[str, str], int] = {}
    for pair, count in pairs.documents.items():
        a, b = (source if source in shown else _REST for source in pair)
        cells[a, b] = cells.get((a, b), 0) + count
    lines = [source for source in shown if any(source == a for a, _ in cells)]
    columns = [source for source in shown if any(source == b for _, b in cells)]
    most = max(cells.values(), default=1)
    rows, shades = [], []
    for a in lines:
        counts = [cells.get((a, b), 0) for b in columns]
        rows.append((a, *(number(count) if count else "·" for count in counts)))
        shades.append([None, *(count / most for count in counts)])
    table = Table(
        "Duplicates between sources (documents)", ("Documents of ↓ in →", *columns), rows,
        shades=shades, drawing="source-pairs",
        note="Documents of the row's source that repeat one of the column's source. A document "
        "that repeats several sources counts for each of them.",
    )  # fmt: skip
    return Section("Duplicates between sources", [table])


def _first(names: list[str]) -> list[str]:
    """Return the first names, and one for the rest."""
    return names if len(names) <= MOST_SOURCES else [*names[: MOST_SOURCES - 1], _REST]
