"""Runs in tasks that are killed at every single step of their beginning and their end."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dedup_runs import prepared
from task_runs import run_stage

from norcli.cluster.dedup_stages import plan_run
from norcli.cluster.runs import Run
from norcli.cluster.tasks import run_task
from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.errors import CannotCreateError

STEPS = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync")


def killed_at(step: int, function: Callable[[], Any]) -> bool:
    """Run a function in a process that is killed before its nth step; return whether it was."""
    pid = os.fork()
    if pid == 0:
        left = step

        def counted(real: Any) -> Any:
            def call(*arguments: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            function()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.fixture()
def options(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> DedupOptions:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power fails here
    records = [{"id": f"d{number}", "text": f"tekst {number % 7}"} for number in range(40)]
    (in_tmp / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return DedupOptions(inputs=["in.jsonl"], output="out/kept.jsonl", rejects="out/gone.jsonl",
                        method=["exact"], executor="local", tasks=2)  # fmt: skip


def run_missing(run: Run) -> None:
    """Run what a launch would run, the last task even if it is done."""
    for stage in run.stages:
        for number in run.unfinished(stage):
            run_task(run, stage.name, number, 1, Console.silent())
    run.tidy()


def leftovers(run: Run) -> list[str]:
    found = [*run.folder.glob("*/parts/*"), *run.folder.glob("*/running-*"),
             *run.folder.parent.rglob("*.tmp.*"), *run.folder.glob("discarded.json")]  # fmt: skip
    return [str(path.relative_to(run.folder)) for path in found]


def test_a_kill_at_any_step_of_the_end_leaves_nothing_behind(
    in_tmp: Path, options: DedupOptions
) -> None:
    out, before = in_tmp / "out", in_tmp / "before"
    out.mkdir()
    run = prepared(options)
    for stage in run.stages[:-1]:
        run_stage(run, stage.name)
    shutil.copytree(out, before)
    run_stage(run, "finish")
    whole = {name: (out / name).read_bytes() for name in ("kept.jsonl", "gone.jsonl")}
    assert whole["kept.jsonl"].count(b"\n") == 7
    kills, was_complete = 0, 0
    while True:
        shutil.rmtree(out)
        shutil.copytree(before, out)
        if not killed_at(kills + 1, lambda: run_task(run, "finish", 0, 1, Console.silent())):
            break
        kills += 1
        was_complete += run.is_complete
        if run.is_complete:
            with pytest.raises(CannotCreateError, match="exists already"):
                plan_run(options)
        else:
            run_missing(prepared(options))
        assert {name: (out / name).read_bytes() for name in whole} == whole, kills
        assert leftovers(run) == [], kills
    assert kills >= 40
    assert 20 <= was_complete < kills


def test_a_kill_at_any_step_of_a_new_beginning_does_not_lock_the_folder(
    in_tmp: Path, options: DedupOptions
) -> None:
    out, before = in_tmp / "out", in_tmp / "before"
    out.mkdir()
    run_missing(prepared(options))
    whole = (out / "kept.jsonl").read_bytes()
    shutil.copytree(out, before)
    again = DedupOptions(**{**vars(options), "overwrite": True})
    kills = 0
    while True:
        shutil.rmtree(out)
        shutil.copytree(before, out)
        if not killed_at(kills + 1, lambda: prepared(again)):
            break
        kills += 1
        run = prepared(again)
        run_missing(run)
        assert (out / "kept.jsonl").read_bytes() == whole, kills
        assert leftovers(run) == [], kills
    assert kills >= 20


def test_launching_a_task_that_is_done_removes_what_a_kill_left(
    in_tmp: Path, options: DedupOptions
) -> None:
    (in_tmp / "out").mkdir()
    run = prepared(options)
    run_missing(run)
    stray = run.folder / "write" / "parts"
    stray.mkdir()
    (stray / "00001-output.jsonl").write_text("left")
    (run.folder / "sign" / "running-00001").mkdir()
    (run.folder / "sign" / "running-00001" / "lock").touch()
    assert not run_task(run, "finish", 0, 1, Console.silent())
    assert leftovers(run) == []
