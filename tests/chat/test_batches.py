"""Records in batches: the same answers for any size, and after any number of kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_models import PAIRS

WORDS = ("--max-new-tokens", "40", "--repeat-penalty", "1.1")


def run(model: Path, source: Path, target: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "norcli", "chat", str(model), "--jsonl", str(source), "-o",
         str(target), *WORDS, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    prompts = [*PAIRS, "Hei.", "Fortell om fjorder og fjell i Norge, og om elver."]
    path = tmp_path / "in.jsonl"
    records = ({"id": n, "prompt": prompts[n % len(prompts)] + " " * (n % 3)} for n in range(23))
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_batch_size_changes_no_answer(
    kind: str, gguf_model: Path, model_directory: Path, source: Path, tmp_path: Path
) -> None:
    model = gguf_model if kind == "gguf" else model_directory
    outputs = []
    for size in (1, 4, 23):
        target = tmp_path / f"{size}.jsonl"
        process = run(model, source, target, "--batch-size", str(size))
        assert process.wait(90) == 0, process.stderr
        outputs.append(target.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    assert [json.loads(line)["id"] for line in outputs[0].splitlines()] == list(range(23))


def test_killed_run_goes_on_with_the_same_bytes(
    gguf_model: Path, source: Path, tmp_path: Path
) -> None:
    whole, target = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    words = ("--batch-size", "2", "--resume")
    assert run(gguf_model, source, whole, *words).wait(60) == 0
    part, journal = (tmp_path / "out.jsonl.resume" / name for name in ("part-output", "journal"))
    kills = 0
    while not target.exists() or journal.exists():
        process = run(gguf_model, source, target, *words)
        before = part.stat().st_size if part.exists() else 0
        deadline = time.monotonic() + 30
        while kills < 4 and process.poll() is None and time.monotonic() < deadline:
            if part.exists() and part.stat().st_size > before:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
        assert process.wait(60) in (0, -signal.SIGKILL)
    assert kills >= 1
    assert target.read_bytes() == whole.read_bytes()
