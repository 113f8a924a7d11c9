"""From the bytes of a web page to its main text, title and date.

First stage of `crawl-filter` for WARC and HTML. The character set is found here (byte order mark,
HTTP header, meta element, and what the bytes allow), the main text by trafilatura. Pages it finds
nothing in are told, not guessed at.
"""

from __future__ import annotations

import codecs
import html
import logging
import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_PAGE_BYTES = 1 << 24
"""16 MiB of HTML; what is longer is no page for reading."""

MAX_ELEMENTS = 150_000
"""Elements of a page; trafilatura takes 30 microseconds for each."""
MAX_ATTRIBUTES = 500
"""Attributes of one element; libxml2 walks over all before it adds one."""

# A page that is shorter cannot hold so many that it takes long.
_FEW_CHARACTERS = 1 << 16
_HEAD_BYTES = 4096
# Where title, date and address are looked for: heads with styles in them are long.
_TOP_CHARACTERS = 1 << 18
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE
)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.-]+)""")
_HTTP_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_:.-]+)""", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,300}>(.{0,1000}?)</title>", re.IGNORECASE | re.DOTALL)
_DATE_META = re.compile(
    r"""<meta[^>]{0,200}?(?:article:published_time|datePublished|dc\.date(?:\.issued)?|"""
    r"""dcterms\.(?:created|issued)|pubdate)["'][^>]{0,200}?content\s*=\s*["']([^"']{4,40})""",
    re.IGNORECASE,
)
_CANONICAL = re.compile(
    r"""<link(?=[^>]{0,300}?rel\s*=\s*["']?canonical)[^>]{0,300}?href\s*=\s*["'](https?://[^"'\s]+)""",
    re.IGNORECASE,
)
_ISO_DATE = re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")
)  # fmt: skip
# The web's rule: pages that say Latin-1 or ASCII are read as Windows-1252, its superset.
_AS_WINDOWS = {"iso8859-1", "ascii", "latin-1", "latin1"}


class PageFault(ValueError):
    """A page that nothing is made of.

    Attributes:
        reason: Its name in the funnel.
        value: What was measured, or the error.
        limit: The most that is taken, "" for an error.
    """

    def __init__(self, reason: str, value: int | str, limit: int | str = "") -> None:
        super().__init__(f"{reason}: {value}")
        self.reason, self.value, self.limit = reason, value, limit


class ExtractedPage(NamedTuple):
    """What a page holds; all but the text only where the page says it, `date` as YYYY-MM-DD."""

    text: str
    title: str | None
    date: str | None
    url: str | None


def charset_of_header(content_type: str | None) -> str | None:
    """Return the charset a Content-Type header names."""
    match = _HTTP_CHARSET.search(content_type or "")
    return match.group(1) if match else None


def decode_page(data: bytes, http_charset: str | None = None) -> str:
    """Decode a page; every byte sequence can be, bytes that fit nowhere become U+FFFD.

    Valid UTF-8 with a multi-byte letter in it is UTF-8 whatever the page says: other encodings
    produce such sequences by chance next to never.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if not data.isascii():
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    head = data[:_HEAD_BYTES]
    meta = _META_CHARSET.search(head) or _XML_ENCODING.search(head)
    for name in (http_charset, meta.group(1).decode("ascii") if meta else None):
        if name is None:
            continue
        known = _text_encoding(name)
        if known == "utf-8":
            # Mostly UTF-8 with a few broken bytes, or wrongly declared: count what breaks.
            text = data.decode("utf-8", "replace")
            if text.count("\ufffd") <= len(data) // 1000 + 1:
                return text
        elif known is not None and known not in _AS_WINDOWS:
            return data.decode(known, "replace")
    return decode_windows(data)


def _text_encoding(name: str) -> str | None:
    """Return Python's name of a character set, None for what is none (bz2, idna, rot13, ...)."""
    try:
        encoding = codecs.lookup(name).name
        # Any bytes become text in a character set; two of Python's own read escapes of its own.
        b"a-\xff".decode(encoding, "replace")
    except (LookupError, ValueError):
        return None
    return None if "escape" in encoding else encoding


def decode_windows(data: bytes) -> str:
    """Decode Windows-1252; its five open bytes become the control characters of Latin-1."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        pieces = re.split(rb"([\x81\x8d\x8f\x90\x9d])", data)
        return "".join(
            piece.decode("latin-1" if k % 2 else "cp1252") for k, piece in enumerate(pieces)
        )


def extract_page(data: bytes, charset: str | None = None) -> ExtractedPage:
    """Return the main text of an HTML page; the text is empty where there is none.

    Args:
        data: The page as fetched.
        charset: What the HTTP header said.

    Raises:
        PageFault: The page is too large or too deep, or trafilatura gave up on it.
    """
    if len(data) > MAX_PAGE_BYTES:
        raise PageFault("page_too_large", len(data), MAX_PAGE_BYTES)
    # It logs pages it finds nothing in as errors; the funnel counts them.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    page = decode_page(data, charset).replace("\0", "")
    try:
        text = _main_text(page)
    except PageFault:
        raise
    except (
        Exception
    ) as error:  # libraries over hostile input: whatever they raise, one page is lost
        raise PageFault("extraction_failed", type(error).__name__) from error
    head = page[:_TOP_CHARACTERS]
    title = _TITLE.search(head)
    date = _DATE_META.search(head)
    iso = _ISO_DATE.search(date.group(1)) if date else None
    canonical = _CANONICAL.search(head)
    return ExtractedPage(
        text or "",
        html.unescape(title.group(1)).strip() or None if title else None,
        iso.group() if iso else None,
        html.unescape(canonical.group(1)) if canonical else None,
    )


def _main_text(page: str) -> str:
    from lxml import html as lxml_html

    from norcli.corpus.main_text import MAX_DEPTH, MAX_PATHS, extract_main_text, measure_tree

    # As bytes with the charset told: lxml refuses a declaration inside a decoded string.
    parser = lxml_html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True
    )
    if not page.strip():
        return ""
    data = page.encode("utf-8", "replace")
    if len(page) > _FEW_CHARACTERS:
        _check_tags(data)
    tree = lxml_html.document_fromstring(data, parser)
    elements, depth = measure_tree(tree)
    if depth > MAX_DEPTH:
        raise PageFault("page_too_deep", depth, MAX_DEPTH)
    if elements * depth > MAX_PATHS:
        raise PageFault("page_too_complex", elements * depth, MAX_PATHS)
    return extract_main_text(tree)


class _TagCounter:
    """What a parser calls for each tag in place of building a tree."""

    def __init__(self) -> None:
        self.elements = self.attributes = 0

    def start(self, _tag: str, attributes: Mapping[str, str]) -> None:
        self.elements += 1
        self.attributes = max(self.attributes, len(attributes))

    def close(self) -> tuple[int, int]:
        return self.elements, self.attributes


def _check_tags(page: bytes) -> None:
    """Look at the tags of a page before a tree is made of them, in linear time.

    Raises:
        PageFault: It has more elements, or more attributes in one, than can be worked on.
    """
    from lxml import etree

    parser = etree.HTMLParser(
        encoding="utf-8", target=_TagCounter(), remove_comments=True, remove_pis=True,
        huge_tree=True,
    )  # fmt: skip
    try:
        elements, attributes = etree.fromstring(page, parser)
    except etree.ParserError:  # no element at all, which the parser of trees tells as well
        return
    for count, most in ((elements, MAX_ELEMENTS), (attributes, MAX_ATTRIBUTES)):
        if count > most:
            raise PageFault("page_too_complex", count, most)
