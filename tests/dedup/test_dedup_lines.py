"""Repeated lines and paragraphs: the same cuts as a plain reference."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup.hash_set import HashSet
from norcli.dedup.lines import LineFinder


def cut(texts: list[str], paragraphs: bool, chars: int = 1, words: int = 0) -> list[str | None]:
    """Return what stays of each text, None where too few words do."""
    finder = LineFinder(paragraphs, chars, words)
    kept: list[str | None] = []
    for text in texts:
        data = text.encode()
        (found,) = finder.cut([data], None)
        if found is not None and found.words_left < words:
            kept.append(None)
        else:
            kept.append((data if found is None else found.apply(data)).decode())
    return kept


def split_parts(text: str, paragraphs: bool) -> list[str]:
    if not paragraphs:
        return text.split("\n")
    return re.split(r"\n(?:[ \t]*\n)+", re.sub(r"\A(?:[ \t]*\n)+", "", text))


def reference(texts: list[str], paragraphs: bool, chars: int, words: int) -> list[list[str] | None]:
    """Return the lines or paragraphs that stay of each text, the blank ones left out."""
    seen: set[str] = set()
    results: list[list[str] | None] = []
    for text in texts:
        parts = split_parts(text, paragraphs)
        fresh: set[str] = set()
        kept, repeated = [], False
        for part in parts:
            key = " ".join(part.lower().split())
            if not key:
                continue
            if len(part.rstrip()) >= chars and key in seen | fresh:
                repeated = True
                continue
            if len(part.rstrip()) >= chars:
                fresh.add(key)
            kept.append(part.rstrip())
        if repeated and sum(len(re.findall(r"\w+", part)) for part in kept) < words:
            results.append(None)
            continue
        seen |= fresh
        results.append(kept)
    return results


def parts_of(text: str | None, paragraphs: bool) -> list[str] | None:
    if text is None:
        return None
    return [part.rstrip() for part in split_parts(text, paragraphs) if part.strip()]


LINES = st.sampled_from(["Les også", "les  også ", "Del på Facebook", "", " ", "Elva går.", "ja",
                         "ÅPNE SØK", "åpne søk", "© NRK", "en to tre fire fem"])  # fmt: skip


@given(st.lists(st.lists(LINES, max_size=8).map("\n".join), max_size=8), st.booleans(),
       st.sampled_from([1, 5, 9]), st.sampled_from([0, 3]))  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_what_stays_is_what_a_plain_reference_keeps(
    texts: list[str], paragraphs: bool, chars: int, words: int
) -> None:
    kept = [parts_of(text, paragraphs) for text in cut(texts, paragraphs, chars, words)]
    assert kept == reference(texts, paragraphs, chars, words)


def test_batches_decide_as_single_texts_do() -> None:
    texts = [b"en linje\nto", b"to\nen linje\ntre", b"", b"EN LINJE\n\nfire", b"fire"]
    one, all_ = LineFinder(False, 1, 1), LineFinder(False, 1, 1)
    single = [one.cut([text], None)[0] for text in texts]
    for first, second in zip(single, all_.cut(texts, None), strict=True):
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            assert first.ranges.tolist() == second.ranges.tolist()
            assert first[1:] == second[1:]


def test_blank_lines_around_a_cut_do_not_add_up() -> None:
    texts = ["Les også", "Ingress\n\nLes også\n\nBrødtekst", "Les også\n\nTekst\n\nLes også\n"]
    assert cut(texts, False) == ["Les også", "Ingress\n\nBrødtekst", "Tekst"]


def test_paragraphs_are_compared_whole() -> None:
    texts = ["A\nB\n\nC", "A\n\nB\n \nC\n\nD", "x\n\na\nb\n\ny"]
    assert cut(texts, True) == ["A\nB\n\nC", "A\n\nB\n \nD", "x\n\ny"]


def test_lines_of_a_dropped_text_stay_where_they_come_next() -> None:
    texts = ["en to tre fire", "en to tre fire\nfem", "fem\nseks sju åtte ni"]
    assert cut(texts, False, words=2) == ["en to tre fire", None, "fem\nseks sju åtte ni"]


@given(st.lists(st.lists(st.integers(0, 2**63), unique=True, max_size=60), max_size=5))
@settings(deadline=None)
def test_the_set_of_hashes_is_a_set(groups: list[list[int]]) -> None:
    import numpy as np

    hashes, plain = HashSet(), set()
    for group in groups:
        fresh = [value for value in group if value not in plain]
        hashes.update(np.array(fresh, np.uint64))
        plain |= set(fresh)
        asked = [*group, 1, 0, 2**63]
        found = hashes.contains(np.array(asked, np.uint64)).tolist()
        assert found == [value in plain for value in asked]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_ends_of_lines_do_not_matter(newline: str) -> None:
    assert cut(["Les også", f"Les også{newline}Tekst"], False) == ["Les også", "Tekst"]
