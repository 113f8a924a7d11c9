"""Pretraining end to end: resuming bit for bit, refusals, checkpoints, continual training."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.errors import (
    CannotCreateError,
    ConfigError,
    DataError,
    ExitCode,
    ResumableStopError,
    UsageError,
)
from norcli.training.options import PretrainOptions
from norcli.training.pretrain import parse_overrides, pretrain

SHAPE = ["num_hidden_layers=2", "hidden_size=32", "intermediate_size=64"]


def options(shards: Path, tokenizer: Path, output: Path, **more: Any) -> PretrainOptions:
    values: dict[str, Any] = {
        "preset": "norgpt-nano", "set": SHAPE, "seq_len": 32, "max_steps": 12,
        "global_batch_size": 8, "micro_batch_size": 4, "save_every": 5, "log_every": 4,
        "lr": 3e-3, "jobs": 1,
    }  # fmt: skip
    return PretrainOptions(
        shards=[str(shards)], tokenizer=str(tokenizer), output=str(output), **values | more
    )


def weights_hash(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def finished(
    shards_dir: Path, tokenizer_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The model of a run that was never interrupted."""
    output = tmp_path_factory.mktemp("finished") / "model"
    pretrain(
        options(shards_dir, tokenizer_dir, output, held_out=0.1, eval_every=6), Console.silent()
    )
    return output


def test_output_is_a_model_directory(finished: Path, tokenizer_dir: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(finished)
    assert model.config.vocab_size == model.get_input_embeddings().weight.shape[0]
    names = {path.name for path in finished.iterdir()}
    assert {"config.json", "generation_config.json", "norcli.toml", "tokenizer.model"} <= names
    assert "checkpoints" not in names
    report = json.loads((finished / "training.json").read_text())
    assert report["steps"] == 12 and report["eval_perplexity"] < 300
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 4, 6, 8, 12]
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.5
    assert "eval_loss" in lines[2] and lines[-1]["tokens"] == report["tokens"]
    mode = (finished / "model.safetensors").stat().st_mode
    assert mode == (finished / "config.json").stat().st_mode


def test_run_in_slices_gives_the_same_bytes(
    shards_dir: Path, tokenizer_dir: Path, finished: Path, tmp_path: Path
) -> None:
    """A deadline that has passed stops the run after each step; every slice makes progress."""
    chosen = options(shards_dir, tokenizer_dir, tmp_path / "model", held_out=0.1, eval_every=6)
    late = Placement(deadline=time.time() - 1)
    for slices in range(1, 12):
        with pytest.raises(ResumableStopError, match=f"saved step {slices} of 12"):
            pretrain(chosen, Console.silent(), late)
    assert len(list((tmp_path / "model" / "checkpoints").glob("step-*"))) == 2
    pretrain(chosen, Console.silent(), late)
    for name in ("model.safetensors", "training.json", "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (finished / name).read_bytes(), name
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "model" / "log.jsonl").read_text().splitlines()
    ]
    assert sorted(set(steps)) == steps


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigterm_in_the_middle_then_the_same_command_gives_the_same_bytes(
    shards_dir: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    def chosen(output: Path) -> PretrainOptions:
        more = {"max_steps": 150, "log_every": 1, "save_every": 1000, "document_mask": True}
        return options(shards_dir, tokenizer_dir, output, **more)

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    pretrain(chosen(whole), Console.silent())
    command = [
        sys.executable, "-m", "norcli", "pretrain", str(shards_dir), "--preset", "norgpt-nano",
        "--tokenizer", str(tokenizer_dir), "-o", str(stopped), "--max-steps", "150",
        "--global-batch-size", "8", "--micro-batch-size", "4", "--seq-len", "32", "--log-every",
        "1", "--save-every", "1000", "--set", ",".join(SHAPE), "--lr", "3e-3", "-q", "-j", "1",
        "--document-mask",
    ]  # fmt: skip
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = stopped / "log.jsonl"
    while running.poll() is None and not (log.exists() and log.read_text().count("\n") > 5):
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=120)
    assert running.returncode == ExitCode.RESUMABLE, said
    assert "saved step" in said and "run the same command again" in said
    assert not (stopped / "model.safetensors").exists()
    pretrain(chosen(stopped), Console.silent())
    assert weights_hash(stopped) == weights_hash(whole)


def test_damaged_checkpoint_is_passed_over(
    shards_dir: Path, tokenizer_dir: Path, finished: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    chosen = options(shards_dir, tokenizer_dir, tmp_path / "model", held_out=0.1, eval_every=6)
    late = Placement(deadline=time.time() - 1)
    for _ in range(2):
        with pytest.raises(ResumableStopError):
            pretrain(chosen, Console.silent(), late)
    newest = tmp_path / "model" / "checkpoints" / "step-000002" / "model.safetensors"
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    pretrain(chosen, Console(level=1))
    assert "its checksum does not fit; going back" in capsys.readouterr().err
    assert weights_hash(tmp_path / "model") == weights_hash(finished)


def test_checkpoints_load_as_models_and_hold_no_pickle(
    shards_dir: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    chosen = options(
        shards_dir, tokenizer_dir, tmp_path / "model", keep_checkpoints=3, save_every=4
    )
    pretrain(chosen, Console.silent())
    folder = tmp_path / "model" / "checkpoints"
    assert (folder / "latest").read_text() == "step-000008\n"
    AutoModelForCausalLM.from_pretrained(folder / "step-000004")
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert not kinds & {".pt", ".bin", ".pth", ".pkl"}
    moments = load_file(folder / "step-000008" / "optimizer.safetensors")
    assert "transformer.wte.weight.exp_avg" in moments


def test_complete_changed_and_foreign_outputs_are_refused(
    shards_dir: Path, tokenizer_dir: Path, finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(CannotCreateError, match="complete run"):
        pretrain(options(shards_dir, tokenizer_dir, finished), Console.silent())
    late = Placement(deadline=time.time() - 1)
    target = tmp_path / "model"
    with pytest.raises(ResumableStopError):
        pretrain(options(shards_dir, tokenizer_dir, target), Console.silent(), late)
    with pytest.raises(ConfigError, match=r"settings.lr was 0.003, now 0.001"):
        pretrain(options(shards_dir, tokenizer_dir, target, lr=1e-3), Console.silent(), late)
    with pytest.raises(ResumableStopError, match="saved step 1 "):
        again = options(shards_dir, tokenizer_dir, target, lr=1e-3, overwrite=True)
        pretrain(again, Console.silent(), late)
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "a.jpg").touch()
    with pytest.raises(CannotCreateError, match="holds no training run"):
        again = options(shards_dir, tokenizer_dir, foreign, overwrite=True)
        pretrain(again, Console.silent())
    assert (foreign / "a.jpg").exists()


def test_continual_training_starts_from_the_weights_of_a_model(
    shards_dir: Path, tokenizer_dir: Path, finished: Path, tmp_path: Path
) -> None:
    more = {"preset": None, "set": [], "base_model": str(finished), "tokenizer": None}
    chosen = options(shards_dir, tokenizer_dir, tmp_path / "more", max_steps=4, log_every=1)
    for name, value in more.items():
        setattr(chosen, name, value)
    result = pretrain(chosen, Console.silent())
    before = json.loads((finished / "training.json").read_text())["loss"]
    assert result.curve[0][1] < before + 0.5


def test_wrong_inputs_are_named(shards_dir: Path, tokenizer_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with pytest.raises(ConfigError, match="above the model's 256 positions"):
        pretrain(options(shards_dir, tokenizer_dir, output, seq_len=512), Console.silent())
    with pytest.raises(UsageError, match="--eval-every needs"):
        pretrain(options(shards_dir, tokenizer_dir, output, eval_every=2), Console.silent())
    with pytest.raises(UsageError, match="give one of --preset"):
        pretrain(options(shards_dir, tokenizer_dir, output, preset=None), Console.silent())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no token shards"):
        pretrain(options(tmp_path / "empty", tokenizer_dir, output), Console.silent())
    assert not output.exists()
    with pytest.raises(UsageError, match="is not NAME=VALUE"):
        parse_overrides(["hidden_size"])
    assert parse_overrides(["a=3", "b=true", "c=text"]) == {"a": 3, "b": True, "c": "text"}


def test_gradient_accumulation_equals_one_large_batch(
    shards_dir: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    losses = []
    for size in (8, 2):
        chosen = options(
            shards_dir, tokenizer_dir, tmp_path / f"m{size}", micro_batch_size=size,
            precision="fp32", max_steps=4, log_every=1,
        )  # fmt: skip
        losses.append([loss for _, loss in pretrain(chosen, Console.silent()).curve])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_plan_needs_no_torch(shards_dir: Path, tokenizer_dir: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from norcli.cli.main import main;"
        f"sys.exit(main(['pretrain', {str(shards_dir)!r}, '--preset', 'norgpt-3b', '--tokenizer',"
        f" {str(tokenizer_dir)!r}, '-o', {str(tmp_path / 'm')!r}, '--dry-run', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["global_batch_size"] == 16 and plan["lr"] == 1.5e-4
    assert plan["parameters"] > 2.7e9 and plan["state_gb_per_device"] > 40
    assert not (tmp_path / "m").exists()
