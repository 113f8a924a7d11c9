"""Documents that are a file or a WARC record each: web pages, WET texts, subtitles, plain text.

Which records hold a page is decided here by HTTP status and content type; the page itself is
opened by `norcli.corpus.extraction`, in another process where there are several.
"""

from __future__ import annotations

import codecs
from typing import BinaryIO

from norcli.corpus.extraction import MAX_PAGE_BYTES, charset_of_header, decode_page
from norcli.corpus.sources.fields import made_id
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.transcripts import join_cues
from norcli.formats.compression import decompressed, reading
from norcli.formats.documents import Place
from norcli.formats.encodings import decode_wide
from norcli.formats.subtitles import parse_cues
from norcli.formats.warc import WarcRecord, parse_http

_HTML_TYPES = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")


def warc_document(record: WarcRecord, place: Place) -> RawDocument:
    """Return the page or text of a record, or the reason why it holds none.

    Raises:
        ValueError: The record is damaged.
    """
    if record.fault:
        raise ValueError(record.fault)
    if record.content is None:
        raise ValueError(f"holds {record.size} bytes, more than a page can")
    headers = record.headers
    document = RawDocument(place, {})
    record_id = headers.get("warc-record-id", "").strip("<>")
    made = made_id(record.url, headers.get("warc-date"), place.path, place.line)
    document.fields["id"] = record_id or made
    if record.url:
        document.fields["url"] = record.url
    if day := headers.get("warc-date", "")[:10]:
        document.fields["crawl_date"] = day
    if record.type == "conversion":
        document.text = record.content.decode("utf-8", "replace")
        if language := headers.get("warc-identified-content-language"):
            document.fields["source_lang"] = language
        return document
    body, content_type = record.content, headers.get("content-type", "")
    # Some writers leave the type of the record out.
    if "application/http" in content_type.lower() or body.startswith(b"HTTP/"):
        response = parse_http(record.content)
        if response.status != 200:
            document.fault, document.fault_value = "http_status", response.status
            return document
        body, content_type = response.body, response.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _HTML_TYPES or (not kind and body.lstrip()[:1] == b"<"):
        document.page, document.charset = body, charset_of_header(content_type)
    else:
        document.fault, document.fault_value = "not_html", kind or "unknown"
    return document


def read_html_file(stream: BinaryIO, name: str) -> RawDocument:
    """Return the one page of an HTML file (.gz and .zst too); its name is kept as ``path``.

    Raises:
        DataError: The file is damaged.
        ValueError: It is longer than a page can be.
    """
    page = _read_bounded(stream, name)
    return RawDocument(Place(name, 1), {"id": made_id("file", name), "path": name}, page=page)


def read_subtitle_file(stream: BinaryIO, name: str) -> RawDocument:
    """Return the running text of a file of subtitles.

    Raises:
        DataError: The file is damaged.
        ValueError: It is too long, or holds no subtitles.
    """
    cues = parse_cues(decode_page(_read_bounded(stream, name)))
    fields = {"id": made_id("file", name), "path": name}
    return RawDocument(Place(name, 1), fields, join_cues(cues))


def read_text_file(stream: BinaryIO, name: str) -> RawDocument:
    """Return a text file as one document.

    Raises:
        DataError: The file is damaged.
        ValueError: It is too long, or not UTF-8 (nor UTF-16 with a mark).
    """
    data = decode_wide(_read_bounded(stream, name)).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8: byte 0x{data[error.start]:02x} in line {line}") from error
    return RawDocument(Place(name, 1), {"id": made_id("file", name), "path": name}, text)


def _read_bounded(stream: BinaryIO, name: str) -> bytes:
    with reading(name):
        page = decompressed(stream).read(MAX_PAGE_BYTES + 1)
    if len(page) > MAX_PAGE_BYTES:
        raise ValueError(f"file is larger than {MAX_PAGE_BYTES >> 20} MiB, no page for reading")
    return page
