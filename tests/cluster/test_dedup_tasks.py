"""dedup in many tasks: the survivors of one process, for every policy and scope."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from dedup_runs import (
    Record,
    both_ways,
    check_survivors,
    make_records,
    options_for,
    prepared,
)
from task_runs import Killer, jobs_of, norcli, run_stage

from norcli.cluster.dedup_stages import plan_run
from norcli.cluster.tasks import run_task
from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup
from norcli.errors import CannotCreateError, ResumableStopError, UsageError

STAGES = ("sign", "compare", "clusters", "write", "finish")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two plain files, a compressed one and one of plain text; with records that are no good."""
    folder = tmp_path_factory.mktemp("inputs")
    lines = [
        (json.dumps(record, ensure_ascii=False) + "\n").encode() for record in make_records(600, 3)
    ]
    lines[100:100] = [b"{broken\n", b'{"no": "text"}\n', b"\n"]
    lines[401:401] = [b'{"text": 7}\n']
    (folder / "a.jsonl").write_bytes(b"".join(lines[:300]).rstrip(b"\n"))
    (folder / "b.jsonl").write_bytes(b"".join(lines[300:450]))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[450:])))
    texts = [str(json.loads(line)["text"]).replace("\n", " ") for line in lines[:60]]
    (folder / "d.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return [str(folder / name) for name in ("a.jsonl", "b.jsonl", "c.jsonl.gz", "d.txt")]


@pytest.mark.parametrize("tasks", [1, 3, 7])
@pytest.mark.parametrize(
    "more",
    [
        {}, {"keep": "longest"}, {"keep": "newest"}, {"keep": "best:quality"},
        {"keep": "source-order:ncc,hplt,mc4"}, {"scope": "lang"}, {"scope": "source"},
        {"method": ["exact"]}, {"method": ["exact", "minhash"], "keep": "longest"},
        {"method": ["exact"], "scope": "lang", "keep": "newest"}, {"mark": True},
        {"threshold": 0.5, "ngram": 2}, {"threshold": 0.95},
    ],
    ids=str,
)  # fmt: skip
def test_survivors_are_those_of_one_process(
    inputs: list[str], tmp_path: Path, tasks: int, more: Record
) -> None:
    check_survivors(inputs, tmp_path, tasks, **more)


def test_ids_of_documents_without_one_and_lines_between_parts_are_kept(
    inputs: list[str], tmp_path: Path
) -> None:
    _, many, counts, _ = both_ways(inputs[:1], tmp_path, 5)
    ids = [json.loads(line)["id"] for line in many["out.jsonl"].splitlines()]
    assert sum(one.startswith("sha256:") for one in ids) > 5
    assert counts["bad_records"] == 2


def test_an_earlier_index_and_evaluation_texts_count_in_every_task(
    inputs: list[str], tmp_path: Path
) -> None:
    index = str(tmp_path / "index")
    last_year = DedupOptions(inputs=inputs[:1], output=str(tmp_path / "x.jsonl"), save_index=index,
                             on_bad_record="skip", keep="longest")  # fmt: skip
    run_dedup(last_year, Console.silent())
    texts = [json.loads(line)["text"] for line in (tmp_path / "x.jsonl").read_bytes().splitlines()]
    evaluation = tmp_path / "eval.jsonl"
    long = [text for text in texts if len(text.split()) > 30]
    evaluation.write_text("".join(json.dumps({"q": text}) + "\n" for text in long[5:9]))
    one, many, counts, sums = both_ways(
        inputs[1:], tmp_path, 3, keep="longest", against=[index],
        decontaminate=[str(evaluation)], decontaminate_ngram=8,
    )  # fmt: skip
    assert many == one
    assert counts["known_documents"] == sums["known_documents"] > 50
    assert counts["dropped_contaminated"] == sums["dropped_contaminated"] > 0


def test_no_documents_at_all_give_an_empty_output(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    one, many, _, sums = both_ways([str(tmp_path / "empty.jsonl")], tmp_path, 2)
    assert many == one
    assert sums["records_in"] == 0


DAMAGES = {
    "sign": ("compare", ["lanes", "entries", "entries-table"]),
    "compare": ("clusters", ["pairs.npz"]),
    "clusters": ("write", ["verdicts-00001.npz"]), "write": ("finish", ["output.jsonl"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "file"), [(stage, file) for stage, (_, files) in DAMAGES.items() for file in files]
)
def test_a_damaged_part_is_named_and_made_again(
    inputs: list[str], tmp_path: Path, stage: str, file: str
) -> None:
    run_dedup(options_for(inputs, tmp_path, output=str(tmp_path / "one.jsonl"), rejects=None,
                          clusters=None), Console.silent())  # fmt: skip
    run = prepared(options_for(inputs, tmp_path, executor="local", tasks=3))
    for name in STAGES[: STAGES.index(stage) + 1]:
        run_stage(run, name)
    number = 0 if stage == "clusters" else 1
    part = run.folder / stage / "parts" / f"{number:05}-{file}"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 4
    part.write_bytes(content)
    later = DAMAGES[stage][0]
    with pytest.raises(ResumableStopError, match=f"task {number} of stage {stage} has to run"):
        for one in range(run.stage(later).tasks):
            run_task(run, later, one, 1, Console.silent())
    assert run.unfinished(run.stage(stage)) == [number]
    assert not (tmp_path / "out.jsonl").exists()
    for name in STAGES:
        for one in range(run.stage(name).tasks):
            run_task(run, name, one, 1, Console.silent())
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


def test_verdicts_that_are_too_few_are_noticed(inputs: list[str], tmp_path: Path) -> None:
    run = prepared(options_for(inputs, tmp_path, executor="local", tasks=2))
    for stage in STAGES[:3]:
        run_stage(run, stage)
    manifest = json.loads(run.manifest_path("sign", 1).read_bytes())
    manifest["stats"]["documents"] += 1
    run.manifest_path("sign", 1).write_text(json.dumps(manifest))
    with pytest.raises(ResumableStopError, match=r"task 0 of stage clusters.*verdicts on"):
        run_task(run, "write", 1, 1, Console.silent())


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"online": True, "clusters": None}, "--online does not go"),
        ({"method": ["substring"]}, "--method substring"),
        ({"method": ["url", "lines"], "rejects": "no-{task}.jsonl"}, "fill one --rejects"),
        ({"sweep": ["0.5"]}, "--sweep does not go"),
        ({"save_index": "index"}, "--save-index"), ({"output": "-"}, "needs an output file"),
        ({"clusters": "clusters.parquet"}, "parts of Parquet"), ({"limit": 3}, "--limit"),
        ({"inputs": ["-"]}, "standard input"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_shared_out_is_refused(
    inputs: list[str], in_tmp: Path, more: Record, reason: str
) -> None:
    given = more.pop("inputs", inputs)
    with pytest.raises(UsageError, match=reason):
        plan_run(options_for(given, in_tmp, executor="local", tasks=2, **more))


def test_an_output_that_exists_is_refused(inputs: list[str], tmp_path: Path) -> None:
    (tmp_path / "rejects.jsonl").write_text("mine")
    with pytest.raises(CannotCreateError, match=r"rejects\.jsonl: exists already"):
        plan_run(options_for(inputs, tmp_path, executor="local", tasks=2))


WORDS = ("-o", "out.jsonl", "--tasks", "2", "--keep", "longest", "--method", "exact,minhash",
         "--on-bad-record", "skip")  # fmt: skip


@pytest.fixture(scope="module")
def expected(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("expected") / "out.jsonl"
    options = DedupOptions(inputs=inputs, output=str(output), keep="longest", on_bad_record="skip",
                           method=["exact", "minhash"])  # fmt: skip
    run_dedup(options, Console.silent())
    return output.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_local_executor_names_a_killed_task_and_runs_it_again(
    inputs: list[str], in_tmp: Path, expected: bytes
) -> None:
    words = ("dedup", *inputs, *WORDS, "--executor", "local", "-j", "2")
    killer = Killer(in_tmp / "killer", "compare", 1)
    first = norcli(*words, **killer.environment)
    assert killer.killed
    assert first.returncode == 75, first.stderr
    assert "norcli dedup: task 1 of stage compare: was killed by signal 9\n" in first.stderr
    assert not (in_tmp / "out.jsonl").exists()
    second = norcli(*words)
    assert second.returncode == 0, second.stderr
    assert (in_tmp / "out.jsonl").read_bytes() == expected
    assert "Traceback" not in first.stderr + second.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_slurm_runs_the_arrays_and_what_was_killed_again(
    inputs: list[str], in_tmp: Path, expected: bytes, slurm: Path
) -> None:
    words = ("dedup", *inputs, *WORDS, "--executor", "slurm")
    killer = Killer(in_tmp / "killer", "sign", 0)
    first = norcli(*words, **killer.environment)
    assert killer.killed
    assert first.returncode == 0, first.stderr
    jobs = jobs_of(slurm)
    assert [job["directives"]["job-name"] for job in jobs] == [f"norcli-dedup-{s}" for s in STAGES]
    assert jobs[0]["status"]["0"] != 0
    assert jobs[0]["status"]["1"] == 0
    assert [job["status"] for job in jobs[1:]] == [{}, {}, {}, {}]
    assert not (in_tmp / "out.jsonl").exists()
    again = norcli(*words)
    assert again.returncode == 0, again.stderr
    assert [len(job["status"]) for job in jobs_of(slurm)[5:]] == [1, 2, 1, 2, 1]
    assert (in_tmp / "out.jsonl").read_bytes() == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ray_gives_what_one_process_gives(inputs: list[str], in_tmp: Path) -> None:
    pytest.importorskip("ray")
    methods: Record = {"method": ["lines", "exact", "minhash"], "keep": "longest",
                       "clusters": None, "rejects": None}  # fmt: skip
    run_dedup(options_for(inputs, in_tmp, output="one.jsonl", **methods), Console.silent())
    words = [word if word != "exact,minhash" else "lines,exact,minhash" for word in WORDS]
    result = norcli("dedup", *inputs, *words, "--executor", "ray")
    assert result.returncode == 0, result.stderr
    assert (in_tmp / "out.jsonl").read_bytes() == (in_tmp / "one.jsonl").read_bytes()
