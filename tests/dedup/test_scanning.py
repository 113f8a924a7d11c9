"""The scanner of JSON lines against orjson: what it is sure of is right, and mostly it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup.scanning import STRIDE, line_ranges, names_of, scan_lines

NAMES = ["text", "id", "source", "lang"]
LETTERS = 'aåÅčŋ–“😀"\\/\n\t\r\b\f\u0000\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U0010ffff '

texts = st.one_of(
    st.text(max_size=20), st.text(alphabet=LETTERS, max_size=3 * STRIDE),
    st.text(alphabet="aåæø ", min_size=STRIDE - 3, max_size=2 * STRIDE + 3),
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
records = st.dictionaries(st.sampled_from([*NAMES, "annet", "tekst", ""]) | texts, values)


def scan(lines: list[bytes]) -> tuple[bytes, Any, Any]:
    data = b"\n".join(lines)
    begins = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])])
    ends = begins + [len(line) for line in lines]
    found = np.empty((len(lines), len(NAMES), 2), np.int64)
    sure = np.empty(len(lines), np.bool_)
    scan_lines(np.frombuffer(data, np.uint8), begins, ends, *names_of(NAMES), found, sure)
    return data, found, sure


def check(line: bytes) -> bool:
    """Return whether the scanner was sure of a line; check what it found then."""
    data, found, sure = scan([b"{}", line])
    if not sure[1]:
        return False
    record = orjson.loads(line)
    for name, (begin, end) in zip(NAMES, found[1].tolist(), strict=True):
        assert (end > 0) == (name in record)
        if end:
            assert orjson.loads(data[begin:end]) == record[name]
    return True


def has_small_numbers(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(has_small_numbers, value.values()))
    if isinstance(value, list):
        return all(map(has_small_numbers, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return abs(value) < 10**18 and (value == 0 or abs(value) > 1e-90)


@settings(max_examples=300, deadline=None)
@given(records, st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["", " ", "\t \r"]))
def test_fields_of_valid_records_are_found(
    record: dict[str, Any], ascii_only: bool, indent: int | None, space: str
) -> None:
    line = json.dumps(record, ensure_ascii=ascii_only, indent=indent).replace("\n", " ")
    sure = check((space + line + space).encode())
    # Escaped names are left open where they stand in the outermost object.
    plain = all(json.dumps(name, ensure_ascii=ascii_only) == f'"{name}"' for name in record)
    assert sure or not (plain and has_small_numbers(record))


@settings(max_examples=500, deadline=None)
@given(records, st.data())
def test_damaged_lines_are_never_taken_for_valid_ones(record: dict[str, Any], data: Any) -> None:
    line = bytearray(json.dumps(record, ensure_ascii=data.draw(st.booleans())).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(line) - 1))
        kind = data.draw(st.integers(0, 3))
        if kind == 0:
            del line[place : place + data.draw(st.integers(1, 4))]
        elif kind == 1:
            line[place] = data.draw(st.integers(0, 255))
        elif kind == 2:
            line[place:place] = data.draw(st.sampled_from([
                b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\ud800", b"\\udc00", b"0",
                b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xc3", b"-", b"e5", b".",
                b'"text":', b"\\u12", b"true", b"nul", b"\x00", b"\x1f",
            ]))  # fmt: skip
        else:
            line[place:place] = line[: data.draw(st.integers(0, 8))]
        if not line:
            return
    check(bytes(line))  # it raises if the scanner is sure of what orjson refuses


@pytest.mark.parametrize(
    "line",
    [b'{"text":"a","text":"b"}', b'{"te\\u0078t":"a"}', b'{"text":"\\ud800"}', b'{"a":1e400}',
     b'{"text":"\xff"}', b'{"a":01}', b'{"a":1,}', b'{"a" 1}', b"[1]", b'"text"', b"{", b'{"a":[1}',
     b'{"a":tru}', b'{"a":-}', b'{"a":1}}', b'{"a":1} x', b'{"a":.5}', b'{"a":"\t"}', b"nul",
     b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"],
)  # fmt: skip
def test_odd_lines_are_left_to_orjson(line: bytes) -> None:
    assert not check(line)


@given(st.lists(st.sampled_from([b"", b" ", b"\r", b"\x0b\x0c", b"{}", b"x" * 70, b" y"])),
       st.booleans())  # fmt: skip
def test_lines_are_found_as_python_splits_them(lines: list[bytes], closed: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if closed else b"")
    begins, ends, numbers = line_ranges(data)
    expected = [
        (number, line) for number, line in enumerate(data.split(b"\n"))
        if line and not line.isspace()
    ]  # fmt: skip
    found = [(n, data[b:e]) for b, e, n in zip(begins, ends, numbers, strict=True)]
    assert found == expected
