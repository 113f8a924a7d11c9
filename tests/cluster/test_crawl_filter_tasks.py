"""crawl-filter in many tasks: the bytes of one process, whoever runs or kills the tasks."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from task_runs import Killer, jobs_of, norcli, run_stage

from norcli.cluster.crawl_filter_stages import plan_run
from norcli.cluster.runs import Run
from norcli.cluster.tasks import run_task
from norcli.console import Console
from norcli.corpus.crawl import filter_crawl
from norcli.corpus.options import CrawlFilterOptions
from norcli.errors import CannotCreateError, ConfigError, ResumableStopError, UsageError


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> list[str]:
    """Three inputs: two plain ones that are cut anywhere, and a compressed one."""
    folder = tmp_path_factory.mktemp("documents")
    lines = (examples / "crawl" / "mc4.jsonl").read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    (folder / "a.jsonl").write_bytes(b"".join(lines[:half]))
    (folder / "b.jsonl").write_bytes(b"".join(lines[half:]))
    (folder / "c.jsonl.gz").write_bytes((examples / "crawl" / "news.jsonl.gz").read_bytes())
    return [str(folder / name) for name in ("a.jsonl", "b.jsonl", "c.jsonl.gz")]


@pytest.fixture(scope="module")
def expected(
    documents: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, bytes, dict[str, Any]]:
    """Output, rejects and counts of one process."""
    folder = tmp_path_factory.mktemp("expected")
    kept, rejects = folder / "kept.jsonl", folder / "rejects.jsonl"
    options = CrawlFilterOptions(inputs=documents, output=str(kept), rejects=str(rejects))
    stats = filter_crawl(options, Console.silent()).as_stats()
    assert kept.stat().st_size > 10_000
    assert rejects.stat().st_size > 1000
    return kept.read_bytes(), rejects.read_bytes(), stats


def options_for(documents: list[str], tasks: int, **more: Any) -> CrawlFilterOptions:
    settings = {"output": "out.jsonl", "rejects": "rejects.jsonl.gz", **more}
    return CrawlFilterOptions(inputs=documents, executor="local", tasks=tasks, **settings)


def prepared(options: CrawlFilterOptions) -> Run:
    run = plan_run(options)
    run.folder.mkdir(exist_ok=True)
    run.prepare(options.overwrite)
    return run


def same_counts(stats: dict[str, Any], expected: dict[str, Any]) -> bool:
    timed = {"seconds", "wall_seconds", "cpu_seconds", "peak_memory_bytes"}
    return all(stats[key] == value for key, value in expected.items() if key not in timed)


@pytest.mark.parametrize("tasks", [1, 4, 9])
def test_parts_join_to_the_output_of_one_process(
    in_tmp: Path, documents: list[str], expected: Any, tasks: int
) -> None:
    run = prepared(options_for(documents, tasks))
    run_stage(run, "filter")
    assert not (in_tmp / "out.jsonl").exists()
    run_stage(run, "finish")
    assert (in_tmp / "out.jsonl").read_bytes() == expected[0]
    assert gzip.decompress((in_tmp / "rejects.jsonl.gz").read_bytes()) == expected[1]
    stats = json.loads((in_tmp / "out.jsonl.work" / "stats.json").read_bytes())
    assert same_counts(stats, expected[2] | {"input_bytes": None})
    assert list(in_tmp.rglob("parts/*")) == [], "parts take the room of the output a second time"


def test_outputs_named_by_task_stay_in_parts(
    in_tmp: Path, documents: list[str], expected: Any
) -> None:
    run = prepared(options_for(documents, 3, output="clean-{task}.jsonl", rejects=None))
    run_stage(run, "filter")
    run_stage(run, "finish")
    parts = sorted(in_tmp.glob("clean-*.jsonl"))
    assert [part.name for part in parts] == [f"clean-0000{i}.jsonl" for i in range(3)]
    assert b"".join(part.read_bytes() for part in parts) == expected[0]


def test_a_damaged_part_is_named_and_made_again(
    in_tmp: Path, documents: list[str], expected: Any
) -> None:
    run = prepared(options_for(documents, 3))
    run_stage(run, "filter")
    part = in_tmp / "out.jsonl.work" / "filter" / "parts" / "00001-output.jsonl"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(ResumableStopError, match="task 1 of stage filter has to run again") as told:
        run_task(run, "finish", 0, 1, Console.silent())
    assert told.value.hint is not None
    assert told.value.hint.endswith(f"norcli launch task {run.folder} filter 1")
    assert not (in_tmp / "out.jsonl").exists()
    assert run.unfinished(run.stage("filter")) == [1]
    assert run_task(run, "filter", 1, 1, Console.silent())
    run_stage(run, "finish")
    assert (in_tmp / "out.jsonl").read_bytes() == expected[0]


@pytest.mark.parametrize("damage", ["cut", "remove", "forget"])
def test_a_part_that_is_not_whole_is_never_joined(
    in_tmp: Path, documents: list[str], damage: str
) -> None:
    run = prepared(options_for(documents, 3))
    run_stage(run, "filter")
    part = in_tmp / "out.jsonl.work" / "filter" / "parts" / "00002-output.jsonl"
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "remove":
        part.unlink()
    else:
        run.manifest_path("filter", 2).unlink()
    with pytest.raises(ResumableStopError, match="task 2 of stage filter"):
        run_task(run, "finish", 0, 1, Console.silent())
    assert not (in_tmp / "out.jsonl").exists()


def test_one_task_runs_in_one_process_only(in_tmp: Path, documents: list[str]) -> None:
    run = prepared(options_for(documents, 2))
    with (
        run.working_folder("filter", 0),
        pytest.raises(CannotCreateError, match="task 0 of stage filter: another run is writing it"),
    ):
        run_task(run, "filter", 0, 1, Console.silent())


def test_a_folder_belongs_to_one_configuration(in_tmp: Path, documents: list[str]) -> None:
    prepared(options_for(documents, 2))
    prepared(options_for(documents, 2, jobs=2, quiet=True))
    with pytest.raises(ConfigError, match="it has 2 \\+ 1 tasks, not 3 \\+ 1"):
        prepared(options_for(documents, 3))
    with pytest.raises(ConfigError, match=r'languages was \["nob",.*is \["nno"\]'):
        prepared(options_for(documents, 2, languages=["nno"]))
    run = prepared(options_for(documents, 3, overwrite=True))
    assert run.stage("filter").tasks == 3
    (in_tmp / "mine").mkdir()
    (in_tmp / "mine" / "letter").write_text("dear")
    with pytest.raises(CannotCreateError, match="holds something else"):
        prepared(options_for(documents, 3, work_dir="mine"))


def test_inputs_may_not_change_while_tasks_wait(in_tmp: Path, documents: list[str]) -> None:
    own = in_tmp / "own.jsonl"
    own.write_bytes(Path(documents[0]).read_bytes())
    run = prepared(options_for([str(own)], 2))
    run_task(run, "filter", 0, 1, Console.silent())
    own.write_bytes(b"")
    with pytest.raises(ConfigError, match="has changed since the run was started"):
        run_task(run, "filter", 1, 1, Console.silent())


def test_a_run_whose_output_was_taken_away_starts_anew(
    in_tmp: Path, documents: list[str], expected: Any
) -> None:
    for _ in range(2):
        run = prepared(options_for(documents, 2))
        run_stage(run, "filter")
        run_stage(run, "finish")
        assert (in_tmp / "out.jsonl").read_bytes() == expected[0]
        (in_tmp / "out.jsonl").unlink()
        (in_tmp / "rejects.jsonl.gz").unlink()


def test_a_finish_that_was_killed_between_two_outputs_is_made_good(
    in_tmp: Path, documents: list[str], expected: Any
) -> None:
    run = prepared(options_for(documents, 2))
    run_stage(run, "filter")
    (in_tmp / "out.jsonl").write_bytes(expected[0])
    run = prepared(options_for(documents, 2))
    run_stage(run, "finish")
    assert gzip.decompress((in_tmp / "rejects.jsonl.gz").read_bytes()) == expected[1]
    with pytest.raises(CannotCreateError, match="exists already"):
        plan_run(options_for(documents, 2))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"output": "-"}, "needs an output file"), ({"shard": "0/2"}, "leave --shard out"),
        ({"limit": 5}, "leave --limit out"), ({"resume": True}, "leave --resume out"),
        ({"output": "a.parquet"}, "Parquet"), ({"cluster_file": "x"}, "for slurm, not for local"),
        ({"inputs": ["-"]}, "standard input"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_out_is_refused(
    in_tmp: Path, documents: list[str], more: dict[str, Any], reason: str
) -> None:
    inputs = more.pop("inputs", documents)
    with pytest.raises(UsageError, match=reason):
        plan_run(options_for(inputs, 2, **more))


WORDS = ("-o", "out.jsonl", "--rejects", "rejects.jsonl", "--tasks", "3")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_local_executor_names_a_killed_task_and_runs_it_again(
    in_tmp: Path, documents: list[str], expected: Any
) -> None:
    words = ("crawl-filter", *documents, *WORDS, "--executor", "local", "--stats", "stats.json")
    filtering = in_tmp / "out.jsonl.work" / "filter"
    killer = Killer(in_tmp / "killer", "filter", 1)
    first = norcli(*words, **killer.environment)
    assert killer.killed
    assert first.returncode == 75, first.stderr
    assert "norcli crawl-filter: task 1 of stage filter: was killed by signal 9\n" in first.stderr
    assert f"norcli launch task {in_tmp}/out.jsonl.work filter 1" in first.stderr
    assert not (in_tmp / "out.jsonl").exists()
    others = [(filtering / "completions" / name).stat().st_mtime_ns for name in ("00000", "00002")]
    second = norcli(*words)
    assert second.returncode == 0, second.stderr
    assert (in_tmp / "out.jsonl").read_bytes() == expected[0]
    assert (in_tmp / "rejects.jsonl").read_bytes() == expected[1]
    assert same_counts(json.loads((in_tmp / "stats.json").read_bytes()), expected[2])
    assert others == [
        (filtering / "completions" / name).stat().st_mtime_ns for name in ("00000", "00002")
    ]
    third = norcli(*words)
    assert third.returncode == 73, third.stderr
    assert "Traceback" not in first.stderr + second.stderr + third.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_bad_input_in_a_task_is_told_as_in_one_process(in_tmp: Path, documents: list[str]) -> None:
    bad = in_tmp / "bad.jsonl"
    bad.write_bytes(Path(documents[0]).read_bytes() + b'{"text": \n')
    words = ("crawl-filter", *documents, "bad.jsonl", *WORDS, "--executor", "local", "-j", "2")
    result = norcli(*words, "--on-bad-record", "stop")
    assert result.returncode == 65, result.stderr
    line = bad.read_bytes().count(b"\n")
    assert f"task 2 of stage filter: bad.jsonl:{line}: not valid JSON" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_slurm_runs_the_array_and_what_was_killed_again(
    in_tmp: Path, documents: list[str], expected: Any, slurm: Path
) -> None:
    (in_tmp / "my.toml").write_text(
        'account = "nn1k"\nqos = "devel"\n[data]\ntask_time = "1:30:00"\nmemory_per_cpu_gb = 3\n'
        '[data.environment]\nMINE = "a b"\n'
    )
    words = ("crawl-filter", *documents, *WORDS, "--executor", "slurm", "--cluster-file", "my.toml")
    killer = Killer(in_tmp / "killer", "filter", 1)
    first = norcli(*words, **killer.environment)
    assert killer.killed
    assert first.returncode == 0, first.stderr
    filtering, finish = jobs_of(slurm)
    assert filtering["status"]["0"] == filtering["status"]["2"] == 0
    assert filtering["status"]["1"] != 0
    assert finish["status"] == {}, "it may not start on two parts of three"
    wanted = {"account": "nn1k", "qos": "devel", "time": "1:30:00", "mem-per-cpu": "3G",
              "array": "0-2", "cpus-per-task": "1", "job-name": "norcli-crawl-filter-filter",
              "kill-on-invalid-dep": "yes"}  # fmt: skip
    assert wanted.items() <= filtering["directives"].items()
    assert "partition" not in filtering["directives"]
    assert finish["directives"]["dependency"] == f"afterok:{filtering['id']}"
    assert not (in_tmp / "out.jsonl").exists()
    waiting = norcli(*words, STAND_IN_QUEUE="102")
    assert waiting.returncode == 75, waiting.stderr
    assert "still queued or running (filter 2/3, finish 0/1 tasks done)" in waiting.stderr
    again = norcli(*words)
    assert again.returncode == 0, again.stderr
    assert [job["status"] for job in jobs_of(slurm)[2:]] == [{"0": 0}, {"0": 0}]
    assert (in_tmp / "out.jsonl").read_bytes() == expected[0]
    assert (in_tmp / "rejects.jsonl").read_bytes() == expected[1]
    assert same_counts(json.loads((in_tmp / "out.jsonl.work" / "stats.json").read_bytes()),
                       expected[2] | {"input_bytes": None})  # fmt: skip


def test_a_missing_datatrove_is_told(in_tmp: Path, documents: list[str]) -> None:
    words = ["crawl-filter", *documents, *WORDS, "--executor", "local"]
    program = (
        "import sys; sys.modules['datatrove'] = None; from norcli.cli.main import main; "
        f"sys.exit(main({words!r}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                            check=False)  # fmt: skip
    assert result.returncode == 69, result.stderr
    assert result.stderr == (
        "norcli crawl-filter: needs datatrove\nhint: pip install 'norcli[cluster]'\n"
    )
    assert list(in_tmp.iterdir()) == []


def test_a_refused_job_says_why(in_tmp: Path, documents: list[str], slurm: Path) -> None:
    (in_tmp / "my.toml").write_text('account = "nobody"\n')
    result = norcli("crawl-filter", *documents, *WORDS, "--executor", "slurm", "--cluster-file",
                    "my.toml")  # fmt: skip
    assert result.returncode == 73, result.stderr
    assert "Invalid account" in result.stderr
    assert "norcli crawl-filter: sbatch refused the job" in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ray_gives_the_bytes_of_one_process(
    in_tmp: Path, documents: list[str], expected: Any
) -> None:
    pytest.importorskip("ray")
    result = norcli("crawl-filter", *documents, *WORDS, "--executor", "ray")
    assert result.returncode == 0, result.stderr
    assert (in_tmp / "out.jsonl").read_bytes() == expected[0]
    assert (in_tmp / "rejects.jsonl").read_bytes() == expected[1]
