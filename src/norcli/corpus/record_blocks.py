"""Blocks of records: what `stats` and `mix` hand to processes, about a mebibyte each.

Where blocks end depends on the input alone, so results do not depend on the number of jobs.
Records are parsed in the worker; what is wrong with them travels back in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from norcli.corpus.sources.opening import WHOLE_FILES, format_of_name
from norcli.errors import DataError
from norcli.formats.bad_records import RecordPolicy
from norcli.formats.documents import Place, format_of, parse_lines, record_text
from norcli.formats.lines import LINES_BYTES, LineBlock, Part, part_blocks
from norcli.formats.parquet import needs_a_file, read_batches, rows_of_batch
from norcli.options import RecordInputOptions
from norcli.streams import open_input


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Some records as they lie in a file.

    Attributes:
        name: The file's name.
        lines: Lines of JSON or text, or None.
        is_text: Whether the lines are texts.
        rows: Rows of a Parquet file as an Arrow stream, where there are no lines.
        first_row: Number of the first of them.
    """

    name: str
    lines: LineBlock | None
    is_text: bool = False
    rows: bytes = b""
    first_row: int = 1

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return len(self.rows) if self.lines is None else len(self.lines.data)

    def documents(
        self, text_key: str, bad: RecordPolicy
    ) -> Iterator[tuple[Place, dict[str, Any], str]]:
        """Yield each record with a text: its place, its fields, the text.

        Args:
            text_key: Field that holds the text.
            bad: Told of what is no record or has no text.
        """
        if self.lines is None:
            records = self._rows(bad)
        else:
            records = parse_lines(self.lines, self.name, text_key if self.is_text else None, bad)
        for place, record in records:
            try:
                yield place, record, record_text(record, text_key, place)
            except DataError as error:
                bad.handle(error)

    def _rows(self, bad: RecordPolicy) -> Iterator[tuple[Place, dict[str, Any]]]:
        for row, record in enumerate(rows_of_batch(self.rows), self.first_row):
            if record is None:
                bad.handle(DataError("a text in it is not UTF-8", path=self.name, line=row))
            else:
                yield Place(self.name, row), record


def read_blocks(parts: Sequence[Part], options: RecordInputOptions) -> Iterator[RecordBlock]:
    """Yield the blocks of parts of files, in order.

    Raises:
        DataError: A damaged file, or a format that holds no records.
    """
    for part in parts:
        form = format_of(part.path, options.input_format)
        if format_of_name(part.path) in {"warc", *WHOLE_FILES}:
            raise DataError(
                "holds pages, not records", path=part.name,
                hint=f"norcli crawl-filter {part.path} -o documents.jsonl",
            )  # fmt: skip
        if form == "parquet":
            if part.is_pipe:
                raise needs_a_file(part.name)
            with open_input(part.path) as stream:
                for row, data in read_batches(stream, part.name, LINES_BYTES):
                    yield RecordBlock(part.name, None, rows=data, first_row=row)
        else:
            for block in part_blocks(part):
                yield RecordBlock(part.name, block, is_text=form == "text")
