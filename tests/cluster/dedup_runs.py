"""Runs of dedup in tasks beside one process, on documents of which many repeat others."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from task_runs import run_stage

from norcli.cluster.dedup_stages import plan_run
from norcli.cluster.runs import Run
from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup

Record = dict[str, Any]


def make_records(count: int, seed: int) -> list[Record]:
    """Make documents of which half repeat another one: whole, in other case, or edited."""
    chance = random.Random(seed)
    words = [
        "".join(chance.choices("abdefgiklmnoprstuvyæøå", k=chance.randint(2, 9)))
        for _ in range(2000)
    ]
    records: list[Record] = []
    for number in range(count):
        text = " ".join(chance.choices(words, k=chance.randint(1, 120)))
        if records and chance.random() < 0.5:
            text = chance.choice(records[-40:])["text"]
            kind = chance.random()
            if kind < 0.3:
                text = text.upper() + "  "
            elif kind < 0.7:
                pieces = text.split(" ")
                pieces[chance.randrange(len(pieces))] = chance.choice(words)
                text = " ".join(pieces)
        record: Record = {
            "id": f"d{number // 2 if number % 50 == 7 else number}", "text": text,
            "lang": chance.choice(["nob", "nno"]), "source": chance.choice(["ncc", "mc4", "hplt"]),
            "date": f"{chance.randint(2010, 2020)}-0{chance.randint(1, 9)}",
            "quality": round(chance.random(), 1), "note": "« » ø",
        }  # fmt: skip
        if number % 17 == 3:
            del record["id"]
        if number % 23 == 5:
            record["text"] = chance.choice(["", "Hei", "!"])
        records.append(record)
    return records


def options_for(inputs: list[str], folder: Path, **more: Any) -> DedupOptions:
    named = {"output": "out.jsonl", "rejects": "rejects.jsonl", "clusters": "clusters.jsonl"}
    if more.get("mark"):
        named["rejects"] = ""
    files = {name: str(folder / path) for name, path in named.items() if path}
    return DedupOptions(inputs=inputs, on_bad_record="skip", **{**files, **more})


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def prepared(options: DedupOptions) -> Run:
    run = plan_run(options)
    run.folder.mkdir(exist_ok=True)
    run.prepare(options.overwrite)
    return run


def run_all(options: DedupOptions) -> Run:
    run = prepared(options)
    for stage in run.stages:
        run_stage(run, stage.name)
    return run


def both_ways(
    inputs: list[str], folder: Path, tasks: int, **more: Any
) -> tuple[dict[str, bytes], dict[str, bytes], Record, Record]:
    """Return the files and counts of one process and of many tasks."""
    one, many = folder / "one", folder / "many"
    one.mkdir()
    many.mkdir()
    result = run_dedup(options_for(inputs, one, **more), Console.silent())
    work = str(folder / "work")
    run = run_all(options_for(inputs, many, executor="local", tasks=tasks, work_dir=work, **more))
    return files_of(one), files_of(many), result.as_dict(), run.manifest("finish", 0)["stats"]


# What one process counts by another way: it need not compare what other ranges have joined.
COUNTED_OTHERWISE = {"pairs_compared", "sweep"}


def check_survivors(inputs: list[str], folder: Path, tasks: int, **more: Any) -> None:
    """Hold many tasks to the files and counts of one process."""
    one, many, counts, sums = both_ways(inputs, folder, tasks, **more)
    assert many == one
    assert len(one["out.jsonl"]) > 10_000
    if not more.get("mark"):
        assert len(one["rejects.jsonl"]) > 2000
    for name in counts.keys() - COUNTED_OTHERWISE - {"matching"}:
        assert sums[name] == counts[name], name
