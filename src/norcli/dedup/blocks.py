"""From blocks of JSON lines to signatures and notes, in worker threads, without objects per text.

The first pass of dedup works on a block of lines at a time: where the fields stand is found by
`norcli.dedup.scanning`, and the texts are signed where they stand. Lines the scanner is not sure
of are parsed by orjson and scanned again as orjson writes them. Records that are not lines of
JSON (Parquet, plain text) come as a list and end in the same `Signed` documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from norcli.dedup.reading import Lines, Records
from norcli.dedup.scanning import line_ranges, names_of, scan_lines
from norcli.dedup.shingles import JSON_BYTES
from norcli.dedup.signatures import Found, Signatures, Signer, scope_hashes
from norcli.dedup.urls import url_hashes
from norcli.errors import DataError
from norcli.formats.documents import parse_json_line, record_text, text_id

_QUOTE = ord('"')


@dataclass(slots=True)
class Signed:
    """Documents signed, and what is noted of each.

    Attributes:
        signatures: Of the documents.
        found: Evaluation passages in each; None when none are looked for.
        ids: Their ids, UTF-8 end to end.
        id_ends: uint64, where each ends.
        without_id: One byte each, 1 for those that came without an id.
        sources: Name of each one's source.
        values: What each has in the field of the survivor policy, if that has one.
        letters: int64, characters of each text.
        urls: uint64 [documents, 2], hash of each address; None when none are compared.
        bad: Records that cannot be used: how many documents come before, and why.
    """

    signatures: Signatures
    found: Found | None
    ids: bytes
    id_ends: npt.NDArray[np.uint64]
    without_id: bytes
    sources: list[str]
    values: list[Any]
    letters: npt.NDArray[np.int64]
    urls: npt.NDArray[np.uint64] | None
    bad: list[tuple[int, DataError]]

    def __len__(self) -> int:
        return len(self.signatures)

    def first(self, count: int) -> Signed:
        """Return the first documents."""
        found = self.found and (self.found[0][:count], self.found[1][:count])
        ends = self.id_ends[:count]
        urls = None if self.urls is None else self.urls[:count]
        return Signed(
            self.signatures.take(np.arange(count)), found, self.ids[: int(ends[-1])], ends,
            self.without_id[:count], self.sources[:count], self.values[:count],
            self.letters[:count], urls, self.bad,
        )  # fmt: skip


class BlockSigner:
    """Signs blocks of lines and lists of records; used by several threads at once.

    Args:
        signer: Makes the signatures.
        text_key: Field that holds the text.
        scope: ``global``, or the field within whose values documents are compared.
        merit_field: Field that the survivor policy needs.
        url_key: Field whose addresses are compared, None for no comparison.
    """

    def __init__(
        self, signer: Signer, text_key: str, scope: str = "global", merit_field: str | None = None,
        url_key: str | None = None,
    ) -> None:  # fmt: skip
        self._signer = signer
        self._text_key = text_key
        self._scope = None if scope == "global" else scope
        self._merit_field = merit_field
        self._url_key = url_key
        wanted = [text_key, "id", "source", self._scope, merit_field, url_key]
        self._fields = list(dict.fromkeys(name for name in wanted if name is not None))
        self._names = names_of(self._fields)

    def sign(self, unit: Lines | Records) -> Signed:
        """Sign the documents of a block of lines, or some records."""
        return self._sign_lines(unit) if isinstance(unit, Lines) else self._sign_records(unit)

    def _sign_records(self, unit: Records) -> Signed:
        readings = unit.readings
        texts = [reading.text.encode("utf-8", "surrogatepass") for reading in readings]
        records = [reading.record for reading in readings]
        scopes = self._scopes(records)
        signatures, found = self._signer.examine(texts, scopes)
        urls = self._url_hashes([record.get(self._url_key or "") for record in records], scopes)
        given = [record.get("id") for record in records]
        ids = [
            text_id(reading.text) if one is None else str(one)
            for one, reading in zip(given, readings, strict=True)
        ]
        encoded = [one.encode("utf-8", "surrogatepass") for one in ids]
        values = [record.get(self._merit_field) for record in records] if self._merit_field else []
        return Signed(
            signatures, found, b"".join(encoded),
            np.cumsum([len(one) for one in encoded], dtype=np.uint64),
            bytes(one is None for one in given),
            [str(record.get("source") or "") for record in records], values,
            np.array([len(reading.text) for reading in readings], np.int64), urls, unit.bad,
        )  # fmt: skip

    def _url_hashes(
        self, urls: list[Any], scopes: npt.NDArray[np.uint64] | None
    ) -> npt.NDArray[np.uint64] | None:
        return None if self._url_key is None else url_hashes(urls, scopes)

    def _scopes(self, records: list[dict[str, Any]]) -> npt.NDArray[np.uint64] | None:
        if self._scope is None:
            return None
        return scope_hashes([str(record.get(self._scope)) for record in records])

    def _sign_lines(self, lines: Lines) -> Signed:
        found_lines = _FoundLines(lines, self._fields, self._names)
        bad = found_lines.settle_odd_lines(self._text_key)
        if lines.block.fault is not None:
            bad = [(0, lines.block.fault)]
        texts = found_lines.ranges(self._text_key)
        signatures, letters = self._signer.sign_ranges(
            found_lines.data, texts[:, 0] + 1, texts[:, 1] - 1, JSON_BYTES
        )
        evaluation, found = self._signer.evaluation, None
        if evaluation is not None:
            found = evaluation.count([str(text).encode()
                                      for text in found_lines.values(self._text_key)])  # fmt: skip
        scopes = None
        if self._scope is not None:
            scopes = scope_hashes([str(scope) for scope in found_lines.texts(self._scope)])
            signatures.set_apart(scopes)
        urls = self._url_hashes(found_lines.values(self._url_key) if self._url_key else [], scopes)
        ids, id_ends, without_id = found_lines.ids(self._text_key)
        sources = [str(source or "") for source in found_lines.texts("source")]
        values = found_lines.values(self._merit_field) if self._merit_field else []
        return Signed(
            signatures, found, ids, id_ends, without_id, sources, values, letters, urls, bad,
        )  # fmt: skip


class _FoundLines:
    """The lines of a block and where their fields stand."""

    def __init__(
        self, lines: Lines, fields: list[str],
        names: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]],
    ) -> None:  # fmt: skip
        self.raw = lines.block.data
        self.data = np.frombuffer(self.raw, np.uint8)
        self._lines = lines
        self._fields, self._names = fields, names
        self._column = {name: column for column, name in enumerate(fields)}
        self._begins, self._ends, self._numbers = line_ranges(self.raw)
        count = len(self._begins)
        self._values = np.empty((count, len(fields), 2), np.int64)
        self._sure = np.empty(count, np.bool_)
        scan_lines(self.data, self._begins, self._ends, *names, self._values, self._sure)
        self._parsed: dict[int, dict[str, Any]] = {}

    def settle_odd_lines(self, text_key: str) -> list[tuple[int, DataError]]:
        """Parse the lines that the scanner leaves open, and drop the bad ones.

        Returns:
            The bad ones: how many good lines come before, and what is wrong.
        """
        texts = self.ranges(text_key)
        is_text = self._sure & (texts[:, 1] > 0)
        is_text[is_text] = self.data[texts[is_text, 0]] == _QUOTE
        odd = np.flatnonzero(~is_text)
        if not len(odd):
            return []
        errors: list[tuple[int, DataError]] = []
        parts, end = [self.raw], len(self.raw)
        for row in odd.tolist():
            place = self._lines.place(int(self._numbers[row]))
            try:
                record = parse_json_line(self.raw[self._begins[row] : self._ends[row]], place)
                text = record_text(record, text_key, place)
            except DataError as error:
                errors.append((row, error))
                continue
            # The text stands behind the block now, as orjson writes it.
            parts.append(orjson.dumps(text))
            texts[row] = end, end + len(parts[-1])
            end += len(parts[-1])
            self._parsed[row] = record
        self.raw = b"".join(parts)
        self.data = np.frombuffer(self.raw, np.uint8)
        good = np.ones(len(is_text), np.bool_)
        good[[row for row, _ in errors]] = False
        before: npt.NDArray[np.int64] = np.cumsum(good) - good
        self._values = self._values[good]
        self._parsed = {int(before[row]): record for row, record in self._parsed.items()}
        return [(int(before[row]), error) for row, error in errors]

    def ranges(self, name: str) -> npt.NDArray[np.int64]:
        """Return int64 [lines, 2], where the values of a field begin and end, 0 for none."""
        ranges: npt.NDArray[np.int64] = self._values[:, self._column[name]]
        return ranges

    def values(self, name: str) -> list[Any]:
        """Return the values of a field, None where there is none."""
        raw = self.raw
        values = [orjson.loads(raw[begin:end]) if end else None
                  for begin, end in self.ranges(name).tolist()]  # fmt: skip
        return self._with_parsed(name, values)

    def texts(self, name: str) -> list[Any]:
        """Return the values of a field of which there are few different ones."""
        raw = self.raw
        known: dict[bytes, Any] = {b"": None}
        pieces = [raw[begin:end] for begin, end in self.ranges(name).tolist()]
        for piece in set(pieces) - known.keys():
            known[piece] = orjson.loads(piece)
        return self._with_parsed(name, [known[piece] for piece in pieces])

    def _with_parsed(self, name: str, values: list[Any]) -> list[Any]:
        for row, record in self._parsed.items():
            values[row] = record.get(name)
        return values

    def ids(self, text_key: str) -> tuple[bytes, npt.NDArray[np.uint64], bytes]:
        """Return the ids end to end, where each ends, and which documents came without one."""
        raw, ranges = self.raw, self.ranges("id")
        strings = bool((ranges[:, 1] > 0).all() and (self.data[ranges[:, 0]] == _QUOTE).all())
        if strings and not self._parsed:
            pieces = [raw[begin + 1 : end - 1] for begin, end in ranges.tolist()]
            joined = b"".join(pieces)
            if b"\\" not in joined:
                return joined, _ends(pieces), bytes(len(pieces))
        given = self.values("id")
        texts = self.ranges(text_key).tolist()
        pieces = [
            (text_id(orjson.loads(raw[begin:end])) if one is None else str(one)).encode()
            for one, (begin, end) in zip(given, texts, strict=True)
        ]
        return b"".join(pieces), _ends(pieces), bytes(one is None for one in given)


def _ends(pieces: list[bytes]) -> npt.NDArray[np.uint64]:
    return np.cumsum([len(piece) for piece in pieces], dtype=np.uint64)
