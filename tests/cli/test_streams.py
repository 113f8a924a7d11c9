"""Atomic outputs: a final name always holds a complete result."""

from __future__ import annotations

import fcntl
import os
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest

from norcli import streams
from norcli.errors import CannotCreateError, DataError, InputMissingError, IOFailureError
from norcli.locks import RunLock, output_lock
from norcli.streams import (
    atomic_directory,
    atomic_file,
    check_output,
    open_input,
    require_directory,
)


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    with atomic_file(str(target)) as stream:
        stream.write(b"halv")
        assert not target.exists()
    assert target.read_bytes() == b"halv"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_file(str(tmp_path / "a")) as stream:
        stream.write(b"halv")
        raise RuntimeError("stopp")
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_kept_without_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"gammel")
    with pytest.raises(CannotCreateError), atomic_file(str(target)):
        pass
    assert target.read_bytes() == b"gammel"
    with atomic_file(str(target), overwrite=True) as stream:
        stream.write(b"ny")
    assert target.read_bytes() == b"ny"


def test_missing_folder_is_told_before_work(tmp_path: Path) -> None:
    with pytest.raises(CannotCreateError, match="folder does not exist"):
        check_output(str(tmp_path / "nei" / "a"), overwrite=False)


def test_directory_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "modell"
    with atomic_directory(str(target)) as folder:
        (folder / "config.json").write_text("{}")
        assert not target.exists()
    assert (target / "config.json").exists()
    with pytest.raises(CannotCreateError), atomic_directory(str(target)):
        pass
    with atomic_directory(str(target), overwrite=True) as folder:
        (folder / "ny.json").write_text("{}")
    assert [path.name for path in target.iterdir()] == ["ny.json"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_that_a_dead_process_was_replacing_is_put_back(tmp_path: Path) -> None:
    target = tmp_path / "modell"
    old = tmp_path / f"modell.old.{os.uname().nodename}.999999999"
    old.mkdir()
    (old / "config.json").write_text("gammel")
    with pytest.raises(RuntimeError), atomic_directory(str(target)):
        raise RuntimeError("stopp")
    assert [path.name for path in tmp_path.iterdir()] == ["modell"]
    assert (target / "config.json").read_text() == "gammel"


def test_a_replaced_directory_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "modell"
    target.mkdir()
    old = tmp_path / f"modell.old.{os.uname().nodename}.999999999"
    old.mkdir()
    with atomic_directory(str(target), overwrite=True) as folder:
        (folder / "config.json").write_text("ny")
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "config.json").read_text() == "ny"


def test_a_link_to_a_directory_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    kept = tmp_path / "gammel"
    kept.mkdir()
    target = tmp_path / "modell"
    target.symlink_to(kept)
    with atomic_directory(str(target), overwrite=True):
        pass
    assert sorted(tmp_path.iterdir()) == [kept, target]
    assert not target.is_symlink()


def test_stale_temporary_files_of_dead_processes_are_removed(tmp_path: Path) -> None:
    host = os.uname().nodename
    stale = tmp_path / f"a.tmp.{host}.999999999"
    stale.write_bytes(b"rest")
    alive = tmp_path / f"a.tmp.{host}.{os.getppid()}"
    alive.write_bytes(b"in work")
    # Its number may be that of a process which lives there and not here.
    elsewhere = tmp_path / f"a.tmp.{host}2.999999999"
    elsewhere.write_bytes(b"in work")
    with atomic_file(str(tmp_path / "a")) as stream:
        stream.write(b"x")
    assert not stale.exists() and alive.exists() and elsewhere.exists()


def test_devices_are_written_to_directly() -> None:
    with atomic_file("/dev/null") as stream:
        stream.write(b"bort")


def test_full_disk_is_an_io_failure() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises((IOFailureError, OSError)), atomic_file("/dev/full") as stream:
        stream.write(b"x" * 1_000_000)


def test_inputs_that_are_not_there_or_are_folders(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        open_input(str(tmp_path / "nei"))
    with pytest.raises(DataError):
        open_input(str(tmp_path))
    with pytest.raises(InputMissingError):
        require_directory(str(tmp_path / "nei"), "a model")
    file = tmp_path / "fil"
    file.touch()
    with pytest.raises(DataError):
        require_directory(str(file), "a model")


def test_lock_keeps_a_second_run_off(tmp_path: Path) -> None:
    with (
        output_lock(str(tmp_path / "a")),
        pytest.raises(CannotCreateError, match="another run"),
        output_lock(str(tmp_path / "a")),
    ):
        pass
    with output_lock(str(tmp_path / "a")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_run_that_ends_meanwhile_does_not_let_two_others_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = RunLock.take(tmp_path / ".a.lock", "a")
    flock = fcntl.flock

    def flock_after_the_first_has_ended(stream: BinaryIO, how: int) -> None:
        monkeypatch.undo()
        first.remove()
        flock(stream, how)

    monkeypatch.setattr(fcntl, "flock", flock_after_the_first_has_ended)
    with (
        output_lock(str(tmp_path / "a")),
        pytest.raises(CannotCreateError, match=f"process {os.getpid()} on"),
        output_lock(str(tmp_path / "a")),
    ):
        pass


def test_outputs_go_to_the_disk_while_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(streams, "WRITEBACK_BYTES", 1000)
    monkeypatch.setattr(streams.os, "posix_fadvise", lambda fd, begin, size, _: sent.append(
        (begin, begin + size)))  # fmt: skip
    data = bytes(range(256)) * 5000
    with atomic_file(str(tmp_path / "out")) as stream:
        for begin in range(0, len(data), 70_000):
            stream.write(data[begin : begin + 70_000])
        stream.seek(10)
        stream.write(b"again")
    assert (tmp_path / "out").read_bytes() == data[:10] + b"again" + data[15:]
    assert sent[0][0] == 0 and sent[-1][1] == len(data)
    assert all(one[1] == other[0] for one, other in pairwise(sent))
