"""crawl-filter over all sources at once: the same bytes and counts for any jobs and shards."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from norcli.console import Console
from norcli.corpus.crawl import filter_crawl
from norcli.corpus.options import CrawlFilterOptions

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "layouts"


def make_inputs(folder: Path) -> list[str]:
    paths = [p for p in sorted(FIXTURES.iterdir()) if p.name not in ("README.md", "expected.jsonl")]
    torn = folder / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress(b'{"text": "Hei"}\n' * 9000)[:-30])
    bad = folder / "bad.jsonl"
    bad.write_bytes(b'{"text": "Det er det."}\nbroken\n\xff\n{"text": 7}\n' * 9)
    empty = folder / "empty.html"
    empty.touch()
    return [str(path) for path in (*paths[:9], torn, *paths[9:], bad, empty)]


def run(inputs: list[str], output: Path, jobs: int, shard: str | None = None) -> tuple[bytes, str]:
    spoken = io.StringIO()
    options = CrawlFilterOptions(
        inputs=inputs, output=str(output), overwrite=True, jobs=jobs, shard=shard, annotate=True,
        on_damaged_file="skip",
    )  # fmt: skip
    funnel = filter_crawl(options, Console(stream=spoken, progress=False))
    counts = f"{funnel.bad_records} {funnel.damaged_files}"
    # Layouts are told while reading ahead; faults, in the order of the input.
    notes = [line for line in spoken.getvalue().splitlines() if "read as layout" not in line]
    return output.read_bytes(), "\n".join([counts, *notes])


@pytest.mark.slow
def test_jobs_and_shards_change_nothing(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path)
    data, told = run(inputs, tmp_path / "one", 1)
    assert told.splitlines()[0] == "27 1"
    assert "torn.jsonl.gz: gzip data ends too early" in told
    assert run(inputs, tmp_path / "three", 3) == (data, told)
    parts = [run(inputs, tmp_path / f"part{k}", 1, f"{k}/3")[0] for k in range(3)]
    assert b"".join(parts) == data
