"""What dedup writes: surviving records as they came, dropped ones with reason, marks, clusters.

Last step of dedup. A surviving line of JSONL is written unparsed; fields are added only for
--mark, --rejects, and where a record came without an id.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import DocumentLines, Item
from norcli.formats.compression import compressed
from norcli.formats.documents import RecordWriter, text_id
from norcli.options import RecordOutputOptions
from norcli.streams import atomic_file, stdout_is_terminal


class Verdict(NamedTuple):
    """What was decided about one document.

    Attributes:
        cluster: Id of the cluster's survivor.
        size: Documents in the cluster; None where it is not known yet (--online).
        duplicate_of: Id of the survivor, None for survivors.
        jaccard: Estimated similarity to the survivor, None for survivors.
        method: ``url``, ``exact``, ``minhash`` or ``decontaminate``, None for survivors.
        passages: Passages of evaluation sets in the document, if that is why it goes;
            `duplicate_of` names the evaluation text then.
    """

    cluster: str
    size: int | None = 1
    duplicate_of: str | None = None
    jaccard: float | None = None
    method: str | None = None
    passages: int | None = None

    @property
    def role(self) -> str:
        """``duplicate``, ``contaminated``, ``survivor``, or ``unique`` without duplicates."""
        if self.passages is not None:
            return "contaminated"
        if self.duplicate_of is not None:
            return "duplicate"
        return "unique" if self.size == 1 else "survivor"

    def duplicate(self, method: str, jaccard: float) -> Verdict:
        """Return the verdict on a duplicate of the cluster's survivor.

        Args:
            method: That found it: ``url``, ``exact`` or ``minhash``.
            jaccard: Estimated similarity, of use for ``minhash`` only.
        """
        known = {"exact": 1.0, "minhash": round(jaccard, 4)}
        return self._replace(duplicate_of=self.cluster, jaccard=known.get(method), method=method)

    def contaminated(self, place: str, passages: int) -> Verdict:
        """Return the verdict on a document that holds passages of an evaluation text."""
        return self._replace(duplicate_of=place, method="decontaminate", passages=passages)

    def marks(self) -> dict[str, Any]:
        """Return the fields of --mark."""
        sized = {} if self.size is None else {"dedup_cluster_size": self.size}
        return {
            "dedup_cluster_id": self.cluster, **sized, "dedup_role": self.role,
            "dedup_dup_of": self.duplicate_of, "dedup_jaccard_est": self.jaccard,
            "dedup_method": self.method,
        }  # fmt: skip

    def reasons(self, threshold: float, least_passages: int) -> dict[str, Any]:
        """Return the fields of --rejects."""
        value: float | None = self.jaccard
        limit: float | None = threshold
        if self.method == "exact":
            limit = 1.0
        elif self.method == "url":
            limit = None
        elif self.passages is not None:
            value, limit = self.passages, least_passages
        return {
            "dropped_by": self.method, "dropped_value": value, "dropped_threshold": limit,
            "dedup_dup_of": self.duplicate_of,
        }  # fmt: skip


class ItemWriter:
    """Write items to a file or to standard output: raw lines as they are, records as JSON.

    Args:
        options: Where to and in which format.
        text_key: Field written by the text format.
        stream: Goes on with this one instead of opening the output.
    """

    def __init__(
        self, options: RecordOutputOptions, text_key: str, stream: BinaryIO | None = None
    ) -> None:
        self._options = options
        self._text_key = text_key
        self._stack = ExitStack()
        self._stream = stream
        self._records: RecordWriter | None = None
        self._flushes = False
        self.bytes = 0

    def __enter__(self) -> ItemWriter:
        if self._stream is not None:
            return self
        path, form = self._options.output, self._options.output_format
        name = path.removesuffix(".gz").removesuffix(".zst")
        if form not in ("auto", "jsonl") or (
            form == "auto" and name.endswith((".parquet", ".txt"))
        ):
            writer = RecordWriter(self._options, self._text_key)
            self._records = self._stack.enter_context(writer)
            return self
        raw = self._stack.enter_context(atomic_file(path, overwrite=self._options.overwrite))
        self._stream = self._stack.enter_context(compressed(raw, path))
        self._flushes = path == "-" and stdout_is_terminal()
        return self

    def write(self, item: Item) -> None:
        """Write one line without its newline, or one record."""
        if self._records is not None:
            self._records.write(orjson.loads(item) if isinstance(item, bytes) else item)
            return
        assert self._stream is not None, "write outside the with block"
        line = item if isinstance(item, bytes) else orjson.dumps(item)
        self.bytes += len(line) + 1
        self._stream.write(line)
        self._stream.write(b"\n")
        if self._flushes:
            self._stream.flush()

    def write_lines(self, unit: DocumentLines, rows: npt.NDArray[np.int64]) -> None:
        """Write lines of a block as they are, neighbours in one piece."""
        if self._records is not None or self._flushes:
            for row in rows.tolist():
                self.write(unit.line(row))
            return
        if not len(rows):
            return
        assert self._stream is not None, "write_lines outside the with block"
        begins, ends, data = unit.begins[rows], unit.ends[rows], unit.lines.block.data
        gaps = np.flatnonzero(begins[1:] != ends[:-1] + 1)
        firsts = begins[np.append(0, gaps + 1)]
        lasts = ends[np.append(gaps, len(rows) - 1)] + 1
        view = memoryview(data)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            self._stream.write(view[first:last])
        if lasts[-1] > len(data):
            self._stream.write(b"\n")  # the input's last line may lack it
        self.bytes += int((lasts - firsts).sum())

    def flush(self) -> None:
        """Hand on what is written so far."""
        if self._stream is not None:
            self._stream.flush()

    def __exit__(self, *failure: Any) -> bool | None:
        return self._stack.__exit__(*failure)


def parsed(item: Item, text_key: str) -> dict[str, Any]:
    """Return an item as a record that has an id."""
    record: dict[str, Any] = orjson.loads(item) if isinstance(item, bytes) else item
    if record.get("id") is not None:
        return record
    identity = text_id(record[text_key])
    return {"id": identity, **{key: value for key, value in record.items() if key != "id"}}


def side_file(
    stack: ExitStack, path: str | None, options: DedupOptions, stream: BinaryIO | None = None
) -> ItemWriter | None:
    """Open a further output, if it was asked for, or go on with its stream."""
    if path is None:
        return None
    named = RecordOutputOptions(output=path, overwrite=options.overwrite)
    return stack.enter_context(ItemWriter(named, options.text_key, stream))
