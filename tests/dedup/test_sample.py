"""The embedded sample: its planted duplicates are found after crawl-filter, and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def norcli(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "norcli", *arguments, "--quiet"], check=True)


@pytest.fixture(scope="module")
def sample(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.config.rootpath / "examples" / "data" / "crawl"
    if not (folder / "expected.json").exists():
        pytest.skip("the sample is not there")
    return folder


def test_planted_duplicates_of_the_sample_are_found(sample: Path, tmp_path: Path) -> None:
    expected = json.loads((sample / "expected.json").read_text(encoding="utf-8"))["records"]
    inputs = [str(p) for p in sorted((sample / "html").rglob("*.html"))]
    inputs += [str(sample / "mc4.jsonl"), str(sample / "news.jsonl.gz")]
    clean, out, rejects = (str(tmp_path / name) for name in ("clean.jsonl", "out.jsonl", "r.jsonl"))
    norcli("crawl-filter", *inputs, "-o", clean)
    norcli("dedup", clean, "-o", out, "--rejects", rejects, "--keep", "first")

    def read(path: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]

    # A copied page names the original as its canonical address; its own is known by its file.
    url_of_file = {str(sample / r["file"]): r["url"] for r in expected if "line" not in r}

    def url(record: dict[str, Any]) -> str:
        return str(url_of_file.get(record.get("path", ""), record["url"]))

    # Exact copies that came without an id share the one made from their text: the first stays.
    urls = {url(record) for record in read(clean)}
    url_of = {record["id"]: url(record) for record in reversed(read(clean))}
    dropped = {url(record): url_of[record["dedup_dup_of"]] for record in read(rejects)}
    pairs = set()
    for record in expected:
        original = next((record[key] for key in record if key.endswith("duplicate_of")
                         or key.endswith("normalization_of")), None)  # fmt: skip
        if original and record["url"] in urls and original in urls:
            pairs.add(frozenset((record["url"], original)))
    assert len(pairs) >= 15
    found = {frozenset(pair) for pair in dropped.items()}
    assert found == pairs
