"""Whole runs of the methods that cut passages, alone and one after the other."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup
from norcli.dedup.stages import stages_of
from norcli.dedup.statistics import DedupResult
from norcli.errors import UsageError

Record = dict[str, Any]


def write(path: Path, records: list[Record]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


def read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dedup(inputs: list[str], output: Path, **more: Any) -> DedupResult:
    options = DedupOptions(inputs=inputs, output=str(output), overwrite=True, **more)
    return run_dedup(options, Console.silent())


@pytest.fixture(scope="module")
def corpus() -> list[Record]:
    """Documents of lines, some of which stand in many of them, and long shared passages."""
    random_ = random.Random(3)
    words = [f"ord{number}" for number in range(500)]

    def line() -> str:
        return " ".join(random_.choices(words, k=random_.randrange(4, 25)))

    common, passage = [line() for _ in range(12)], " ".join(random_.choices(words, k=70))
    records = []
    for number in range(300):
        lines = [line() for _ in range(random_.randrange(1, 9))]
        for _ in range(random_.randrange(3)):
            lines.insert(random_.randrange(len(lines) + 1), random_.choice(common))
        if number % 10 == 0:
            lines[-1] += " " + passage + " slutt"
        records.append({"id": number, "text": "\n".join(lines), "lang": "nob"})
    return records


@pytest.mark.parametrize("method", ["lines", "paragraphs", "substring"])
def test_how_files_are_cut_does_not_change_a_byte(
    corpus: list[Record], tmp_path: Path, method: str
) -> None:
    one = [write(tmp_path / "all.jsonl", corpus)]
    three = [write(tmp_path / f"{n}.jsonl", corpus[100 * n : 100 * n + 100]) for n in range(3)]
    outputs = []
    for inputs, jobs in ((one, 1), (three, 1), (one, 3)):
        dedup(inputs, tmp_path / "out.jsonl", method=[method], jobs=jobs,
              rejects=str(tmp_path / "r.jsonl"))  # fmt: skip
        outputs.append((tmp_path / "out.jsonl").read_bytes() + (tmp_path / "r.jsonl").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize("method", ["lines", "substring"])
def test_a_pipe_gives_what_a_file_gives(
    corpus: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    source = write(tmp_path / "in.jsonl", corpus)
    dedup([source], tmp_path / "file.jsonl", method=[method])
    data = io.TextIOWrapper(io.BytesIO(Path(source).read_bytes()))
    monkeypatch.setattr(sys, "stdin", data)
    dedup([], tmp_path / "pipe.jsonl", method=[method])
    assert (tmp_path / "file.jsonl").read_bytes() == (tmp_path / "pipe.jsonl").read_bytes()


@pytest.mark.parametrize("method", ["lines", "paragraphs", "substring"])
def test_what_is_cut_once_holds_nothing_more_to_cut(
    corpus: list[Record], tmp_path: Path, method: str
) -> None:
    first = dedup([write(tmp_path / "in.jsonl", corpus)], tmp_path / "a.jsonl", method=[method])
    again = dedup([str(tmp_path / "a.jsonl")], tmp_path / "b.jsonl", method=[method])
    assert first.cut_bytes > 0 or method == "paragraphs"
    assert again.cut_bytes == 0
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_counts_agree_with_the_records(corpus: list[Record], tmp_path: Path) -> None:
    result = dedup([write(tmp_path / "in.jsonl", corpus)], tmp_path / "out.jsonl",
                   method=["lines"], rejects=str(tmp_path / "r.jsonl"))  # fmt: skip
    kept, dropped = read(tmp_path / "out.jsonl"), read(tmp_path / "r.jsonl")
    assert result.records_in == 300 == len(kept) + len(dropped)
    assert result.dropped_short == len(dropped) > 0
    assert all(r["dropped_by"] == "lines" and r["dropped_value"] < 10 for r in dropped)
    changed = [record for record in kept if "dedup_removed_lines" in record]
    assert result.cut_documents == len(changed) > 50
    texts = {record["id"]: record["text"] for record in corpus}
    for record in changed:
        gone = len(texts[record["id"]].encode()) - len(record["text"].encode())
        # Behind a last line that is cut the newline before it goes as well.
        assert gone - record["dedup_removed_bytes"] in (0, 1)
    assert all(record["text"] == texts[record["id"]] for record in kept if record not in changed)


def test_parquet_has_the_columns_in_every_row(corpus: list[Record], tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    source = write(tmp_path / "in.jsonl", corpus)
    dedup([source], tmp_path / "out.parquet", method=["lines"])
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert {row["dedup_removed_lines"] for row in rows} >= {0, 1}


def test_scopes_keep_passages_apart(tmp_path: Path) -> None:
    text = " ".join(f"ord{n}" for n in range(60))
    records = [
        {"id": n, "text": text, "lang": lang} for n, lang in enumerate(["nob", "nno", "nno"])
    ]
    source = write(tmp_path / "in.jsonl", records)
    for method in ("lines", "substring"):
        dedup([source], tmp_path / "out.jsonl", method=[method], scope="lang")
        assert [record["id"] for record in read(tmp_path / "out.jsonl")] == [0, 1]


def test_stages_are_runs_one_after_the_other(corpus: list[Record], tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", corpus)
    both = dedup([source], tmp_path / "both.jsonl", method=["lines", "substring", "exact"],
                 rejects=str(tmp_path / "r.jsonl"))  # fmt: skip
    dedup([source], tmp_path / "1.jsonl", method=["lines"], rejects=str(tmp_path / "r1.jsonl"))
    dedup([str(tmp_path / "1.jsonl")], tmp_path / "2.jsonl", method=["substring"],
          rejects=str(tmp_path / "r2.jsonl"))  # fmt: skip
    dedup([str(tmp_path / "2.jsonl")], tmp_path / "3.jsonl", method=["exact"],
          rejects=str(tmp_path / "r3.jsonl"))  # fmt: skip
    assert (tmp_path / "both.jsonl").read_bytes() == (tmp_path / "3.jsonl").read_bytes()
    rejected = b"".join((tmp_path / f"r{n}.jsonl").read_bytes() for n in (1, 2, 3))
    assert (tmp_path / "r.jsonl").read_bytes() == rejected
    assert both.cut["lines"] > 0 and both.cut["spans"] > 0
    assert both.records_in == 300
    assert both.records_in - both.records_out == len(rejected.splitlines())


def test_methods_that_compare_documents_share_a_stage() -> None:
    assert stages_of(["url", "exact", "minhash"]) == [["url", "exact", "minhash"]]
    assert stages_of(["exact", "lines", "substring", "minhash"]) == [
        ["exact"], ["lines"], ["substring"], ["minhash"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [{"keep": "longest"}, {"clusters": "c"}, {"save_index": "i"}, {"against": ["i"]},
     {"decontaminate": ["d"]}, {"method": ["lines", "lines"]}, {"sweep": ["0.8"]},
     {"method": ["substring"], "online": True}, {"method": ["lines", "minhash"], "mark": True}],
)  # fmt: skip
def test_options_that_do_not_go_with_passages(tmp_path: Path, more: Record) -> None:
    with pytest.raises(UsageError):
        dedup([write(tmp_path / "in.jsonl", [])], tmp_path / "out", **{"method": ["lines"], **more})
