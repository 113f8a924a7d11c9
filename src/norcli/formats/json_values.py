"""JSON that is not a line a record: one array of records, or records written over several lines.

Values are found by a compiled look at brackets and quotes and put on a line each, so that all that
follows sees JSON Lines; what is in them is parsed there. Memory holds one value at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from norcli.compiled import kernel
from norcli.errors import DataError
from norcli.formats.compression import MAX_LINE_BYTES, reading
from norcli.formats.lines import FIRST_LINES_BYTES, LINES_BYTES, LineBlock
from norcli.streams import BLOCK_BYTES

_BETWEEN = b" \t\r\n,[]"
# State of the scan: depth, whether within a string, after a backslash, within a top-level array.
_DEPTH, _STRING, _ESCAPE, _ARRAY = range(4)


@kernel
def _value_ends(
    data: NDArray[np.uint8], state: NDArray[np.int64], ends: NDArray[np.int64]
) -> int:  # pragma: no cover - compiled
    """Note where top-level values end: objects, and what stands in a top-level array.

    Args:
        data: A stretch of JSON, uint8 (N,).
        state: What is known from the stretch before; updated, int64 (4,).
        ends: Output: positions behind each end, int64 (at least N,).

    Returns:
        How many ends there are.
    """
    found = 0
    depth, in_string, escaped, in_array = state[0], state[1], state[2], state[3]
    for i in range(len(data)):
        byte = data[i]
        if in_string:
            if escaped:
                escaped = 0
            elif byte == 92:
                escaped = 1
            elif byte == 34:
                in_string = 0
        elif byte == 34:
            in_string = 1
        elif byte == 91 or byte == 123:
            if depth == 0:
                in_array = 1 if byte == 91 else 0
            depth += 1
        elif (byte == 93 or byte == 125) and depth > 0:
            depth -= 1
            if depth == 0 or (depth == 1 and in_array):
                ends[found] = i + 1
                found += 1
    state[0], state[1], state[2], state[3] = depth, in_string, escaped, in_array
    return found


def first_value(head: bytes) -> bytes | None:
    """Return the first value in the beginning of a file, None where it is not complete."""
    state = np.zeros(4, np.int64)
    ends = np.empty(len(head) + 1, np.int64)
    begin = 0
    for end in ends[: _value_ends(np.frombuffer(head, np.uint8), state, ends)].tolist():
        if value := head[begin:end].strip(_BETWEEN):
            return value
        begin = end
    return None


def value_blocks(
    stream: BinaryIO, name: str, max_bytes: int = MAX_LINE_BYTES
) -> Iterator[LineBlock]:
    """Yield the values of a stream as blocks of lines; a line's number is that of its value.

    Raises:
        DataError: The data are damaged, end within a value, or hold one longer than the bound;
            after the values before.
    """
    state = np.zeros(4, np.int64)
    ends = np.empty(BLOCK_BYTES, np.int64)
    pending = bytearray()
    lines: list[bytes] = []
    number, size, target = 1, 0, FIRST_LINES_BYTES
    failure: DataError | None = None
    read = getattr(stream, "read1", stream.read)
    while failure is None:
        try:
            with reading(name):
                piece = read(BLOCK_BYTES)
        except DataError as error:
            failure = error
            break
        if not piece:
            break
        count = _value_ends(np.frombuffer(piece, np.uint8), state, ends)
        begin = 0
        for end in ends[:count].tolist():
            value = bytes(pending) + piece[begin:end] if pending else piece[begin:end]
            pending.clear()
            begin = end
            if value := value.strip(_BETWEEN):
                lines.append(value.replace(b"\n", b" "))
                size += len(value)
        pending += piece[begin:]
        if len(pending) > max_bytes:
            failure = DataError(
                f"JSON value is longer than {max_bytes >> 20} MiB",
                path=name, line=number + len(lines),
            )  # fmt: skip
        elif size >= target:
            yield LineBlock(number, b"\n".join(lines) + b"\n")
            number, size, lines = number + len(lines), 0, []
            target = min(2 * target, LINES_BYTES)
    if failure is None and (state[_DEPTH] or state[_STRING] or pending.strip(_BETWEEN)):
        failure = DataError(
            "JSON ends within a value", path=name, line=number + len(lines),
            hint="fetch the file again, or --on-damaged-file skip",
        )  # fmt: skip
    if lines:
        yield LineBlock(number, b"\n".join(lines) + b"\n")
    if failure is not None:
        raise failure


def warm_up() -> None:
    """Compile the kernel, or load it from the cache."""
    first_value(b"[{}]")
