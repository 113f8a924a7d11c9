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
from norcli.formats.documents import RecordWriter, text_id
from norcli.options import RecordOutputOptions


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


def write_item(writer: RecordWriter, item: Item) -> None:
    """Write a line of JSON as it is, without its newline, or a record."""
    if isinstance(item, bytes):
        writer.write_line(item)
    else:
        writer.write(item)


def write_rows(writer: RecordWriter, unit: DocumentLines, rows: npt.NDArray[np.int64]) -> None:
    """Write documents of a block of lines as they are, neighbours in one piece."""
    if not writer.takes_lines:
        for row in rows.tolist():
            writer.write_line(unit.line(row))
        return
    if not len(rows):
        return
    begins, ends, data = unit.begins[rows], unit.ends[rows], unit.lines.block.data
    gaps = np.flatnonzero(begins[1:] != ends[:-1] + 1)
    firsts = begins[np.append(0, gaps + 1)]
    lasts = ends[np.append(gaps, len(rows) - 1)] + 1
    view = memoryview(data)
    pieces = [view[first:last] for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]
    if lasts[-1] > len(data):
        pieces.append(memoryview(b"\n"))  # the input's last line may lack it
    writer.write_lines(b"".join(pieces), len(rows))


def parsed(item: Item, text_key: str) -> dict[str, Any]:
    """Return an item as a record that has an id."""
    record: dict[str, Any] = orjson.loads(item) if isinstance(item, bytes) else item
    if record.get("id") is not None:
        return record
    identity = text_id(record[text_key])
    return {"id": identity, **{key: value for key, value in record.items() if key != "id"}}


def side_file(
    stack: ExitStack, path: str | None, options: DedupOptions, stream: BinaryIO | None = None
) -> RecordWriter | None:
    """Open a further output, if it was asked for, or go on with its stream."""
    if path is None:
        return None
    named = RecordOutputOptions(output=path, overwrite=options.overwrite)
    return stack.enter_context(RecordWriter(named, options.text_key, stream))
