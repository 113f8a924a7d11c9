"""The report on a corpus: the NorwAI report's Table 2 and Figure 1, then everything in detail.

Turns counts into sections of tables and charts (`norcli.corpus.layout`); which form they take is
decided elsewhere. A section is left out where no record has its field.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from norcli.corpus.figures import copyright_chart, group_chart, shares_table, table_2, variety_chart
from norcli.corpus.funnel import format_bytes
from norcli.corpus.layout import Chart, Report, Section, Series, Table, number, percent
from norcli.corpus.run_tables import funnel_section, pairs_section
from norcli.corpus.runs import Runs
from norcli.corpus.source_groups import canonical_group, groups_in_order
from norcli.corpus.statistics import BINS, NOT_STATED, CorpusStatistics, Counts

MOST_ROWS = 40
MOST_YEARS = 30
_TITLES = {
    "source_group": "Source groups", "source": "Sources", "lang": "Languages",
    "license": "Licences", "doc_type": "Document types",
}  # fmt: skip


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made of.

    Attributes:
        statistics: Counts of one or several corpora.
        runs: What crawl-filter and dedup told, with the duplicates between sources.
        title: Title of the report.
        beside_report: Whether the NorwAI report's own corpora are shown as well.
    """

    statistics: CorpusStatistics
    runs: Runs
    title: str = "Corpus statistics"
    beside_report: bool = False


def build_report(inputs: ReportInputs) -> Report:
    """Lay out everything there is to tell."""
    statistics = inputs.statistics
    sections = [_overview(statistics)]
    if statistics.states("source_group") or inputs.beside_report:
        sections.append(_sources_section(statistics, inputs.beside_report))
    sections.append(_figure_1(statistics, inputs.beside_report))
    sections += [
        _grouping(statistics, field, title)
        for field, title in _TITLES.items()
        if statistics.states(field)
    ]
    if statistics.states("year"):
        sections.append(_years(statistics))
    sections.append(_lengths(statistics))
    if inputs.runs.rules():
        sections.append(funnel_section(inputs.runs, statistics.total.documents))
    if inputs.runs.pairs.documents:
        sections.append(pairs_section(inputs.runs.pairs))
    return Report(inputs.title, _summary(statistics), sections)


def _summary(statistics: CorpusStatistics) -> list[tuple[str, str]]:
    total = statistics.total
    summary = [("documents", number(total.documents)), ("words", number(total.words))]
    if statistics.has_sentences:
        summary.append(("sentences", number(total.sentences)))
    if statistics.has_tokens:
        summary.append(("tokens", number(total.tokens)))
        summary.append(("tokens per word", f"{total.tokens / max(total.words, 1):.2f}"))
    return [*summary, ("text", format_bytes(total.bytes))]


def _overview(statistics: CorpusStatistics) -> Section:
    groups = statistics.by("corpus")
    if groups.keys() <= {NOT_STATED}:
        groups = {"all": statistics.total}
    elif len(groups) > 1:
        groups = {name: groups[name] for name in statistics.corpora} | {"all": statistics.total}
    table = _counts_table(statistics, "Corpus", "Corpus", groups)
    return Section("Overview", [table])


def _sources_section(statistics: CorpusStatistics, beside_report: bool) -> Section:
    return Section("Data sources", [table_2(statistics, beside_report)])


def _figure_1(statistics: CorpusStatistics, beside_report: bool) -> Section:
    items: list[Table | Chart] = []
    if statistics.states("source_group"):
        items.append(group_chart(statistics))
    if statistics.states("copyrighted"):
        items.append(copyright_chart(statistics))
    if statistics.states("lang"):
        items.append(variety_chart(statistics))
    items.append(shares_table(statistics, beside_report))
    return Section("Shares", items)


def _grouping(statistics: CorpusStatistics, field: str, title: str) -> Section:
    """Return the table of one field, and for languages how they spread over source groups."""
    groups = _shortened(statistics.by(field))
    items: list[Table | Chart] = [_counts_table(statistics, title, title[:-1], groups)]
    shown = {name: counts for name, counts in groups.items() if statistics.amount(counts)}
    if field in ("lang", "source") and shown:
        items.append(_bars(statistics, title, title.lower(), shown))
    if field == "lang" and statistics.states("source_group"):
        items.append(_language_by_group(statistics))
    return Section(title, items)


def _shortened(groups: dict[str, Counts]) -> dict[str, Counts]:
    """Return the largest groups, and the sum of the rest."""
    if len(groups) <= MOST_ROWS:
        return groups
    names = list(groups)
    rest = [groups[name] for name in names[MOST_ROWS - 1 :]]
    summed = sum(rest, Counts())
    kept = {name: groups[name] for name in names[: MOST_ROWS - 1]}
    return kept | {f"{len(rest)} more": summed}


def _counts_table(
    statistics: CorpusStatistics, title: str, heading: str, groups: dict[str, Counts]
) -> Table:
    """Return the table of one grouping: documents, words, bytes, words a document, share."""
    headings = [heading, "Documents", "Words"]
    headings += ["Sentences"] if statistics.has_sentences else []
    headings += ["Tokens"] if statistics.has_tokens else []
    headings += ["Text", "Words/doc", f"Share of {statistics.unit}"]
    whole = max(statistics.amount(statistics.total), 1)
    rows: list[tuple[str, ...]] = []
    for name, counts in groups.items():
        numbers = [counts.documents, counts.words]
        numbers += [counts.sentences] if statistics.has_sentences else []
        numbers += [counts.tokens] if statistics.has_tokens else []
        rows.append((
            name, *map(number, numbers), format_bytes(counts.bytes), number(counts.mean_words, 1),
            percent(statistics.amount(counts) / whole),
        ))  # fmt: skip
    bars = [statistics.amount(counts) / whole for counts in groups.values()]
    return Table(title, tuple(headings), rows, bars=bars)


def _bars(statistics: CorpusStatistics, title: str, name: str, groups: dict[str, Counts]) -> Chart:
    amounts = tuple(float(statistics.amount(counts)) for counts in groups.values())
    whole = max(statistics.amount(statistics.total), 1)
    labels = tuple(percent(amount / whole) for amount in amounts)
    series = (Series(title, amounts),)
    return Chart(name, title, tuple(groups), series, labels, statistics.unit, has_table=True)


def _language_by_group(statistics: CorpusStatistics) -> Table:
    """Return the amounts by language and source group, shaded by share of the language."""
    found = statistics.by("source_group")
    names = groups_in_order(found, NOT_STATED)
    members: dict[str, Collection[str]] = {
        name: {raw for raw in found if canonical_group(raw) == name} for name in names
    }
    rows, shades = [], []
    for lang in _shortened(statistics.by("lang")):
        if lang.endswith(" more"):
            continue
        amounts = [
            statistics.amount(statistics.count(lang={lang}, source_group=members[name]))
            for name in names
        ]
        whole = max(sum(amounts), 1)
        rows.append((lang, *map(number, amounts), number(sum(amounts))))
        shades.append([None, *(amount / whole for amount in amounts), None])
    title = f"Languages by source group ({statistics.unit})"
    headings = ("Language", *names, "All")
    return Table(title, headings, rows, shades=shades, drawing="languages-by-group")


def _years(statistics: CorpusStatistics) -> Section:
    """Return counts by year, or by decade where there are many years, oldest first."""
    by_year = statistics.by("year")
    years = sorted(name for name in by_year if name.isdigit())
    rest = [name for name in by_year if not name.isdigit()]
    by_decade = len(years) > MOST_YEARS
    title, heading = ("Decades", "Decade") if by_decade else ("Years", "Year")
    members: dict[str, list[str]] = {}
    for name in years:
        members.setdefault(f"{name[:3]}0s" if by_decade else name, []).append(name)
    members |= {name: [name] for name in rest}
    groups = {name: statistics.count(year=names) for name, names in members.items()}
    dated = {name: counts for name, counts in groups.items() if name[:1].isdigit()}
    items: list[Table | Chart] = [_counts_table(statistics, title, heading, groups)]
    if len(dated) > 1:
        amounts = tuple(float(statistics.amount(counts)) for counts in dated.values())
        labels = tuple(number(counts.documents) for counts in dated.values())
        items.append(Chart(
            title.lower(), title, tuple(dated), (Series(title, amounts),), labels,
            statistics.unit, note="Labels are documents.", upright=True, has_table=True,
        ))  # fmt: skip
    return Section(title, items)


def _lengths(statistics: CorpusStatistics) -> Section:
    histogram = statistics.histogram()
    last = max((k for k, count in enumerate(histogram) if count), default=0)
    bins = range(last + 1)
    names = tuple(
        f"{number(BINS[k])}–{number(BINS[k + 1] - 1)}" if k + 1 < len(BINS) else
        f"{number(BINS[k])} and more" for k in bins
    )  # fmt: skip
    labels = tuple(number(histogram[k]) for k in bins)
    values = tuple(float(histogram[k]) for k in bins)
    chart = Chart("lengths", "Documents by length in words", names,
                  (Series("documents", values),), labels, "documents", upright=True)  # fmt: skip
    return Section("Lengths", [chart])
