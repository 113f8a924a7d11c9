"""Nothing that a model writes may steer the terminal."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.chat.sanitize import Sanitizer, clean


@pytest.mark.parametrize(
    ("dirty", "shown"),
    [
        ("\x1b[31mrød\x1b[0m", "␛[31mrød␛[0m"),
        ("\x1b]0;tittel\x07", "␛]0;tittel␇"),
        ("a\x9b2Jb", "a<U+009B>2Jb"),
        ("a\u202etxt.exe", "a<U+202E>txt.exe"),
        ("linje\r\nlinje\ttab\n", "linje\nlinje\ttab\n"),
        ("skriv\rover", "skriv␍over"),
        ("slutt\x7f\x00", "slutt␡␀"),
        ("\ud800", "\ufffd"),
        ("ÆØÅ čšž 👩‍👩‍👧 ½", "ÆØÅ čšž 👩‍👩‍👧 ½"),
    ],
)
def test_control_characters_become_signs(dirty: str, shown: str) -> None:
    assert clean(dirty) == shown


@given(st.text(st.characters(), max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_chunks_give_the_same_as_the_whole(text: str, cuts: list[int]) -> None:
    sanitizer = Sanitizer()
    bounds = [0, *sorted(cuts), len(text)]
    pieces = [sanitizer.feed(text[a:b]) for a, b in itertools.pairwise(bounds) if a <= b]
    assert "".join(pieces) + sanitizer.flush() == clean(text)


@given(st.text(st.characters()))
def test_no_control_or_direction_character_is_left(text: str) -> None:
    for character in clean(text):
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in ("LRO", "RLO", "LRE", "RLE", "PDF")
        assert unicodedata.bidirectional(character) not in ("LRI", "RLI", "FSI", "PDI")
