"""dedup in many tasks by address, star, lines, paragraphs, and several methods in order."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from dedup_runs import (
    COUNTED_OTHERWISE,
    Record,
    both_ways,
    check_survivors,
    make_records,
    options_for,
    prepared,
)
from task_runs import Killer, jobs_of, norcli, run_stage

from norcli.cluster import dedup_comparing, dedup_signing
from norcli.cluster.dedup_signing import SignedParts
from norcli.cluster.runs import Run
from norcli.cluster.tasks import run_task
from norcli.console import Console
from norcli.dedup.parts import Entries
from norcli.dedup.pipeline import run_dedup
from norcli.errors import ResumableStopError

FORMS = ("https://{}", "http://www.{}/", "{}?utm_source=x", "https://{}#top")


def make_pages(count: int, seed: int) -> list[Record]:
    """Make documents with addresses and lines, of which many stand in others, too."""
    chance = random.Random(seed)
    pages = []
    menu = [f"meny {number} med en lang nok linje til å falle" for number in range(30)]
    for number, record in enumerate(make_records(count, seed)):
        lines = [record["text"]]
        for _ in range(chance.randint(0, 5)):
            line = chance.choice(menu) if chance.random() < 0.6 else chance.choice(["", "kort"])
            lines.insert(chance.randint(0, len(lines)), line)
        if chance.random() < 0.1:  # little is left of these, so their lines count as never seen
            lines = [f"ny linje {number // 3} som er lang nok til å falle", chance.choice(menu)]
        address = chance.choice(FORMS).format(f"side{chance.randrange(count)}.example")
        if chance.random() < 0.8:
            record["url"] = address
        pages.append({**record, "text": chance.choice(["\n", "\n\n"]).join(lines)})
    return pages


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pages")
    lines = [(json.dumps(page, ensure_ascii=False) + "\n").encode() for page in make_pages(700, 11)]
    lines[50:50] = [b"{broken\n", b'{"no": "text"}\n', b"\n"]
    (folder / "a.jsonl").write_bytes(b"".join(lines[:350]))
    (folder / "b.jsonl").write_bytes(b"".join(lines[350:600]))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[600:])))
    return [str(folder / name) for name in ("a.jsonl", "b.jsonl", "c.jsonl.gz")]


@pytest.mark.parametrize("tasks", [1, 3, 7])
@pytest.mark.parametrize(
    "more",
    [
        {"method": ["url"]}, {"method": ["url"], "keep": "newest", "scope": "lang"},
        {"method": ["url", "minhash"], "keep": "longest"},
        {"method": ["minhash", "url"], "keep": "best:quality"},
        {"method": ["exact", "url", "minhash"]}, {"method": ["url", "minhash"], "mark": True},
        {"cluster": "star"}, {"cluster": "star", "keep": "longest", "threshold": 0.5, "ngram": 2},
        {"cluster": "star", "keep": "newest", "scope": "source", "threshold": 0.4, "ngram": 1},
        {"cluster": "star", "method": ["url", "minhash"], "keep": "best:quality"},
        {"cluster": "star", "method": ["exact"], "keep": "longest"},
    ],
    ids=str,
)  # fmt: skip
def test_survivors_are_those_of_one_process(
    inputs: list[str], tmp_path: Path, tasks: int, more: Record
) -> None:
    check_survivors(inputs, tmp_path, tasks, **more)


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize(
    "more", [{"method": ["url", "minhash"], "keep": "longest"}, {"method": ["exact"]}], ids=str
)  # fmt: skip
def test_bounded_memory_gives_the_same_in_more_pieces(
    inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: int, more: Record
) -> None:
    compared: list[list[int]] = []
    entries = SignedParts.entries

    def noted(self: SignedParts, band: int, key_ranges: list[int]) -> Entries:
        compared.append(key_ranges)
        return entries(self, band, key_ranges)

    monkeypatch.setattr(dedup_signing, "SIGNATURE_SHARE", 1e-6)
    monkeypatch.setattr(dedup_comparing, "ENTRY_SHARE", 1e-6)
    monkeypatch.setattr(SignedParts, "entries", noted)
    monkeypatch.setattr("norcli.cluster.runs.Run.tidy", lambda run: None)
    one, many, counts, sums = both_ways(inputs, tmp_path, tasks, memory="200M", **more)
    assert many == one
    for name in counts.keys() - COUNTED_OTHERWISE - {"matching"}:
        assert sums[name] == counts[name], name
    manifests = (tmp_path / "work" / "sign" / "manifests").iterdir()
    chunks = [json.loads(path.read_bytes())["stats"]["chunks"] for path in manifests]
    assert max(chunks) > 1
    pieces = {tuple(key_ranges) for key_ranges in compared}
    assert set().union(*pieces) == set(range(16 * tasks))
    assert len(pieces) > tasks


def test_stars_are_not_components_here(inputs: list[str], tmp_path: Path) -> None:
    more = {"keep": "newest", "scope": "source", "threshold": 0.4, "ngram": 1}
    outputs = []
    for cluster in ("star", "components"):
        folder = tmp_path / cluster
        folder.mkdir()
        run_dedup(options_for(inputs, folder, cluster=cluster, **more), Console.silent())
        outputs.append((folder / "out.jsonl").read_bytes().count(b"\n"))
    assert outputs[0] > outputs[1] + 10


@pytest.mark.parametrize("tasks", [1, 3, 7])
@pytest.mark.parametrize(
    "more",
    [
        {"method": ["lines"]}, {"method": ["lines"], "min_words": 0, "min_chars": 1},
        {"method": ["lines"], "min_words": 40, "scope": "lang"},
        {"method": ["lines"], "mark": True, "rejects": None},
        {"method": ["paragraphs"], "min_words": 20},
        {"method": ["lines", "paragraphs"]}, {"method": ["url", "lines", "minhash"]},
        {"method": ["exact", "url", "paragraphs", "minhash"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_cut_is_what_one_process_cuts(
    inputs: list[str], tmp_path: Path, tasks: int, more: Record
) -> None:
    one, many, counts, sums = both_ways(inputs, tmp_path, tasks, clusters=None, **more)
    assert many == one
    assert len(one["out.jsonl"]) > 10_000
    assert sum(counts["cut"].values()) > 100
    for name in counts.keys() - COUNTED_OTHERWISE - {"matching"}:
        assert sums[name] == counts[name], name


def test_lines_of_dropped_documents_count_as_never_seen(inputs: list[str], tmp_path: Path) -> None:
    """The case that makes one document's fate depend on all before it comes up in these tests."""
    _, _, strict, _ = both_ways(inputs, tmp_path, 3, clusters=None, method=["lines"], min_words=40)
    (tmp_path / "lax").mkdir()
    _, _, lax, _ = both_ways(
        inputs, tmp_path / "lax", 3, clusters=None, method=["lines"], min_words=0
    )
    assert strict["dropped_short"] > 50
    assert strict["cut"]["lines"] < lax["cut"]["lines"]


def stages_of(run: Run) -> list[str]:
    return [stage.name for stage in run.stages]


def test_stages_are_named_by_group_and_round(inputs: list[str], in_tmp: Path) -> None:
    def named(*method: str, cluster: str = "components") -> list[str]:
        clusters = None if "lines" in method else "clusters.jsonl"
        options = options_for(inputs, in_tmp, executor="local", tasks=2, method=list(method),
                              cluster=cluster, clusters=clusters)  # fmt: skip
        return stages_of(prepared_anew(options))

    def prepared_anew(options: object) -> Run:
        from norcli.cluster.dedup_stages import plan_run

        return plan_run(options)  # type: ignore[arg-type]

    assert named("url") == ["sign", "compare", "clusters", "write", "finish"]
    assert named("minhash", cluster="star")[:3] == ["sign", "rank", "compare"]
    assert named("url", "minhash") == [
        "sign", "compare", "clusters", "compare-2", "clusters-2", "write", "finish",
    ]  # fmt: skip
    assert named("url", "lines") == [
        "1-sign", "1-compare", "1-clusters", "1-write", "2-units", "2-repeats", "2-cuts",
        "2-write", "finish",
    ]  # fmt: skip


LINES: Record = {"method": ["lines"], "clusters": None, "rejects": None}
STAR: Record = {"method": ["url", "minhash"], "cluster": "star", "keep": "longest"}
DAMAGES = [
    (LINES, "units", 1, "units", "repeats"), (LINES, "units", 1, "notes.npz", "cuts"),
    (LINES, "repeats", 0, "repeats", "cuts"), (LINES, "cuts", 0, "cuts-00001.npz", "write"),
    (LINES, "write", 1, "output.jsonl", "finish"), (STAR, "rank", 0, "ranked.npz", "compare-2"),
    (STAR, "clusters", 0, "verdicts.npz", "compare-2"),
    (STAR, "compare-2", 1, "pairs.npz", "clusters-2"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "stage", "number", "file", "later"), DAMAGES)
def test_a_damaged_part_is_named_and_made_again(
    inputs: list[str], tmp_path: Path, more: Record, stage: str, number: int, file: str, later: str
) -> None:
    one = tmp_path / "one.jsonl"
    alone = {**more, "rejects": None, "clusters": None, "output": str(one)}
    run_dedup(options_for(inputs, tmp_path, **alone), Console.silent())
    run = prepared(options_for(inputs, tmp_path, executor="local", tasks=3, **more))
    names = stages_of(run)
    for name in names[: names.index(stage) + 1]:
        run_stage(run, name)
    part = run.folder / stage / "parts" / f"{number:05}-{file}"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 4
    part.write_bytes(content)
    with pytest.raises(ResumableStopError, match=f"task {number} of stage {stage} has to run"):
        for name in names[names.index(stage) + 1 : names.index(later) + 1]:
            for task in range(run.stage(name).tasks):
                run_task(run, name, task, 1, Console.silent())
    assert run.unfinished(run.stage(stage)) == [number]
    assert not (tmp_path / "out.jsonl").exists()
    for name in names:
        for task in range(run.stage(name).tasks):
            run_task(run, name, task, 1, Console.silent())
    assert (tmp_path / "out.jsonl").read_bytes() == one.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_slurm_goes_on_in_the_second_method_where_a_task_was_killed(
    inputs: list[str], in_tmp: Path, slurm: Path
) -> None:
    more: Record = {"method": ["url", "lines"], "clusters": None, "rejects": None}
    run_dedup(options_for(inputs, in_tmp, **{**more, "output": "one.jsonl"}), Console.silent())
    words = ("dedup", *inputs, "-o", "out.jsonl", "--tasks", "2", "--method", "url,lines",
             "--on-bad-record", "skip", "--executor", "slurm")  # fmt: skip
    killer = Killer(in_tmp / "killer", "2-repeats", 1)
    first = norcli(*words, **killer.environment)
    assert killer.killed
    assert first.returncode == 0, first.stderr
    assert not (in_tmp / "out.jsonl").exists()
    before = len(jobs_of(slurm))
    again = norcli(*words)
    assert again.returncode == 0, again.stderr
    # One task of 2-repeats, then 2-cuts, 2-write and finish.
    assert [len(job["status"]) for job in jobs_of(slurm)[before:]] == [1, 1, 2, 1]
    assert (in_tmp / "out.jsonl").read_bytes() == (in_tmp / "one.jsonl").read_bytes()
