"""Pages are decoded by what their bytes allow and give their main text, title and date."""

from __future__ import annotations

import pytest

from norcli.corpus import extraction
from norcli.corpus.extraction import PageFault, charset_of_header, decode_page, extract_page

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


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<div>" * 10_000 + b"hei" + b"</div>" * 10_000, "page_too_deep"),
        (b"<p>hei</p>" * 5_000_000, "page_too_large"),
        (b"<div>" * 300 + b"<p>hei</p>" * 40_000, "page_too_complex"),
        (b"<b>" * 100_000 + b"hei", "page_too_deep"),
        (b"<i>x</i>" * 600_000, "page_too_complex"),
        (b"<a href=/>x</a>" * 1_000_000, "page_too_complex"),
        (b"<div " + b" ".join(b"a%d=b" % k for k in range(100_000)) + b">hei", "page_too_complex"),
    ],
    ids=(
        "10,000 levels",
        "50 MB",
        "deep and long",
        "100,000 unclosed",
        "600,000 elements",
        "a million links",
        "100,000 attributes",
    ),
)
def test_bounds_are_faults_with_a_name_a_value_and_a_limit(data: bytes, reason: str) -> None:
    with pytest.raises(PageFault) as caught:
        extract_page(data)
    assert caught.value.reason == reason
    assert int(caught.value.value) > int(caught.value.limit)


HOSTILE = {
    "less-than": b"<" * 300_000,
    "meta": b"<meta " * 50_000,
    "meta of dates": b'<meta pubdate" ' * 20_000,
    "link": b"<link rel=canonical " * 20_000,
    "titles": b"<title>" * 50_000,
    "comment without end": b"<!--" + b"a-" * 200_000,
    "script without end": b"<script>" + b"x<" * 200_000,
    "many scripts": page("<script>var a='<p>';</script>" * 5_000).encode(),
    "no end tags": b"<ul><li><a><font><table><tr><td>x" * 300,
    "long attribute": page(f"<p class='{'nav-foo_Bar ' * 50_000}'>{SENTENCE}</p>").encode(),
    "long title": page(f"<title>{'Bær ' * 100_000}</title>").encode(),
    "deep tables": page("<table><tr><td>" * 150 + SENTENCE + "</table>" * 150).encode(),
    "deep lists": page("<ul><li>" * 200 + SENTENCE + "</ul>" * 200).encode(),
    "entities": page("&amp;" * 100_000 + "&" * 100_000 + "&#x1F600;" * 50_000).encode(),
    "entities of entities": b"<!DOCTYPE html [" + b"".join(
        b'<!ENTITY l%d "%s">' % (k, b"&l%d;" % (k - 1) * 10) for k in range(1, 30)
    ) + b"]><html><body><p>&l29;</p></body></html>",
    "NUL": b"\0" * 300_000 + b"<\0p>hei</p>",
    "one word": page("a" * 1_000_000).encode(),
    "line ends": page("<pre>" + "a\n" * 200_000 + "</pre>").encode(),
    "end tags": b"</p>" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_end_as_a_text_or_a_told_fault(name: str) -> None:
    try:
        assert isinstance(extract_page(HOSTILE[name]).text, str)
    except PageFault as fault:
        assert fault.reason in ("page_too_deep", "page_too_complex", "extraction_failed")


@pytest.mark.parametrize(
    "charset", ["bz2", "hex", "rot13", "idna", "punycode", "undefined", "unicode_escape", "mbcs"]
)
def test_what_python_knows_as_an_encoding_is_not_always_a_charset(charset: str) -> None:
    text = page(f"<p>{SENTENCE} \\x41</p>", f'<meta charset="{charset}">')
    assert f"{SENTENCE} \\x41" in decode_page(text.encode("cp1252"))
    assert SENTENCE in decode_page(text.encode("cp1252"), charset)


def test_terms_headings_and_short_lines_of_the_text_are_kept() -> None:
    body = (
        "<div id='wrap'><ul class='docnav'><li><a href='/p'>Forrige</a></li></ul>"
        f"<div class='section'><h2>Bær</h2><div class='para'>{SENTENCE} {SENTENCE}</div>"
        f"<dl><dt>Blåbær</dt><dd>{SENTENCE}</dd></dl><pre>a\n  b</pre>"
        f"<div class='sidebar'><p>{SENTENCE * 3}</p></div>"
        f"<h3>Mengder</h3><table><tr><td>Sukker</td><td>2 dl</td></tr></table><p>{SENTENCE}</p>"
        "<h3>Les også</h3><ul><li><a href='/x'>En annen sak om bær og sopp i skogen</a></li></ul>"
        "</div><div class='cookie-banner'>Vi bruker informasjonskapsler på nettsidene.</div></div>"
    )
    lines = extract_page(page(body).encode()).text.split("\n")
    assert lines == [
        "Bær", f"{SENTENCE} {SENTENCE}", "Blåbær", SENTENCE, "a", "  b", SENTENCE * 3, "Mengder",
        "Sukker | 2 dl", SENTENCE,
    ]  # fmt: skip


def test_names_that_only_contain_a_word_are_not_taken_for_it() -> None:
    body = f"<div id='textshared12'><h1>Bær</h1><p>{SENTENCE}</p><p>{SENTENCE[::-1]}</p></div>"
    assert SENTENCE in extract_page(page(body).encode()).text


def test_a_page_without_text_gives_none_and_a_large_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert extract_page(b"<html><body></body></html>").text == ""
    monkeypatch.setattr(extraction, "MAX_PAGE_BYTES", 10)
    with pytest.raises(PageFault, match="page_too_large"):
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
        assert isinstance(error, PageFault)
        assert error.reason in ("page_too_deep", "extraction_failed")


def test_a_page_of_very_many_inline_elements_is_read_without_trafilatura(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = "Ferja gikk over fjorden mens regnet falt, og ingen sa noe før vi var framme. "
    page = "<html><body><p>" + f"<span>{sentence}</span>" * 20_000 + "</p></body></html>"

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("takes minutes on such a page")

    monkeypatch.setattr("trafilatura.extract", refuse)
    assert extract_page(page.encode()).text == (sentence * 20_000).strip()
