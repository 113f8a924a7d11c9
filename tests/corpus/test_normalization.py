"""Text is made uniform without losing meaning, and the fast path equals the thorough one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.corpus import scan
from norcli.corpus.language.identifier import pack
from norcli.corpus.normalization import normalize_batch, normalize_text, repair_mojibake

TRICKY = st.text(
    st.sampled_from(
        " \n\t\r\v\xa0\xad\u200b\u200d\u2028ab.å9@ÃÂ¥»â€œ”\u0301e\x85\x80\x93😀\ufeff\u1e00C\ufffd:"
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hei  på\tdeg \r\n\r\n\r\n\r\nNeste  ", "Hei på deg\n\nNeste"),
        ("A\u030a pa\u030a", "Å på"),
        ("sam\xadarbeid\u200b og\ufeff mer", "samarbeid og mer"),
        ("10\xa0000\u202fkroner", "10 000 kroner"),
        ("null\x00 og\x1b bjelle\x07", "null og bjelle"),
        ("linje\u2028linje\x85linje\fside", "linje\nlinje\nlinje\nside"),
        ("familie 👨\u200d👩\u200d👧 her\u200d.", "familie 👨\u200d👩\u200d👧 her."),
        ("«Sitat» – “quote” ’n", "«Sitat» – “quote” ’n"),
        ("đŋŧžčšá ĐŊŦŽČŠÁ ïöåæø", "đŋŧžčšá ĐŊŦŽČŠÁ ïöåæø"),
        ("", ""),
        (" \n\t ", ""),
    ],
)
def test_normal_form(text: str, expected: str) -> None:
    assert normalize_text(text) == expected


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize(
    "text",
    ["Blåbærsyltetøy på Ørlandet", "Áiti lea Kárášjogas, dáppe leat olbmot", "Größe und Maß"],
)
def test_double_encoded_text_is_mended(text: str, encoding: str) -> None:
    once = _windows(text) if encoding == "cp1252" else text.encode("utf-8").decode("latin-1")
    assert repair_mojibake(once) == text
    twice = once.encode("utf-8").decode("latin-1")
    assert repair_mojibake(twice) == text


def _windows(text: str) -> str:
    """Read UTF-8 as Windows-1252 the way browsers do: five bytes stand for themselves."""
    return "".join(
        bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode("utf-8")
    )


def test_quotes_and_dashes_are_mended() -> None:
    assert (
        repair_mojibake(_windows("«Hei» – “du” … 5 € på fjellet’s"))
        == "«Hei» – “du” … 5 € på fjellet’s"
    )


@pytest.mark.parametrize(
    "text",
    ["«KOM NÅ»", "SÃO PAULO", "«JEG VIL HA BLÅ», sa Åse", "château fort à Nîmes", "på»…", "Ä”, Å‹"],
)
def test_text_that_only_looks_double_encoded_stays(text: str) -> None:
    assert normalize_text(text) == text


@settings(max_examples=400, deadline=None)
@given(TRICKY)
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert unicodedata.is_normalized("NFC", once)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(TRICKY, st.text(max_size=20)), max_size=8))
def test_a_batch_is_normalized_as_its_texts_are(texts: list[str]) -> None:
    batch = normalize_batch(texts)
    assert batch.texts == [normalize_text(text) for text in texts]
    assert batch.sizes == [len(text.encode("utf-8", "replace")) for text in texts]


def test_clean_text_has_no_flags() -> None:
    text = "Dette er «rent» – med æøå, čđŋ og 17. mai 2020.\n\nNytt avsnitt … “her” 5 €."
    assert scan.scan(*pack([text])).tolist() == [0]
