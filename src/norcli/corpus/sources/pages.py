"""Web pages as sources: WARC responses and resources, WET texts, and HTML files.

Which records hold a page is decided here by HTTP status and content type; the page itself is
opened by `norcli.corpus.extraction`, in another process where there are several.
"""

from __future__ import annotations

from typing import BinaryIO

from norcli.corpus.extraction import MAX_PAGE_BYTES, charset_of_header
from norcli.corpus.sources.raw import RawDocument
from norcli.errors import DataError
from norcli.formats.compression import decompressed, reading
from norcli.formats.documents import Place
from norcli.formats.warc import WarcRecord, parse_http

_HTML_TYPES = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")


def warc_document(record: WarcRecord, place: Place) -> RawDocument:
    """Return the page or text of a record, or the reason why it holds none.

    Raises:
        ValueError: The record is damaged.
    """
    if record.content is None:
        raise ValueError(f"holds {record.size} bytes, more than a page can")
    headers = record.headers
    document = RawDocument(place, {})
    if record_id := headers.get("warc-record-id", "").strip("<>"):
        document.fields["id"] = record_id
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
        DataError: The file is damaged, or longer than a page can be.
    """
    with reading(name):
        page = decompressed(stream).read(MAX_PAGE_BYTES + 1)
    if len(page) > MAX_PAGE_BYTES:
        raise DataError(f"page is larger than {MAX_PAGE_BYTES >> 20} MiB", path=name)
    return RawDocument(Place(name, 1), {"path": name}, page=page)
