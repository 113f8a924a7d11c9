"""What stands on the screen before an answer: the line that grows and is folded."""

from __future__ import annotations

import io

import pyte
import pytest
from rich.cells import cell_len

from norcli.chat.live_line import LiveLine
from norcli.console import Console


class Screen(io.StringIO):
    """A terminal of some width that shows what was written."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, 5)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self.screen)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return super().write(text)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(columns: int = 60, color: str = "never") -> tuple[LiveLine, Screen, Clock]:
    screen, clock = Screen(columns), Clock()
    console = Console(stream=screen, color=color)
    return LiveLine(console, size=lambda: (columns, 5), clock=clock), screen, clock


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def test_prompt_that_takes_long_is_told_and_the_answer_takes_its_place() -> None:
    line, screen, clock = make()
    line.wait(1204)
    assert screen.getvalue() == ""
    clock.now += 3
    line.wait(1204)
    assert screen.lines() == ["reading 1204 tokens, 3 s"]
    line.fold()
    line.wait(1204)
    assert screen.lines() == []
    assert screen.screen.cursor.x == 0


def test_draft_grows_in_one_line_and_is_folded() -> None:
    line, screen, clock = make()
    line.think("Først elvene:\n\n", 3)
    assert screen.lines() == ["thinking 0 s, 3 tokens: Først elvene:"]
    clock.now += 2.5
    line.think("Glomma, Tana, Pasvikelva, Numedalslågen", 15)
    assert screen.lines() == ["thinking 2 s, 15 tokens: …Tana, Pasvikelva, Numedalslågen"]
    line.think(" og Orkla", 18)  # between two frames
    clock.now += 0.5
    line.wait(9)
    assert screen.lines() == ["thinking 3 s, 18 tokens: …Numedalslågen og Orkla"]
    line.fold()
    line.fold()
    line.think("nok", 19)
    assert screen.lines() == ["thought for 3.0 s, 18 tokens; /think shows it"]
    assert screen.screen.cursor.y == 1


@pytest.mark.parametrize("columns", [1, 2, 5, 20, 21, 79])
def test_line_never_wraps(columns: int) -> None:
    line, screen, clock = make(columns)
    for text in ("čáhci 漢字 👩‍👩‍👧‍👦 é", "x" * 300, "e\u0301" * 90, "\x1b[2J\u202e", "漢" * 200):
        clock.now += 1
        line.think(text, 4)
        assert screen.screen.cursor.y == 0
        assert cell_len(screen.lines()[0] if screen.lines() else "") < max(columns, 2)
    assert "\x1b[2J" not in screen.getvalue()
    line.fold()
    assert screen.screen.cursor.y == 1


def test_colour_is_dim_only_where_it_is_wanted() -> None:
    plain, screen, _ = make()
    plain.think("ja", 1)
    assert "\x1b[2m" not in screen.getvalue()
    dim, screen, _ = make(color="always")
    dim.think("ja", 1)
    assert "\x1b[2m" in screen.getvalue()


@pytest.mark.parametrize("level", [0, 1])
def test_dumb_terminal_gets_notes_only(monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen, clock = Screen(60), Clock()
    line = LiveLine(Console(stream=screen, level=level), clock=clock)
    clock.now += 5
    line.wait(10)
    line.think("ja", 1)
    line.think("nei", 2)
    line.fold()
    notes = "thinking …\nthought for 0.0 s, 2 tokens; /think shows it\n"
    assert screen.getvalue() == (notes if level else "")
