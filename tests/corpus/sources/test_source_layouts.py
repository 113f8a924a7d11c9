"""Every layout becomes flat records with text and provenance; fixtures and their source: README."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from norcli.console import Console
from norcli.corpus.options import LAYOUTS as WORDS
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.detection import LAYOUTS, RECORDS, find_layout
from norcli.corpus.sources.fields import flatten, iso_date, made_id, shares, take_out
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.reader import read_units
from norcli.formats.bad_records import BadRecords, FaultList

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "layouts"
EXPECTED = FIXTURES / "expected.jsonl"
FILES = sorted(p.name for p in FIXTURES.iterdir() if p.name not in ("README.md", EXPECTED.name))


def read(*paths: Path | str, **more: Any) -> list[RawDocument]:
    options = CrawlFilterOptions(inputs=[str(path) for path in paths], **more)
    bad = BadRecords(options, Console.silent())
    units = read_units(options, Console.silent(), bad)
    documents = []
    for unit in units:
        # As a worker does it: the unit travels, and its faults come back.
        faults = FaultList()
        documents += list(pickle.loads(pickle.dumps(unit)).documents(options, faults))
        bad.replay(faults)
    assert bad.count == 0
    return documents


def as_json(name: str, document: RawDocument) -> dict[str, Any]:
    return {"file": name, "line": document.place.line, "fault": document.fault,
            "text": document.text, "fields": document.fields}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_layouts_become_the_expected_records(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    found = [as_json(name, document) for document in read(name)]
    if os.environ.get("NORCLI_CASES_UPDATE") == "1":
        kept = [item for item in map(json.loads, EXPECTED.open("rb")) if item["file"] != name]
        items = sorted(kept + found, key=lambda item: item["file"])
        lines = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items]
        EXPECTED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    expected = map(json.loads, EXPECTED.read_text(encoding="utf-8").splitlines())
    assert found == [item for item in expected if item["file"] == name]


@pytest.mark.parametrize("name", FILES)
def test_records_are_flat_and_say_where_they_come_from(name: str) -> None:
    for document in read(FIXTURES / name):
        assert {"source", "source_group", "copyrighted", "id"} <= document.fields.keys()
        for key, value in document.fields.items():
            assert isinstance(value, (str, int, float, bool)), key
            assert "." not in key
        assert (document.text is None) == (document.fault is not None)


def test_culturax_is_read_from_parquet_and_hplt_from_zst(tmp_path: Path) -> None:
    for name in ("culturax", "hplt2"):
        lines = (FIXTURES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
        packed = zstandard.compress("\n".join(lines).encode())
        (tmp_path / f"{name}.jsonl.zst").write_bytes(packed)
        expected = [(d.fields, d.text) for d in read(FIXTURES / f"{name}.jsonl")]
        for path in (tmp_path / f"{name}.parquet", tmp_path / f"{name}.jsonl.zst"):
            assert [(d.fields, d.text) for d in read(path)] == expected


def test_reddit_dumps_with_a_long_window_are_read(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31)
    data = (FIXTURES / "reddit-comments.jsonl").read_bytes()
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    (tmp_path / "RC_2017-10.zst").write_bytes(packed)
    assert [d.fault for d in read(tmp_path / "RC_2017-10.zst")] == [None, "deleted"]


def test_flags_come_before_what_a_layout_supposes() -> None:
    (document, *_) = read(FIXTURES / "mc4.jsonl", source="annet", license="CC0-1.0")
    assert "source" not in document.fields and "license" not in document.fields
    assert document.fields["source_group"] == "Common Crawl"
    (subtitles,) = read(FIXTURES / "program.vtt", source_group="Others")
    assert "source_group" not in subtitles.fields


def test_records_as_they_stand_stay_as_they_are() -> None:
    lines = (FIXTURES / "mc4.jsonl").read_text(encoding="utf-8").splitlines()
    as_they_stand = [{k: v for k, v in json.loads(line).items() if k != "text"} for line in lines]
    assert [d.fields for d in read(FIXTURES / "mc4.jsonl", layout=RECORDS)] == as_they_stand
    documents = read(FIXTURES / "oscar-23.jsonl", text_key="content")
    assert documents[0].fields.keys() == {"warc_headers", "metadata"}


def test_what_crawl_filter_writes_is_no_layout_any_more() -> None:
    for name in FILES:
        for document in read(FIXTURES / name):
            record = {"text": document.text or "x", **document.fields, "lang": "nob"}
            assert find_layout("auto", "out.jsonl", record) is None, name


def test_the_words_of_the_option_are_the_layouts() -> None:
    assert set(WORDS) == {"auto", RECORDS} | {layout.name for layout in LAYOUTS}


def test_a_record_of_another_layout_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text((FIXTURES / "oscar-23.jsonl").read_text() + '{"content": 5}\n')
    options = CrawlFilterOptions(inputs=[str(path)])
    faults = FaultList()
    (unit,) = read_units(options, Console.silent(), BadRecords(options, Console.silent()))
    assert len(list(unit.documents(options, faults))) == 1
    ((error, is_damage),) = faults.faults
    assert not is_damage and error.line == 2
    assert error.message == 'layout oscar: field "content|text" is missing or not text'
    assert error.hint is not None and "--layout" in error.hint


def test_exact_copies_at_two_addresses_have_two_ids() -> None:
    first, second = read(FIXTURES / "mc4.jsonl")
    assert first.text == second.text
    assert first.fields["id"] != second.fields["id"]
    assert made_id("a", None) == made_id("a", "") != made_id("a", "b")


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2019-02-18T00:03:13Z", "2019-02-18"), ("2013/05/18 10:42:37", "2013-05-18"),
        (1506816000, "2017-10-01"), ("1506816001", "2017-10-01"), (2021, "2021"), ("1998", "1998"),
        ("Thu Jun 16 17:33:23 +0000 2016", "2016-06-16"),
        ("Tue, 15 Nov 1994 12:45:26 GMT", "1994-11-15"),
        ("2019-13-40", None), ("i går", None), (None, None), (True, None), (-5, None),
        (1e300, None), ([], None), ("", None),
    ],
)  # fmt: skip
def test_dates_become_iso(value: Any, day: str | None) -> None:
    assert iso_date(value) == day


def test_nesting_is_flattened_and_own_names_are_kept_free() -> None:
    record = {"a": {"b-c": 1, "d.e": [1, 2]}, "quality_x": 3, "lang_score": 0.5, "n": None,
              "m": [{"x": 1}], "e": [], "s": ""}  # fmt: skip
    assert flatten(record) == {
        "a_b_c": 1, "a_d_e": "1, 2", "source_quality_x": 3, "source_lang_score": 0.5,
        "m": '[{"x":1}]',
    }  # fmt: skip
    assert take_out(record, "z|a.b-c") == 1 and record["a"] == {"d.e": [1, 2]}
    assert shares(["nob", None, "eng", "nob"]) == "nob 0.67, eng 0.33"
