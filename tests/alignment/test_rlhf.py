"""rlhf from the command line: each step alone, the whole, and a run that is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from norcli.cli.main import main

SMALL = ["--max-new-tokens", "8", "--too-long", "truncate", "-q"]


def digest(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_steps_one_by_one(policy: Path, summaries: Path, tmp_path: Path) -> None:
    candidates, scored = tmp_path / "candidates.jsonl", tmp_path / "scored.jsonl"
    assert main(["rlhf", "sample", str(policy), str(summaries), "-o", str(candidates),
                 "--candidates", "3", *SMALL]) == 0  # fmt: skip
    rows = [json.loads(line) for line in candidates.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 6
    assert all(len(row["completions"]) == 3 for row in rows)
    assert rows[0]["prompt"].endswith("\nSvar:")
    assert main(["rlhf", "score", str(candidates), "-o", str(scored), "-q",
                 "--encoder", "hashed-trigrams"]) == 0  # fmt: skip
    rows = [json.loads(line) for line in scored.read_text(encoding="utf-8").splitlines()]
    assert all(-1 <= score <= 1 for row in rows for score in row["scores"])
    model = tmp_path / "reward"
    assert main(["rlhf", "reward-model", str(policy), str(scored), "-o", str(model), "-q",
                 "--reward-epochs", "20", "--reward-lr", "3e-3"]) == 0  # fmt: skip
    facts = json.loads((model / "reward.json").read_text())
    assert facts["ranked_rightly"] > max(0.6, facts["ranked_rightly_before"])


def test_the_whole_run_changes_the_policy_and_reports(
    policy: Path, summaries: Path, tmp_path: Path
) -> None:
    out = tmp_path / "aligned"
    command = ["rlhf", str(policy), str(summaries), "--encoder", "hashed-trigrams", "--steps", "2",
               "--rollouts", "4", "--lr", "1e-3", "-o", str(out), *SMALL]  # fmt: skip
    assert main(command) == 0
    report = json.loads((out / "policy" / "training.json").read_text())
    assert report["canaries"]["reference"] == 1.0
    assert report["canaries"]["words shuffled"] < 1.0
    assert report["rounds"] == 2
    assert digest(out / "policy") != digest(policy)
    assert (out / "policy" / "tokenizer.model").exists()
    assert "Svar:" in (out / "policy" / "chat_template.jinja").read_text()
    assert main(command) == 73


def test_a_stopped_run_goes_on_to_the_same_weights(
    policy: Path, summaries: Path, tmp_path: Path
) -> None:
    def command(out: Path) -> list[str]:
        return [sys.executable, "-m", "norcli", "rlhf", "ppo", str(policy), str(summaries),
                "--encoder", "hashed-trigrams", "--steps", "40", "--rollouts", "4", "--lr", "1e-3",
                "--save-every", "2", "-o", str(out), "--max-kl", "1000", *SMALL]  # fmt: skip

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    subprocess.run(command(whole), check=True, env=environment)
    process = subprocess.Popen(command(stopped), stderr=subprocess.PIPE, env=environment)
    deadline = time.monotonic() + 60
    while not list(stopped.glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert not (stopped / "training.json").exists()
    subprocess.run(command(stopped), check=True, env=environment)
    assert digest(stopped) == digest(whole)
    assert (stopped / "log.jsonl").read_bytes() == (whole / "log.jsonl").read_bytes()


def test_distance_beyond_the_limit_stops_the_run(
    policy: Path, summaries: Path, tmp_path: Path
) -> None:
    assert main(["rlhf", "ppo", str(policy), str(summaries), "--encoder", "hashed-trigrams",
                 "--steps", "30", "--rollouts", "4", "--lr", "0.05", "--kl-coef", "0",
                 "--max-kl", "0.5", "-o", str(tmp_path / "out"), *SMALL]) == 1  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [("", 65), ('{"article": "En artikkel."}\n', 65), ('{"article": "", "summary": "x"}\n', 65)],
)
def test_unusable_data(policy: Path, tmp_path: Path, text: str, code: int) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(text)
    assert main(["rlhf", "ppo", str(policy), str(file), "--encoder", "hashed-trigrams",
                 "-o", str(tmp_path / "out"), "-q"]) == code  # fmt: skip
