"""Corpus statistics laid out for readers: aligned text or Markdown tables."""

from __future__ import annotations

from norcli.corpus.statistics import (
    BINS,
    GROUPINGS,
    NOT_STATED,
    CorpusStatistics,
    Counts,
)

_TITLES = {
    "lang": "Language", "source": "Source", "source_group": "Source group", "license": "Licence",
}  # fmt: skip
_SHARES = {
    "norwegian": "Norwegian portion (Bokmål, Nynorsk, Sámi) of all",
    "nynorsk_of_norwegian": "Nynorsk of the Norwegian portion",
    "sami_of_norwegian": "Sámi of the Norwegian portion",
    "copyrighted": "Copyrighted, of what states it",
}
_BAR = 32


def format_statistics(statistics: CorpusStatistics, form: str) -> str:
    """Return the report as ``text`` or ``markdown``.

    The tables: everything, then by language, source, source group (the report's Table 2) and
    licence where records state them, the shares of its Figure 1, and a histogram of lengths.
    """
    tables = [_counts_table(statistics, "Corpus", {"all": statistics.total})]
    for name in GROUPINGS:
        groups = statistics.groups[name]
        if set(groups) - {NOT_STATED}:
            tables.append(_counts_table(statistics, _TITLES[name], groups))
    shares: list[tuple[str, ...]] = [("Share of " + statistics.unit, "")]
    shares += [
        (label, f"{value:.3%}" if value is not None else "not stated")
        for label, value in ((_SHARES[key], v) for key, v in statistics.shares().items())
    ]
    tables.append(shares)
    tables.append(_histogram(statistics))
    return "\n".join(_markdown(t) if form == "markdown" else _text(t) for t in tables)


def _counts_table(
    statistics: CorpusStatistics, title: str, groups: dict[str, Counts]
) -> list[tuple[str, ...]]:
    """Return the rows of one grouping, the heading first."""
    with_tokens = statistics.unit == "tokens"
    heading = [title, "documents", "words", "bytes"]
    heading += ["sentences"] if statistics.has_sentences else []
    heading += ["tokens"] if with_tokens else []
    rows: list[tuple[str, ...]] = [(*heading, "words/doc", "share")]
    whole = max(statistics.amount(statistics.total), 1)
    for key, counts in statistics.ranked(groups):
        numbers = [counts.documents, counts.words, counts.bytes]
        numbers += [counts.sentences] if statistics.has_sentences else []
        numbers += [counts.tokens] if with_tokens else []
        share = f"{statistics.amount(counts) / whole:.2%}"
        rows.append((key, *map(_number, numbers), f"{counts.mean_words:.1f}", share))
    return rows


def _histogram(statistics: CorpusStatistics) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("Length in words", "documents", "")]
    most = max(1, *statistics.histogram)
    for k, count in enumerate(statistics.histogram):
        upper = f"–{_number(BINS[k + 1] - 1)}" if k + 1 < len(BINS) else " and more"
        bar = "#" * round(_BAR * count / most)
        rows.append((f"{_number(BINS[k])}{upper}", _number(count), bar))
    return rows


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _text(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            # Names and bars stand left, numbers right.
            cell.ljust(width) if k == 0 or "#" in cell else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _markdown(rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" + "|--:" * (len(rows[0]) - 1) + "|"]
    lines += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows[1:]
    ]
    return "\n".join(lines) + "\n"
