"""The journal behind --resume: equal bytes whatever kills come, refusals that name the cause."""

from __future__ import annotations

import contextlib
import errno
import gzip
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from norcli import resume
from norcli.console import Console
from norcli.errors import (
    CannotCreateError,
    ConfigError,
    IOFailureError,
    ResumableStopError,
    UsageError,
)
from norcli.options import GeneralOptions, option
from norcli.resume import Journal, effective_config, watched_files
from norcli.streams import Interruption

UNITS = 12


@dataclass
class Job:
    """A small run with two outputs: units of lines, some to the one and some to the other."""

    folder: Path
    suffix: str = ".jsonl"
    config: int = 1
    every: int = 1
    overwrite: bool = False

    @property
    def outputs(self) -> tuple[Path, Path]:
        return self.folder / f"out{self.suffix}", self.folder / f"rejects{self.suffix}"

    def open(self) -> Journal:
        source = self.folder / "in.jsonl"
        if not source.exists():
            source.write_text("input")
        kept, rejects = self.outputs
        return Journal.open(
            str(kept), parts={"output": str(kept), "rejects": str(rejects)},
            config={"threshold": self.config}, inputs=[str(source)], overwrite=self.overwrite,
            console=Console.silent(),
        )  # fmt: skip

    def run(self, stop_after: int | None = None) -> None:
        with self.open() as journal:
            if not journal.is_complete:
                kept, rejects = journal.open_part("output"), journal.open_part("rejects")
                total = journal.state.get("bytes", 0)
                for unit in range(journal.units_done, UNITS):
                    lines = random.Random(unit).randbytes(200 + 300 * (unit % 3)).hex().encode()
                    total += kept.write(lines + b"\n")
                    if unit % 4 == 1:
                        rejects.write(b"dropped %d\n" % unit)
                    if unit + 1 == stop_after:
                        return
                    if (unit + 1) % self.every == 0:
                        journal.commit({"bytes": total}, units=self.every)
            journal.finish()

    def contents(self) -> list[bytes]:
        return [path.read_bytes() for path in self.outputs]


def job_in(folder: Path, **settings: Any) -> Job:
    folder.mkdir()
    return Job(folder, **settings)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_a_run_stopped_at_every_unit_gives_the_bytes_of_a_whole_one(
    tmp_path: Path, suffix: str
) -> None:
    whole = job_in(tmp_path / "whole", suffix=suffix, every=2)
    whole.run()
    stopped = job_in(tmp_path / "stopped", suffix=suffix, every=2)
    for unit in range(1, UNITS + 1):
        stopped.run(stop_after=unit)
        assert not stopped.outputs[0].exists()
    stopped.run()
    assert stopped.contents() == whole.contents()
    assert sorted(p.name for p in stopped.folder.iterdir()) == sorted(
        ["in.jsonl", *(path.name for path in stopped.outputs)]
    )


def test_compressed_outputs_read_back_even_when_empty(tmp_path: Path) -> None:
    for suffix in (".jsonl.gz", ".jsonl.zst"):
        job = job_in(tmp_path / suffix[7:], suffix=suffix)
        with job.open() as journal:
            journal.open_part("output").write(b"a\n")
            journal.commit({})
            journal.open_part("output").write(b"b\n")
            journal.finish()
        kept, empty = job.contents()
        if suffix.endswith("gz"):
            assert (gzip.decompress(kept), gzip.decompress(empty)) == (b"a\nb\n", b"")
        else:
            reader = zstandard.ZstdDecompressor()
            assert reader.stream_reader(kept, read_across_frames=True).read() == b"a\nb\n"
            assert empty
            assert reader.decompress(empty) == b""


class Killed(BaseException):
    """Stands for SIGKILL at a moment between two system calls."""


@contextlib.contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[list[int]]:
    """Let the process die before its step-th fsync, rename or removal of a file."""
    count = [0]

    def counted(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] == step:
                raise Killed
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace", "rmdir"):
            patch.setattr(resume.os, name, counted(getattr(os, name)))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        yield count


def test_a_kill_between_any_two_steps_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = job_in(tmp_path / "whole", every=3)
    with killed_at(monkeypatch, -1) as count:
        whole.run()
    steps = count[0]
    assert steps > 20
    for step in range(1, steps + 1):
        job = job_in(tmp_path / f"step{step}", every=3)
        with killed_at(monkeypatch, step), contextlib.suppress(Killed):
            job.run()
        finished = job.outputs[0].exists() and not Path(f"{job.outputs[0]}.resume").exists()
        if finished:
            assert step > steps - 2, "only the folder's removal may come after the end"
        elif step > steps - 2 and not (job.folder / "out.jsonl.resume" / "journal").exists():
            # All is in place but an empty folder: the run counts as complete.
            with pytest.raises(CannotCreateError):
                job.run()
        else:
            job.run()
        assert job.contents() == whole.contents(), step


@pytest.fixture()
def no_fsync() -> Iterator[None]:
    """Hundreds of runs wait long for a busy disk, and no power fails here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume.os, "fsync", lambda descriptor: None)
        yield


@pytest.mark.usefixtures("no_fsync")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(suffix=st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst"]), seed=st.integers(0, 10**9))
def test_a_kill_after_any_byte_gives_the_same_result(
    suffix: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cut the journal after any byte and the parts anywhere behind what it commits."""
    chance = random.Random(seed)
    base = tmp_path_factory.mktemp("kill")
    whole = job_in(base / "whole", suffix=suffix)
    whole.run()
    job = job_in(base / "cut", suffix=suffix)
    job.run(stop_after=UNITS)
    folder = job.folder / f"out{suffix}.resume"
    journal = (folder / "journal").read_bytes()
    cut = chance.randint(0, len(journal))
    (folder / "journal").write_bytes(journal[:cut])
    # Parts are synced before the line that counts them, so they reach at least that far, and
    # at most to where the next line would have counted them, torn bytes included.
    lines = journal[:cut].count(b"\n")
    committed = [sizes_of(line) for line in journal.split(b"\n")[1:-1]]
    floor = committed[lines - 2] if lines >= 2 else {"output": 0, "rejects": 0}
    for name, least in floor.items():
        part = folder / f"part-{name}"
        length = chance.randint(least, part.stat().st_size)
        tail = chance.randbytes(chance.randint(0, 20))
        part.write_bytes(part.read_bytes()[:length] + tail)
    job.run()
    assert job.contents() == whole.contents()


def sizes_of(line: bytes) -> dict[str, int]:
    import orjson

    sizes: dict[str, int] = orjson.loads(line.partition(b" ")[2])["sizes"]
    return sizes


def test_parts_cut_by_a_power_failure_lead_back_to_an_older_commit(tmp_path: Path) -> None:
    whole = job_in(tmp_path / "whole")
    whole.run()
    job = job_in(tmp_path / "cut")
    job.run(stop_after=9)
    part = job.folder / "out.jsonl.resume" / "part-output"
    part.write_bytes(part.read_bytes()[:1500])
    with job.open() as journal:
        assert 0 < journal.units_done < 8
    job.run()
    assert job.contents() == whole.contents()


def test_a_damaged_line_and_what_follows_it_are_not_believed(tmp_path: Path) -> None:
    whole = job_in(tmp_path / "whole")
    whole.run()
    job = job_in(tmp_path / "damaged")
    job.run(stop_after=9)
    journal = job.folder / "out.jsonl.resume" / "journal"
    lines = journal.read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b"bytes", b"bites")
    journal.write_bytes(b"\n".join(lines))
    with job.open() as found:
        assert found.units_done == 3
    job.run()
    assert job.contents() == whole.contents()


def test_a_long_journal_is_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = job_in(tmp_path / "whole")
    whole.run()
    monkeypatch.setattr(resume, "COMPACT_BYTES", 600)
    job = job_in(tmp_path / "compact")
    job.run(stop_after=UNITS)
    assert (job.folder / "out.jsonl.resume" / "journal").read_bytes().count(b"\n") < 8
    job.run()
    assert job.contents() == whole.contents()


def test_a_complete_output_is_refused_without_overwrite(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run()
    with pytest.raises(CannotCreateError, match="exists already"):
        job.run()
    assert not Path(f"{job.outputs[0]}.resume").exists()
    before = job.contents()
    job.overwrite = True
    job.run()
    assert job.contents() == before


def test_another_configuration_is_refused_and_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run(stop_after=5)
    job.config = 2
    with pytest.raises(ConfigError, match="threshold was 1, is 2"):
        job.run()
    job.overwrite = True
    job.run()
    assert job.outputs[0].exists()


def test_a_changed_input_is_refused_and_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run(stop_after=5)
    source = tmp_path / "in.jsonl"
    source.write_text("other input")
    with pytest.raises(ConfigError, match=r"in\.jsonl has changed since"):
        job.run()


def test_two_runs_cannot_write_one_output(tmp_path: Path) -> None:
    job = Job(tmp_path)
    with job.open(), pytest.raises(CannotCreateError, match=f"process {os.getpid()} on"):
        job.open()
    job.run()


def test_a_run_that_was_taken_over_stops_at_its_next_commit(tmp_path: Path) -> None:
    """Where locks do not reach other nodes, the name in the lock file decides."""
    with Job(tmp_path).open() as journal:
        (journal.folder / "lock").write_text("other-node 17 1")
        with pytest.raises(CannotCreateError, match="process 17 on other-node"):
            journal.commit({})


def test_without_locks_a_living_owner_is_respected_and_a_dead_one_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def unsupported(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    job = Job(tmp_path)
    with job.open(), pytest.raises(CannotCreateError, match="another run"):
        job.open()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = tmp_path / "out.jsonl.resume"
    (folder / "lock").write_text(f"{os.uname().nodename} {dead.pid} 1")
    job.run(stop_after=2)
    (folder / "lock").write_text("other-node 17 1")
    with pytest.raises(CannotCreateError, match="other-node"):
        job.run()


def test_a_full_disk_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = job_in(tmp_path / "whole")
    whole.run()
    job = job_in(tmp_path / "full")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        with job.open() as journal:
            journal.open_part("output").write(b"x")
            patch.setattr(resume.os, "fsync", full)
            with pytest.raises(IOFailureError, match="no space left"):
                journal.commit({})
        with pytest.raises(IOFailureError, match="no space left"):
            job.run()
    assert not job.outputs[0].exists()
    job.run()
    assert job.contents() == whole.contents()


def test_a_signal_becomes_a_stop_that_resumes(tmp_path: Path) -> None:
    with pytest.raises(ResumableStopError, match="unit 0"), Job(tmp_path).open():
        raise Interruption(signal.SIGTERM)


@pytest.mark.parametrize(
    ("output", "reason"),
    [("-", "needs an output file"), ("a.parquet", "Parquet"), ("/dev/null", "plain output")],
)
def test_outputs_that_cannot_be_continued_are_refused(
    in_tmp: Path, output: str, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        Journal.open(output, parts={"output": output}, config={}, inputs=[], overwrite=False,
                     console=Console.silent())  # fmt: skip
    assert list(in_tmp.iterdir()) == []


def test_standard_input_is_refused(in_tmp: Path) -> None:
    with pytest.raises(UsageError, match="standard input"):
        Journal.open("a", parts={"output": "a"}, config={}, inputs=["-"], overwrite=False,
                     console=Console.silent())  # fmt: skip


def test_incidental_options_do_not_change_the_configuration() -> None:
    plain = effective_config(GeneralOptions())
    assert effective_config(GeneralOptions(jobs=4, quiet=True, progress=False)) == plain
    assert effective_config(GeneralOptions(seed=1)) != plain


@dataclass(kw_only=True)
class Wanting(GeneralOptions):
    rules: str | None = option(None, help="Rules", complete="file:.toml")
    lists: list[str] = option(default_factory=list, help="Lists", complete="file")
    rejects: str | None = option(None, help="Rejects", complete="file")
    note: str = option("", help="Note")


def test_all_files_that_options_name_are_watched(in_tmp: Path) -> None:
    Path("lists").mkdir()
    for name in ("rules.toml", "in.jsonl", "lists/a", "lists/b", "rejects", "note", "stats"):
        Path(name).write_text("x")
    options = Wanting(rules="rules.toml", lists=["lists", "missing"], rejects="rejects",
                      note="note", stats="stats")  # fmt: skip
    found = watched_files(options, ["in.jsonl"], ["rejects"])
    assert found == ["in.jsonl", "rules.toml", "lists/a", "lists/b"]


def run_in_child(folder: str) -> None:
    job = Job(Path(folder), suffix=".jsonl.zst")
    with job.open() as journal:
        if not journal.is_complete:
            kept = journal.open_part("output")
            for unit in range(journal.units_done, UNITS):
                for line in range(50):
                    kept.write(b"%d %d\n" % (unit, line))
                    time.sleep(0.0002)
                journal.commit({})
        journal.finish()


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run_in_child(str(whole))
    killed = tmp_path / "killed"
    killed.mkdir()
    context = multiprocessing.get_context("fork")
    chance, kills = random.Random(5), 0
    while True:
        child = context.Process(target=run_in_child, args=(str(killed),))
        child.start()
        child.join(0.01 + 0.05 * chance.random())
        if child.is_alive():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
        # A kill may also come between the end of the run and that of the process.
        unfinished = (killed / "out.jsonl.zst.resume" / "journal").exists()
        if (killed / "out.jsonl.zst").exists() and not unfinished:
            break
        assert child.exitcode == -signal.SIGKILL
    assert kills >= 2
    assert Job(killed, suffix=".jsonl.zst").contents() == Job(whole, suffix=".jsonl.zst").contents()
