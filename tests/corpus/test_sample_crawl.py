"""The embedded sample: every article is kept and clean, every planted defect dealt with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from norcli.console import Console
from norcli.corpus.crawl import filter_crawl
from norcli.corpus.options import CrawlFilterOptions

KEPT_LANGUAGES = ("nob", "nno", "sme")
KEPT_KINDS = ("article", "exact_duplicate", "exact_duplicate_after_normalization",
              "near_duplicate", "below_threshold", "personal_data")  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kept and rejected records by the file or url they are expected under."""
    crawl = Path(__file__).resolve().parents[2] / "examples" / "data" / "crawl"
    folder = tmp_path_factory.mktemp("sample")
    inputs = [*sorted(crawl.glob("*.jsonl*")), *sorted(crawl.glob("html/**/*.html"))]
    options = CrawlFilterOptions(
        inputs=[str(path) for path in inputs], output=str(folder / "kept.jsonl"),
        rejects=str(folder / "rejects.jsonl"), pii="tag",
    )  # fmt: skip
    filter_crawl(options, Console.silent())

    def load(name: str) -> dict[str, Any]:
        found = {}
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            path = record.get("path")
            found[str(Path(path).relative_to(crawl)) if path else record.get("url")] = record
        return found

    return load("kept.jsonl"), load("rejects.jsonl")


def expected(kind: str | None = None) -> list[dict[str, Any]]:
    file = Path(__file__).resolve().parents[2] / "examples" / "data" / "crawl" / "expected.json"
    records = json.loads(file.read_text(encoding="utf-8"))["records"]
    return [
        record
        for record in records
        if (record["file"].startswith("html") or record.get("url"))
        and (kind is None or record["kind"] == kind)
    ]


def key(record: dict[str, Any]) -> str:
    name = record["file"] if record["file"].startswith("html") else record["url"]
    return str(name)


def squeeze(text: str) -> str:
    return " ".join(text.split())


def test_every_norwegian_and_sami_article_is_kept_in_its_language(
    result: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    kept, rejects = result
    wanted = [r for r in expected() if r["kind"] in KEPT_KINDS and r["language"] in KEPT_LANGUAGES]
    assert len(wanted) > 100
    lost = {key(r): rejects.get(key(r), {}).get("dropped_by") for r in wanted if key(r) not in kept}
    assert lost == {}
    wrong = {key(r): kept[key(r)]["lang"] for r in wanted if kept[key(r)]["lang"] != r["language"]}
    assert wrong == {}


def test_other_languages_and_what_is_no_article_are_rejected(
    result: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    _, rejects = result
    for record in expected("article"):
        if record["language"] not in KEPT_LANGUAGES:
            assert rejects[key(record)]["dropped_by"] == "language"
            assert rejects[key(record)]["lang"] == record["language"]
    for kind in ("boilerplate", "spam", "repeated", "short", "mixed_language"):
        assert all(key(record) in rejects for record in expected(kind)), kind
    (mixed,) = expected("mixed_language")
    assert rejects[key(mixed)]["dropped_by"] == "min_main_language_share"


def test_the_text_is_whole_and_clean(result: tuple[dict[str, Any], dict[str, Any]]) -> None:
    kept, rejects = result
    faults = []
    for record in expected():
        got = kept.get(key(record)) or rejects[key(record)]
        text = squeeze(got["text"])
        wanted = record.get("extract_contains", []) + record.get("clean_contains", [])
        unwanted = record.get("extract_lacks", []) + record.get("clean_lacks", [])
        faults += [(key(record), "lacks", p) for p in wanted if squeeze(p) not in text]
        faults += [(key(record), "holds", p) for p in unwanted if squeeze(p) in text]
    assert faults == []


def test_personal_data_is_found_and_invalid_numbers_are_not(
    result: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    kept, _ = result
    (record,) = expected("personal_data")
    got = kept[key(record)]
    assert got["pii_email"] == len(record["emails"])
    assert "pii_national_id" not in got
    # The address is from a block set aside for documentation: it names nobody.
    assert record["ip_addresses"] == ["192.0.2.17"] and "pii_ip" not in got
