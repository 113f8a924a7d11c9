"""Records in batches: the same answers for any size, and after any number of kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from test_servers import StandIn, stand_in
from tiny_models import PAIRS

WORDS = ("--max-new-tokens", "40", "--repeat-penalty", "1.1")


def run(model: Path | str, source: Path, target: Path, *words: str) -> subprocess.Popen[bytes]:
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


class Holding(StandIn):
    """Answers with the prompt; holds one request back until its client is gone."""

    asked: ClassVar[list[str]] = []
    held: ClassVar[str] = ""
    arrived: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = request["messages"][-1]["content"]
        self.asked.append(prompt)
        if prompt == self.held:
            self.arrived.set()
            self.connection.recv(1)
            return
        event = {"choices": [{"delta": {"content": prompt.upper()}, "finish_reason": "stop"}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())


def test_killed_run_goes_on_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    prompts = [f"elv {number}" for number in range(9)]
    source.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    words = ("--batch-size", "2", "--resume")
    asked: list[str] = []
    monkeypatch.setattr(Holding, "asked", asked)
    with stand_in(kind=Holding) as url:
        for held in ("elv 4", "elv 7"):
            Holding.held = held
            Holding.arrived.clear()
            process = run(url, source, target, *words)
            assert Holding.arrived.wait(60)
            process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
            assert not target.exists()
        Holding.held = ""
        asked.clear()
        assert run(url, source, target, *words).wait(60) == 0
    # A request of the killed run may have been noted late.
    assert set(asked) == set(prompts[6:])
    answers = [json.loads(line)["completion"] for line in target.read_text().splitlines()]
    assert answers == [prompt.upper() for prompt in prompts]
