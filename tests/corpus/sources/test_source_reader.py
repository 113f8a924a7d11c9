"""Units: alike for any jobs, complete over shards, faults told in their place, memory bounded."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.reader import read_units
from norcli.errors import DataError
from norcli.formats.bad_records import BadRecords, FaultList

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "layouts"


def options(*paths: Path | str, **more: Any) -> CrawlFilterOptions:
    return CrawlFilterOptions(inputs=[str(path) for path in paths], **more)


def read(given_options: CrawlFilterOptions) -> tuple[list[RawDocument], list[tuple[str, bool]]]:
    """Read as workers do; return documents and faults, both in order."""
    documents, told = [], []
    policy = BadRecords(given_options, Console.silent())
    for unit in read_units(given_options, Console.silent(), policy):
        faults = FaultList()
        documents += list(pickle.loads(pickle.dumps(unit)).documents(given_options, faults))
        told += [
            (str(error), is_damage)
            for error, is_damage in pickle.loads(pickle.dumps(faults)).faults
        ]
    return documents, told


def texts(given_options: CrawlFilterOptions) -> list[str | None]:
    return [document.text for document in read(given_options)[0]]


def lines(count: int, size: int = 100) -> bytes:
    records = ({"id": str(k), "text": f"{k} " + "å" * (k % size)} for k in range(count))
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


@pytest.mark.parametrize("jobs", [1, 3])
def test_blocks_are_whole_lines_of_about_a_mebibyte_and_know_their_lines(
    tmp_path: Path, jobs: int
) -> None:
    data = lines(40_000)
    (tmp_path / "a.jsonl").write_bytes(data)
    asked = options(tmp_path / "a.jsonl", jobs=jobs)
    units: list[Any] = list(
        read_units(asked, Console.silent(), BadRecords(asked, Console.silent()))
    )
    assert b"".join(unit.block.data for unit in units) == data
    assert all(unit.block.data.endswith(b"\n") for unit in units)
    assert units[0].size < 300_000 and max(unit.size for unit in units) < 1_500_000
    number = 1
    for unit in units:
        assert unit.block.first_line == number
        number += unit.block.data.count(b"\n")
    documents, told = read(asked)
    assert [d.fields["id"] for d in documents] == [str(k) for k in range(40_000)]
    assert [d.place.line for d in documents] == list(range(1, 40_001)) and told == []


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        zstandard.compress,
        lambda data: gzip.compress(data[:777]) + gzip.compress(data[777:]),
        lambda data: zstandard.compress(data[:777]) + zstandard.compress(data[777:]),
    ],
)
def test_compressed_files_give_the_blocks_of_the_plain_file(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    data = lines(9_000)
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "a.jsonl.x").write_bytes(pack(data))
    plain, packed = options(tmp_path / "a.jsonl"), options(tmp_path / "a.jsonl.x")
    assert texts(packed) == texts(plain)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(
    st.lists(
        st.one_of(
            st.builds(lambda n: json.dumps({"text": "æ" * n}).encode(), st.integers(0, 60)),
            st.sampled_from([b"", b"  ", b"{broken", b'{"text": 5}', b"\xff", b"[1]", b"\0\0"]),
        ),
        max_size=12,
    ),
    st.integers(1, 5),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.booleans(),
)
def test_shards_add_up_with_the_same_faults(
    tmp_path: Path, rows: list[bytes], count: int, mark: bytes, ends: bool
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(mark + b"\n".join(rows) + b"\n" * ends)
    whole = read(options(path))
    parts = [read(options(path, shard=f"{k}/{count}")) for k in range(count)]
    assert [d for part in parts for d in part[0]] == whole[0]
    assert [f for part in parts for f in part[1]] == whole[1]


def test_layouts_and_values_are_told_from_the_beginning_whichever_shard_reads(
    tmp_path: Path,
) -> None:
    mc4 = (FIXTURES / "mc4.jsonl").read_text(encoding="utf-8")
    (tmp_path / "mc4.jsonl").write_text(mc4 * 9, encoding="utf-8")
    (tmp_path / "lines.jsonl").write_bytes((FIXTURES / "segment-lines.jsonl").read_bytes())
    whole = read(options(tmp_path / "mc4.jsonl", tmp_path / "lines.jsonl"))[0]
    parts = [
        read(options(tmp_path / "mc4.jsonl", tmp_path / "lines.jsonl", shard=f"{k}/7"))[0]
        for k in range(7)
    ]
    assert [d for part in parts for d in part] == whole
    assert whole[-1].fields["source"] == "NRK TV" and whole[0].fields["source"] == "mC4"


def test_faults_stand_where_they_were_found(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\nbroken\n{"text": "b"}\n')
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(2000))[:-50])
    (tmp_path / "c.jsonl").write_bytes(b'{"no": 1}\n{"text": "c"}\n')
    asked = options(*(tmp_path / n for n in ("a.jsonl", "b.jsonl.gz", "c.jsonl")))
    documents, told = read(asked)
    assert [d.text for d in documents][:2] == ["a", "b"] and documents[-1].text == "c"
    assert [is_damage for _, is_damage in told] == [False, True, False]
    assert told[0][0].startswith(f"{tmp_path}/a.jsonl:2: not valid JSON")
    assert told[1][0] == f"{tmp_path}/b.jsonl.gz: gzip data ends too early"
    # Whatever was whole before the damage was read.
    assert 1500 < len(documents) < 2003


def test_a_line_beyond_the_bound_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    long = b'{"text": "' + b"x" * (5 << 20) + b'"}\n'
    path.write_bytes(b'{"text": "a"}\n' + long + b'{"text": "b"}\n' + long[:-1])
    documents, told = read(options(path, max_record_mib=2))
    assert [(d.text, d.place.line) for d in documents] == [("a", 1), ("b", 3)]
    assert [message.partition(": ")[2] for message, _ in told] == [
        "line of 5 MiB is longer than 2 MiB"
    ] * 2
    assert [len(text or "") for text in texts(options(path))] == [1, 5 << 20, 1, (5 << 20)]
    for k in range(4):
        part = read(options(path, max_record_mib=2, shard=f"{k}/4"))
        assert len(part[0]) <= 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_line_of_two_gigabytes_does_not_fill_the_memory() -> None:
    program = (
        "import resource, subprocess, sys\n"
        "feed = r'''import sys; w = sys.stdout.buffer.write; w(b'{\"text\": \"a\"}\\n')\n"
        "for _ in range(2048): w(b'x' * (1 << 20))\n"
        "w(b'\\n{\"text\": \"b\"}\\n')'''\n"
        "from norcli.corpus.options import CrawlFilterOptions\n"
        "from norcli.corpus.sources.reader import read_units\n"
        "from norcli.console import Console\n"
        "from norcli.formats.bad_records import BadRecords, FaultList\n"
        "child = subprocess.Popen([sys.executable, '-c', feed], stdout=subprocess.PIPE)\n"
        "sys.stdin = type('In', (), {'buffer': child.stdout, 'closed': False,\n"
        "                            'isatty': lambda self: False})()\n"
        "o = CrawlFilterOptions(max_record_mib=64); faults = FaultList(); c = Console.silent()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = [d.place.line for u in read_units(o, c, BadRecords(o, c))\n"
        "         for d in u.documents(o, faults)]\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(found, faults.faults[0][0].message, (after - before) // 1024)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=280
    )
    found, _, mebibytes = result.stdout.strip().rpartition(" ")
    assert found == "[1, 3] line of 2048 MiB is longer than 64 MiB"
    assert int(mebibytes) < 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a.bin"])
def test_text_with_a_byte_order_mark_is_decoded(tmp_path: Path, encoding: str, name: str) -> None:
    record = json.dumps({"text": "Ø\U0001f600"}, ensure_ascii=False)
    line = "Ø\U0001f600\n" if name.endswith(".txt") else record + "\n"
    mark = "\ufeff" if encoding.endswith("e") else ""
    data = (mark + line * 3).encode(encoding)
    (tmp_path / name).write_bytes(data)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    assert texts(options(tmp_path / name)) == ["Ø\U0001f600"] * 3
    assert texts(options(tmp_path / f"{name}.gz")) == ["Ø\U0001f600"] * 3
    parts = [texts(options(tmp_path / name, shard=f"{k}/3")) for k in range(3)]
    assert [text for part in parts for text in part] == ["Ø\U0001f600"] * 3


def test_parquet_of_any_columns_is_read_in_batches(tmp_path: Path) -> None:
    table = pa.table({
        "body": [f"tekst {k} " + "x" * 3000 for k in range(1500)],
        "n": range(1500),
        "when": pa.array([0] * 1500, pa.timestamp("s")),
        "raw": [b"\xc3\xa5"] * 1500,
        "bad": [b"\xff"] * 1500,
        "price": pa.array([1] * 1500, pa.decimal128(5, 2)),
        "deep": [{"a": [k]} for k in range(1500)],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1500)
    asked = options(tmp_path / "a.parquet", text_key="body")
    units = list(read_units(asked, Console.silent(), BadRecords(asked, Console.silent())))
    assert 4 <= len(units) <= 8
    documents, told = read(asked)
    assert told == [] and [d.place.line for d in documents] == list(range(1, 1501))
    assert documents[7].text == "tekst 7 " + "x" * 3000
    fields = documents[7].fields
    assert fields["n"] == 7 and fields["deep"] == {"a": [7]}
    assert (fields["raw"], fields["bad"], fields["price"]) == ("å", "ff", 1.0)
    # Whatever a column holds, the record can be written as JSON.
    import orjson

    assert b"1970-01-01" in orjson.dumps(fields)


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a" * 100] * 5000}), tmp_path / "a.parquet", compression=None)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:40] = b"\xff" * 36
    (tmp_path / "a.parquet").write_bytes(bytes(data))
    documents, told = read(options(tmp_path / "a.parquet"))
    assert documents == [] and told[0][1]
    assert "not a readable Parquet file" in told[0][0]


@pytest.mark.parametrize("indent", [None, 1])
def test_json_arrays_and_objects_over_several_lines_are_lines_in_the_end(
    tmp_path: Path, indent: int | None
) -> None:
    records = [{"text": f'"[{{ \\ {k}', "n": [k, {"m": "}"}]} for k in range(3000)]
    (tmp_path / "a.json").write_text(json.dumps(records, indent=indent))
    (tmp_path / "b.json").write_text("\n".join(json.dumps(r, indent=indent or 2) for r in records))
    expected = [(r["text"], k + 1) for k, r in enumerate(records)]
    for name in ("a.json", "b.json"):
        documents, told = read(options(tmp_path / name))
        assert told == [] and [(d.text, d.place.line) for d in documents] == expected
    (tmp_path / "c.json").write_text(json.dumps(records, indent=indent)[:-20])
    documents, told = read(options(tmp_path / "c.json"))
    assert len(documents) == 2999 and told[0][0].endswith("c.json:3000: JSON ends within a value")


def test_whatever_is_no_object_in_an_array_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[1, {"text": "a"}, "b", [2], {"text": "c"}]')
    documents, told = read(options(tmp_path / "a.json"))
    assert documents == [] or len(told) >= 2
    assert all(not is_damage for _, is_damage in told)


def test_pipes_are_told_by_their_first_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(data: bytes) -> list[RawDocument]:
        stream = io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(sys, "stdin", stream)
        return read(options())[0]

    assert [d.text for d in piped(lines(3))] == ["0 ", "1 å", "2 åå"]
    assert [d.text for d in piped(zstandard.compress(lines(3)))] == ["0 ", "1 å", "2 åå"]
    assert [d.fields["source"] for d in piped((FIXTURES / "mc4.jsonl").read_bytes())] == ["mC4"] * 2
    assert [d.fields["id"] for d in piped((FIXTURES / "news-array.json").read_bytes())] == [
        "7",
        "nrk-8",
    ]
    (subtitles,) = piped((FIXTURES / "program.vtt").read_bytes())
    assert (subtitles.text or "").startswith("God kveld")
    (page,) = piped(b"<html><p>Hei</html>")
    assert page.page == b"<html><p>Hei</html>"


def test_pages_get_an_id_from_where_they_are_and_not_from_their_text(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        (tmp_path / name).write_bytes(b"<html><p>Hei</p></html>")
    first, second = read(options(tmp_path / "a.html", tmp_path / "b.html"))[0]
    assert first.fields["id"] != second.fields["id"]
    again = read(options(tmp_path / "a.html"))[0][0]
    assert again.fields["id"] == first.fields["id"]


def test_the_limit_counts_documents_and_stops_before_later_faults(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(3) + b"broken\n" + lines(3))
    documents, told = read(options(tmp_path / "a.jsonl", limit=3))
    assert len(documents) == 3 and told == []
    with pytest.raises(DataError, match="not valid JSON"):
        read(options(tmp_path / "a.jsonl", limit=4, on_bad_record="stop"))
