"""Pages are decoded by what their bytes allow and give their main text, title and date."""

from __future__ import annotations

import pytest

from norcli.corpus import extraction
from norcli.corpus.extraction import charset_of_header, decode_page, extract_page

SENTENCE = "Blåbærene på Ørlandet er modne, og alle er ute og plukker til syltetøyet."


def page(body: str, head: str = "") -> str:
    title = "<title>Bær &amp; sopp</title>"
    return f"<!DOCTYPE html><html><head>{head}{title}</head><body>{body}</body></html>"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252", "iso-8859-1"])
def test_a_declared_charset_is_read(encoding: str) -> None:
    text = page(f"<p>{SENTENCE}</p>", f'<meta charset="{encoding}">')
    assert SENTENCE in decode_page(text.encode(encoding))


@pytest.mark.parametrize("declared", ["iso-8859-1", "utf-16", "no-such-charset", "ascii"])
def test_valid_utf_8_is_read_as_such_whatever_is_declared(declared: str) -> None:
    text = page(f"<p>{SENTENCE}</p>", f'<meta charset="{declared}">')
    assert SENTENCE in decode_page(text.encode("utf-8"), declared)


@pytest.mark.parametrize("declared", [None, "utf-8"])
def test_latin_1_that_is_undeclared_or_wrongly_declared_is_read(declared: str | None) -> None:
    meta = f'<meta charset="{declared}">' if declared else ""
    text = page(f"<p>{SENTENCE * 8}</p>", meta)
    assert SENTENCE in decode_page(text.encode("cp1252"), declared)


def test_sami_in_its_eight_bit_charset_needs_the_header() -> None:
    text = page("<p>Čálli lea dáppe</p>")
    assert "Čálli" in decode_page(text.encode("iso8859-10"), "iso-8859-10")


def test_any_bytes_can_be_decoded() -> None:
    assert "\ufffd" not in decode_page(bytes(range(0x80, 0x100)))
    assert decode_page(b"") == ""


def test_charset_of_a_content_type() -> None:
    assert charset_of_header('text/html; Charset="ISO-8859-1"') == "ISO-8859-1"
    assert charset_of_header("text/html") is None
    assert charset_of_header(None) is None


def test_main_text_without_menu_and_footer() -> None:
    body = (
        "<nav><ul><li><a href='/'>Hjem</a></li><li><a href='/om'>Om oss</a></li></ul></nav>"
        f"<article><h1>Bær</h1><p>{SENTENCE}</p><p>{SENTENCE[::-1]}</p></article>"
        "<footer><p>Alle rettigheter</p></footer>"
    )
    head = (
        '<meta property="article:published_time" content="2021-08-14T07:00:00+02:00">'
        '<link rel="canonical" href="https://bar.example/a?b=1&amp;c=2">'
    )
    got = extract_page(page(body, head).encode())
    assert SENTENCE in got.text
    assert "Om oss" not in got.text
    assert (got.title, got.date) == ("Bær & sopp", "2021-08-14")
    assert got.url == "https://bar.example/a?b=1&c=2"


def test_a_page_without_text_gives_none_and_a_large_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert extract_page(b"<html><body></body></html>").text == ""
    monkeypatch.setattr(extraction, "MAX_PAGE_BYTES", 10)
    with pytest.raises(ValueError, match="larger than"):
        extract_page(b"<html><body></body></html>")


@pytest.mark.parametrize(
    "data",
    [
        b"<div>" * 10_000 + b"hei" + b"</div>" * 10_000,
        b"\0\0\0<html>",
        b"<?xml version='1.0' encoding='utf-16'?><html><body><p>hei</p></body></html>",
        b"<html><body><p>" + b"&#0;&#x110000;&amp" * 50,
        bytes(range(256)) * 20,
    ],
)
def test_hostile_pages_give_a_text_or_an_error(data: bytes) -> None:
    try:
        assert isinstance(extract_page(data).text, str)
    except ValueError as error:
        assert "extraction failed" in str(error)
