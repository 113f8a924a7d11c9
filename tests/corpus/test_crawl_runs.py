"""Runs of crawl-filter: several jobs, shards, kills and resumes, and decisions taken again."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from norcli.console import Console
from norcli.corpus import filter_outputs
from norcli.corpus.crawl import filter_crawl
from norcli.corpus.options import CrawlFilterOptions
from norcli.errors import ConfigError, DataError, UsageError

NORWEGIAN = (
    "det er en dag og vi går på tur langs elva med hunden som heter Balder men det regner litt og "
    "noen har kaffe på termos mens andre ser etter båtene som kommer inn fra fjorden i dag igjen"
)
SAMI = "ja lea leat ahte go mii maid dan dat mielde lei sáhttá dahje sámi giella skuvla"
ENGLISH = "the harbour was quiet in the early morning and only the gulls were awake today"


def make_text(generator: random.Random, words: str, sentences: int) -> str:
    lines = []
    for _ in range(sentences):
        chosen = generator.choices(words.split(), k=generator.randint(6, 14))
        lines.append(" ".join(chosen).capitalize() + ".")
    return "\n".join(lines) if generator.random() < 0.5 else " ".join(lines)


def write_crawl(path: Path, documents: int, seed: int = 0) -> Path:
    """Write records that are kept and records that many rules drop, some of them broken."""
    generator = random.Random(seed)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(documents):
            words = generator.choices([NORWEGIAN, SAMI, ENGLISH], [8, 1, 2])[0]
            text = make_text(generator, words, generator.randint(1, 30))
            if generator.random() < 0.2:
                text += "\nSkriv til kari@example.no eller  ring  tlf. 22 33 44 55.\n" * 2
            record = {"id": f"d{number}", "text": text, "source": f"s{number % 3}", "n": number}
            line = json.dumps(record, ensure_ascii=False)
            stream.write(line + "\n" if generator.random() < 0.98 else line[:-5] + "\n")
    return path


def options_for(folder: Path, source: Path, name: str = "out.jsonl", **more: Any) -> Any:
    rejects = name.replace("out", "rejects")
    values = {"inputs": [str(source)], "output": str(folder / name),
              "rejects": str(folder / rejects), "overwrite": True}  # fmt: skip
    return CrawlFilterOptions(**values | more)  # type: ignore[arg-type]


def run(options: CrawlFilterOptions) -> tuple[bytes, bytes, dict[str, Any]]:
    """Return the bytes of output and rejects, and the counts but the time."""
    stats = filter_crawl(options, Console.silent()).as_stats()
    del stats["seconds"]
    assert options.rejects is not None
    return Path(options.output).read_bytes(), Path(options.rejects).read_bytes(), stats


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crawl(tmp_path_factory.mktemp("crawl") / "crawl.jsonl", 900)


def test_any_number_of_jobs_and_shards_gives_the_same_bytes(tmp_path: Path, crawl: Path) -> None:
    whole = run(options_for(tmp_path, crawl))
    assert whole[0].count(b"\n") > 300 and whole[1].count(b"\n") > 100
    assert whole[2]["bad_records"] > 5
    for jobs in (2, 3):
        assert run(options_for(tmp_path, crawl, jobs=jobs)) == whole
    parts = [run(options_for(tmp_path, crawl, jobs=2, shard=f"{k}/3")) for k in range(3)]
    assert b"".join(part[0] for part in parts) == whole[0]
    assert b"".join(part[1] for part in parts) == whole[1]
    assert all(part[0] for part in parts)


def test_only_a_few_units_are_in_memory_at_a_time(
    tmp_path: Path, crawl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from norcli.corpus import crawl as module

    read, written = [0], [0]
    most_ahead = 0

    def counted(*arguments: Any) -> Any:
        nonlocal most_ahead
        for unit in module_units(*arguments):
            read[0] += 1
            most_ahead = max(most_ahead, read[0] - written[0])
            yield unit

    module_units = module.read_units
    take = filter_outputs.FilterOutputs.write

    def write(self: Any, result: Any) -> None:
        written[0] += 1
        take(self, result)

    monkeypatch.setattr(module, "read_units", counted)
    monkeypatch.setattr(filter_outputs.FilterOutputs, "write", write)
    (tmp_path / "many.txt").write_text("\n".join([str(crawl)] * 3))
    run(options_for(tmp_path, crawl, jobs=2, files_from=str(tmp_path / "many.txt")))
    assert written[0] > 10
    assert most_ahead <= 2 * 2 + 1


def documents_by_rule(stats: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {
        (lang, rule): counts["documents"]
        for lang, rules in stats["languages"].items()
        for rule, counts in rules.items()
    }


def test_annotations_decide_as_a_direct_run_does_byte_by_byte(tmp_path: Path, crawl: Path) -> None:
    direct = run(options_for(tmp_path, crawl, "out1.jsonl"))
    annotated = options_for(tmp_path, crawl, "out2.jsonl", annotate=True)
    stats = run(annotated)[2]
    assert stats["documents_out"] == stats["documents_in"]
    assert sum(stats["would_drop"].values()) == direct[1].count(b"\n")
    again = run(options_for(tmp_path, Path(annotated.output), "out3.jsonl", from_annotations=True))
    assert again[:2] == direct[:2]
    assert documents_by_rule(again[2]) == documents_by_rule(direct[2])


def test_thresholds_and_languages_change_without_measuring_again(
    tmp_path: Path, crawl: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[nob]\nmin_words = 60\n[sme]\nmax_top_2gram_ratio = 0.01\n")
    annotated = options_for(tmp_path, crawl, "out1.jsonl", annotate=True)
    run(annotated)
    for changed in (
        {"rules": str(rules)}, {"disable": ["min_words"]}, {"min_lang_score": 0.99},
        {"languages": ["sme"]}, {"pii": "drop"},
    ):  # fmt: skip
        direct = run(options_for(tmp_path, crawl, "out2.jsonl", **changed))
        again = run(
            options_for(tmp_path, Path(annotated.output), "out3.jsonl", from_annotations=True,
                        **changed)
        )  # fmt: skip
        kept = [[json.loads(line)["id"] for line in data.splitlines()]
                for data in (direct[0], again[0])]  # fmt: skip
        assert kept[0] == kept[1], changed
        assert [json.loads(line)["dropped_by"] for line in direct[1].splitlines()] == [
            json.loads(line)["dropped_by"] for line in again[1].splitlines()
        ], changed


def test_a_record_without_annotations_is_told(tmp_path: Path, crawl: Path) -> None:
    with pytest.raises(DataError, match='not annotated: no "quality_words"') as caught:
        run(options_for(tmp_path, crawl, from_annotations=True))
    assert caught.value.line == 1


def decompress(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        reader = zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(data), read_across_frames=True
        )
        return bytes(reader.read())
    return data


def _filter_in_child(options: CrawlFilterOptions, stats: str) -> None:
    filter_outputs.COMMIT_UNITS = 2
    counts = filter_crawl(options, Console.silent()).as_stats()
    del counts["seconds"]
    Path(stats).write_text(json.dumps(counts))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_killed_at_any_moment_a_run_resumes_to_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    source = write_crawl(tmp_path / "crawl.jsonl", 1500, seed=1)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["norcli.corpus.crawl"])
    generator = random.Random(len(suffix))

    def start(name: str) -> Any:
        options = options_for(tmp_path, source, name + suffix, resume=True, overwrite=False)
        child = context.Process(
            target=_filter_in_child, args=(options, str(tmp_path / f"{name}.json"))
        )
        child.start()
        return child

    def outputs(name: str) -> list[bytes]:
        names = (name, name.replace("out", "rejects"))
        return [(tmp_path / (each + suffix)).read_bytes() for each in names]

    def counts(name: str) -> Any:
        return json.loads((tmp_path / f"{name}.json").read_text())

    began = time.monotonic()
    child = start("out-whole")
    child.join()
    seconds = time.monotonic() - began
    assert child.exitcode == 0
    undisturbed, undisturbed_counts = outputs("out-whole"), counts("out-whole")
    assert decompress(tmp_path / f"out-whole{suffix}").count(b"\n") > 500
    kills, resumed, number = 0, 0, 0
    while kills < 8 or not resumed:
        name = f"out-{number}"
        journal = tmp_path / f"{name}{suffix}.resume" / "journal"
        while True:
            child = start(name)
            child.join(generator.uniform(0.1, 1.1) * seconds)
            if child.exitcode is None:
                os.kill(child.pid, signal.SIGKILL)
                child.join()
            if child.exitcode == 0:
                assert counts(name) == undisturbed_counts
                assert not journal.parent.exists()
                break
            assert child.exitcode == -signal.SIGKILL
            if (tmp_path / (name + suffix)).exists() and not journal.exists():
                break  # all was done, and the process about to end
            kills += 1
            resumed += journal.exists()
        assert outputs(name) == undisturbed
        number += 1


def test_what_cannot_be_resumed_is_told(tmp_path: Path, crawl: Path) -> None:
    with pytest.raises(UsageError, match="output file"):
        filter_crawl(CrawlFilterOptions(inputs=[str(crawl)], resume=True), Console.silent())
    with pytest.raises(UsageError, match="Parquet"):
        run(options_for(tmp_path, crawl, "out.parquet", resume=True, rejects=None))
    with pytest.raises(UsageError, match="--limit"):
        run(options_for(tmp_path, crawl, resume=True, limit=3))


def test_another_configuration_does_not_resume(
    tmp_path: Path, crawl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop(self: Any) -> None:
        raise Stop

    monkeypatch.setattr(filter_outputs.FilterOutputs, "finish", stop)
    monkeypatch.setattr(filter_outputs, "COMMIT_UNITS", 1)
    with pytest.raises(Stop):
        run(options_for(tmp_path, crawl, resume=True, overwrite=False))
    with pytest.raises(ConfigError, match="unfinished run differs"):
        run(options_for(tmp_path, crawl, resume=True, overwrite=False, pii="off"))


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst"])
def test_progress_tells_speed_kept_share_and_time_left(
    tmp_path: Path, crawl: Path, suffix: str
) -> None:
    source = tmp_path / f"in{suffix}"
    data = crawl.read_bytes()
    source.write_bytes(zstandard.compress(data) if suffix.endswith(".zst") else data)
    stream = io.StringIO()
    filter_crawl(options_for(tmp_path, source), Console(stream=stream, interval_seconds=0.0))
    lines = [line for line in stream.getvalue().splitlines() if "% kept" in line]
    assert lines
    form = r"norcli: filter: [\d ]+ of [\d ]+ documents, \d+ s, \d+ s left, "
    form += r"[\d ]+/s, [\d.]+ MB/s, [\d.]+% kept"
    assert all(re.fullmatch(form, line) for line in lines), lines
    done, expected = re.findall(r"[\d ]+(?= of)|(?<=of)[\d ]+(?= documents)", lines[-1])
    assert int(done) == int(expected)
