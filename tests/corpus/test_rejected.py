"""crawl-filter sample: from rejects or the input, drawn evenly, and safe to look at."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions, SampleOptions
from norcli.corpus.rejected import draw, escaped, show_rejected
from norcli.errors import DataError


@pytest.fixture(autouse=True)
def plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a command line run in this process before has claimed."""
    monkeypatch.setattr("norcli.streams._stdout", None)


def write(path: Path, *records: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return str(path)


def rejects(path: Path) -> str:
    records = [
        {"id": str(k), "text": f"Tekst {k}\nLinje", "lang": "nob", "dropped_by": "min_words",
         "dropped_value": k, "dropped_threshold": 30}
        for k in range(100)
    ]  # fmt: skip
    return write(path, *records, {"id": "x", "text": "y", "dropped_by": "language"})


def shown(capture: pytest.CaptureFixture[bytes], **options: Any) -> list[str]:
    count = show_rejected(SampleOptions(**options), Console.silent())
    documents = capture.readouterr().out.decode().split("\n\n")[:-1]
    assert len(documents) == count
    return documents


def test_rejects_are_drawn_by_the_seed_and_shown_in_order(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = rejects(tmp_path / "r.jsonl")
    documents = shown(capsysbinary, inputs=[file], reason="min_words", limit=5)
    assert documents == shown(capsysbinary, inputs=[file], reason="min_words", limit=5)
    assert documents != shown(capsysbinary, inputs=[file], reason="min_words", limit=5, seed=1)
    numbers = [int(document.split()[1]) for document in documents]
    assert numbers == sorted(numbers) and len(set(numbers)) == 5
    k = numbers[0]
    assert documents[0] == f"min_words  {k} (threshold 30)  nob  {k}\n    Tekst {k}\n    Linje"


def test_every_rejected_document_is_as_likely_to_be_shown() -> None:
    records = [{"dropped_by": "min_words", "id": k} for k in range(20)]
    counts: Counter[int] = Counter()
    for seed in range(2000):
        options = SampleOptions(limit=4, seed=seed)
        counts.update(record["id"] for record in draw(iter(records), options, Counter()))
    # 400 of each are expected; the standard deviation is 18.
    assert min(counts.values()) > 320 and max(counts.values()) < 480


def test_without_rejects_the_input_is_filtered(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[nob]\nmin_words = 9\n")
    source = write(
        tmp_path / "a.jsonl",
        {"id": "a", "text": "Dette er en ganske kort tekst på norsk, ikke sant?"},
        {"id": "b", "text": "Jeg vet ikke hvor hun er nå."},
    )
    options = {"inputs": [source], "reason": "min_words"}
    assert [line.split()[-1] for line in shown(capsysbinary, **options)] == ["sant?", "nå."]
    (document,) = shown(capsysbinary, **options, rules=str(rules))
    assert document.startswith("min_words  7.0 (threshold 9)  nob  b\n    Jeg vet ikke hvor")


def test_a_reason_that_nothing_was_dropped_by_is_told(tmp_path: Path) -> None:
    file = rejects(tmp_path / "r.jsonl")
    with pytest.raises(DataError, match='nothing was dropped by "max_words"') as caught:
        show_rejected(SampleOptions(inputs=[file], reason="max_words"), Console.silent())
    assert caught.value.hint == "there are: min_words (100), language (1)"


def test_rejects_mixed_with_other_records_are_told(tmp_path: Path) -> None:
    file = rejects(tmp_path / "r.jsonl")
    other = write(tmp_path / "n.jsonl", {"text": "a"})
    with pytest.raises(DataError, match="dropped_by") as caught:
        show_rejected(SampleOptions(inputs=[file, other]), Console.silent())
    assert (caught.value.path, caught.value.line) == (other, 1)


def test_control_characters_are_shown_and_not_obeyed(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert escaped("å\tb\u200bc\x1b[2J\nd\u202e") == "å\\tb\\u200bc\\x1b[2J\nd\\u202e"
    file = write(
        tmp_path / "r.jsonl",
        {"text": "a\x1b]0;x\x07\n\nb", "url": "http://x\x1b[1m", "dropped_by": "language"},
    )
    show_rejected(SampleOptions(inputs=[file]), Console.silent())
    out = capsysbinary.readouterr().out
    assert b"\x1b" not in out and b"\\x1b]0;x\\x07" in out and b"http://x\\x1b[1m" in out


def test_a_sample_has_the_options_that_decide() -> None:
    options = SampleOptions(languages=["sme"], disable=["min_words"])
    assert set(vars(options)) - {"reason", "characters"} < set(vars(CrawlFilterOptions()))
