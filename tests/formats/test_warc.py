"""WARC files are read record by record, and what is broken is named with its place."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from norcli.errors import DataError
from norcli.formats import compression
from norcli.formats.warc import WarcRecord, join_chunks, parse_http, read_warc

PAGE = b"<html><body><p>Hei</p></body></html>"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + PAGE


def make_record(
    content: bytes, kind: str = "response", version: str = "1.0", **extra: str
) -> bytes:
    lines = [f"WARC/{version}", f"WARC-Type: {kind}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in extra.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n\r\n"


def read(data: bytes, **options: int) -> list[WarcRecord]:
    return list(read_warc(io.BytesIO(data), "crawl.warc", **options))


def test_records_keep_number_offset_url_and_content() -> None:
    first = make_record(b"software: test\r\n", "warcinfo")
    second = make_record(RESPONSE, version="1.1", WARC_Target_URI="<http://example.no/a>")
    records = read(first + second)
    assert [(r.number, r.offset, r.type) for r in records] == [(2, len(first), "response")]
    assert records[0].url == "http://example.no/a"
    assert records[0].content == RESPONSE


def test_offset_of_a_gzip_member_is_its_place_in_the_stored_file() -> None:
    members = [gzip.compress(make_record(RESPONSE + bytes([65 + k]))) for k in range(3)]
    records = read(b"".join(members))
    starts = [0, len(members[0]), len(members[0]) + len(members[1])]
    assert [record.offset for record in records] == starts
    assert records[2].content == RESPONSE + b"C"
    # That is what an offset is for: reading may begin there.
    assert read(b"".join(members)[starts[2] :])[0].content == RESPONSE + b"C"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bytes])
def test_one_compressed_stream_gives_the_same_records(pack) -> None:  # type: ignore[no-untyped-def]
    data = (
        make_record(RESPONSE) + make_record(b"tekst", "conversion") + make_record(b"x", "request")
    )
    assert [(r.type, r.content) for r in read(pack(data))] == [
        ("response", RESPONSE), ("conversion", b"tekst"),
    ]  # fmt: skip


def test_content_larger_than_a_read_block_comes_whole() -> None:
    content = bytes(range(256)) * 4096
    data = gzip.compress(make_record(content)) + gzip.compress(make_record(b"next"))
    assert [record.content for record in read(data)] == [content, b"next"]


def test_a_record_over_the_bound_is_passed_over_and_the_next_is_read() -> None:
    records = read(make_record(b"x" * 100) + make_record(b"small"), max_bytes=50)
    assert [(r.size, r.content) for r in records] == [(100, None), (5, b"small")]


def test_a_truncated_record_names_number_and_offset_after_those_before_it() -> None:
    first = make_record(RESPONSE)
    stream = read_warc(io.BytesIO(first + make_record(b"y" * 50)[:-30]), "crawl.warc")
    assert next(stream).content == RESPONSE
    with pytest.raises(DataError) as caught:
        next(stream)
    assert caught.value.line == 2
    assert caught.value.path == "crawl.warc"
    assert f"at byte {len(first)}: 50 bytes announced, 24 there" in caught.value.message


def test_a_record_that_ends_within_its_header_is_truncated() -> None:
    with pytest.raises(DataError, match="ends within its header"):
        read(b"WARC/1.0\r\nWARC-Type: resp")


def test_a_gzip_file_that_breaks_off_names_the_record() -> None:
    content = bytes(k * k % 251 for k in range(50_000))
    data = gzip.compress(make_record(RESPONSE)) + gzip.compress(make_record(content))[:-500]
    stream = read_warc(io.BytesIO(data), "crawl.warc.gz")
    assert next(stream).number == 1
    with pytest.raises(DataError, match="gzip data ends too early") as caught:
        next(stream)
    assert caught.value.line == 2


def test_damaged_gzip_is_told() -> None:
    data = bytearray(gzip.compress(make_record(RESPONSE * 40)))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(DataError, match="gzip data is damaged"):
        read(bytes(data))


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 100, b"{}\n"])
def test_a_file_that_is_no_warc_file_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="not a WARC record: begins with"):
        read(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (b"WARC/1.0\r\nWARC-Type: response\r\n\r\n", "it has no valid Content-Length"),
        (b"WARC/1.0\r\nContent-Length: -5\r\n\r\n", "it has no valid Content-Length"),
        (b"WARC/1.0\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", "no valid Content-Length"),
        (b"WARC/1.0\r\nX: " + b"a" * 70000 + b"\r\n\r\n", "its header is longer than 64 KiB"),
        (b"rubbish between records\r\n\r\n", "not a WARC record: begins with"),
        (make_record(RESPONSE).replace(b"Length: 95", b"Length: 20"), "of 20 is wrong"),
        (make_record(RESPONSE).replace(b"Length: 95", b"Length: 240"), "of 240 is wrong"),
        (make_record(RESPONSE, "request").replace(b"Length: 95", b"Length: 20"), "of 20 is wrong"),
    ],
)  # fmt: skip
def test_a_broken_record_is_told_and_the_next_ones_are_read(
    pack: Callable[[bytes], bytes], broken: bytes, fault: str
) -> None:
    assert len(RESPONSE) == 95
    good = [make_record(RESPONSE + bytes([65 + k])) for k in range(4)]
    records = read(b"".join(map(pack, [good[0], broken, *good[1:]])))
    assert [r.content for r in records if not r.fault] == [
        RESPONSE + c for c in (b"A", b"B", b"C", b"D")
    ]
    (told,) = (record for record in records if record.fault)
    assert fault in told.fault and told.number == 2 and told.content is None


def test_a_length_beyond_all_bounds_ends_with_its_gzip_member() -> None:
    broken = make_record(RESPONSE).replace(b"Length: 95", b"Length: 900000000000")
    members = [
        gzip.compress(data) for data in (broken, make_record(RESPONSE), make_record(b"x" * 9))
    ]
    records = read(b"".join(members))
    assert [(r.number, r.fault != "", r.size) for r in records] == [
        (1, True, 0), (2, False, 95), (3, False, 9)
    ]  # fmt: skip
    # Without members there is no telling a wrong length from a file that breaks off.
    with pytest.raises(DataError, match="900000000000 bytes announced"):
        read(broken + make_record(RESPONSE))


def test_a_record_may_span_members_of_equal_size() -> None:
    data = make_record(RESPONSE * 30) + make_record(RESPONSE)
    blocks = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    records = read(b"".join(map(gzip.compress, blocks)))
    assert [(record.fault, record.size) for record in records] == [("", 30 * 95), ("", 95)]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_decompression_bomb_ends_in_an_error(pack: Callable[[bytes], bytes]) -> None:
    data = pack(make_record(b"\0" * (compression.RATIO_GRACE_BYTES + (1 << 23))))
    with pytest.raises(DataError, match="unpacks to over 200 times its size"):
        read(data)


def test_an_empty_file_and_padding_give_nothing() -> None:
    assert read(b"") == []
    assert read(b"\r\n\r\n") == []
    assert len(read(gzip.compress(make_record(RESPONSE)) + b"\0" * 512)) == 1


def test_http_response_is_split_and_header_names_are_lower_case() -> None:
    response = parse_http(RESPONSE)
    assert (response.status, response.body) == (200, PAGE)
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_chunked_and_gzip_transfer_are_undone() -> None:
    packed = gzip.compress(PAGE)
    chunks = b"".join(b"%x;note\r\n%s\r\n" % (len(part), part) for part in (packed[:7], packed[7:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    assert parse_http(head + chunks + b"0\r\n\r\n").body == PAGE


@pytest.mark.parametrize("body", [zlib.compress(PAGE), zlib.compress(PAGE)[2:-4]])
def test_deflate_comes_with_and_without_its_header(body: bytes) -> None:
    assert parse_http(b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n" + body).body == PAGE


def test_a_body_already_decoded_by_the_archive_is_taken_as_it_is() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    assert parse_http(head + PAGE).body == PAGE


def test_a_decompression_bomb_is_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    with pytest.raises(ValueError, match="larger than"):
        parse_http(head + gzip.compress(b"\0" * 3_000_000), max_bytes=1 << 20)


@pytest.mark.parametrize(
    "content", [b"", b"no http", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\nx"]
)
def test_what_is_no_http_response_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no HTTP response"):
        parse_http(content)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_chunks_are_joined_to_what_was_cut(parts: list[bytes]) -> None:
    body = b"".join(b"%X\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    assert join_chunks(body) == b"".join(parts)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_data_error(data: bytes) -> None:
    for prefix in (b"", b"WARC/1.0\r\n", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd"):
        try:
            read(prefix + data)
        except DataError as error:
            assert error.path == "crawl.warc"
