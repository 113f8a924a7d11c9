"""The NorwAI report's own layouts: Table 2, Figure 1 A and B, and the shares its text gives.

Table 2 has a row for each corpus and a column for each source group; Figure 1 A shows totals by
group and how much is copyrighted, B the Nynorsk and Sámi of the Norwegian portion.
"""

from __future__ import annotations

from collections.abc import Collection

from norcli.corpus.layout import Chart, Scale, Series, Table, percent
from norcli.corpus.recipe import SHIPPED, Recipe, load_recipe
from norcli.corpus.source_groups import GROUPS, canonical_group, groups_in_order
from norcli.corpus.statistics import NOT_STATED, SAMI, CorpusStatistics, Counts

_SHARES = {
    "norwegian": "Norwegian of all",
    "nynorsk_of_norwegian": "Nynorsk of Norwegian",
    "sami_of_norwegian": "Sámi of Norwegian",
    "copyrighted": "Copyrighted",
    "copyright_stated": "Copyright stated",
}


def corpus_name(name: str) -> str:
    """Return a corpus's name as tables show it."""
    return "This corpus" if name == NOT_STATED else name


def amounts_by_group(statistics: CorpusStatistics) -> dict[str, dict[str, int]]:
    """Return corpus → source group of Table 2 → tokens (or words).

    The report's four groups come first, then groups of the corpus's own; "not stated" is last.
    """
    amounts: dict[str, dict[str, int]] = {}
    for corpus in statistics.corpora:
        row = amounts.setdefault(corpus, dict.fromkeys(GROUPS, 0))
        for name, counts in statistics.by("source_group", corpus={corpus}).items():
            group = canonical_group(name)
            row[group] = row.get(group, 0) + statistics.amount(counts)
    return amounts


def recipe_of(corpus: str) -> Recipe | None:
    """Return the shipped recipe of a corpus of the report, by either of its names."""
    for short in SHIPPED:
        if corpus.lower() in (short, f"norllm_corpus_{short}"):
            return load_recipe(short)
    return None


def table_2(statistics: CorpusStatistics, beside_report: bool = False) -> Table:
    """Return the corpora by source groups, laid out as the report's Table 2."""
    amounts = amounts_by_group(statistics)
    groups = groups_in_order([*GROUPS, *(g for row in amounts.values() for g in row)], NOT_STATED)
    scale = Scale.of([sum(row.values()) for row in amounts.values()])
    recipes = [load_recipe(short) for short in SHIPPED] if beside_report else []
    models = {corpus: recipe_of(corpus) for corpus in amounts}
    with_models = bool(recipes) or any(models.values())
    rows: list[tuple[str, ...]] = []
    for recipe in recipes:
        by_name = {part.name: part.value for part in recipe.parts}
        cells = [Scale.of([1e9]).number(by_name[g]) if g in by_name else "–" for g in groups]
        rows.append((recipe.name, *cells, str(recipe.notes["models"])))
    for corpus, row in amounts.items():
        recipe_or_none = models[corpus]
        model = "–" if recipe_or_none is None else str(recipe_or_none.notes["models"])
        cells = [scale.number(row.get(group, 0)) for group in groups]
        rows.append((corpus_name(corpus), *cells, *([model] if with_models else [])))
    headings = ("Corpora", *groups, *(["Associated Model(s)"] if with_models else []))
    totals = "; ".join(
        f"{corpus_name(corpus) + ' ' if len(amounts) > 1 else ''}{scale.number(sum(row.values()))}"
        for corpus, row in amounts.items()
    )
    unit = scale.of_unit(statistics.unit)
    note = f"In all: {totals}." if amounts else ""
    if recipes:
        note += " NorLLM_Corpus_V1 to V3 as the NorwAI report gives them, in billions of tokens."
    return Table(
        f"Table 2: data sources (in {unit})", headings, rows, last_left=with_models,
        note=note.strip(), spanner=("Data Sources", 1, len(groups)),
    )  # fmt: skip


def group_chart(statistics: CorpusStatistics) -> Chart:
    """Return Figure 1 A: totals of the corpora by source group."""
    amounts = amounts_by_group(statistics)
    found = [group for row in amounts.values() for group in row]
    scale = Scale.of([sum(row.values()) for row in amounts.values()])
    series = tuple(
        Series(group, tuple(float(row.get(group, 0)) for row in amounts.values()), colour)
        for colour, group in enumerate(groups_in_order(found, NOT_STATED))
    )
    labels = tuple(scale.number(sum(row.values())) for row in amounts.values())
    return Chart(
        "figure-1a", "Figure 1 A: totals by source group", tuple(map(corpus_name, amounts)),
        series, labels, statistics.unit,
    )  # fmt: skip


def copyright_chart(statistics: CorpusStatistics) -> Chart:
    """Return Figure 1 A's other half: how much of each corpus is copyrighted."""
    names = statistics.corpora
    amounts = [statistics.by("copyrighted", corpus={name}) for name in names]

    def values(stated: str) -> tuple[float, ...]:
        return tuple(float(statistics.amount(row.get(stated, Counts()))) for row in amounts)

    series = [
        Series("copyrighted", values("yes"), 4), Series("not copyrighted", values("no"), 2),
    ]  # fmt: skip
    if any(NOT_STATED in row for row in amounts):
        series.append(Series(NOT_STATED, values(NOT_STATED), 5))
    labels = [percent(statistics.shares(corpus={name})["copyrighted"]) for name in names]
    return Chart(
        "figure-1a-copyright", "Figure 1 A: copyrighted text", tuple(map(corpus_name, names)),
        tuple(series), tuple(labels), statistics.unit,
        note="Shares: copyrighted, of the text that says whether it is.",
    )  # fmt: skip


def variety_chart(statistics: CorpusStatistics) -> Chart:
    """Return Figure 1 B: Nynorsk and Sámi, with their shares of the Norwegian portion."""
    categories, values, shares = [], [], []
    varieties: list[tuple[str, Collection[str], str]] = [
        ("Nynorsk", ("nno",), "nynorsk_of_norwegian"), ("Sámi", SAMI, "sami_of_norwegian"),
    ]  # fmt: skip
    for title, languages, share in varieties:
        for corpus in statistics.corpora:
            where = {"corpus": {corpus}}
            counts = statistics.count(lang=languages, **where)
            name = f"{title}, {corpus_name(corpus)}" if len(statistics.corpora) > 1 else title
            categories.append(name)
            values.append(float(statistics.amount(counts)))
            shares.append(statistics.shares(**where)[share])
    # In the unit of the smallest, as the report has millions here and billions in A.
    scale = Scale.of([min((value for value in values if value), default=0)])
    labels = [f"{scale.number(v)} ({percent(s, 3)})" for v, s in zip(values, shares, strict=True)]
    return Chart(
        "figure-1b", "Figure 1 B: Nynorsk and Sámi", tuple(categories),
        (Series(statistics.unit, tuple(values)),), tuple(labels), statistics.unit,
        note="In brackets: share of the Norwegian portion (Bokmål, Nynorsk, Sámi).",
    )  # fmt: skip


def shares_table(statistics: CorpusStatistics, beside_report: bool = False) -> Table:
    """Return the shares of Figure 1 as numbers, a row for each corpus."""
    found: list[tuple[str, dict[str, float | None]]] = []
    if beside_report:
        found += [(recipe.name, dict(recipe.notes)) for recipe in map(load_recipe, SHIPPED)]
    corpora = statistics.corpora or [NOT_STATED]
    found += [(corpus_name(c), statistics.shares(corpus={c})) for c in corpora]
    rows = [
        (name, *(percent(shares[key], 3) if key in shares else "–" for key in _SHARES))
        for name, shares in found
    ]
    return Table(
        f"Shares of {statistics.unit}", ("Corpora", *_SHARES.values()), rows,
        note="Norwegian is Bokmål, Nynorsk and Sámi. Copyrighted is of the text that says whether "
        "it is.",
    )  # fmt: skip
