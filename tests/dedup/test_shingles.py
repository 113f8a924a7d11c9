"""The shingle kernel against a slow reference in plain Python, on Nordic and odd text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shingle_reference import reference

from norcli.dedup.shingles import shingle_texts

LETTERS = "aAåÅæÆøØáÁčČđĐŋŊšŠŧŦžŽïÏöÖäÄßẞéÉ\u0301 \t\n\u00a0.,!?-–—…«»“”’'\u00ad\u200b\u200d"
text_strategy = st.one_of(
    st.text(alphabet=LETTERS + "  012", max_size=80),
    st.text(max_size=40),
    st.text(alphabet="漢字かな한글İıΣςⅣ①😀👍🏽\u3000\ufeff\ufe0f／Ａ \ue000", max_size=20),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(text_strategy, max_size=5), st.integers(1, 7))
def test_kernel_equals_the_reference(texts: list[str], ngram: int) -> None:
    shingles, starts, hashes = shingle_texts([t.encode("utf-8") for t in texts], ngram)
    for index, text in enumerate(texts):
        expected, text_hash = reference(text, ngram)
        assert shingles[starts[index] : starts[index + 1]].tolist() == expected
        assert tuple(hashes[index].tolist()) == text_hash


def hash_of(text: str) -> tuple[int, ...]:
    return tuple(shingle_texts([text.encode()], 5)[2][0].tolist())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Blåbærsyltetøy på brødskiva", "  BLÅBÆRSYLTETØY\n\tpå  brødskiva "),
        ("Čáhci ja đuoddarat, ŋálbmi ja ŧ", "čÁHCI ja Đuoddarat, Ŋálbmi ja Ŧ"),
        ("sam\u00adarbeid", "samarbeid"),
        ("\ufeffNoreg", "noreg"),
    ],
)
def test_case_spacing_and_invisible_marks_do_not_make_texts_differ(first: str, second: str) -> None:
    assert hash_of(first) == hash_of(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("får", "far"), ("čáhci", "cahci"), ("3.5", "35"), ("C++", "C#"), ("a b", "ab"), ("", " .")],
)
def test_letters_and_punctuation_make_texts_differ(first: str, second: str) -> None:
    assert hash_of(first) != hash_of(second)


def shingle_count(text: str, ngram: int = 5) -> int:
    return int(shingle_texts([text.encode()], ngram)[1][1])


def test_punctuation_does_not_change_shingles() -> None:
    plain = shingle_texts([b"det er en lang dag i dag"], 5)[0]
    dotted = shingle_texts(["Det er – en «lang» dag… I dag!".encode()], 5)[0]
    assert plain.tolist() == dotted.tolist()


def test_short_texts() -> None:
    assert shingle_count("") == 0
    assert shingle_count("?!") == 0
    assert shingle_count("ja") == 0
    assert shingle_count("ja takk") == 1
    assert shingle_count("en to tre fire fem") == 1
    assert shingle_count("en to tre fire fem seks") == 2


def test_text_hashes_of_many_texts_are_distinct() -> None:
    texts = [f"tekst nummer {i} av {j}".encode() for i in range(200) for j in range(200)]
    hashes = shingle_texts(texts, 5)[2]
    assert len({int(value) for value in hashes[:, 0]}) == len(texts)
    assert len({int(value) for value in hashes[:, 1]}) == len(texts)
