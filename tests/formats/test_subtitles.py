"""Subtitles become cues, and cues running text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.corpus.sources.transcripts import join_cues
from norcli.formats.subtitles import Cue, clean_lines, parse_cues, seconds_of


def cues(*lines: str, length: float = 2.0) -> list[Cue]:
    return [Cue(k * length, (k + 1) * length, line.split("|")) for k, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("00:01.500", 1.5), ("01:02:03,250", 3723.25), ("7", 7.0), ("100:00:00.000", 360000.0)],
)
def test_times_are_seconds(time: str, seconds: float) -> None:
    assert seconds_of(time) == seconds


def test_markup_and_character_references_are_taken_off() -> None:
    assert clean_lines("<v Kari>Hei &amp; <i>hå</i>\n\n{\\an8}  to   ord ") == [
        "Hei & hå",
        "to ord",
    ]


def test_a_file_without_cues_is_refused() -> None:
    for text in ("", "WEBVTT\n\nNOTE ingenting", "1\n\nHei"):
        with pytest.raises(ValueError, match="no subtitles"):
            parse_cues(text)


def test_a_sentence_over_several_cues_is_one_line() -> None:
    assert join_cues(cues("Vi gikk|om bord", "i ferja.", "Det regnet.")) == (
        "Vi gikk om bord i ferja. Det regnet."
    )


def test_turns_begin_lines_and_sounds_are_left_out() -> None:
    text = join_cues(cues("- Kommer du?|-Nei.", "[MUSIKK]", "♪ la la ♪", "(APPLAUS)", "(Ja.)"))
    assert text == "– Kommer du?\n– Nei. (Ja.)"


def test_a_pause_after_a_sentence_begins_a_paragraph() -> None:
    first, second = Cue(0, 1, ["Ferdig."]), Cue(9, 10, ["Ny sak"])
    assert join_cues([first, second, Cue(20, 21, ["fortsetter"])]) == "Ferdig.\nNy sak fortsetter"


def test_captions_that_roll_give_each_line_once() -> None:
    rolling = cues("a b|c d", "c d", "c d|e f", "e f", "e f|g h")
    assert join_cues(rolling) == "a b c d e f g h"


def test_captions_that_grow_give_their_last_form() -> None:
    assert join_cues(cues("Hei", "Hei på", "Hei på deg", "og farvel")) == "Hei på deg og farvel"


def test_repetitions_stay_where_captions_do_not_roll() -> None:
    assert join_cues(cues("Nei.", "Nei.", "Hvorfor?", "Fordi.", "Aha.", "Takk.", "Ha det.")) == (
        "Nei. Nei. Hvorfor? Fordi. Aha. Takk. Ha det."
    )


@given(st.lists(st.lists(st.text("ab- .?[", min_size=1, max_size=9), max_size=3), max_size=9))
def test_no_letter_is_made_up(lines: list[list[str]]) -> None:
    made = [Cue(float(k), k + 1.0, clean_lines("\n".join(line))) for k, line in enumerate(lines)]
    text = join_cues(made)
    assert "\n\n" not in text and text == text.strip()
    for letter in "ab":
        assert text.count(letter) <= sum("\n".join(line).count(letter) for line in lines)
