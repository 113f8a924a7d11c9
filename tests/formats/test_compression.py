"""Compressed input is told by its bytes, compressed output is the same every time."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from norcli.errors import DataError
from norcli.formats import compression
from norcli.formats.compression import compressed, decompressed, iterate_lines, peek_magic

TEXT = "".join(f'{{"id": {k}, "text": "linje nummer {k * k}"}}\n' for k in range(30_000)).encode()


def lines(data: bytes, name: str = "x.jsonl") -> list[bytes]:
    return [line for _, line in iterate_lines(decompressed(io.BytesIO(data)), name)]


def two_zstd_frames(data: bytes) -> bytes:
    return zstandard.compress(data[:100_000]) + zstandard.compress(data[100_000:])


def two_gzip_members(data: bytes) -> bytes:
    return gzip.compress(data[:100_000]) + gzip.compress(data[100_000:])


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstandard.compress, two_gzip_members, two_zstd_frames]
)
def test_every_compression_gives_the_same_lines(pack: Callable[[bytes], bytes]) -> None:
    assert lines(pack(TEXT)) == TEXT.split(b"\n")[:-1]


@pytest.mark.parametrize(
    ("pack", "kind"),
    [(gzip.compress, "gzip"), (zstandard.compress, "zstd"), (two_zstd_frames, "zstd")],
)
@pytest.mark.parametrize("cut", [1, 5, 3000])
def test_data_that_breaks_off_is_an_error_after_the_lines_before(
    pack: Callable[[bytes], bytes], kind: str, cut: int
) -> None:
    read = []
    with pytest.raises(DataError, match=f"{kind} data ends too early") as caught:
        for _, line in iterate_lines(decompressed(io.BytesIO(pack(TEXT)[:-cut])), "x.gz"):
            read.append(line)
    assert caught.value.path == "x.gz"
    assert read == TEXT.split(b"\n")[: len(read)]


@pytest.mark.parametrize(("pack", "kind"), [(gzip.compress, "gzip"), (zstandard.compress, "zstd")])
def test_damage_in_the_middle_is_an_error(pack: Callable[[bytes], bytes], kind: str) -> None:
    data = bytearray(pack(TEXT))
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    with pytest.raises(DataError, match=f"{kind} data"):
        lines(bytes(data))


def test_garbage_behind_a_gzip_member_is_an_error() -> None:
    with pytest.raises(DataError, match="gzip data is damaged"):
        lines(gzip.compress(TEXT) + b"garbage")


def test_lines_are_numbered_and_the_last_needs_no_newline() -> None:
    numbered = list(iterate_lines(io.BytesIO(b"a\n\nb"), "x"))
    assert numbered == [(1, b"a"), (2, b""), (3, b"b")]


def test_a_line_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MAX_LINE_BYTES", 1 << 20)
    bomb = gzip.compress(b"first\n" + b"x" * (3 << 20))
    with pytest.raises(DataError, match="line is longer than 1 MiB") as caught:
        lines(bomb)
    assert caught.value.line == 2


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_output_is_the_same_every_time_and_can_be_read_back(suffix: str) -> None:
    written = []
    for _ in range(2):
        sink = io.BytesIO()
        with compressed(sink, "out" + suffix) as stream:
            stream.write(TEXT)
        written.append(sink.getvalue())
    assert written[0] == written[1]
    assert lines(written[0]) == TEXT.split(b"\n")[:-1]


@given(st.binary(max_size=50), st.integers(1, 20))
def test_peeking_gives_back_what_it_looked_at(data: bytes, size: int) -> None:
    head, stream = peek_magic(io.BytesIO(data), size)
    assert head == data[:size]
    assert stream.read() == data


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=30))
def test_lines_come_back_whatever_they_hold(written: list[bytes]) -> None:
    data = b"".join(line + b"\n" for line in written)
    assert [line for _, line in iterate_lines(io.BytesIO(data), "x")] == written
