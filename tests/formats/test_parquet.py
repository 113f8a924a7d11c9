"""Parquet files are read as flat records and written whole."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from norcli.errors import DataError
from norcli.formats import parquet
from norcli.formats.parquet import ParquetSink, read_parquet


def write(records: list[dict[str, object]]) -> io.BytesIO:
    buffer = io.BytesIO()
    sink = ParquetSink(buffer, "out.parquet")
    for record in records:
        sink.write(dict(record))
    sink.close()
    buffer.seek(0)
    return buffer


def test_records_come_back_with_missing_fields_as_none() -> None:
    records = [{"id": "a", "text": "én"}, {"id": "b", "text": "to", "lang_score": 0.5}]
    rows = list(read_parquet(write(records), "x.parquet"))
    assert rows == [
        (1, {"id": "a", "text": "én", "lang_score": None}),
        (2, {"id": "b", "text": "to", "lang_score": 0.5}),
    ]


def test_a_field_first_seen_late_within_the_schema_rows_is_kept() -> None:
    records = [{"id": str(k)} for k in range(5000)] + [{"id": "x", "note": "late"}]
    assert list(read_parquet(write(records), "x"))[-1][1] == {"id": "x", "note": "late"}


def test_a_field_that_appears_after_the_schema_is_fixed_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet, "SCHEMA_ROWS", 3)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    with pytest.raises(DataError, match='field "new" first appears after 3 records'):
        write([{"id": "1"}] * 3 + [{"id": "2", "new": 1}] * 2)


def test_values_of_different_types_are_told() -> None:
    with pytest.raises(DataError, match="different types"):
        write([{"value": 1}, {"value": "en"}])


def test_no_records_make_a_readable_file() -> None:
    assert list(read_parquet(write([]), "x")) == []


def test_what_is_no_parquet_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        list(read_parquet(io.BytesIO(b"PAR1 but not really"), "x.parquet"))
    assert caught.value.path == "x.parquet"


def test_a_file_cut_short_is_told() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["a" * 1000] * 1000}), buffer)
    with pytest.raises(DataError, match="not a readable Parquet file"):
        list(read_parquet(io.BytesIO(buffer.getvalue()[:-50]), "x.parquet"))
