"""Where the fields of JSON records stand in a block of lines, found without making objects.

Between reading and signing. The scanner checks a line against the whole grammar of JSON and UTF-8
(RFC 8259, RFC 3629) while it looks for a few fields of the outermost object. It never guesses: a
line that is odd in any way (an escaped or repeated field name, a lone surrogate, a number beyond
64 bits, depths over 60) is left to orjson by the caller, as is every line that is not valid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.shingles import hex_value

STRIDE = 32
"""Bytes tested at once: a loop over so many, all in unsigned bytes, becomes vector instructions."""
LINE_STRIDE = 128
"""Bytes looked through for a newline at once; with 32 it takes three times as long."""
MOST_DEPTH = 60
MOST_DIGITS = 18
UNSURE, _ODD_NAME = -1, -2
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _AFTER = 0, 1, 2, 3, 4

_STRIDE, _LINE_STRIDE, _ONE = np.uint64(STRIDE), np.uint64(LINE_STRIDE), np.uint64(1)
_NEWLINE, _BLANK, _QUOTE, _BACKSLASH = np.uint8(10), np.uint8(32), np.uint8(34), np.uint8(92)
_FOLLOWING, _NEVER, _TWO, _THREE = np.uint8(0x80), np.uint8(0xC0), np.uint8(0xC2), np.uint8(0xE0)
"""First bytes in UTF-8: of the rest of a character, of none, of two bytes, of three and more."""
_ESCAPED = np.frombuffer(b'"\\/bfnrt', np.uint8)
_TRUE, _FALSE, _NULL = (np.frombuffer(word, np.uint8) for word in (b"true", b"false", b"null"))


@kernel
def _is_blank(data: Any, begin: int, end: int) -> bool:
    """Whether a line holds only what bytes.isspace() takes for white space."""
    for position in range(begin, end):
        byte = data[position]
        if not (byte == 32 or 9 <= byte <= 13):
            return False
    return True


@kernel
def _stride_within_line(data: Any, position: int) -> bool:
    first, found = np.uint64(position), False
    for index in range(_LINE_STRIDE):
        found |= data[first + index] == _NEWLINE
    return not found


@kernel
def _line_end(data: Any, position: int) -> int:
    """Return where the next newline is, or the end of the data."""
    while position + LINE_STRIDE <= data.size and _stride_within_line(data, position):
        position += LINE_STRIDE
    while position < data.size and data[position] != 10:
        position += 1
    return position


@kernel
def _find_lines(data: Any) -> Any:
    """Return where the lines that hold more than white space begin and end, and their numbers."""
    room = 1
    for position in range(data.size):
        room += data[position] == _NEWLINE
    ranges = np.empty((3, room), np.int64)
    count, number, begin = 0, 0, 0
    while begin < data.size:
        end = _line_end(data, begin)
        if not _is_blank(data, begin, end):
            ranges[0, count], ranges[1, count], ranges[2, count] = begin, end, number
            count += 1
        number += 1
        begin = end + 1
    return ranges[:, :count]


@kernel
def _plain_stride(data: Any, position: int) -> bool:
    """Whether the next bytes can neither end a string nor break UTF-8.

    They hold no quote, backslash or control character, and characters of one or two bytes only.
    """
    first, odd = np.uint64(position), False
    for index in range(_STRIDE):
        byte, before = data[first + index], data[first + index - _ONE]
        odd |= (byte == _QUOTE) | (byte == _BACKSLASH) | (byte < _BLANK) | (byte >= _THREE)
        follows = (byte >= _FOLLOWING) & (byte < _NEVER)
        odd |= ((byte >= _NEVER) & (byte < _TWO)) | (
            follows ^ ((before >= _TWO) & (before < _THREE))
        )
    return not odd


@kernel
def _is_hex(byte: int) -> bool:
    return 48 <= byte <= 57 or 97 <= byte | 32 <= 102


@kernel
def _unit_at(data: Any, position: int, end: int) -> int:
    """Return the code unit of the escape with a u at a position, `UNSURE` for none."""
    if position + 6 > end or data[position] != 92 or data[position + 1] != 117:
        return UNSURE
    unit = 0
    for index in range(position + 2, position + 6):
        digit = np.int64(data[index])
        if not _is_hex(digit):
            return UNSURE
        unit = unit << 4 | hex_value(digit)
    return unit


@kernel
def _escape_width(data: Any, position: int, end: int) -> int:
    """Return how long the escape at a position is, `UNSURE` when it is none."""
    if position + 1 < end and data[position + 1] != 117:
        for letter in _ESCAPED:
            if data[position + 1] == letter:
                return 2
        return UNSURE
    unit = _unit_at(data, position, end)
    if unit < 0xD800 or unit > 0xDFFF:
        return 6 if unit >= 0 else UNSURE
    # Half of a pair is no character.
    low = _unit_at(data, position + 6, end)
    return 12 if unit < 0xDC00 and 0xDC00 <= low <= 0xDFFF else UNSURE


@kernel
def _character_width(data: Any, position: int, end: int) -> int:
    """Return how long the UTF-8 character of several bytes here is, `UNSURE` when it is none."""
    first = data[position]
    low, high = 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:
        width = 2
    elif 0xE0 <= first <= 0xEF:
        width = 3
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    elif 0xF0 <= first <= 0xF4:
        width = 4
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    else:
        return UNSURE
    if position + width > end or not low <= data[position + 1] <= high:
        return UNSURE
    for index in range(position + 2, position + width):
        if data[index] & 0xC0 != 0x80:
            return UNSURE
    return width


@kernel
def _string_end(data: Any, position: int, end: int) -> int:
    """Return where the string that begins with the quote at a position ends, behind its quote."""
    position += 1
    while position < end:
        while position + STRIDE <= end and _plain_stride(data, position):
            position += STRIDE
        # A stride may have ended between the two bytes of a character.
        if data[position - 1] >= 0xC2:
            position -= 1
        odd = False
        while position < end and not odd:
            byte = data[position]
            if byte == 34:
                return position + 1
            if byte < 32:
                return UNSURE
            width = 1
            if byte == 92:
                width = _escape_width(data, position, end)
            elif byte >= 0x80:
                width = _character_width(data, position, end)
            if width < 0:
                return UNSURE
            position += width
            odd = byte == 92 or byte >= 0xE0
    return UNSURE


@kernel
def _digits_end(data: Any, position: int, end: int) -> int:
    while position < end and 48 <= data[position] <= 57:
        position += 1
    return position


@kernel
def _number_end(data: Any, position: int, end: int) -> int:
    """Return where a number ends; `UNSURE` for none, and for large ones."""
    if data[position] == 45:
        position += 1
    begin = position
    position = _digits_end(data, position, end)
    digits = position - begin
    if digits == 0 or digits > MOST_DIGITS or (digits > 1 and data[begin] == 48):
        return UNSURE
    if position < end and data[position] == 46:
        begin = position + 1
        position = _digits_end(data, begin, end)
        if position == begin:
            return UNSURE
    if position < end and data[position] | 32 == 101:
        begin = position + 1
        if begin < end and (data[begin] == 43 or data[begin] == 45):
            begin += 1
        position = _digits_end(data, begin, end)
        # Two digits cannot make a number infinite.
        if position == begin or position > begin + 2:
            return UNSURE
    return position


@kernel
def _literal_end(data: Any, position: int, end: int) -> int:
    """Return where true, false or null ends."""
    for literal in (_TRUE, _FALSE, _NULL):
        if position + literal.size <= end:
            same = True
            for index in range(literal.size):
                same &= data[position + index] == literal[index]
            if same:
                return position + literal.size
    return UNSURE


@kernel
def _scalar_end(data: Any, position: int, end: int) -> int:
    byte = data[position]
    if byte == 34:
        return _string_end(data, position, end)
    if byte == 45 or 48 <= byte <= 57:
        return _number_end(data, position, end)
    return _literal_end(data, position, end)


@kernel
def _field_of(data: Any, begin: int, names: Any, name_ends: Any) -> int:
    """Return which of the names begins at a position, -1 for none, `_ODD_NAME` when unsure."""
    end = begin
    while data[end] != 34:
        if data[end] == 92:
            return _ODD_NAME
        end += 1
    name_begin = 0
    for field in range(name_ends.size):
        size = name_ends[field] - name_begin
        if size == end - begin:
            same = True
            for index in range(size):
                same &= data[begin + index] == names[name_begin + index]
            if same:
                return field
        name_begin = name_ends[field]
    return -1


@kernel
def _spaces_end(data: Any, position: int, end: int) -> int:
    while position < end and (
        data[position] == 32 or data[position] == 10 or data[position] == 13 or data[position] == 9
    ):
        position += 1
    return position


@kernel
def _name_end(data: Any, position: int, end: int) -> int:
    """Return where the name that begins at a position ends, behind its colon."""
    if data[position] != 34:
        return UNSURE
    position = _string_end(data, position, end)
    if position < 0:
        return UNSURE
    position = _spaces_end(data, position, end)
    return position + 1 if position < end and data[position] == 58 else UNSURE


@kernel
def _after_value(byte: int, inside_object: int) -> int:
    """Return the state behind a comma or closing bracket, `UNSURE` for anything else."""
    if byte == 44:
        return _KEY if inside_object else _VALUE
    return _AFTER if byte == (125 if inside_object else 93) else UNSURE


@kernel
def _scan_line(  # noqa: C901 - the states of one machine
    data: Any, begin: int, end: int, names: Any, name_ends: Any, values: Any
) -> bool:
    """Fill where the values of the named fields stand; return whether all of it is certain."""
    position = _spaces_end(data, begin, end)
    if position >= end or data[position] != 123:
        return False
    # The open containers as bits, the innermost last: 1 for an object, 0 for an array.
    depth, containers, state, field = 1, 1, _KEY_OR_END, -1
    position += 1
    while depth:
        position = _spaces_end(data, position, end)
        if position >= end:
            return False
        byte, closes = data[position], False
        if state == _AFTER:
            state = _after_value(byte, containers & 1)
            if state < 0:
                return False
            closes = state == _AFTER
            position += 1
        elif (state == _KEY_OR_END and byte == 125) or (state == _VALUE_OR_END and byte == 93):
            closes, position = True, position + 1
        elif state != _VALUE and state != _VALUE_OR_END:
            name_begin, position = position + 1, _name_end(data, position, end)
            if position < 0:
                return False
            if depth == 1:
                field = _field_of(data, name_begin, names, name_ends)
                if field == _ODD_NAME or (field >= 0 and values[field, 1] > 0):
                    return False
            state = _VALUE
        else:
            if depth == 1 and field >= 0:
                values[field, 0] = position
            if byte == 123 or byte == 91:
                depth, containers = depth + 1, containers << 1 | (byte == 123)
                state = _KEY_OR_END if byte == 123 else _VALUE_OR_END
                position += 1
            else:
                position, state = _scalar_end(data, position, end), _AFTER
            if position < 0 or depth > MOST_DEPTH:
                return False
        if closes:
            depth, containers, state = depth - 1, containers >> 1, _AFTER
        if state == _AFTER and depth == 1 and field >= 0:
            values[field, 1], field = position, -1
    return _spaces_end(data, position, end) == end


@kernel
def scan_lines(
    data: Any, begins: Any, ends: Any, names: Any, name_ends: Any, values: Any, sure: Any
) -> None:
    """Find the values of some fields in lines of JSON.

    Args:
        data: uint8.
        begins: int64 [lines], where each line begins, not with the first byte of the data.
        ends: int64 [lines], where it ends.
        names: uint8, the names of the fields, end to end.
        name_ends: int64 [fields], where each ends.
        values: int64 [lines, fields, 2], filled with where each value begins and ends in the data;
            both 0 for a field that is not there.
        sure: bool [lines], filled: whether the line is a valid JSON object and nothing is odd.
    """
    values[:] = 0
    for line in range(begins.size):
        sure[line] = _scan_line(data, begins[line], ends[line], names, name_ends, values[line])


def names_of(fields: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return field names as `scan_lines` takes them."""
    encoded = [field.encode() for field in fields]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def line_ranges(
    block: bytes,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find the lines of a block that hold anything but white space.

    Returns:
        int64 each: where the lines begin, where their newlines are (or the end of the block), and
        their numbers, from 0, blank lines counted.
    """
    begins, ends, numbers = _find_lines(np.frombuffer(block, np.uint8))
    return begins, ends, numbers


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    block = b' {"a": 1}'
    begins, ends, _ = line_ranges(block)
    scan_lines(np.frombuffer(block, np.uint8), begins, ends, *names_of(["a"]),
               np.empty((1, 1, 2), np.int64), np.empty(1, np.bool_))  # fmt: skip
