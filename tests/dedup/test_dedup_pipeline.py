"""Whole runs: planted duplicates found, and the same result for any order, jobs and passes."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from planted_corpus import edited, made_up_texts, make_corpus, score, true_pairs

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import DedupResult, run_dedup
from norcli.errors import DataError, IOFailureError, UsageError

Record = dict[str, Any]


def write(path: Path, records: list[Record]) -> str:
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dedup(inputs: list[str], output: Path, **more: Any) -> DedupResult:
    options = DedupOptions(inputs=inputs, output=str(output), overwrite=True, **more)
    return run_dedup(options, Console.silent())


@pytest.fixture(scope="module")
def corpus() -> list[Record]:
    return list(make_corpus(600, 5, made_up_texts(random.Random(6))))


@pytest.fixture(scope="module")
def truth(corpus: list[Record]) -> dict[tuple[int, int], float]:
    return true_pairs([record["text"] for record in corpus])


def removed(corpus: list[Record], output: Path) -> set[int]:
    kept = {record["id"] for record in read(output)}
    return {index for index, record in enumerate(corpus) if record["id"] not in kept}


@pytest.mark.parametrize("more", [{}, {"cluster": "star"}, {"online": True}, {"keep": "longest"}])
def test_planted_duplicates_are_found_and_nothing_else(
    corpus: list[Record], truth: dict[tuple[int, int], float], tmp_path: Path, more: Record
) -> None:
    result = dedup([write(tmp_path / "in.jsonl", corpus)], tmp_path / "out.jsonl", **more)
    report = score(truth, removed(corpus, tmp_path / "out.jsonl"))
    assert report["pairs_0.8"] > 100
    assert report["recall_0.8"] == 100.0
    assert report["precision_0.6"] == 100.0
    assert result.records_in == 600
    assert result.records_in - result.records_out == result.duplicates == report["removed"]


def test_lines_and_order_are_kept_byte_for_byte(tmp_path: Path) -> None:
    lines = [
        b'{"text": "f\\u00f8rste tekst her",  "id":"1", "tall": 1.50, "stor": 123456789012345678}',
        b'{"id":"2","text":"noe annet enn det"}\r',
        b'{"id":"3","text":"f\xc3\xb8rste   TEKST her"}',
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    dedup([str(tmp_path / "in.jsonl")], tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == lines[0] + b"\n" + lines[1] + b"\n"


def test_split_into_files_does_not_change_a_byte(corpus: list[Record], tmp_path: Path) -> None:
    dedup([write(tmp_path / "all.jsonl", corpus)], tmp_path / "one.jsonl")
    parts = [write(tmp_path / f"p{i}.jsonl", corpus[200 * i : 200 * i + 200]) for i in range(3)]
    dedup(parts, tmp_path / "three.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "three.jsonl").read_bytes()


@pytest.mark.parametrize("keep", ["longest", "newest", "best:score", "source-order:B,D"])
@pytest.mark.parametrize("cluster", ["components", "star"])
def test_order_does_not_change_survivors(
    corpus: list[Record], tmp_path: Path, keep: str, cluster: str
) -> None:
    random_ = random.Random(9)
    noted = [r | {"date": f"20{i % 30:02}-01-01", "score": i % 7} for i, r in enumerate(corpus)]
    results = []
    for _ in range(3):
        random_.shuffle(noted)
        dedup([write(tmp_path / "in.jsonl", noted)], tmp_path / "out.jsonl", keep=keep,
              cluster=cluster)  # fmt: skip
        results.append({record["id"] for record in read(tmp_path / "out.jsonl")})
    assert results[0] == results[1] == results[2]


def test_online_equals_two_passes_with_star_clusters(corpus: list[Record], tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", corpus)
    rejects = {"rejects": str(tmp_path / "r.jsonl")}
    dedup([source], tmp_path / "two.jsonl", cluster="star", **rejects)
    two_passes = (tmp_path / "two.jsonl").read_bytes(), (tmp_path / "r.jsonl").read_bytes()
    dedup([source], tmp_path / "one.jsonl", online=True, **rejects)
    assert two_passes == (
        (tmp_path / "one.jsonl").read_bytes(),
        (tmp_path / "r.jsonl").read_bytes(),
    )


def test_a_second_run_drops_nothing_more(corpus: list[Record], tmp_path: Path) -> None:
    dedup([write(tmp_path / "in.jsonl", corpus)], tmp_path / "once.jsonl")
    result = dedup([str(tmp_path / "once.jsonl")], tmp_path / "twice.jsonl")
    assert result.duplicates == 0
    assert (tmp_path / "once.jsonl").read_bytes() == (tmp_path / "twice.jsonl").read_bytes()


def test_rejects_and_marks_tell_the_same(corpus: list[Record], tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", corpus)
    dedup([source], tmp_path / "out.jsonl", rejects=str(tmp_path / "r.jsonl"))
    dedup([source], tmp_path / "marked.jsonl", mark=True,
          clusters=str(tmp_path / "clusters.jsonl"))  # fmt: skip
    rejects, marked = read(tmp_path / "r.jsonl"), read(tmp_path / "marked.jsonl")
    assert [record["id"] for record in marked] == [record["id"] for record in corpus]
    duplicates = [record for record in marked if record["dedup_role"] == "duplicate"]
    assert len(duplicates) == len(rejects) > 100
    for reject, mark in zip(rejects, duplicates, strict=True):
        assert reject["id"] == mark["id"]
        assert reject["dedup_dup_of"] == mark["dedup_dup_of"] == mark["dedup_cluster_id"]
        assert reject["dropped_value"] == mark["dedup_jaccard_est"]
        assert reject["dropped_by"] == mark["dedup_method"] in ("exact", "minhash")
        assert reject["dropped_threshold"] == (1.0 if reject["dropped_by"] == "exact" else 0.7)
    kept = {record["id"] for record in read(tmp_path / "out.jsonl")}
    assert kept == {record["id"] for record in marked if record["dedup_role"] != "duplicate"}
    sizes: dict[str, int] = {}
    for record in marked:
        sizes[record["dedup_cluster_id"]] = sizes.get(record["dedup_cluster_id"], 0) + 1
    assert all(r["dedup_cluster_size"] == sizes[r["dedup_cluster_id"]] for r in marked)
    listed = read(tmp_path / "clusters.jsonl")
    assert {r["id"] for r in listed} == {r["id"] for r in marked if r["dedup_cluster_size"] > 1}


def test_estimates_in_rejects_are_near_the_truth(
    corpus: list[Record], truth: dict[tuple[int, int], float], tmp_path: Path
) -> None:
    dedup([write(tmp_path / "in.jsonl", corpus)], tmp_path / "out.jsonl",
          rejects=str(tmp_path / "r.jsonl"))  # fmt: skip
    number = {record["id"]: index for index, record in enumerate(corpus)}
    errors = []
    for reject in read(tmp_path / "r.jsonl"):
        pair = sorted((number[reject["id"]], number[reject["dedup_dup_of"]]))
        if (pair[0], pair[1]) in truth:
            errors.append(reject["dropped_value"] - truth[pair[0], pair[1]])
    assert len(errors) > 100
    assert abs(sum(errors)) / len(errors) < 0.01
    assert max(map(abs, errors)) < 0.12


def test_scope_compares_only_within_a_language(tmp_path: Path) -> None:
    text = "Dette er nok likt på begge målføra, trur eg no."
    records = [
        {"id": i, "text": text, "lang": lang} for i, lang in enumerate(["nob", "nno", "nno"])
    ]
    source = write(tmp_path / "in.jsonl", records)
    for more in ({}, {"online": True}, {"cluster": "star"}, {"method": ["exact"]}):
        dedup([source], tmp_path / "out.jsonl", scope="lang", **more)
        assert [record["id"] for record in read(tmp_path / "out.jsonl")] == [0, 1]


def test_texts_with_few_or_no_words(tmp_path: Path) -> None:
    texts = ["", "", "?!", "?!", "Ja", "ja ", "nei", "ja takk", "Ja, takk!", "ja takk du"]
    source = write(tmp_path / "in.jsonl", [{"id": i, "text": t} for i, t in enumerate(texts)])
    result = dedup([source], tmp_path / "out.jsonl")
    assert [record["id"] for record in read(tmp_path / "out.jsonl")] == [0, 2, 4, 6, 7, 9]
    assert (result.dropped_exact, result.dropped_minhash) == (3, 1)


def test_missing_ids_are_made_from_the_text(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"text": "en tekst"}, {"text": "EN  tekst", "x": [1]}])
    dedup([source], tmp_path / "out.jsonl", rejects=str(tmp_path / "r.jsonl"))
    (kept,), (dropped,) = read(tmp_path / "out.jsonl"), read(tmp_path / "r.jsonl")
    assert kept["id"].startswith("sha256:") and len(kept["id"]) == 7 + 32
    assert dropped["dedup_dup_of"] == kept["id"] != dropped["id"]


def test_sources_are_counted_against_each_other(tmp_path: Path) -> None:
    records = [{"id": i, "text": "samme tekst", "source": s} for i, s in enumerate("abbc")]
    result = dedup([write(tmp_path / "in.jsonl", records)], tmp_path / "out.jsonl")
    counts = {(row["a"], row["b"]): row["documents"] for row in result.source_pairs}
    assert counts == {
        ("a", "b"): 1, ("a", "c"): 1, ("b", "a"): 2, ("b", "b"): 2, ("b", "c"): 2,
        ("c", "a"): 1, ("c", "b"): 1,
    }  # fmt: skip


def test_bad_records_are_skipped_in_both_passes(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        '{"id":1,"text":"en"}\nikke json\n\n[1]\n{"id":2}\n'
        '{"id":3,"text":"to"}\n{"id":4,"text":"en"}\n'
    )
    result = dedup([str(tmp_path / "in.jsonl")], tmp_path / "out.jsonl", on_bad_record="skip")
    assert [record["id"] for record in read(tmp_path / "out.jsonl")] == [1, 3]
    assert result.bad_records == 3
    with pytest.raises(DataError, match=r"in\.jsonl:2: not valid JSON"):
        dedup([str(tmp_path / "in.jsonl")], tmp_path / "other.jsonl")
    assert not (tmp_path / "other.jsonl").exists()


def test_limit_and_compressed_input_and_parquet(corpus: list[Record], tmp_path: Path) -> None:
    import gzip

    import pyarrow.parquet as pq

    packed = tmp_path / "in.jsonl.gz"
    plain = write(tmp_path / "in.jsonl", corpus)
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    dedup([plain], tmp_path / "a.jsonl", limit=300)
    dedup([str(packed)], tmp_path / "b.parquet", limit=300)
    dedup([str(tmp_path / "b.parquet")], tmp_path / "c.jsonl")
    assert pq.read_table(tmp_path / "b.parquet").to_pylist() == read(tmp_path / "a.jsonl")
    assert read(tmp_path / "c.jsonl") == read(tmp_path / "a.jsonl")


def test_an_input_that_changes_between_the_passes_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from norcli.dedup import pipeline

    source = tmp_path / "in.jsonl"
    write(source, [{"id": 1, "text": "en"}])
    decide = pipeline.decide

    def changing(*arguments: Any) -> Any:
        with source.open("a") as stream:
            stream.write('{"id":2,"text":"to"}\n')
        return decide(*arguments)

    monkeypatch.setattr(pipeline, "decide", changing)
    with pytest.raises(DataError, match="was changed while it was being read"):
        dedup([str(source)], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_the_spool_of_standard_input_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = json.dumps({"id": 1, "text": "tekst " * 1000}).encode() + b"\n"
    data = io.TextIOWrapper(io.BytesIO(line * 50))
    monkeypatch.setattr(sys, "stdin", data)
    options = DedupOptions(output=str(tmp_path / "out.jsonl"))
    options.spool_gib = 0
    with pytest.raises(IOFailureError, match="larger than the spool"):
        run_dedup(options, Console.silent())


@pytest.mark.parametrize(
    "more",
    [{"shard": "0/2"}, {"bands": 4}, {"online": True, "keep": "longest"},
     {"mark": True, "rejects": "r"}, {"online": True, "clusters": "c"}, {"bands": 99, "rows": 9}],
)  # fmt: skip
def test_options_that_do_not_go_together(tmp_path: Path, more: Record) -> None:
    with pytest.raises(UsageError):
        dedup([write(tmp_path / "in.jsonl", [])], tmp_path / "out.jsonl", **more)


def test_online_hands_on_what_it_has_before_it_waits() -> None:
    command = [sys.executable, "-m", "norcli", "dedup", "--online", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        for number in range(3):
            line = f'{{"id":"{number}","text":"nummer {number} i rekka"}}\n'.encode()
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
        process.stdin.close()
        assert process.wait() == 0
        watchdog.cancel()


def test_a_chain_is_one_component_but_not_one_star(tmp_path: Path) -> None:
    words = [f"ord{i}" for i in range(120)]
    steps = [words[shift : shift + 80] for shift in (0, 10, 20)]
    texts = [" ".join(step) for step in steps]
    source = write(tmp_path / "in.jsonl", [{"id": i, "text": t} for i, t in enumerate(texts)])
    assert dedup([source], tmp_path / "a.jsonl").records_out == 1
    assert dedup([source], tmp_path / "b.jsonl", cluster="star").records_out == 2


def test_edits_aim_at_the_similarity_they_promise() -> None:
    random_ = random.Random(4)
    text = next(made_up_texts(random_))
    for target in (0.9, 0.7, 0.5):
        for scattered in (True, False):
            pairs = true_pairs([text, edited(random_, text, target, scattered)])
            assert pairs[0, 1] == pytest.approx(target, abs=0.12)
