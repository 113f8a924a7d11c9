"""Counts equal slow counting, for any number of jobs, and add up over shards."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_corpora import records, write

import norcli.corpus.statistics as module
from norcli.console import Console
from norcli.corpus.counting import count_corpus
from norcli.corpus.packing import pack
from norcli.corpus.report_json import load_counts
from norcli.corpus.report_options import StatsOptions
from norcli.corpus.statistics import (
    BINS,
    COLUMNS,
    FIELDS,
    NOT_STATED,
    OTHER_VALUES,
    Cell,
    CorpusStatistics,
)
from norcli.corpus.word_count import count_words
from norcli.errors import DataError

RECORDS: list[dict[str, Any]] = [
    {
        "text": "en to tre. Fire fem.",
        "lang": "nob",
        "source_group": "Common Crawl",
        "copyrighted": True,
        "date": "2021-05-17",
    },
    {"text": "ein to tre", "lang": "nno", "source_group": "National Library", "copyrighted": False},
    {
        "text": "okta guokte",
        "lang": "sme",
        "source_group": "National Library",
        "publish_year": 1913,
    },
    {"text": "one two three four five six seven eight nine ten", "lang": "eng"},
]


def count(tmp_path: Path, made: list[dict[str, Any]], **more: Any) -> CorpusStatistics:
    options = StatsOptions(inputs=[write(tmp_path / "a.jsonl", made)], **more)
    return count_corpus(options, Console.silent())[0]


CHARACTERS = "aå đ\t\n\x1c\x85\xa0\u1680\u2003\u200b\u2028\u202f\u205f\u3000😀é«"


@given(st.lists(st.text(st.sampled_from(CHARACTERS))))
@settings(max_examples=300, deadline=None)
def test_words_are_those_of_split(texts: list[str]) -> None:
    assert count_words(*pack(texts)).tolist() == [len(text.split()) for text in texts]


def test_every_white_space_of_python_is_one_of_the_kernel() -> None:
    texts = [f"a{chr(code)}b" for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    assert count_words(*pack(texts)).tolist() == [len(text.split()) for text in texts]


@pytest.fixture(scope="module")
def sample_tokenizer(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """A small tokenizer trained on the embedded sample."""
    from norcli.tokens.options import TokenizeTrainOptions
    from norcli.tokens.train import train_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer") / "tok"
    options = TokenizeTrainOptions(
        inputs=[str(examples / "crawl" / "mc4.jsonl")], output=str(folder), vocab_size=600
    )
    train_tokenizer(options, Console.silent())
    return folder


def slow_counts(made: list[dict[str, Any]], field: str) -> dict[str, Counter[str]]:
    """Count as plainly as possible."""
    groups: dict[str, Counter[str]] = {}
    for record in made:
        value = record.get(field)
        if field == "year":
            value = record.get("date", "")[:4] or record.get("publish_year")
        if field == "copyrighted":
            value = {True: "yes", False: "no"}.get(value)  # type: ignore[call-overload]
        counts = groups.setdefault(str(value or NOT_STATED), Counter())
        counts["documents"] += 1
        counts["words"] += len(record["text"].split())
        counts["bytes"] += len(record["text"].encode())
    return groups


documents = st.fixed_dictionaries(
    {"text": st.text(st.sampled_from("aæ \n\u00a0.đ"), max_size=60)},
    optional={
        "lang": st.sampled_from(["nob", "nno", "sme", ""]),
        "source": st.sampled_from(["mc4", "avis", None]),
        "source_group": st.sampled_from(["Others", "Industry Partners"]),
        "license": st.sampled_from(["CC0", "x"]),
        "copyrighted": st.booleans(),
        "date": st.sampled_from(["2019-01-01", "2020"]),
        "doc_type": st.sampled_from(["newspaper", "book"]),
        "corpus": st.sampled_from(["V1", "V2"]),
    },
)


@given(st.lists(documents, max_size=40))
@settings(max_examples=60, deadline=None)
def test_sums_by_every_field_equal_slow_counting(
    tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, Any]]
) -> None:
    statistics = count(tmp_path_factory.mktemp("slow"), made)
    for field in FIELDS:
        counted = {
            value: {"documents": c.documents, "words": c.words, "bytes": c.bytes}
            for value, c in statistics.by(field).items()
        }
        expected = {
            value: {name: counts[name] for name in ("documents", "words", "bytes")}
            for value, counts in slow_counts(made, field).items()
        }
        assert counted == expected
    lengths = Counter(
        max(low for low in BINS if low <= len(record["text"].split())) for record in made
    )
    assert statistics.histogram() == [lengths[low] for low in BINS]


def test_shares_are_of_the_norwegian_portion_and_of_what_is_stated(tmp_path: Path) -> None:
    shares = count(tmp_path, RECORDS).shares()
    assert shares == {
        "norwegian": 0.5,
        "nynorsk_of_norwegian": 0.3,
        "sami_of_norwegian": 0.2,
        "copyrighted": 5 / 8,
        "copyright_stated": 0.4,
    }
    assert count(tmp_path, []).shares() == dict.fromkeys(shares)


def test_sentences_and_tokens_are_counted_when_asked_for(
    tmp_path: Path, sample_tokenizer: Path
) -> None:
    from norcli.tokens.huggingface import load_tokenizer

    statistics = count(tmp_path, RECORDS, sentences=True, tokenizer=str(sample_tokenizer))
    tokenizer = load_tokenizer(sample_tokenizer)
    assert statistics.total.tokens == sum(len(tokenizer.encode(r["text"])) for r in RECORDS)
    assert statistics.total.sentences == 5
    assert statistics.unit == "tokens"
    model = sample_tokenizer / "tokenizer.model"
    json_file = sample_tokenizer / "tokenizer.json"
    for path in (model, json_file):
        again = count(tmp_path, RECORDS, sentences=True, tokenizer=str(path))
        assert again.as_dict() == statistics.as_dict()


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_jobs_shards_and_formats_do_not_change_the_counts(tmp_path: Path, suffix: str) -> None:
    from norcli.formats.documents import RecordWriter
    from norcli.options import RecordOutputOptions

    made = records(step=150)
    path = tmp_path / f"corpus{suffix}"
    with RecordWriter(RecordOutputOptions(output=str(path))) as writer:
        for record in made:
            writer.write(record)
    plain = count(tmp_path, made).as_dict()
    for more in ({"jobs": 1}, {"jobs": 2}):
        options = StatsOptions(inputs=[str(path)], **more)
        assert count_corpus(options, Console.silent())[0].as_dict() == plain
    if suffix == ".jsonl":
        merged = CorpusStatistics()
        for index in range(3):
            options = StatsOptions(inputs=[str(path)], shard=f"{index}/3")
            merged.merge(count_corpus(options, Console.silent())[0])
        assert sorted(merged.as_dict()["cells"]) == sorted(plain["cells"])


def test_limit_takes_the_first_documents(tmp_path: Path) -> None:
    made = records()
    limited = count(tmp_path, made, limit=50, jobs=2)
    assert limited.as_dict() == count(tmp_path, made[:50]).as_dict()


def test_bad_records_stop_or_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "a b"}\n{"text": 3}\nnei\n{"text": "c"}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:2"):
        count_corpus(StatsOptions(inputs=[str(path)]), Console.silent())
    for jobs in (1, 2):
        options = StatsOptions(inputs=[str(path)], on_bad_record="skip", jobs=jobs)
        assert count_corpus(options, Console.silent())[0].total.words == 3


def test_counts_survive_json(tmp_path: Path) -> None:
    statistics = count(tmp_path, RECORDS, sentences=True)
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(statistics.as_dict()), encoding="utf-8")
    again, runs = load_counts([str(path)])
    assert again.as_dict() == statistics.as_dict()
    assert not runs.pairs.documents and not runs.rules()
    doubled, _ = load_counts([str(path), str(path)])
    assert doubled.total.words == 2 * statistics.total.words


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"format": "norcli-stats-1"}', "nei",
                '{"format": "norcli-stats-1", "has_tokens": false, "has_sentences": false, '
                '"joined": 0, "cells": [["a", 1]]}'],
)  # fmt: skip
def test_what_is_no_counts_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "counts.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"counts\.json"):
        load_counts([str(path)])


def test_counts_with_and_without_tokens_do_not_add_up(tmp_path: Path) -> None:
    plain = count(tmp_path, RECORDS)
    with pytest.raises(DataError, match="some of the files"):
        plain.merge(CorpusStatistics(has_tokens=True))


def test_many_values_are_joined_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.MOST_VALUES, "source", 3)
    monkeypatch.setattr(module, "MOST_CELLS", 8)
    statistics = CorpusStatistics()
    row = np.ones((1, COLUMNS), np.int64)
    for number in range(40):
        cell = Cell("c", f"s{number}", "g", "nob", f"l{number}", "yes", "d", str(1990 + number))
        statistics.add([cell], row)
    assert statistics.total.documents == 40
    assert len(statistics.as_dict()["cells"]) <= 9
    assert statistics.by("source")[OTHER_VALUES].documents == 37
    assert statistics.by("lang")["nob"].documents == 40
    assert statistics.joined == 37


def test_odd_values_of_fields_are_words_too(tmp_path: Path) -> None:
    made = [{"text": "a", "source": ["x", 1], "lang": {"a": 2}, "date": 20210517, "license": 3}]
    statistics = count(tmp_path, made)
    assert list(statistics.by("source")) == ["['x', 1]"]
    assert list(statistics.by("year")) == ["2021"]
    assert list(statistics.by("license")) == ["3"]


def test_a_parquet_row_that_is_no_text_is_told(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "odd.parquet"
    offsets = pa.array([0, 5, 7, 10], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(
        pa.string(), 3, [None, offsets, pa.py_buffer(b"en to\xff\xfetre")]
    )
    pq.write_table(pa.table({"text": texts}), path)
    with pytest.raises(DataError, match=r"odd\.parquet:2: .*UTF-8"):
        count_corpus(StatsOptions(inputs=[str(path)]), Console.silent())
    options = StatsOptions(inputs=[str(path)], on_bad_record="skip")
    assert count_corpus(options, Console.silent())[0].total.words == 3
