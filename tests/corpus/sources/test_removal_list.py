"""Removal lists match ids exactly and addresses however they are written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.console import Console
from norcli.corpus.crawl import filter_crawl
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.removal import RemovalList
from norcli.errors import DataError

TEXT = (
    "Det regnet da vi gikk om bord i ferja, og det regnet fortsatt da vi gikk i land på den andre "
    "siden av fjorden. Likevel var det ingen som klaget, for alle visste at sola ville komme "
    "tilbake før kvelden. Vi fant et lite hus ved kaia der de solgte kaffe og varme vafler."
)


def make_list(folder: Path, *lines: str) -> RemovalList:
    path = folder / "remove.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return RemovalList.load(str(path))


@pytest.mark.parametrize(
    "address",
    [
        "https://www.avis.example/sak/på?id=1", "http://avis.example/sak/på?id=1",
        "https://AVIS.example:443/sak/p%C3%A5?id=1", "http://avis.example:80/sak/p%c3%a5?id=1#topp",
        "https://avis.example/sak/på?id=1/", "  https://avis.example/sak/på?id=1 ",
    ],
)  # fmt: skip
def test_an_address_matches_however_it_is_written(tmp_path: Path, address: str) -> None:
    assert make_list(tmp_path, "https://avis.example/sak/på?id=1").holds(address)
    assert make_list(tmp_path, address).holds("https://avis.example/sak/på?id=1")


@pytest.mark.parametrize(
    "address",
    [
        "https://avis.example/sak/På?id=1", "https://avis.example/sak/på?id=12", "https://avis.example",
        "https://avis.example:8080/sak/på?id=1", "https://m.avis.example/sak/på?id=1",
        "avis.example/sak/på?id=1", "https://avis.example/sak/på", "",
    ],
)  # fmt: skip
def test_other_addresses_do_not(tmp_path: Path, address: str) -> None:
    assert not make_list(tmp_path, "https://avis.example/sak/på?id=1").holds(address)


def test_a_space_in_an_address_is_percent_encoded(tmp_path: Path) -> None:
    removed = make_list(tmp_path, "https://avis.example/en sak")
    assert removed.holds("https://avis.example/en%20sak")
    assert removed.holds("https://avis.example/en sak")
    assert not removed.holds("https://avis.example/ensak")


def test_a_site_is_not_all_its_pages_and_an_id_no_address(tmp_path: Path) -> None:
    removed = make_list(tmp_path, "https://avis.example/", "", "urn:uuid:7", "Æ1", "Æ1")
    assert removed.size == 3
    assert removed.holds("http://avis.example") and removed.holds("urn:uuid:7")
    assert not removed.holds("http://avis.example/a")
    assert removed.holds("Æ1") and not removed.holds("æ1")
    assert removed.names({"id": "x", "url": "https://www.avis.example"}) == "url"
    assert removed.names({"id": "Æ1", "url": None}) == "id"
    assert removed.names({"id": 5}) is None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1)))
def test_what_is_on_the_list_is_found_and_nothing_else(ids: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        removed = make_list(Path(folder), *ids)
        for one in ids:
            assert removed.holds(one)
            if "://" not in one:
                assert not removed.holds(one + "\u00e6x")


def test_lists_may_be_packed_and_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "list.gz"
    path.write_bytes(gzip.compress(b"a\r\nb\n" * 100_000))
    assert RemovalList.load(str(path)).size == 2
    path.write_bytes(b"a\n\0\n")
    with pytest.raises(DataError, match="holds NUL bytes"):
        RemovalList.load(str(path))
    path.write_bytes(b"")
    assert RemovalList.load(str(path)).size == 0


def run(
    folder: Path, records: list[dict[str, Any]], **more: Any
) -> tuple[list[Any], list[Any], Any]:
    (folder / "in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (folder / "optout").write_text("2\nhttps://www.avis.example/4/\n")
    funnel = filter_crawl(
        CrawlFilterOptions(
            inputs=[str(folder / "in.jsonl")], output=str(folder / "out.jsonl"), overwrite=True,
            rejects=str(folder / "rejects.jsonl"), remove=str(folder / "optout"), **more,
        ),
        Console.silent(),
    )  # fmt: skip
    kept, dropped = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("out.jsonl", "rejects.jsonl")
    )
    return kept, dropped, funnel


@pytest.mark.parametrize("more", [{}, {"annotate": True}, {"jobs": 2}])
def test_removed_documents_leave_nothing_but_their_id(tmp_path: Path, more: dict[str, Any]) -> None:
    records = [{"id": str(k), "text": TEXT, "url": f"http://avis.example/{k}", "secret": "x"}
               for k in range(1, 6)]  # fmt: skip
    kept, dropped, funnel = run(tmp_path, records, **more)
    assert [record["id"] for record in kept] == ["1", "3", "5"]
    assert [(record["id"], record["dropped_value"]) for record in dropped] == [
        ("2", "id"), ("4", "url")
    ]  # fmt: skip
    for record in dropped:
        assert record["dropped_by"] == "removal_list"
        assert record["text"] == "" and "secret" not in record and "url" not in record
    assert funnel.as_stats()["dropped"][0]["reason"] == "removal_list"
    assert funnel.as_stats()["dropped"][0]["documents"] == 2
