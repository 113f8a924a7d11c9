"""Survivors and marks are properties of the documents: no order, split or job changes them."""

from __future__ import annotations

import json
import random
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_corpus import made_up_texts, make_corpus

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup

Record = dict[str, Any]
CORPUS: list[Record] = [
    record | {"date": f"20{number % 23:02}-01-01", "score": number % 5, "lang": "ab"[number % 2],
              "url": f"https://avisa.no/{number % 97}"}
    for number, record in enumerate(make_corpus(150, 11, made_up_texts(random.Random(12))))
]  # fmt: skip

POLICIES = ["longest", "newest", "best:score", "source-order:B,D"]


def marks_of(folder: Path, parts: list[list[Record]], **more: Any) -> dict[str, Record]:
    paths = []
    for number, part in enumerate(parts):
        paths.append(str(folder / f"{number}.jsonl"))
        Path(paths[-1]).write_text("".join(json.dumps(r) + "\n" for r in part), encoding="utf-8")
    options = DedupOptions(inputs=paths, output=str(folder / "out.jsonl"), mark=True,
                           overwrite=True, **more)  # fmt: skip
    run_dedup(options, Console.silent())
    lines = (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


@given(st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from([1, 2, 3]),
       st.sampled_from(POLICIES), st.sampled_from(["components", "star"]),
       st.sampled_from([["minhash"], ["url", "exact", "minhash"], ["exact", "url"]]),
       st.sampled_from(["global", "lang"]))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_order_files_and_jobs_change_no_mark(
    random_: random.Random, files: int, jobs: int, keep: str, cluster: str, method: list[str],
    scope: str,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        more: Record = {"keep": keep, "cluster": cluster, "method": method, "scope": scope}
        expected = marks_of(Path(name), [CORPUS], **more)
        shuffled = list(CORPUS)
        random_.shuffle(shuffled)
        cuts = sorted(random_.randrange(len(shuffled) + 1) for _ in range(files - 1))
        edges = [0, *cuts, len(shuffled)]
        parts = [shuffled[a:b] for a, b in pairwise(edges)]
        assert marks_of(Path(name), parts, jobs=jobs, **more) == expected
        assert any(record["dedup_role"] == "duplicate" for record in expected.values())


@pytest.mark.parametrize("method", [["minhash"], ["url", "minhash"], ["url", "exact"]])
def test_first_follows_the_arguments_however_they_are_split(
    tmp_path: Path, method: list[str]
) -> None:
    expected = marks_of(tmp_path, [CORPUS], method=method)
    for jobs in (1, 2, 3):
        parts = [CORPUS[:40], CORPUS[40:41], CORPUS[41:]]
        assert marks_of(tmp_path, parts, method=method, jobs=jobs) == expected
    place = {record["id"]: number for number, record in enumerate(CORPUS)}
    for record in expected.values():
        assert place[record["dedup_cluster_id"]] <= place[record["id"]]


@pytest.mark.parametrize("method", [["url"], ["exact"], ["url", "exact"], ["exact", "url"]])
def test_one_pass_and_two_passes_agree(tmp_path: Path, method: list[str]) -> None:
    two = marks_of(tmp_path, [CORPUS], method=method)
    one = marks_of(tmp_path, [CORPUS], method=method, online=True)
    for identity, record in two.items():
        size = record.pop("dedup_cluster_size")
        if record["dedup_role"] == "unique" or size == 1:
            record["dedup_role"] = "survivor"
        assert one[identity] == record
