"""Repeated spans of words: the same cuts as a plain reference that tries all windows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.console import Console
from norcli.dedup import spans
from norcli.dedup.spans import SpanFinder
from norcli.formats.documents import read_documents
from norcli.options import RecordInputOptions

Cut = tuple[list[list[int]], int] | None


def find(texts: list[bytes], span: int, batch: int = 3) -> list[Cut]:
    batches = [texts[i : i + batch] for i in range(0, len(texts), batch)]
    with SpanFinder(span) as finder:
        for some in batches:
            finder.note_anchors(some, None)
        finder.end_anchors()
        for some in batches:
            finder.note_spans(some, None)
        finder.end_spans()
        cuts = [finder.cut(text) for text in texts]
    return [one and (one.ranges.tolist(), one.words_left) for one in cuts]


def reference(texts: list[bytes], span: int) -> list[Cut]:
    """Try all windows: one is cut when an equal one stands before it without overlap."""
    first: dict[tuple[bytes, ...], int] = {}
    found: list[Cut] = []
    passed = 0
    for text in texts:
        words = text.split()
        begins, position = [], 0
        for word in words:
            position = text.index(word, position)
            begins.append(position)
            position += len(word)
        gone = [False] * len(words)
        for place in range(len(words) - span + 1):
            window = tuple(words[place : place + span])
            if first.setdefault(window, passed + place) <= passed + place - span:
                gone[place : place + span] = [True] * span
        passed += len(words)
        cuts = []
        edges = [i for i in range(len(words) + 1)
                 if (i < len(words) and gone[i]) != (i > 0 and gone[i - 1])]  # fmt: skip
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            cuts.append([begins[begin], begins[end] if end < len(words) else len(text)])
        found.append((cuts, len(words) - sum(gone)) if cuts else None)
    return found


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """Texts over few words, with passages taken from one another."""
    span = draw(st.integers(2, 7))
    letters = draw(st.sampled_from(["ab", "abcd", "abcdefghijklmnop"]))
    pieces = draw(st.lists(st.text(letters, min_size=1, max_size=12), min_size=1, max_size=6))
    texts = draw(st.lists(st.lists(st.sampled_from(pieces), max_size=5), max_size=7))
    blanks = draw(st.sampled_from([b" ", b"\n\n", b" \t"]))
    return [blanks.join(word.encode() for piece in text for word in piece) for text in texts], span


@given(corpora())
@settings(max_examples=400, deadline=None)
def test_the_cuts_are_those_of_trying_all_windows(corpus: tuple[list[bytes], int]) -> None:
    texts, span = corpus
    assert find(texts, span) == reference(texts, span)


@pytest.mark.parametrize("seed", range(4))
def test_the_cuts_do_not_depend_on_batches_or_spilling(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_ = random.Random(seed)
    words = [f"ord{i}".encode() for i in range(40)]
    texts = [b" ".join(random_.choices(words, k=random_.randrange(200))) for _ in range(30)]
    for _ in range(40):
        source, target = random_.choice(texts).split(), random_.randrange(len(texts))
        place = random_.randrange(len(source) + 1)
        piece = source[place : place + random_.randrange(5, 60)]
        texts[target] = b"  ".join([texts[target], *piece])
    expected = reference(texts, 10)
    assert sum(one is not None for one in expected) > 5
    assert find(texts, 10) == find(texts, 10, batch=30) == expected
    monkeypatch.setattr(spans, "MEMORY_BYTES", 512)
    assert find(texts, 10) == expected


@pytest.mark.real_data
@pytest.mark.parametrize("span", [12, 50])
def test_the_cuts_in_real_reviews_are_those_of_trying_all_windows(
    real_data: Path, span: int
) -> None:
    path = str(real_data / "text" / "norec_reviews.jsonl.gz")
    options = RecordInputOptions(inputs=[path], limit=2000)
    texts = [one.text.encode() for one in read_documents(options, Console.silent())]
    found = find(texts, span, batch=200)
    assert any(found)
    assert found == reference(texts, span)


def test_a_passage_stays_once_and_only_there() -> None:
    passage = b"dette avsnittet staar i tre av de fire dokumentene her"
    texts = [b"foerst " + passage, b"\n".join([b"a", passage, b"b"]), b"noe helt annet", passage]
    found = find(texts, 8)
    assert found[0] is None and found[2] is None
    assert found[1] == ([[2, 2 + len(passage) + 1]], 2)
    assert found[3] == ([[0, len(passage)]], 0)


def test_a_word_said_a_thousand_times_stays_as_often_as_a_span_is_long() -> None:
    assert find([b"ja " * 1000], 50) == [([[150, 3000]], 50)]
