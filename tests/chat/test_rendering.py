"""Markdown on a screen: what it looks like, and that drawing it step by step leaves no traces."""

from __future__ import annotations

import io
import re

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.chat.rendering import MarkdownView, PlainView
from norcli.chat.sanitize import clean
from norcli.chat.themes import THEMES

ANSWER = """# Elver

Norges lengste elv er **Glomma**, målt til *604 km* av `NVE`.
Den renner ut ved Fredrikstad.

## De tre lengste

1. Glomma
2. Tana og
   Anarjohka
3. Dramselva
   - med Begna

```python
def lengde(elv: str) -> int:
    return {"Glomma": 604}[elv]
```

> Vann er liv.

| Elv | km |
|---|---:|
| Glomma | 604 |
| Tana | 366 |

Se [NVE](https://nve.no) og <b>kartet</b>."""

PIECES = ["#", " ", "\n", "\n\n", "*", "**", "`", "```", "- ", "1. ", "> ", "|", "ord", "æøå", "[",
          "](", ")", "~~", "---", "\t", "👩", "<b>", "&amp;"]  # fmt: skip


class Screen:
    """A terminal emulator that keeps what has scrolled away, and checks that it stays as it was."""

    def __init__(self, columns: int = 60, rows: int = 24) -> None:
        self.rows = rows
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self.screen.set_mode(pyte.modes.LNM)  # a line feed also returns, as the tty does it
        self.stream = pyte.Stream(self.screen)
        self.written = ""
        self.left: list[str] = []

    def write(self, data: bytes) -> None:
        text = data.decode("utf-8")
        self.written += text
        self.stream.feed(text)
        now = ["".join(row[x].data for x in range(self.screen.columns)).rstrip()
               for row in self.screen.history.top]  # fmt: skip
        assert now[: len(self.left)] == self.left
        self.left = now

    def flush(self) -> None:
        pass

    def lines(self) -> list[str]:
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return [*self.left, *shown]

    def cell(self, text: str) -> pyte.screens.Char:
        for y, line in enumerate(self.screen.display):
            if text in line:
                return self.screen.buffer[y][line.index(text)]
        raise AssertionError(f"{text!r} is not on the screen")


def show(chunks: list[str], columns: int = 60, rows: int = 50, theme: str = "terminal") -> Screen:
    screen = Screen(columns, rows)
    view = MarkdownView(screen, THEMES[theme], size=lambda: (columns, rows), frame_seconds=0)
    for chunk in chunks:
        view._next_frame = 0
        view.feed(chunk)
    view.finish()
    return screen


def test_each_part_has_its_look() -> None:
    screen = show([ANSWER])
    assert screen.lines() == [
        "Elver", "",
        "Norges lengste elv er Glomma, målt til 604 km av NVE.",
        "Den renner ut ved Fredrikstad.", "",
        "De tre lengste", "",
        " 1 Glomma", " 2 Tana og", "   Anarjohka", " 3 Dramselva", "    • med Begna", "",
        "def lengde(elv: str) -> int:", '    return {"Glomma": 604}[elv]', "",
        "▌ Vann er liv.", "",
        *screen.lines()[18:-2],
        "", "Se NVE (https://nve.no) og <b>kartet</b>.",
    ]  # fmt: skip
    assert screen.cell("Elver").bold
    assert screen.cell("Elver").underscore
    assert screen.cell("Glomma, målt").bold
    assert not screen.cell("målt").bold
    assert screen.cell("604 km").italics
    assert screen.cell("NVE.").fg == "cyan"
    assert screen.cell("def").fg != "default"
    assert re.search(r"Glomma +604", "\n".join(screen.lines()[18:-2]))


@pytest.mark.parametrize("rows", [7, 50])
@pytest.mark.parametrize("size", [2, 17])
def test_steps_lead_to_the_same_screen(size: int, rows: int) -> None:
    chunks = [ANSWER[at : at + size] for at in range(0, len(ANSWER), size)]
    stepwise = show(chunks, rows=rows)
    at_once = show([ANSWER], rows=rows)
    if rows == 50:
        assert stepwise.lines() == at_once.lines()
    # What has scrolled away stays as it was drawn first: nothing is lost of it.
    for word in re.findall(r"\w{3,}", "".join(at_once.lines())):
        assert word in "".join(stepwise.lines())


def test_bold_is_bold_before_it_is_closed() -> None:
    screen = Screen()
    view = MarkdownView(screen, THEMES["terminal"], size=lambda: (60, 24), frame_seconds=0)
    seen = []
    for chunk in ("Elva ", "*", "*", "Glom", "ma*", "*", " er lang."):
        view._next_frame = 0
        view.feed(chunk)
        seen.append("".join(screen.lines()))
    view.finish()
    assert not any("*" in line for line in seen)
    assert screen.cell("Glomma").bold


def test_only_what_differs_is_written_again() -> None:
    screen = Screen()
    view = MarkdownView(screen, THEMES["terminal"], size=lambda: (60, 24), frame_seconds=0)
    view.feed("1. Glomma\n2. Tana\n3. Drams")
    before = len(screen.written)
    view._next_frame = 0
    view.feed("elva")
    assert "Glomma" not in screen.written[before:]
    view.finish()
    assert "\x1b[2J" not in screen.written


def test_resizing_leaves_what_is_drawn() -> None:
    screen, size = Screen(60, 12), [60]
    view = MarkdownView(screen, THEMES["mono"], size=lambda: (size[0], 12), frame_seconds=0)
    view.feed("en to tre fire fem seks sju åtte ni ti elleve tolv tretten fjorten femten ")
    before = screen.lines()
    size[0] = 30
    view._next_frame = 0
    view.feed("seksten\n\nEt nytt avsnitt som er for langt til tretti.")
    view.finish()
    assert screen.lines()[0] == before[0]
    assert all(len(line) < 30 for line in screen.lines()[-2:])
    assert "".join(screen.lines()).count("seksten") == 1


def test_long_blocks_are_cut_and_nothing_is_lost() -> None:
    lines = [f"linje_{number} = {number}" for number in range(600)]
    source = "```python\n" + "\n".join(lines) + "\n```\n\nFerdig."
    screen = show([source[at : at + 500] for at in range(0, len(source), 500)], rows=10)
    assert [line for line in screen.lines() if line] == [*lines, "Ferdig."]
    words = [f"ord{number}" for number in range(1500)]
    source = " ".join(words)
    screen = show([source[at : at + 500] for at in range(0, len(source), 500)], rows=10)
    assert " ".join(screen.lines()).split() == words


def test_markdown_cannot_bring_control_characters_back() -> None:
    hostile = (
        "Se &#8238;txt.exe&#x202e; &#27;[2J [lenke](https://a/&#8238;) \x1b]8;;http://b\x07her"
    )
    screen = show([clean(hostile)])
    assert "\u202e" not in screen.written
    shown = " ".join(screen.lines())
    assert "<U+202E>txt.exe" in shown
    assert "␛]8;;http://b␇her" in shown
    assert "\x1b]" not in screen.written
    assert set(re.findall(r"\x1b\[[\d;]*(.)", screen.written)) <= set("mKJA")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=25),
    st.integers(3, 20),
)
def test_any_text_is_shown_in_steps_as_at_once(chunks: list[str], rows: int) -> None:
    stepwise, at_once = show(chunks, rows=rows), show(["".join(chunks)], rows=rows)
    if len(at_once.lines()) < rows and len(stepwise.lines()) < rows:
        assert stepwise.lines() == at_once.lines()


def test_plain_view_writes_what_comes() -> None:
    stream = io.BytesIO()
    view = PlainView(stream)
    view.feed("**Gl")
    view.feed("omma**")
    view.finish()
    assert stream.getvalue() == b"**Glomma**\n"
