"""Several jobs: the same bytes as with one, by every method, and nothing left of a stopped run."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from planted_corpus import made_up_texts, make_corpus

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup

BOILERPLATE = "Vi bruker informasjonskapsler for å gjøre nettsiden vår bedre for alle lesere."


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some blocks of lines, so that several threads have work, with odd and bad ones between."""
    path = tmp_path_factory.mktemp("jobs") / "in.jsonl.gz"
    lines = []
    for number, record in enumerate(make_corpus(600, 3, made_up_texts(random.Random(4)))):
        record |= {"url": f"https://avisa.no/{number % 400}", "lang": "ab"[number % 2]}
        record["text"] += f"\n\n{BOILERPLATE}\n\n{record['text'][:90]}"
        if number % 50 == 7:
            del record["id"]
        lines.append(json.dumps(record, ensure_ascii=number % 3 == 0))
    lines.insert(100, "{broken")
    lines.insert(400, '{"id": "x", "text": 7}')
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


RUNS: list[dict[str, Any]] = [
    {"keep": "longest"},
    {"cluster": "star"},
    {"scope": "lang", "method": ["exact"]},
    {"method": ["url"]},
    {"method": ["url", "exact", "minhash"], "mark": True},
    {"method": ["lines"], "online": True},
    {"method": ["paragraphs"]},
    {"method": ["substring"]},
    {"method": ["url", "lines", "minhash", "substring"]},
    {"online": True},
    {"memory": "200M"},
    {"limit": 333},
    {"resume": True},
]


@pytest.mark.parametrize("more", RUNS, ids=str)
def test_jobs_do_not_change_a_byte(source: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    results = []
    for jobs in (1, 2, 3):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        outputs: dict[str, Any] = {"output": str(folder / "out.jsonl")}
        if not more.get("mark"):
            outputs["rejects"] = str(folder / "rejects.jsonl")
        if not (more.get("online") or {"lines", "paragraphs", "substring"} & {*more.get(
                "method", [])}):  # fmt: skip
            outputs["clusters"] = str(folder / "clusters.jsonl")
        options = DedupOptions(inputs=[str(source)], jobs=jobs, on_bad_record="skip",
                               **outputs, **more)  # fmt: skip
        counts = run_dedup(options, Console.silent()).as_dict()
        results.append((counts, {file.name: file.read_bytes() for file in folder.iterdir()}))
    assert results[0] == results[1] == results[2]
    assert results[0][0]["records_in"] == (333 if "limit" in more else 600)
    assert set(results[0][1]) == {Path(path).name for path in outputs.values()}


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_first_bad_record_is_told_whoever_finds_it(
    source: Path, tmp_path: Path, jobs: int
) -> None:
    command = [sys.executable, "-m", "norcli", "dedup", str(source), "-o", str(tmp_path / "out"),
               "--jobs", str(jobs)]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 65
    assert result.stderr.startswith(f"norcli dedup: {source}:101: not valid JSON")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_stopped_run_leaves_neither_files_nor_processes(
    source: Path, tmp_path: Path, jobs: str
) -> None:
    command = [sys.executable, "-m", "norcli", "dedup", "-v", "-o", str(tmp_path / "out"),
               "--jobs", jobs, "--on-bad-record", "skip"]  # fmt: skip
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                          start_new_session=True) as process:  # fmt: skip
        assert process.stdin is not None and process.stderr is not None
        # The pipe stays open, so the run cannot end by itself.
        process.stdin.write(gzip.decompress(source.read_bytes()))
        process.stdin.flush()
        while b"keeping <stdin>" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert b"stopped by SIGINT" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
