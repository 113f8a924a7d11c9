"""crawl-filter end to end from Python: what is kept, what is dropped and why."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from norcli.console import Console
from norcli.corpus.crawl import filter_crawl, make_batches
from norcli.corpus.funnel import Funnel, format_bytes
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.raw import RawDocument
from norcli.errors import CannotCreateError, DataError, InputMissingError, UsageError
from norcli.formats.documents import Place

NOB = (
    "Det regnet da vi gikk om bord i ferja, og det regnet fortsatt da vi gikk i land på den andre "
    "siden av fjorden. Likevel var det ingen som klaget, for alle visste at sola ville komme "
    "tilbake før kvelden. Vi fant et lite hus ved kaia der de solgte kaffe og varme vafler."
)
NNO = (
    "Eg veit ikkje kor mange gonger eg har gått opp denne bakken, men han vert aldri kortare. "
    "Bestemor sa alltid at ein ikkje skulle sjå opp før ein var framme. No er det eg som seier det "
    "til borna mine, og dei høyrer like lite på meg som eg høyrde på ho."
)
ENG = (
    "The harbour was quiet in the early morning, and only the gulls were awake when the first boat "
    "came in. The fishermen said very little while they carried the boxes ashore and counted them."
)
DAN = (
    "Jeg ved ikke, hvad jeg skal gøre af mig selv, når det bliver forår. Hver dag går jeg en tur "
    "ned til åen for at se, om isen er væk, og hver gang bliver jeg skuffet over, hvor langsomt "
    "det går."
)


def run(tmp_path: Path, *inputs: Path | str, **more: Any) -> tuple[list[dict[str, Any]], Funnel]:
    output = tmp_path / "out.jsonl"
    more = {"output": str(output), "overwrite": True, **more}
    options = CrawlFilterOptions(inputs=[str(path) for path in inputs], **more)
    funnel = filter_crawl(options, Console.silent())
    return read(output), funnel


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8"
    )
    return path


def make_warc(*pages: tuple[str, bytes, str]) -> bytes:
    """Make a .warc.gz with a member per record from (url, body, content type)."""
    members = []
    for number, (url, body, kind) in enumerate(pages):
        http = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
            f"WARC-Date: 2024-05-1{number}T10:00:00Z\r\nWARC-Record-ID: <urn:uuid:{number}>\r\n"
            f"Content-Length: {len(http)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + http + b"\r\n\r\n"))
    return b"".join(members)


def html(text: str) -> bytes:
    paragraphs = "".join(f"<p>{part}</p>" for part in text.split("\n"))
    return (
        "<html><head><title>Tittel</title></head><body><nav><a href='/'>Hjem</a></nav>"
        f"<article>{paragraphs}</article></body></html>"
    ).encode()


def test_norwegian_is_kept_and_other_languages_are_rejected_whole(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.jsonl",
        {"id": "1", "text": NOB, "lang": "no", "note": {"deep": [1]}, "url": "u"},
        {"id": "2", "text": NNO},
        {"id": "3", "text": ENG, "extra": 5},
        {"id": "4", "text": DAN},
        {"id": "5", "text": "Kort."},
    )
    kept, funnel = run(tmp_path, source, rejects=str(tmp_path / "rejects.jsonl"), source="avis")
    assert [(r["id"], r["lang"]) for r in kept] == [("1", "nob"), ("2", "nno")]
    assert kept[0]["source_lang"] == "no"
    assert kept[0]["note"] == {"deep": [1]}
    assert list(kept[0])[:2] == ["id", "text"]
    assert {r["source"] for r in kept} == {"avis"}
    rejects = read(tmp_path / "rejects.jsonl")
    assert [(r["id"], r["dropped_by"]) for r in rejects][:2] == [
        ("3", "language"),
        ("4", "language"),
    ]
    assert (
        rejects[0] | {"dropped_value": "eng", "dropped_threshold": "nob,nno,sme,smj,sma"}
        == rejects[0]
    )
    assert rejects[0]["text"] == ENG and rejects[0]["extra"] == 5
    assert funnel.documents == 5 and funnel.kept.documents == 2
    assert sum(tally.documents for tally in funnel.dropped.values()) == 3


def test_languages_may_be_named_with_two_letters(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": NOB}, {"text": NNO}, {"text": DAN})
    assert [r["lang"] for r in run(tmp_path, source, languages=["nn", "da"])[0]] == ["nno", "dan"]
    with pytest.raises(UsageError, match="unknown language"):
        run(tmp_path, source, languages=["xx"])


def test_a_half_translated_page_is_rejected_as_mixed_or_trimmed(tmp_path: Path) -> None:
    mixed = f"{NOB}\n{ENG}\n{ENG.replace('harbour', 'village')}"
    source = write(tmp_path / "a.jsonl", {"id": "m", "text": mixed})
    rejects = tmp_path / "rejects.jsonl"
    assert run(tmp_path, source, rejects=str(rejects))[0] == []
    (record,) = read(rejects)
    assert record["dropped_by"] == "min_main_language_share"
    assert record["dropped_value"] == pytest.approx(len(NOB) / len(mixed), abs=0.02)
    assert record["lang_segments"].startswith("eng 0.5")
    (trimmed,), _ = run(tmp_path, source, mixed="trim")
    assert trimmed["text"] == NOB
    assert trimmed["lang"] == "nob"
    # A page in two languages that are both kept is nobody's loss.
    both = write(tmp_path / "b.jsonl", {"id": "b", "text": f"{NOB}\n\n{NNO}"})
    assert len(run(tmp_path, both)[0]) == 1


def test_a_mix_of_formats_comes_out_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(
        gzip.compress(json.dumps({"id": "a", "text": NOB}).encode())
    )
    (tmp_path / "b.jsonl.zst").write_bytes(
        zstandard.compress(json.dumps({"id": "b", "text": NNO}).encode())
    )
    (tmp_path / "c.txt").write_text(NOB.replace("ferja", "bussen"), "utf-8")
    (tmp_path / "d.html").write_bytes(html(NOB.replace("ferja", "toget")))
    (tmp_path / "e.warc.gz").write_bytes(
        make_warc(
            ("http://x.no/1", html(NNO.replace("bakken", "trappa")), "text/html"),
            ("http://x.no/2", b"%PDF-1.7", "application/pdf"),
        )
    )
    # No suffix at all: the first bytes tell.
    (tmp_path / "f").write_bytes((tmp_path / "e.warc.gz").read_bytes())
    names = ["a.jsonl.gz", "b.jsonl.zst", "c.txt", "d.html", "e.warc.gz", "f"]
    kept, funnel = run(tmp_path, *[tmp_path / name for name in names])
    assert [r["lang"] for r in kept] == ["nob", "nno", "nob", "nob", "nno", "nno"]
    assert kept[3]["path"].endswith("d.html") and kept[3]["title"] == "Tittel"
    assert kept[4]["id"] == "urn:uuid:0"
    assert (kept[4]["url"], kept[4]["date"]) == ("http://x.no/1", "2024-05-10")
    assert "Hjem" not in kept[4]["text"]
    assert funnel.dropped["not_html"].documents == 2


def test_wet_text_and_its_language_field(tmp_path: Path) -> None:
    text = NOB.encode()
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x.no/\r\n"
        "WARC-Identified-Content-Language: nor,eng\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    ).encode()
    (tmp_path / "a.warc.wet.gz").write_bytes(gzip.compress(head + text + b"\r\n\r\n"))
    (record,), _ = run(tmp_path, tmp_path / "a.warc.wet.gz")
    assert (record["text"], record["source_lang"], record["lang"]) == (NOB, "nor,eng", "nob")


def many(tmp_path: Path) -> list[Path]:
    records = [
        {"id": f"{k}", "text": (NOB, NNO, ENG, DAN, "Kort")[k % 5].replace("det", f"det{k}")}
        for k in range(120)
    ]
    (tmp_path / "p.warc.gz").write_bytes(
        make_warc(*[(f"http://x.no/{k}", html(NOB + f" Side {k}."), "text/html") for k in range(6)])
    )
    return [write(tmp_path / "a.jsonl", *records), tmp_path / "p.warc.gz"]


def test_any_number_of_jobs_gives_the_same_bytes(tmp_path: Path) -> None:
    inputs = many(tmp_path)
    outputs = []
    for jobs in (1, 2):
        rejects = tmp_path / f"rejects{jobs}.jsonl"
        run(tmp_path, *inputs, jobs=jobs, rejects=str(rejects))
        outputs.append(((tmp_path / "out.jsonl").read_bytes(), rejects.read_bytes()))
    assert outputs[0] == outputs[1]
    assert outputs[0][0].count(b"\n") == 54


def test_shards_add_up_to_the_whole(tmp_path: Path) -> None:
    inputs = many(tmp_path)
    whole, _ = run(tmp_path, *inputs)
    parts = [run(tmp_path, *inputs, shard=f"{k}/3")[0] for k in range(3)]
    assert [record for part in parts for record in part] == whole
    assert all(parts)


def test_annotate_writes_measures_and_drops_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": NOB}, {"text": ENG}, {"text": "Kort."})
    kept, funnel = run(tmp_path, source, annotate=True)
    assert [r.get("would_be_dropped_by") for r in kept][:2] == [None, "language"]
    assert len(kept) == 3 and not funnel.dropped
    assert kept[0]["quality_words"] == len(NOB.split())
    assert kept[0]["quality_duplicate_line_ratio"] == 0.0


def test_rules_can_be_disabled_and_score_raised(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": "Dette er en ganske kort setning på norsk."})
    assert run(tmp_path, source)[0] == []
    assert len(run(tmp_path, source, disable=["min_words"])[0]) == 1
    kept, funnel = run(tmp_path, source, disable=["min_words"], min_lang_score=1.0)
    assert kept == [] and list(funnel.dropped) == ["min_lang_score"]


@pytest.mark.parametrize(
    ("pii", "text", "fields"),
    [
        ("off", "ola@epost.no", {}),
        ("tag", "ola@epost.no", {"pii_email": 1}),
        ("mask", "<EMAIL>", {"pii_email": 1}),
    ],
)
def test_personal_data(tmp_path: Path, pii: str, text: str, fields: dict[str, int]) -> None:
    source = write(tmp_path / "a.jsonl", {"text": f"{NOB} Skriv til ola@epost.no."})
    (record,), _ = run(tmp_path, source, pii=pii)
    assert record["text"] == f"{NOB} Skriv til {text}."
    assert {key: value for key, value in record.items() if key.startswith("pii_")} == fields


def test_personal_data_may_drop_the_document(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": f"{NOB} Skriv til ola@epost.no."}, {"text": NOB})
    kept, funnel = run(tmp_path, source, pii="drop")
    assert len(kept) == 1
    assert list(funnel.dropped) == ["personal_data"]


def test_sentences_and_boilerplate(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": f"{NOB}\nLes også: Noe annet"})
    (record,), funnel = run(tmp_path, source, sentences=True)
    assert record["text"] == NOB
    assert record["sentences"][-1].startswith("Vi fant et lite hus")
    assert len(record["sentences"]) == 3
    assert funnel.removed_lines == 1
    assert "Les også" in run(tmp_path, source, disable=["boilerplate"])[0][0]["text"]


def test_bad_records_are_skipped_and_counted_or_stop_the_run(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    good = json.dumps({"text": NOB}).encode()
    source.write_bytes(b'{"text": \n' + b'{"text": "\xe5"}\n' + b'{"no": 1}\n' + good + b"\n")
    kept, funnel = run(tmp_path, source)
    assert (len(kept), funnel.bad_records) == (1, 3)
    with pytest.raises(DataError) as caught:
        run(tmp_path, source, on_bad_record="stop")
    assert caught.value.line == 1


def test_a_damaged_file_stops_the_run_or_is_skipped_from_there(tmp_path: Path) -> None:
    broken = tmp_path / "a.warc.gz"
    broken.write_bytes(make_warc(*[("http://x.no/", html(NOB), "text/html")] * 2)[:-40])
    good = write(tmp_path / "b.jsonl", {"text": NNO})
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(DataError, match="gzip data ends too early") as caught:
        run(tmp_path, broken, good)
    assert caught.value.line == 2
    assert (tmp_path / "out.jsonl").read_text() == "old"
    kept, funnel = run(tmp_path, broken, good, on_damaged_file="skip")
    assert [r["lang"] for r in kept] == ["nob", "nno"]
    assert funnel.damaged_files == 1


def test_a_bad_record_that_stops_is_no_damaged_file(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("broken\n")
    with pytest.raises(DataError, match="not valid JSON"):
        run(tmp_path, source, on_bad_record="stop", on_damaged_file="skip")


def test_wrong_inputs_and_outputs_are_told_before_the_work(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": NOB})
    with pytest.raises(InputMissingError):
        run(tmp_path, source, tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="is a directory") as caught:
        run(tmp_path, tmp_path)
    assert caught.value.hint is not None and "--files-from -" in caught.value.hint
    (tmp_path / "there.jsonl").write_text("")
    with pytest.raises(CannotCreateError):
        run(tmp_path, source, output=str(tmp_path / "there.jsonl"), overwrite=False)
    with pytest.raises(UsageError, match="--rejects"):
        run(tmp_path, source, rejects=str(tmp_path / "r.parquet"))


def test_empty_input_gives_empty_output(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    kept, funnel = run(tmp_path, tmp_path / "a.jsonl")
    assert kept == [] and funnel.documents == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_provenance_fills_only_what_is_missing(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": NOB, "source": "mC4"}, {"text": NNO})
    kept, _ = run(tmp_path, source, source="hplt", source_group="Common Crawl", license="CC0")
    assert [r["source"] for r in kept] == ["mC4", "hplt"]
    assert all(r["source_group"] == "Common Crawl" and r["license"] == "CC0" for r in kept)


def test_another_text_field_becomes_text(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"content": NOB, "a": 1})
    (record,), _ = run(tmp_path, source, text_key="content")
    assert record["text"] == NOB and "content" not in record


def test_batches_lose_nothing() -> None:
    documents = [RawDocument(Place("x", k), {}, "a" * 10) for k in range(1000)]
    batches = list(make_batches(documents))
    assert [len(batch) for batch in batches] == [512, 488]
    assert [document for batch in batches for document in batch] == documents


def test_the_table_and_byte_counts_are_for_people() -> None:
    assert [format_bytes(n) for n in (0, 999, 1000, 999_949, 999_950, 10**15)] == [
        "0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.0 PB",
    ]  # fmt: skip


def test_a_bad_record_is_told_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "a"}\nbroken\n')
    stream = io.StringIO()
    options = CrawlFilterOptions(inputs=[str(source)], output=str(tmp_path / "o.jsonl"))
    filter_crawl(options, Console(stream=stream, progress=False))
    assert f"{source}:2: not valid JSON" in stream.getvalue()
