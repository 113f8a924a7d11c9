"""The report's own layouts, and every form the report comes in."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from planted_corpora import TABLE_2, records, write

from norcli.cli.report_text import report_text
from norcli.console import Console
from norcli.corpus.counting import count_corpus
from norcli.corpus.figures import table_2
from norcli.corpus.html_report import to_html
from norcli.corpus.layout import Report, Scale, Table, number, percent, to_markdown
from norcli.corpus.plots import draw_charts
from norcli.corpus.report import ReportInputs, build_report
from norcli.corpus.report_json import report_data
from norcli.corpus.report_options import StatsOptions
from norcli.corpus.runs import Runs, read_runs
from norcli.corpus.source_pairs import MarkedDuplicates, mark_of
from norcli.corpus.statistics import CorpusStatistics


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> CorpusStatistics:
    """Counts of the planted corpora."""
    path = write(tmp_path_factory.mktemp("planted") / "corpora.jsonl", records())
    return count_corpus(StatsOptions(inputs=[path]), Console.silent())[0]


def report_of(statistics: CorpusStatistics, runs: Runs | None = None, **more: Any) -> Report:
    return build_report(ReportInputs(statistics, runs or Runs(), **more))


def test_table_2_has_the_digits_of_the_report(statistics: CorpusStatistics) -> None:
    table = table_2(statistics)
    assert table.title == "Table 2: data sources (in thousands of words)"
    assert table.headings == (
        "Corpora", "Nasjonalbiblioteket", "Industry Partners", "Common Crawl", "Others",
        "Associated Model(s)",
    )  # fmt: skip
    assert [row[:-1] for row in table.rows] == [
        ("V1", "3.38K", "1.08K", "20.41K", "0.13K"),
        ("V2", "9.45K", "2.22K", "36.00K", "3.33K"),
        ("V3", "21.88K", "5.76K", "51.78K", "8.58K"),
    ]
    assert table.rows[2][-1] == "NorwAI-Magistral-24B"
    assert table.note == "In all: V1 25.00K; V2 51.00K; V3 88.00K."


def test_figure_1_has_the_shares_of_the_report(statistics: CorpusStatistics) -> None:
    data = report_data(ReportInputs(statistics, Runs()))
    assert percent(data["figure_1"]["V1"]["nynorsk_of_norwegian"], 3) == "1.124%"
    assert percent(data["figure_1"]["V3"]["nynorsk_of_norwegian"], 3) == "5.217%"
    assert percent(data["figure_1"]["V1"]["sami_of_norwegian"], 3) == "0.000%"
    # The nearest that whole words in millionths can come to 0.155 %.
    assert data["figure_1"]["V3"]["sami_of_norwegian"] == pytest.approx(136 / 88_000, abs=1e-6)
    for corpus, row in TABLE_2.items():
        assert tuple(data["table_2"][corpus].values()) == row
        share = row[1] / sum(row)
        assert data["figure_1"][corpus]["copyrighted"] == pytest.approx(share, abs=1e-6)


def test_groups_of_ones_own_and_unstated_ones_have_columns(tmp_path: Path) -> None:
    made = [{"text": "a b", "source_group": "Lyric"}, {"text": "c"},
            {"text": "d e f", "source_group": "nasjonalbiblioteket"}]  # fmt: skip
    path = write(tmp_path / "own.jsonl", made)
    counted = count_corpus(StatsOptions(inputs=[path]), Console.silent())[0]
    table = table_2(counted)
    assert table.headings[-2:] == ("Lyric", "not stated")
    assert table.rows == [("This corpus", "3", "0", "0", "0", "2", "1")]


class Balance(HTMLParser):
    """Checks that elements are closed, and collects what they load and say."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def test_html_is_one_file_and_escapes_what_comes_from_the_data(tmp_path: Path) -> None:
    made = [{"text": "a b c", "source": EVIL, "source_group": EVIL, "lang": EVIL, "license": EVIL,
             "corpus": EVIL, "doc_type": EVIL, "copyrighted": True, "date": "2020"}]  # fmt: skip
    path = write(tmp_path / "evil.jsonl", made)
    counted = count_corpus(StatsOptions(inputs=[path]), Console.silent())[0]
    runs = Runs(documents_in=2, documents_out=1)
    runs.dropped[("quality", EVIL)] = 1
    runs.pairs.documents[(EVIL, "b")] = 1
    page = to_html(report_of(counted, runs, title=EVIL))
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert not parser.tags & {"script", "img", "link", "iframe", "object"}
    assert not [name for name, _ in parser.attributes if name.startswith("on")]
    assert {value for name, value in parser.attributes if name == "href"} <= {
        f"#s{k}" for k in range(20)
    }
    assert not re.search(r"https?:|url\(|@import", page)
    assert EVIL in "".join(parser.text)


def test_html_has_every_number_of_the_tables(statistics: CorpusStatistics) -> None:
    report = report_of(statistics)
    parser = Balance()
    parser.feed(to_html(report))
    said = set(parser.text)
    for section in report.sections:
        for item in section.items:
            if isinstance(item, Table):
                assert {cell for row in item.rows for cell in row if cell} <= said
    assert "prefers-color-scheme:dark" in to_html(report) and "@media print" in to_html(report)


def test_markdown_tables_are_whole_and_escaped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": "a", "source": "x|y\n*z*", "lang": "nob"}])
    counted = count_corpus(StatsOptions(inputs=[path]), Console.silent())[0]
    markdown = to_markdown(report_of(counted))
    assert "x\\|y \\*z\\*" in markdown
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 4
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    drawn = to_markdown(report_of(counted), "figures/{}.svg")
    assert "![Figure 1 B: Nynorsk and Sámi](figures/figure-1b.svg)" in drawn


def test_text_in_a_pipe_has_no_escape_codes_and_fits_a_terminal(
    statistics: CorpusStatistics,
) -> None:
    report = report_of(statistics)
    plain = report_text(report, None, color=False)
    assert "\x1b" not in plain
    assert ["V3", "21.88K", "5.76K", "51.78K", "8.58K", "NorwAI-Magistral-24B"] in [
        line.split() for line in plain.splitlines()
    ]
    narrow = report_text(report, 70, color=False)
    assert max(map(len, narrow.splitlines())) <= 70
    assert "\x1b[" in report_text(report, 100, color=True)


def test_drawings_are_the_same_each_time(statistics: CorpusStatistics, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = Runs()
    runs.pairs.documents.update({("oscar", "mc4"): 7, ("mc4", "oscar"): 5, ("mc4", "mc4"): 2})
    report = report_of(statistics, runs)
    for name in ("one", "two"):
        files = draw_charts(report, str(tmp_path / name), ["svg", "png", "pdf"], overwrite=False)
    assert sorted(files) == sorted(file.name for file in (tmp_path / "one").iterdir())
    assert {"figure-1a.svg", "figure-1b.png", "lengths.pdf", "source-pairs.svg"} <= set(files)
    for file in files:
        first, second = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert first == second, file
    words = (tmp_path / "one" / "figure-1a.svg").read_text(encoding="utf-8")
    ET.fromstring(words)
    assert "Nasjonalbiblioteket" in words and "88.00K" in words


def test_numbers_are_written_as_in_the_report() -> None:
    assert Scale.of([51.78e9, 0.13e9]).number(0.13e9) == "0.13B"
    assert Scale.of([999]).number(12) == "12"
    assert Scale.of([2.5e12]).of_unit("tokens") == "trillions of tokens"
    assert number(1234567) == "1 234 567"
    assert (percent(0.05217, 3), percent(None)) == ("5.217%", "not stated")


def test_marked_duplicates_give_pairs_wherever_they_stand() -> None:
    def marked(name: str, source: str, role: str, cluster: str) -> dict[str, Any]:
        return {"id": name, "source": source, "dedup_role": role, "dedup_cluster_id": cluster}

    made = [
        marked("a", "oscar", "duplicate", "s"), marked("s", "mc4", "survivor", "s"),
        marked("b", "mc4", "duplicate", "s"), marked("c", "hplt", "duplicate", "elsewhere"),
        marked("u", "hplt", "unique", "u"),
    ]  # fmt: skip
    duplicates = MarkedDuplicates()
    for record in made:
        mark = mark_of(record, record["source"])
        duplicates.add([] if mark is None else [mark])
    assert dict(duplicates.pairs().documents) == {
        ("oscar", "mc4"): 1, ("mc4", "mc4"): 2, ("mc4", "oscar"): 2,
    }  # fmt: skip


def test_marks_give_the_pairs_that_dedup_counts(examples: Path, tmp_path: Path) -> None:
    from norcli.dedup.options import DedupOptions
    from norcli.dedup.pipeline import run_dedup

    marked, made = tmp_path / "marked.jsonl", []
    for count, line in enumerate((examples / "crawl" / "mc4.jsonl").read_text().splitlines()):
        record = json.loads(line)
        made += [record | {"source": "mc4"}] * 2 + [record | {"source": "oscar"}] * (count % 3)
    options = DedupOptions(inputs=[write(tmp_path / "in.jsonl", made)], mark=True,
                           output=str(marked))  # fmt: skip
    told = run_dedup(options, Console.silent()).as_dict()["source_pairs"]
    _, duplicates = count_corpus(StatsOptions(inputs=[str(marked)]), Console.silent())
    pairs = duplicates.pairs().documents
    assert {(row["a"], row["b"]): row["documents"] for row in told} == dict(pairs)
    assert pairs["mc4", "oscar"] > pairs["oscar", "mc4"] > 0


def test_runs_of_shards_add_up_and_rejects_alone_make_a_funnel(tmp_path: Path) -> None:
    one = {
        "documents_in": 10,
        "documents_out": 6,
        "dropped": [{"stage": "quality", "reason": "min_words", "documents": 4, "bytes": 9}],
    }
    dedup = {"records_in": 12, "records_out": 11, "dropped_exact": 1, "dropped_minhash": 0,
             "source_pairs": [{"a": "x", "b": "y", "documents": 1}]}  # fmt: skip
    filtered, deduplicated = tmp_path / "filter.json", tmp_path / "dedup.json"
    filtered.write_text(json.dumps(one))
    deduplicated.write_text(json.dumps(dedup))
    runs = read_runs([str(deduplicated), str(filtered), str(filtered)], [], Console.silent())
    assert (runs.documents_in, runs.documents_out) == (20, 11)
    assert runs.rules() == [("quality", "min_words", 8), ("dedup", "exact", 1)]
    assert runs.pairs.documents == {("x", "y"): 1}
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text('{"text": "a", "dropped_by": "language"}\n' * 3)
    runs = read_runs([], [str(rejects)], Console.silent())
    assert runs.rules() == [("language", "language", 3)]


def test_many_sources_are_shortened_in_tables_and_whole_in_json(tmp_path: Path) -> None:
    made = [{"text": "o " * (k + 1), "source": f"s{k}"} for k in range(60)]
    path = write(tmp_path / "many.jsonl", made)
    counted = count_corpus(StatsOptions(inputs=[path]), Console.silent())[0]
    table = next(
        item
        for section in report_of(counted).sections
        for item in section.items
        if item.title == "Sources"
    )
    assert isinstance(table, Table)
    assert len(table.rows) == 40
    assert table.rows[-1][:3] == ("21 more", "21", number(sum(range(1, 22))))
    assert len(report_data(ReportInputs(counted, Runs()))["source"]) == 60
