"""Text is made uniform without losing meaning, and the fast path equals the thorough one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.corpus import scan
from norcli.corpus.language.identifier import pack
from norcli.corpus.legacy_sami import repair_sami
from norcli.corpus.normalization import normalize_batch, normalize_text, repair_mojibake

TRICKY = st.text(
    st.sampled_from(
        " \n\t\r\v\xa0\xad\u200b\u200d\u2028ab.å9@ÃÂ¥»â€œ”\u0301e\x85\x80\x93😀\ufeff\u1e00C\ufffd:"
        "\u3000☀≠√∏¶├©α\u212b\u1161\u0f71\U0001d15e\uf900"
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


@pytest.mark.parametrize("charset", ["mac_roman", "cp850"])
def test_text_misread_on_a_macintosh_or_in_dos_is_mended(charset: str) -> None:
    text = "Blåbær på øya, «ærlig» sagt"
    assert repair_mojibake(text.encode("utf-8").decode(charset)) == text


NORTHERN = (
    "Ráđđehus lea dál čállán ođđa lágaid. Sámediggi oažžu maŋŋel dieđuid, ja dat lea dehálaš. "
    "Ruoŧa bealde leat iežaset áššit, dušše máŋga olbmo. Žerá, Čáhci, Šaddá."
)


@pytest.mark.parametrize(
    ("there", "here", "as_read"),
    [
        ("čđŋŧžČŽ", "„˜¹¼¿‚¾", "Windows Sámi 2 as Windows-1252"),
        ("čđŋšŧžČŠŽ", "∏π∫ªºΩ¢¥∑", "Mac Sámi as Mac Roman"),
        ("áčđŋšŧžČŠŽ", "‡¸¹º»¼½¢´·", "Mac Sámi as Windows-1252"),
        ("čđŋšŧžČŠŽ", "¢¤±³¸º¡²¹", "ISO-IR 197 as Latin-1"),
        ("čđŋšŧžČŠŽ", "èð¿¹¼¾È©®", "Latin-4 as Latin-1"),
        ("čđŋšŧžČŠŽ", "è¹¿º»¼Èª¬", "Latin-6 as Latin-1"),
        ("čđŋšŧžČŠŽ", "çðñóýþÇÓÞ", "the first Windows Sámi font as Latin-1"),
    ],
)
def test_sami_in_an_old_character_set_is_mended(there: str, here: str, as_read: str) -> None:
    spoilt = NORTHERN.translate(str.maketrans(there, here))
    assert spoilt != NORTHERN
    assert normalize_text(spoilt) == NORTHERN, as_read
    assert normalize_batch([spoilt, "Hei."]).texts == [NORTHERN, "Hei."]


@pytest.mark.parametrize(
    "text",
    [
        "Prisen er 5¢ per m², ca. 3³ eller 10µg, og 25°C.",
        "„Das ist gut“, sagte er. ‚Ja‘ — „ach“.",
        "Jón Þór Sigurðsson býr í Reykjavík, þar sem hann er kennari við skólann.",
        "Français: ça va, garçon? Crème brûlée à la façon de Beyoncé. Señor Núñez, mañana.",
        "Det »grønne« skiftet ½ år; §§ 3–5.",
        "ma¹¹el",  # one word is not yet evidence
        "lea oðða ja oažžut buoremus",
    ],
)
def test_signs_of_other_languages_stay(text: str) -> None:
    assert normalize_text(text) == text
    assert repair_sami(text) == text


def test_composition_is_flagged_for_every_character_that_needs_it() -> None:
    """Pairs of a letter and any character of the basic plane: what form C changes is flagged."""
    for code in range(0x80, 0x10000):
        if 0xD800 <= code < 0xE000:
            continue
        texts = [f"a{chr(code)}b", f"\u1100{chr(code)}"]
        flags = scan.scan(*pack(texts)).tolist()
        for text, flag in zip(texts, flags, strict=True):
            assert unicodedata.is_normalized("NFC", text) or flag & scan.COMPOSITION, hex(code)


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


SPOILT = st.lists(
    st.sampled_from(
        ["ma¹¹el", "oðða", "o¤¤a", "lea ", "dieðuid", "oa¾¾ut", "ie¾as", "á¹¹i", "\xad", "¹", "ð",
         "è", "Ã¥", "d", "á", " ", "dehála¹", "»", "«", "ma\xad¹¹el", "o\x7fðða"]
    ), max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(SPOILT)
def test_mending_sami_twice_changes_nothing_more(text: str) -> None:
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert normalize_batch([text]).texts == [once]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(TRICKY, SPOILT, st.text(max_size=20)), max_size=8))
def test_a_batch_is_normalized_as_its_texts_are(texts: list[str]) -> None:
    batch = normalize_batch(texts)
    assert batch.texts == [normalize_text(text) for text in texts]
    assert batch.encoded == [text.encode("utf-8", "replace") for text in batch.texts]
    assert batch.sizes == [len(text.encode("utf-8", "replace")) for text in texts]


def test_clean_text_has_no_flags() -> None:
    text = "Dette er «rent» – med æøå, čđŋ og 17. mai 2020.\n\nNytt avsnitt … “her” 5 €."
    assert scan.scan(*pack([text])).tolist() == [0]
