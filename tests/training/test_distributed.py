"""Two gloo processes learn what one does: DDP and FSDP2, saving and resuming included."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from norcli.cluster.placement import Placement, find_placement
from norcli.errors import ConfigError, UnavailableError

WORKER = """
import json, os, sys, time
from norcli.cluster.placement import find_placement
from norcli.console import Console
from norcli.errors import ResumableStopError
from norcli.training.options import PretrainOptions
from norcli.training.pretrain import pretrain
from dataclasses import replace

shards, tokenizer, output, mode, slices = sys.argv[1:]
place = find_placement(os.environ)
options = PretrainOptions(
    shards=[shards], tokenizer=tokenizer, output=output, preset="norgpt-nano", seq_len=32,
    set=["num_hidden_layers=2", "hidden_size=32", "intermediate_size=64"], max_steps=6,
    global_batch_size=8, micro_batch_size=2, precision="fp32", lr=3e-3, log_every=1, jobs=1,
    held_out=0.1, distributed=mode,
)
if slices == "sliced" and place.rank == 0:
    # Only the first process sees the end of the job; the other one must stop with it.
    place = replace(place, deadline=time.time() - 1)
while True:
    try:
        result = pretrain(options, Console.silent(), place)
        break
    except ResumableStopError:
        place = replace(place, master_port=place.master_port + 1)
print(json.dumps([loss for _, loss in result.curve] + [result.eval_loss]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def train(
    folder: Path, shards: Path, tokenizer: Path, mode: str, slices: str, seconds: float = 180
) -> list[float]:
    """Train with one process (mode none) or two; return the losses that rank 0 logged."""
    count = 1 if mode == "none" else 2
    port = free_port()
    running = []
    for rank in range(count):
        environment = os.environ | {
            "RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        words = [str(shards), str(tokenizer), str(folder), mode, slices]
        running.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", WORKER, *words], env=environment,
                stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    outputs = [process.communicate(timeout=seconds)[0] for process in running]
    assert [process.returncode for process in running] == [0] * count
    losses: list[float] = json.loads(outputs[0].strip().splitlines()[-1])
    return losses


@pytest.fixture(scope="module")
def single(
    shards_dir: Path, tokenizer_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[float]]:
    folder = tmp_path_factory.mktemp("single") / "model"
    return folder, train(folder, shards_dir, tokenizer_dir, "none", "whole")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", ["ddp", "fsdp2"])
def test_two_processes_learn_what_one_does(
    mode: str, single: tuple[Path, list[float]], shards_dir: Path, tokenizer_dir: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder, expected = single
    losses = train(tmp_path / "model", shards_dir, tokenizer_dir, mode, "whole")
    assert losses == pytest.approx(expected, rel=2e-5)
    ours = load_file(tmp_path / "model" / "model.safetensors")
    for name, value in load_file(folder / "model.safetensors").items():
        np.testing.assert_allclose(ours[name], value, atol=2e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_fsdp2_stops_together_and_goes_on(
    single: tuple[Path, list[float]], shards_dir: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    _, expected = single
    losses = train(tmp_path / "model", shards_dir, tokenizer_dir, "fsdp2", "sliced")
    assert losses == pytest.approx(expected[-2:], rel=2e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_deepspeed_learns_what_one_process_does(
    single: tuple[Path, list[float]], shards_dir: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    """DeepSpeed compiles a part of itself on first use: minutes, and a compiler is needed."""
    if find_spec("deepspeed") is None or shutil.which("g++") is None:
        pytest.skip("deepspeed or g++ is not installed")
    _, expected = single
    losses = train(tmp_path / "model", shards_dir, tokenizer_dir, "deepspeed", "whole", 600)
    assert losses == pytest.approx(expected, rel=2e-5)


def test_deepspeed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from norcli.training.deepspeed_engine import DeepSpeedEngine, configuration
    from norcli.training.options import PretrainOptions
    from norcli.training.settings import resolve_settings

    settings = resolve_settings(
        PretrainOptions(output="out", micro_batch_size=2), rows=10, seq_len=8, seed=0,
        document_mask=False, default_epochs=1.0, defaults={"global_batch_size": 16},
    )  # fmt: skip
    made = configuration(settings, "bf16", 4)
    assert made["gradient_accumulation_steps"] == 2 and made["bf16"] == {"enabled": True}
    assert "optimizer" not in made, "an optimizer named here is compiled on first use"
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(UnavailableError) as raised:
        DeepSpeedEngine(torch.nn.Linear(2, 2), settings, torch.device("cpu"), "fp32")
    assert raised.value.hint == "pip install 'norcli[deepspeed]'"


def test_placement_comes_from_torchrun_or_slurm() -> None:
    assert find_placement({}) == Placement()
    assert find_placement({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}) == Placement()
    slurm = {
        "SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "MASTER_ADDR": "node-1",
        "MASTER_PORT": "20777", "SLURM_JOB_END_TIME": "1700000000",
    }  # fmt: skip
    assert find_placement(slurm) == Placement(5, 8, 1, "node-1", 20777, 1.7e9)
    torchrun = slurm | {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    assert find_placement(torchrun).world_size == 2
    with pytest.raises(ConfigError, match="rank 9 of 8"):
        find_placement(slurm | {"SLURM_PROCID": "9"})
    with pytest.raises(ConfigError, match="MASTER_PORT"):
        find_placement(slurm | {"MASTER_PORT": "x"})
