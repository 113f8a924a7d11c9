"""Parquet for files: rows as flat records, read and written a batch at a time.

Pipes carry JSONL; Parquet needs a file that can be sought in. pyarrow is imported on use only.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO

from norcli.errors import DataError
from norcli.formats.compression import check_ratio, reading

BATCH_ROWS = 4096
SCHEMA_ROWS = 50_000
"""Rows looked at before the first is written, to know all columns and their types."""


def needs_a_file(name: str) -> DataError:
    """Return the error for Parquet that comes through a pipe, or as lines of text.

    Args:
        name: Of the input, for the message.
    """
    return DataError(
        "Parquet needs a seekable file", path=name, hint="save it first as FILE.parquet"
    )


def read_parquet(stream: BinaryIO, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(row number from 1, record)``.

    Raises:
        DataError: The file is not Parquet or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        file = pq.ParquetFile(stream)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            for record in batch.to_pylist():
                row += 1
                yield row, record
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"not a readable Parquet file: {reason}", path=name) from error


def read_batches(stream: BinaryIO, name: str, batch_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield ``(number of the first row from 1, rows as an Arrow stream)``.

    Rows are grouped by the file's own figures, so that a batch holds about so many bytes; columns
    are read through a buffer, so that row groups of gigabytes do not have to fit in memory.

    Raises:
        DataError: The file is not Parquet or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 1
    try:
        file = pq.ParquetFile(stream, buffer_size=1 << 20)
        groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
        whole = sum(group.total_byte_size for group in groups)
        with reading(name):
            check_ratio(stream.seek(0, io.SEEK_END), whole)
        rows = min(max(file.metadata.num_rows * batch_bytes // max(whole, 1), 1), BATCH_ROWS)
        for batch in file.iter_batches(batch_size=rows):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield row, sink.getvalue().to_pybytes()
            row += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        line = row if row > 1 else None
        raise DataError(f"not a readable Parquet file: {reason}", path=name, line=line) from error


def rows_of_batch(data: bytes) -> Iterator[dict[str, Any] | None]:
    """Yield the records of an Arrow stream made by `read_batches`, in the types of JSON.

    Bytes become text where they are UTF-8 and hexadecimal digits elsewhere, decimals floats, times
    text. None stands for a row with a text that is not UTF-8.
    """
    import pyarrow as pa

    table = pa.ipc.open_stream(data).read_all()
    odd = [field.name for field in table.schema if _ODD_TYPES.search(str(field.type))]
    for row in _rows(table):
        if row is not None:
            for name in odd:
                row[name] = _as_json(row[name])
        yield row


def _rows(table: Any) -> Iterator[dict[str, Any] | None]:
    try:
        yield from table.to_pylist()
        return
    except UnicodeDecodeError:
        pass  # Arrow does not say in which row.
    for number in range(table.num_rows):
        try:
            yield table.slice(number, 1).to_pylist()[0]
        except UnicodeDecodeError:
            yield None


_ODD_TYPES = re.compile(r"binary|decimal|time32|time64|duration|interval|uuid")


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, (str, int, float, date)):
        return value
    return str(value)


class ParquetSink:
    """Write records to a Parquet file; the schema comes from the first `SCHEMA_ROWS`."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None
        self._schema: Any = None
        self._written = 0

    def write(self, record: dict[str, Any]) -> None:
        """Add one record.

        Raises:
            DataError: A column appears, or changes its type, after the schema was fixed.
        """
        self._rows.append(record)
        limit = SCHEMA_ROWS if self._writer is None else BATCH_ROWS
        if len(self._rows) >= limit:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            columns = {key: None for row in self._rows for key in row}
            try:
                table = pa.Table.from_pydict({k: [r.get(k) for r in self._rows] for k in columns})
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise self._mixed(error) from error
            self._schema = table.schema
            self._writer = pq.ParquetWriter(self._stream, self._schema, compression="zstd")
        else:
            known = set(self._schema.names)
            for row in self._rows:
                if extra := row.keys() - known:
                    raise DataError(
                        f'field "{sorted(extra)[0]}" first appears after {self._written} records',
                        path=self._name, hint="write JSONL, whose records may differ",
                    )  # fmt: skip
            try:
                table = pa.Table.from_pylist(self._rows, schema=self._schema)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise self._mixed(error) from error
        self._writer.write_table(table)
        self._written += len(self._rows)
        self._rows = []

    def _mixed(self, error: Exception) -> DataError:
        return DataError(
            f"a field has values of different types: {str(error).partition(chr(10))[0]}",
            path=self._name, hint="write JSONL, whose records may differ",
        )  # fmt: skip

    def close(self) -> None:
        """Write what is left and the footer."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()
