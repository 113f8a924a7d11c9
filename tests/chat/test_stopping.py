"""An answer ends before the model's next instruction, however its text is cut into chunks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.chat.stopping import LONGEST_HELD_CHARACTERS, AnswerText

CASES = [
    (" Glomma.", "Glomma."),
    (" Glomma.\n\nHva heter byen?\n\nSvar: Oslo.", "Glomma."),
    (" Glomma.\n\nOppsummer.\n\nEn tekst.\nSvar: Kort.", "Glomma.\n\nOppsummer."),
    (" Først.\n\nSå.\n\nTil slutt.\n\n", "Først.\n\nSå.\n\nTil slutt."),
    (" Først.\n\nSå.\n\nHva?\n\nSvar:", "Først.\n\nSå."),
    (" Ja.\nSvar: Nei.", "Ja."),
    ("Svar: Ja.", ""),
    (" Et Svar: inne i linja.", "Et Svar: inne i linja."),
    (" Ja.\n\nSvart kaffe.", "Ja.\n\nSvart kaffe."),
    ("\n\n  \n", ""),
]


def collect(text: str, cuts: list[int], marker: str | None = "Svar:", stops: tuple[str, ...] = ()):
    answer = AnswerText(marker, stops)
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    given_out = "".join(
        answer.feed(text[a:b]) for a, b in itertools.pairwise(bounds)
    )  # fmt: skip
    given_out += answer.flush()
    assert given_out == answer.text
    return given_out


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_answer_ends_before_the_next_instruction(text: str, expected: str) -> None:
    assert collect(text, []) == expected
    assert collect(text, list(range(len(text)))) == expected


@given(st.sampled_from(CASES), st.lists(st.integers(0, 60)))
def test_chunks_do_not_matter(case: tuple[str, str], cuts: list[int]) -> None:
    assert collect(case[0], cuts) == case[1]


def test_stop_texts_end_the_answer() -> None:
    text = "En to STOPP tre"
    for cuts in ([], list(range(len(text)))):
        assert collect(text, cuts, None, ("STOPP", "tre")) == "En to"


def test_first_of_two_stop_texts_counts() -> None:
    for order in (("tre", "to"), ("to", "tre")):
        assert collect("en to tre", [], None, order) == "en"


def test_without_marker_everything_streams_at_once() -> None:
    answer = AnswerText(None)
    assert answer.feed("Ja.\n\nOg") == "Ja.\n\nOg"


def test_first_paragraph_streams_at_once_and_long_ones_are_not_held() -> None:
    answer = AnswerText("Svar:")
    assert answer.feed(" Glomma er") == "Glomma er"
    assert answer.feed(" lang.\n\nDen") == " lang."
    shown = answer.feed(" renner" * LONGEST_HELD_CHARACTERS)
    assert shown.startswith("\n\nDen renner")
