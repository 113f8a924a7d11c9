"""norcli as a process: exit codes, pipes, signals, a terminal, a full disk."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NORCLI = [sys.executable, "-m", "norcli"]


def run(*words: str, data: bytes = b"", **kwargs: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*NORCLI, *words], input=data, capture_output=True, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


def records(count: int) -> bytes:
    lines = (
        json.dumps({"id": str(i), "text": f"Dette er tekst nummer {i} om elva ved {i * 7} fjell."})
        for i in range(count)
    )
    return "\n".join(lines).encode() + b"\n"


def test_unknown_command_is_told_with_a_suggestion() -> None:
    result = run("dedpu")
    assert result.returncode == 2
    assert result.stderr.decode() == 'norcli: no command "dedpu"\nhint: did you mean dedup?\n'


def test_no_command_prints_usage_on_stderr() -> None:
    result = run()
    assert result.returncode == 2
    assert result.stdout == b"" and b"usage: norcli" in result.stderr


def test_reader_that_goes_away_ends_the_run_silently_with_141(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(records(20000))
    command = (
        f"{sys.executable} -m norcli dedup {file} --method exact | head -1; exit ${{PIPESTATUS[0]}}"
    )
    result = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert result.returncode == 141
    assert result.stderr == b""
    assert len(result.stdout.splitlines()) == 1


def test_terminal_without_input_prints_usage_and_exits_2() -> None:
    leader, follower = pty.openpty()
    try:
        result = subprocess.run([*NORCLI, "dedup"], stdin=follower, capture_output=True, timeout=60,
                                check=False)  # fmt: skip
    finally:
        os.close(leader)
        os.close(follower)
    assert result.returncode == 2
    assert b"usage: norcli dedup" in result.stderr


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_a_waiting_command_and_leave_no_file(
    signum: int, code: int, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [*NORCLI, "dedup", "-", "-o", str(output)], stdin=subprocess.PIPE,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(records(3))
    process.stdin.flush()
    time.sleep(2.5)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err.decode()
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_an_io_error(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(records(5000))
    with open("/dev/full", "wb") as full:
        result = subprocess.run([*NORCLI, "dedup", str(file), "--method", "exact"], stdout=full,
                                stderr=subprocess.PIPE, check=False)  # fmt: skip
    assert result.returncode == 74, result.stderr.decode()
    assert b"no space left" in result.stderr.lower()


def test_quiet_says_nothing_and_json_logs_are_json(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(records(10))
    quiet = run("dedup", str(file), "--quiet", "-o", str(tmp_path / "b.jsonl"))
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"", b"")
    logged = run("dedup", str(file), "--log-format", "json", "-o", str(tmp_path / "c.jsonl"))
    for line in logged.stderr.decode().splitlines():
        assert json.loads(line)["program"] == "norcli dedup"


def test_print_config_is_toml_on_stdout() -> None:
    import tomllib

    result = run("dedup", "--print-config", "--threshold", "0.8", "x")
    assert result.returncode == 0
    assert tomllib.loads(result.stdout.decode())["dedup"]["threshold"] == 0.8


def test_logs_hold_no_escape_codes(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(records(10))
    result = run("dedup", str(file))
    assert b"\x1b" not in result.stderr + result.stdout
