"""Job scripts: what they say, that shells accept them, and that nothing typed can escape."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.cluster.machines import BUILT_IN, find_machine
from norcli.cluster.options import LaunchOptions
from norcli.cluster.scripts import job_script
from norcli.errors import ConfigError, UsageError

PRETRAIN = ["pretrain", "shards/", "--preset", "norgpt-3b", "--tokenizer", "tok/", "-o", "m/"]

# Anything a command line can hold: all but the zero byte and halves of surrogate pairs.
WORD_CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


def script(machine: str = "h100", command: list[str] | None = None, **more: Any) -> str:
    cluster = more.get("cluster")
    chosen = LaunchOptions(machine=machine, command=command or PRETRAIN, **more)
    return job_script(chosen, find_machine(machine, cluster))


def bash_accepts(text: str) -> bool:
    return subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def shellcheck() -> str | None:
    beside = Path(sys.executable).with_name("shellcheck")
    return str(beside) if beside.exists() else shutil.which("shellcheck")


@pytest.mark.parametrize("machine", BUILT_IN)
@pytest.mark.parametrize("array", [None, 16])
def test_scripts_pass_bash_and_shellcheck(machine: str, array: int | None) -> None:
    command = PRETRAIN if array is None else ["dedup", "a b.jsonl", "-o", "out-{task}.jsonl"]
    text = script(
        machine, command, array=array, account="nn1", partition="gpu", venv="my env", nodes=1
    )
    assert bash_accepts(text)
    checker = shellcheck()
    if checker is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        [checker, "-s", "bash", "-e", "SC1091", "-"], input=text, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_gpu_job_has_what_saving_and_queueing_again_need() -> None:
    text = script(nodes=2, gpus=4, account="nn1", time="1-00:00:00")
    for line in (
        "#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=4", "#SBATCH --gres=gpu:h100:4",
        "#SBATCH --account=nn1", "#SBATCH --time=1-00:00:00", "#SBATCH --signal=USR1@300",
        "#SBATCH --requeue", "#SBATCH --open-mode=append", "export HF_HUB_OFFLINE=1",
        'if [ "$status" -eq 75 ]; then',
    ):  # fmt: skip
        assert line in text.splitlines(), line
    assert "scontrol show hostnames" in text and "scontrol requeue" in text
    assert "srun python -m norcli pretrain shards/ --preset norgpt-3b" in text


def test_status_75_queues_the_job_again_and_others_do_not(tmp_path: Path) -> None:
    """Run a script with srun and scontrol replaced, as a node would."""
    text = script("h100", ["pretrain", "it's $HOME", "-o", "a b"])
    calls = tmp_path / "calls"
    for status, requeued in ((75, True), (0, False), (1, False)):
        calls.unlink(missing_ok=True)
        (tmp_path / "srun").write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\nexit {status}\n'
        )
        (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {calls}; echo node-1\n')
        for name in ("srun", "scontrol"):
            (tmp_path / name).chmod(0o755)
        variables = {
            "SLURM_JOB_ID": "41", "SLURM_CPUS_PER_TASK": "2", "SLURM_JOB_NODELIST": "node-[1-2]",
            "PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/x",
        }  # fmt: skip
        done = subprocess.run(["bash"], input=text, text=True, env=variables, check=False)
        assert done.returncode == status
        words = (tmp_path / "words").read_text().splitlines()
        assert words == ["python", "-m", "norcli", "pretrain", "it's $HOME", "-o", "a b"]
        assert ("requeue 41" in calls.read_text()) == requeued


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.text(WORD_CHARACTERS), min_size=1, max_size=4))
def test_any_words_reach_the_command_as_typed(words: list[str]) -> None:
    text = script("h100", ["eval", *words])
    line = text[text.index("srun python") : text.index(" || status=$?")]
    echo = line.replace("srun python -m norcli", "printf '%s\\0'", 1).replace('"$task"', "'{task}'")
    done = subprocess.run(["bash", "-c", echo], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(word + "\0" for word in ["eval", *words])


@pytest.mark.parametrize("value", ["a\n#SBATCH --exclusive", "a b", "$(id)", "a;b", "`x`", '"'])
@pytest.mark.parametrize("name", ["account", "partition", "constraint", "job_name", "mem"])
def test_directive_values_cannot_leave_their_line(name: str, value: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a job script"):
        script(**{name: value})


def test_arrays_shard_the_command_and_need_an_output_for_each_task() -> None:
    text = script("a100", ["dedup", "x.jsonl", "-o", "o-{task}.jsonl"], array=8)
    assert '-o o-"$task".jsonl --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"' in text
    assert "#SBATCH --array=0-7" in text and "--gres" not in text and "MASTER_ADDR" not in text
    with pytest.raises(UsageError, match="write the same output"):
        script("a100", ["dedup", "x.jsonl", "-o", "o.jsonl"], array=8)
    with pytest.raises(UsageError, match="no GPU per task"):
        script("a100", ["dedup", "x", "-o", "{task}"], array=8, gpus=1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"time": "tomorrow"}, "no time limit"),
        ({"gpus": 9}, "nodes have 4, not 9"),
        ({"nodes": 2, "command": ["quantize", "m"]}, "as that many copies"),
    ],
)
def test_impossible_requests_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        script(**more)


def test_user_file_adds_account_and_machines_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(
        'account = "nn7"\nmodules = ["Python/3.11", "CUDA"]\n[environment]\nNCCL_DEBUG = "INFO"\n'
        '[big]\nbase = "h100"\ngpus_per_node = 8\nsetup = ["ulimit -c 0"]\n'
    )
    text = script("big", cluster=str(file))
    assert "#SBATCH --account=nn7" in text and "--gres=gpu:h100:8" in text
    assert "module load Python/3.11 CUDA" in text and "ulimit -c 0" in text
    assert "export NCCL_DEBUG=INFO" in text
    with pytest.raises(ConfigError, match='unknown machine "huge"') as raised:
        script("huge", cluster=str(file))
    assert "big" in (raised.value.hint or "")
    file.write_text('acount = "x"\n')
    with pytest.raises(ConfigError, match='unknown key "acount"'):
        script("h100", cluster=str(file))
    file.write_text("gpus_per_node = 'four'\n")
    with pytest.raises(ConfigError, match="wrong kind"):
        script("h100", cluster=str(file))


def test_idun_asks_for_account_and_partition() -> None:
    with pytest.raises(UsageError, match="idun needs --account"):
        script("idun")
    assert "#SBATCH --constraint=gpu80g" in script("idun", account="a", partition="p")
