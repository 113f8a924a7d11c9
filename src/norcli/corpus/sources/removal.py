"""Documents that have to go: lists of ids and addresses, from opt-outs and requests for erasure.

Ids match exactly. Addresses (with ``://``) are compared without scheme, ``www.``, default port,
fragment and a slash at the end, the host in lower case and bytes beyond ASCII percent-encoded, so
that a request finds its page however the address was written. What is kept of a list are 128-bit
fingerprints: 16 bytes a line, for lists of millions; two different lines have the same with a
chance of 1 in 10^24 even among ten million.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from norcli.compiled import inlined, kernel
from norcli.corpus.sources.fields import Record
from norcli.errors import DataError
from norcli.formats.lines import Part, part_blocks

REMOVAL_LIST = "removal_list"
"""The rule in the funnel, and the word for --disable."""
_MOST_LINE_BYTES = 1 << 16
_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)


@inlined
def _mix(high: np.uint64, low: np.uint64, byte: int) -> tuple[np.uint64, np.uint64]:
    high = (high ^ np.uint64(byte)) * np.uint64(0x100000001B3)
    low = (low + np.uint64(byte) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return high, low ^ (low >> np.uint64(29))


@kernel
def _after_scheme(text: NDArray[np.uint8], begin: int, end: int) -> int:
    """Return where the host begins, -1 for what is no address."""
    for i in range(begin, min(end - 2, begin + 16)):
        if text[i] == 58 and text[i + 1] == 47 and text[i + 2] == 47:
            return i + 3
    return -1


@kernel
def _host(text: NDArray[np.uint8], start: int, end: int) -> tuple[int, int, int]:
    """Return begin and end of the host without ``www.`` and default port, and where it ended."""
    host_end = start
    while host_end < end and text[host_end] != 47 and text[host_end] != 63:
        host_end += 1
    if (
        host_end - start > 4 and text[start] | 32 == 119 and text[start + 1] | 32 == 119
        and text[start + 2] | 32 == 119 and text[start + 3] == 46
    ):  # fmt: skip
        start += 4
    port = host_end
    while port > start and 48 <= text[port - 1] <= 57:
        port -= 1
    number = 0
    for i in range(port, min(host_end, port + 6)):
        number = 10 * number + (text[i] - 48)
    is_default = (number == 80 or number == 443) and port > start and text[port - 1] == 58
    return start, port - 1 if is_default else host_end, host_end


@kernel
def _fingerprint(
    text: NDArray[np.uint8], begin: int, end: int, hexadecimal: NDArray[np.uint8]
) -> tuple[np.uint64, np.uint64]:  # pragma: no cover - compiled
    high, low = np.uint64(0xCBF29CE484222325), np.uint64(0x243F6A8885A308D3)
    start = _after_scheme(text, begin, end)
    if start < 0:
        for i in range(begin, end):
            high, low = _mix(high, low, text[i])
        return high, low
    for i in range(start, end):
        if text[i] == 35:
            end = i
            break
    start, stop, host_end = _host(text, start, end)
    # Addresses and ids begin from different values, so that no id is taken for an address.
    high, low = _mix(high, low, 47)
    for i in range(start, stop):
        byte = text[i]
        high, low = _mix(high, low, byte | 32 if 65 <= byte <= 90 else byte)
    while end > host_end and text[end - 1] == 47:
        end -= 1
    escape = 0
    for i in range(host_end, end):
        byte = text[i]
        if byte >= 128 or byte == 32:
            high, low = _mix(high, low, 37)
            high, low = _mix(high, low, hexadecimal[byte >> 4])
            byte = hexadecimal[byte & 15]
        elif escape and 97 <= byte <= 102:
            byte -= 32
        escape = 2 if byte == 37 else max(escape - 1, 0)
        high, low = _mix(high, low, byte)
    return high, low


@kernel
def _fingerprint_lines(
    text: NDArray[np.uint8], out: NDArray[np.uint64], hexadecimal: NDArray[np.uint8]
) -> int:  # pragma: no cover - compiled
    """Fill in a fingerprint a line that is not empty, uint64 (L, 2); return how many."""
    count = 0
    begin = 0
    for i in range(len(text) + 1):
        if i < len(text) and text[i] != 10:
            continue
        first, last = begin, i
        while first < last and text[first] <= 32:
            first += 1
        while last > first and text[last - 1] <= 32:
            last -= 1
        if last > first:
            out[count, 0], out[count, 1] = _fingerprint(text, first, last, hexadecimal)
            count += 1
        begin = i + 1
    return count


class RemovalList:
    """Ids and addresses of documents that have to go.

    Attributes:
        size: Distinct lines.
    """

    def __init__(self, fingerprints: NDArray[np.uint64]) -> None:
        # uint64 (L, 2), sorted by the first half; the second decides among equal ones.
        self._high = np.ascontiguousarray(fingerprints[:, 0])
        self._low = np.ascontiguousarray(fingerprints[:, 1])
        self.size = len(self._high)

    @classmethod
    def load(cls, path: str) -> RemovalList:
        """Read a list: UTF-8, an id or address a line; .gz and .zst are told by their bytes.

        Raises:
            DataError: The file is damaged, or a line is no id and no address.
            InputMissingError: It cannot be read.
        """
        parts = []
        for block in part_blocks(Part(path, 0, None), max_line_bytes=_MOST_LINE_BYTES):
            if block.fault is not None:
                raise block.fault
            if b"\0" in block.data:
                raise DataError("not a list of ids and addresses: it holds NUL bytes", path=path)
            text = np.frombuffer(block.data, np.uint8)
            out = np.empty((block.data.count(b"\n") + 1, 2), np.uint64)
            parts.append(out[: _fingerprint_lines(text, out, _HEX)])
        lines = np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)
        lines = lines[np.lexsort((lines[:, 1], lines[:, 0]))]
        if len(lines):
            distinct = np.append(True, (lines[1:] != lines[:-1]).any(axis=1))
            lines = lines[distinct]
        return cls(lines)

    def holds(self, text: str) -> bool:
        """Whether an id or an address is on the list."""
        data = np.frombuffer(text.strip().encode("utf-8", "replace"), np.uint8)
        high, low = _fingerprint(data, 0, len(data), _HEX)
        position = int(np.searchsorted(self._high, np.uint64(high)))
        while position < self.size and self._high[position] == high:
            if self._low[position] == low:
                return True
            position += 1
        return False

    def names(self, fields: Record) -> str | None:
        """Return by which field a document is on the list (``id``, ``url``), None if it is not."""
        for name in ("id", "url"):
            value = fields.get(name)
            if value is not None and self.holds(str(value)):
                return name
        return None


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    out = np.empty((1, 2), np.uint64)
    # Lists come as bytes, which numpy takes as read-only: a type of its own.
    _fingerprint_lines(np.frombuffer(b"https://x.example/1", np.uint8), out, _HEX)
    RemovalList(out).holds("https://x.example/1")
