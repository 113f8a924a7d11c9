"""A run that is killed goes on with the same command and gives the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from planted_corpus import made_up_texts, make_corpus

from norcli import resume
from norcli.console import Console
from norcli.dedup import gathering, resuming
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup
from norcli.errors import CannotCreateError, ConfigError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two files with planted duplicates, bad lines and documents without ids."""
    folder = tmp_path_factory.mktemp("corpus")
    records = list(make_corpus(300, 7, made_up_texts(random.Random(8))))
    paths = []
    for part in range(2):
        lines = []
        for number, record in enumerate(records[part::2]):
            if number % 50 == 0:
                lines.append("ikke json")
            if number % 7 == 0:
                del record["id"]
            # Lines and addresses of which some stand in other documents, too.
            menu = f"meny {number % 13} med en linje som er lang nok til å falle"
            record["text"] = f"{menu}\n\n{record['text']}" if number % 3 else f"kort\n{menu}"
            record["url"] = f"https://side{number // 3}.example/"
            lines.append(json.dumps(record, ensure_ascii=False))
        paths.append(str(folder / f"{part}.jsonl"))
        Path(paths[-1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def options_of(files: list[str], folder: Path, **more: Any) -> DedupOptions:
    named = {
        "output": str(folder / "out.jsonl"), "rejects": str(folder / "r.jsonl.gz"),
        "clusters": str(folder / "c.jsonl"), "on_bad_record": "skip", "keep": "longest",
    }  # fmt: skip
    return DedupOptions(**{"inputs": files, **named, "resume": True, **more})


def results_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def killed(options: DedupOptions, events: int, writes: bool = True) -> bool:
    """Run in a process that is killed before its nth sync, rename or write; whether it was.

    Args:
        options: Of the run.
        events: The number of the event that it does not live to see.
        writes: Count writes, too.
    """
    pid = os.fork()
    if pid == 0:
        try:
            _kill_after(events, writes)
            run_dedup(options, Console.silent())
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _kill_after(events: int, writes: bool) -> None:
    left = events

    def counted(function: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return wrapped

    for name in ("fsync", "replace"):
        setattr(os, name, counted(getattr(os, name)))
    if writes:
        resume.PartStream.write = counted(resume.PartStream.write)  # type: ignore[method-assign]


PASSAGES: dict[str, Any] = {"keep": "first", "clusters": None}


@pytest.fixture()
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of few documents; no waiting for the disk, as no power fails here."""
    monkeypatch.setattr(gathering, "DELAY_TEXTS", 16)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(
    ("more", "every"),
    [({}, 1), ({"method": ["url", "minhash"]}, 3), ({"method": ["lines"], **PASSAGES}, 1),
     ({"method": ["paragraphs"], "min_words": 30, **PASSAGES}, 3)],
    ids=str,
)  # fmt: skip
def test_killed_runs_give_the_same_bytes(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Any, every: int
) -> None:
    monkeypatch.setattr(resuming, "COMMIT_UNITS", every)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = run_dedup(options_of(files, whole, **more), Console.silent())
    chance, kills, ends = random.Random(5), 0, 0
    while kills < 20 or not ends:
        step = chance.randrange(1, 400 * every)
        was = killed(options_of(files, cut, overwrite=True, **more), step)
        kills, ends = kills + was, ends + (not was)
        if not was:
            assert results_in(cut) == results_in(whole)
    again = run_dedup(options_of(files, cut, overwrite=True, **more), Console.silent())
    assert again == expected
    assert not list(cut.glob("*.resume"))
    assert results_in(cut) == results_in(whole)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(
    "more", [{}, {"method": ["lines"], "min_words": 40, **PASSAGES}], ids=str
)  # fmt: skip
def test_a_kill_before_any_sync_or_rename_is_made_good_by_the_next_run(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Any
) -> None:
    monkeypatch.setattr(resuming, "COMMIT_UNITS", 4)
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = run_dedup(options_of(files, whole, **more), Console.silent())
    step, was = 1, True
    while was:
        cut = tmp_path / f"cut{step}"
        cut.mkdir()
        was = killed(options_of(files, cut, **more), step, writes=False)
        # What was complete but for its folder is done anew.
        again = options_of(files, cut, **more, overwrite=not list(cut.glob("*.resume/journal")))
        assert run_dedup(again, Console.silent()) == expected, step
        assert results_in(cut) == results_in(whole), step
        step += 1
    assert step > 20


def test_the_journal_writes_what_a_plain_run_writes(files: list[str], tmp_path: Path) -> None:
    import gzip

    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    plain = run_dedup(options_of(files, first, resume=False), Console.silent())
    assert run_dedup(options_of(files, second), Console.silent()) == plain
    one, two = results_in(first), results_in(second)
    assert gzip.decompress(one.pop("r.jsonl.gz")) == gzip.decompress(two.pop("r.jsonl.gz"))
    assert one == two


def test_a_finished_run_and_other_options_are_refused(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "COMMIT_UNITS", 1)
    assert killed(options_of(files, tmp_path), 25)
    with pytest.raises(ConfigError, match="keep was"):
        run_dedup(options_of(files, tmp_path, keep="first"), Console.silent())
    run_dedup(options_of(files, tmp_path), Console.silent())
    with pytest.raises(CannotCreateError):
        run_dedup(options_of(files, tmp_path), Console.silent())


def test_every_file_of_an_index_is_watched(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "COMMIT_UNITS", 1)
    index = tmp_path / "index"
    plain: dict[str, Any] = {"resume": False, "on_bad_record": "skip"}
    run_dedup(DedupOptions(inputs=files[:1], output=str(tmp_path / "old.jsonl"),
                           save_index=str(index), **plain), Console.silent())  # fmt: skip
    options = options_of(files[1:], tmp_path, against=[str(index)])
    assert killed(options, 12)
    other = next(file for file in index.iterdir() if file.name != "index.json")
    os.utime(other, (1, 1))
    with pytest.raises(ConfigError, match=f"{other.name} has changed since"):
        run_dedup(options, Console.silent())


@pytest.mark.parametrize(
    "more",
    [{"online": True, "keep": "first", "clusters": None}, {"output": "-"}, {"limit": 5},
     {"method": ["substring"], **PASSAGES}, {"method": ["url", "lines"], **PASSAGES},
     {"method": ["url"], "inputs": ["-"], **PASSAGES}, {"clusters": "c.parquet"}],
)  # fmt: skip
def test_what_cannot_go_on_is_refused(files: list[str], tmp_path: Path, more: Any) -> None:
    with pytest.raises(UsageError):
        run_dedup(options_of(files, tmp_path, **more), Console.silent())
    assert not list(tmp_path.iterdir())


def test_the_text_format_is_written_in_parts_as_at_once(files: list[str], tmp_path: Path) -> None:
    results = []
    for name, is_journaled in (("parts.txt", True), ("once.txt", False)):
        options = options_of(files, tmp_path, output=str(tmp_path / name), resume=is_journaled,
                             rejects=None, clusters=None)  # fmt: skip
        results.append(run_dedup(options, Console.silent()))
    written = (tmp_path / "parts.txt").read_bytes()
    assert written == (tmp_path / "once.txt").read_bytes()
    assert b"{" not in written
    assert [result.bytes_out for result in results] == [len(written)] * 2


def test_parquet_cannot_be_gone_on_with_under_any_name(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inside a Parquet file"):
        run_dedup(options_of(files, tmp_path, output_format="parquet"), Console.silent())
