"""Completions, tried in the shells they are for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

COMPLETIONS = Path(__file__).resolve().parents[2] / "completions"


def complete(line: str, folder: Path) -> list[str]:
    """Source the bash file, complete the last word of a line, return the offers."""
    script = f"""
    source {COMPLETIONS}/norcli.bash
    line={line!r}
    read -ra COMP_WORDS <<<"$line"
    [[ $line == *' ' ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _norcli
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, check=True)
    assert result.stderr == b""
    return result.stdout.decode().split("\n")[:-1]


def test_commands_complete(tmp_path: Path) -> None:
    assert complete("norcli tok", tmp_path) == ["tokenize-train", "tokenize"]


def test_flags_complete_by_command(tmp_path: Path) -> None:
    assert complete("norcli dedup --thres", tmp_path) == ["--threshold"]
    assert complete("norcli help --thres", tmp_path) in ([], [""])


def test_choices_and_presets_complete(tmp_path: Path) -> None:
    assert complete("norcli dedup --on-bad-record s", tmp_path) == ["stop", "skip"]
    assert "norgpt-369m" in complete("norcli pretrain --preset norgpt", tmp_path)


def test_subcommands_have_their_own_flags(tmp_path: Path) -> None:
    assert "ppo" in complete("norcli rlhf p", tmp_path)
    assert any("kl" in flag for flag in complete("norcli rlhf ppo --", tmp_path))


def test_files_are_filtered_by_suffix(tmp_path: Path) -> None:
    (tmp_path / "run.toml").touch()
    (tmp_path / "run.txt").touch()
    assert complete("norcli dedup --config run", tmp_path) == ["run.toml"]


@pytest.mark.parametrize(("shell", "file"), [("zsh", "_norcli"), ("fish", "norcli.fish")])
def test_zsh_and_fish_files_parse(shell: str, file: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", str(COMPLETIONS / file)], check=True)
