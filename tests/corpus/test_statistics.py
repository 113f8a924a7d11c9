"""Statistics count what is there and lay out the report's shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from norcli.console import Console
from norcli.corpus.options import StatsOptions
from norcli.corpus.report import format_statistics
from norcli.corpus.statistics import BINS, CorpusStatistics, collect_statistics


def collect(tmp_path: Path, *records: dict[str, Any], **more: Any) -> CorpusStatistics:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return collect_statistics(StatsOptions(inputs=[str(file)], **more), Console.silent())


RECORDS: list[dict[str, Any]] = [
    {
        "text": "en to tre. Fire fem.",
        "lang": "nob",
        "source_group": "Common Crawl",
        "copyrighted": True,
    },
    {"text": "ein to tre", "lang": "nno", "source_group": "National Library", "copyrighted": False},
    {"text": "okta guokte", "lang": "sme", "source_group": "National Library"},
    {"text": "one two three four five six seven eight nine ten", "lang": "eng"},
]


def test_counts_by_group(tmp_path: Path) -> None:
    statistics = collect(tmp_path, *RECORDS, sentences=True)
    total = statistics.total
    assert (total.documents, total.words, total.sentences) == (4, 20, 5)
    assert total.bytes == sum(len(record["text"].encode()) for record in RECORDS)
    groups = statistics.groups["source_group"]
    assert {name: counts.documents for name, counts in groups.items()} == {
        "Common Crawl": 1, "National Library": 2, "not stated": 1,
    }  # fmt: skip
    assert statistics.groups["lang"]["eng"].mean_words == 10


def test_shares_are_of_the_norwegian_portion_and_of_what_is_stated(tmp_path: Path) -> None:
    shares = collect(tmp_path, *RECORDS).shares()
    assert shares == {
        "norwegian": 0.5,
        "nynorsk_of_norwegian": 0.3,
        "sami_of_norwegian": 0.2,
        "copyrighted": 5 / 8,
    }
    assert collect(tmp_path).shares() == dict.fromkeys(shares)


def test_histogram_counts_every_document_once(tmp_path: Path) -> None:
    lengths = [0, 1, 49, 50, 99, 100, 9_999, 10_000, 50_000]
    statistics = collect(tmp_path, *[{"text": "a " * n} for n in lengths])
    counted = dict(zip(BINS, statistics.histogram, strict=True))
    assert counted == {0: 3, 50: 2, 100: 1, 200: 0, 500: 0, 1000: 0, 2000: 0, 5000: 1, 10_000: 2}


def test_json_holds_the_groups_and_leaves_out_what_was_not_counted(tmp_path: Path) -> None:
    data = collect(tmp_path, *RECORDS).as_dict()
    assert data["total"] == {"documents": 4, "words": 20, "bytes": 89, "mean_words": 5.0}
    assert list(data["lang"]) == ["eng", "nob", "nno", "sme"]
    assert data["shares"]["nynorsk_of_norwegian"] == 0.3
    assert data["shares_of"] == "words"


def test_reports_show_groups_that_are_stated(tmp_path: Path) -> None:
    statistics = collect(tmp_path, *RECORDS)
    text = format_statistics(statistics, "text")
    rows = [line.split() for line in text.splitlines()]
    assert ["National", "Library", "2", "5", "21", "2.5", "25.00%"] in rows
    assert "Licence" not in text
    assert "Nynorsk of the Norwegian portion" in text and "30.000%" in text
    markdown = format_statistics(statistics, "markdown")
    assert "| nob | 1 | 5 | 20 | 5.0 | 25.00% |" in markdown
    tables = [block.splitlines() for block in markdown.strip().split("\n\n")]
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
