"""Pipes and disks: records come out before the next go in; a full disk leaves nothing behind."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from planted_corpus import made_up_texts, make_corpus

NORCLI = [sys.executable, "-m", "norcli"]


@pytest.mark.parametrize(
    "more",
    [["--method", "exact"], ["--method", "url"], ["--method", "url,exact"], ["--online"],
     ["--method", "lines"], ["--method", "paragraphs"], ["--method", "exact", "--scope", "lang"]],
)  # fmt: skip
def test_a_record_comes_out_before_the_next_goes_in(more: list[str]) -> None:
    command = [*NORCLI, "dedup", "--quiet", *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        for number in range(3):
            line = f'{{"id":"{number}","text":"nummer {number} i rekka","url":"a.no/{number}"}}\n'
            # A copy in between is dropped and must not hold up what follows.
            for _ in range(1 + number % 2):
                process.stdin.write(line.encode())
            process.stdin.flush()
            assert process.stdout.readline() == line.encode()
            if number % 2 and more[1:2] in (["lines"], ["paragraphs"]):
                assert process.stdout.readline() == line.encode()  # too short to be cut
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0
        watchdog.cancel()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "in.jsonl"
    records = make_corpus(400, 9, made_up_texts(random.Random(10)))
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(text, encoding="utf-8")
    return path


SMALL = 1 << 16
"""Bytes that a file may have: enough for numba's index files, not for any output here."""


@pytest.mark.parametrize(
    ("more", "piped"),
    [
        (["-o", "out.jsonl"], False),
        (["-o", "out.jsonl.zst", "--online"], False),
        (["-o", "/dev/null", "--rejects", "out.jsonl"], False),
        (["-o", "/dev/null", "--mark", "--clusters", "out.jsonl", "--threshold", "0.1",
          "--ngram", "1"], False),
        (["-o", "out.parquet"], False),
        (["-o", "/dev/null", "--save-index", "out"], False),
        (["-o", "out.jsonl", "--resume"], False),
        (["-o", "out.jsonl", "--method", "lines"], False),
        (["-o", "out.jsonl", "--method", "substring", "--span-words", "5"], False),
        (["-o", "out.jsonl", "--method", "lines,exact"], False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_full_disk_ends_in_74_and_leaves_no_result(
    corpus: Path, tmp_path: Path, more: list[str], piped: bool
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    result = subprocess.run(
        [*NORCLI, "dedup", "--quiet", *more, str(corpus)], cwd=tmp_path, capture_output=True,
        env={**os.environ, "TMPDIR": str(spool)}, timeout=110, check=False, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL)),
    )  # fmt: skip
    assert result.returncode == 74, result.stderr
    assert "Traceback" not in result.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")
                and not path.name.endswith(".resume")]  # fmt: skip
    assert not list(spool.iterdir())


def test_a_full_spool_ends_in_74(tmp_path: Path) -> None:
    """64 MiB are kept in memory; what goes beyond does not fit."""
    code = (
        "import sys, norcli.dedup.reading as reading; reading.MEMORY_SPOOL_BYTES = 1 << 12\n"
        "from norcli.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    spool = tmp_path / "spool"
    spool.mkdir()
    lines = "".join(json.dumps({"id": n, "text": f"ord{n} " * 50}) + "\n" for n in range(1000))
    result = subprocess.run(
        [sys.executable, "-c", code, "dedup", "--quiet", "-o", "out.jsonl"], cwd=tmp_path,
        input=lines, env={**os.environ, "TMPDIR": str(spool)}, capture_output=True, timeout=110,
        check=False, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL)),
    )  # fmt: skip
    assert result.returncode == 74, result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]
    assert not list(spool.iterdir())
