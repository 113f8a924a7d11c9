"""Answers, keys and commands on a terminal with all it can do; no model, so each test is quick."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pseudo_terminal import CTRL_C, CTRL_D, PseudoTerminal

SCRIPT = str(Path(__file__).parent / "scripted_chat.py")
READY = r"Ctrl-D leaves\s+>"
RICH_ANSWER = [" # Elver\n\n", "- **Glom", "ma** er `lang`\n", "- Tana\n\n```py\nprint(1)\n```\n"]
HOSTILE = [" **a\x1b]0;tittel\x07b**\n\n", "`\x1b[2J`\n\n&#8238;snudd \x9b31m\n"]
PASTE = "\x1b[200~{}\x1b[201~"
TAB = "\t"
IDLE = r"\d+ of 2000 token"  # beside the prompt, once it takes keys
Start = Callable[..., PseudoTerminal]
Chunk = str | dict[str, str]


@pytest.fixture()
def start(tmp_path: Path) -> Iterator[Start]:
    opened: list[PseudoTerminal] = []

    def open_one(*answers: Sequence[Chunk], words: tuple[str, ...] = (), colors: bool = True,
                 term: str = "xterm-256color") -> PseudoTerminal:  # fmt: skip
        script = tmp_path / f"answers-{len(opened)}.json"
        script.write_text(json.dumps(answers))
        arguments = [SCRIPT, str(tmp_path / "state"), str(script), *words]
        opened.append(PseudoTerminal(arguments, tmp_path, term, colors))
        opened[-1].expect(READY)
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def saved(state: Path) -> list[list[str]]:
    files = sorted((state / "state" / "chats").glob("*.jsonl"))
    return [[m["content"] for m in json.loads(f.read_text("utf-8"))["messages"]] for f in files]


def test_markdown_is_rendered_and_the_context_is_told(start: Start) -> None:
    chat = start(RICH_ANSWER)
    chat.type("Elver?\r")
    chat.expect(r"print\(1\)")
    chat.expect(IDLE)
    shown = chat.lines()
    at = shown.index("Elver")
    assert shown[at : at + 6] == ["Elver", "", " • Glomma er lang", " • Tana", "", "print(1)"]
    assert chat.cell("Glomma").bold
    assert not chat.cell("Tana").bold
    assert chat.cell("lang").fg == "cyan"
    chat.type("/set markdown off\r")
    chat.expect("markdown off")
    chat.type("/set theme pink\r")
    chat.expect('"pink" is not one of terminal, dark, light, mono')


@pytest.mark.parametrize(
    ("words", "colors", "term"),
    [
        (("--no-markdown",), True, "xterm-256color"),
        ((), False, "xterm-256color"),
        ((), True, "dumb"),
    ],
)
def test_plain_where_it_is_wanted(
    start: Start, words: tuple[str, ...], colors: bool, term: str
) -> None:
    chat = start(RICH_ANSWER, words=words, colors=colors, term=term)
    chat.type("Elver?\r" if term != "dumb" else "Elver?\n")
    chat.expect(r"- \*\*Glomma\*\* er `lang`")
    chat.expect("```py")
    if not colors:
        chat.type("/set theme dark\r")
        chat.expect("answers are plain here")
        assert "\x1b[3" not in chat.raw.replace("\x1b[39m", "")
    if term == "dumb":
        assert "\x1b" not in chat.raw


@pytest.mark.parametrize("words", [(), ("--no-markdown",)])
def test_control_characters_are_shown(start: Start, words: tuple[str, ...]) -> None:
    chat = start(HOSTILE, words=words)
    chat.type("Kom an\r")
    chat.expect("snudd <U\\+009B>31m")
    text = "\n".join(chat.lines())
    assert "a␛]0;tittel␇b" in text
    assert "␛[2J" in text
    assert "\x1b]0;tittel" not in chat.raw
    assert "\x1b[2J" not in chat.raw
    assert "\u202e" not in chat.raw


def test_pasting_and_typing_several_lines(start: Start, tmp_path: Path) -> None:
    chat = start([" Ja."], [" Nei."])
    chat.type(PASTE.format("linje en\nlinje to\n/exit"))
    chat.expect("linje to")
    chat.type("\r")
    chat.expect(r"Ja\.")
    chat.expect(IDLE)
    chat.type("tre\x1b\rfire")  # Alt-Enter
    chat.expect("fire")
    chat.type("\r")
    chat.expect(r"Nei\.")
    chat.expect(IDLE)
    chat.type(CTRL_D)
    assert chat.wait() == 0
    assert saved(tmp_path) == [["linje en\nlinje to\n/exit", "Ja.", "tre\nfire", "Nei."]]


def complete(chat: PseudoTerminal, typed: str, completed: str) -> None:
    chat.type(typed + TAB)
    chat.wait_for(lambda: any(completed in line for line in chat.lines()))


def test_completion_of_names_and_arguments(start: Start, tmp_path: Path) -> None:
    chat = start([" Ja."])
    complete(chat, "/templ", "/template")
    complete(chat, " norwai-", "norwai-en")
    chat.type("\r")
    chat.expect("template norwai-en")
    chat.expect(IDLE)
    complete(chat, "/set the", "theme")
    complete(chat, " da", "dark")
    chat.type("\r")
    chat.expect("theme dark")
    chat.expect(IDLE)
    (tmp_path / "en-samtale.jsonl").write_text('{"messages": [{"role": "user", "content": "Hm?"}]}')
    complete(chat, f"/load {tmp_path}/en-s", "samtale.jsonl")
    chat.type("\r")
    chat.expect(r"> Hm\?")
    chat.expect(IDLE)
    complete(chat, "/help cop", "copy")
    chat.type("\r")
    chat.expect("/copy .*Copy the last answer")


def test_interrupted_answer_is_kept_and_typing_ahead_does_no_harm(
    start: Start, tmp_path: Path
) -> None:
    chat = start([f" ord{number}" for number in range(3000)], [" Nok."])
    chat.type("Tell\r")
    chat.expect("ord9 ")
    chat.type("skrevet i mellomtiden")
    chat.expect("ord99 ")
    assert "mellomtiden" not in chat.raw
    chat.type(CTRL_C)
    chat.expect("stopped; /regen answers again")
    chat.expect("2000 tokens")
    chat.type("\x15/edit Kort\r")
    chat.expect(r"Nok\.")
    chat.expect(IDLE)
    chat.type(CTRL_D)
    assert chat.wait() == 0
    assert saved(tmp_path) == [["Kort", "Nok."]]


def test_resizing_during_an_answer_leaves_no_traces(start: Start) -> None:
    chat = start([f"ord{number} " for number in range(400)] + ["\n\nNytt ", "avsnitt **slutt**"])
    chat.type("Tell\r")
    chat.expect("ord40 ")
    chat.resize(60, 20)
    chat.expect("slutt")
    chat.expect("of 2000 tokens")
    text = " ".join(chat.lines())
    assert text.count("ord399") == 1
    assert "Nytt avsnitt slutt" in text


def test_copying_the_answer_and_its_code(start: Start) -> None:
    chat = start(RICH_ANSWER)
    chat.type("/copy\r")
    chat.expect("there is no answer yet")
    chat.type("Elver?\r")
    chat.expect(r"print\(1\)")
    chat.type("/copy code\r")
    chat.expect(r"sent 9 characters to the terminal \(OSC 52\)")
    encoded = base64.b64encode(b"print(1)\n").decode()
    assert f"\x1b]52;c;{encoded}\x07" in chat.raw
    chat.type("/copy alt\r")
    chat.expect('"alt" is not "code"')


def test_resuming_the_newest_conversation(start: Start, tmp_path: Path) -> None:
    first = start([" Ja."])
    first.type("En?\r")
    first.expect(r"Ja\.")
    first.type("/exit\r")
    assert first.wait() == 0
    second = start([" Jo."], [" Ny."])
    second.type("To?\r")
    second.expect(r"Jo\.")
    second.type("/load\r")
    second.expect(r"1 +\S+ +1 turns +To\?\s+2 +\S+ +1 turns +En\?")
    second.type("/load 2\r")
    second.expect(r"> En\?\s+Ja\.")
    second.type("Tre?\r")
    second.expect(r"Ny\.")
    second.type("/load 9\r")
    second.expect('there is no conversation "9"')
    second.type("/exit\r")
    assert second.wait() == 0
    assert saved(tmp_path) == [["En?", "Ja.", "Tre?", "Ny."], ["To?", "Jo."]]


def test_full_context_tells_what_is_left_out(start: Start) -> None:
    chat = start([" Ja."], [" Jo."], [" Nei."])
    for answer in ("Ja", "Jo", "Nei"):
        chat.type(PASTE.format("x" * 900) + "\r")
        chat.expect(rf"{answer}\.")
    chat.expect("the context is full: without the 1 oldest turns|without the 2 oldest turns")
    chat.expect("oldest turns left out")


def shows(chat: PseudoTerminal, pattern: str) -> Callable[[], bool]:
    return lambda: any(re.fullmatch(pattern, line) for line in chat.lines())


@pytest.mark.parametrize("colors", [True, False])
def test_draft_grows_on_one_line_until_the_answer_comes(
    start: Start, tmp_path: Path, colors: bool
) -> None:
    gates = [tmp_path / "mer", tmp_path / "svar"]
    draft: list[Chunk] = [{"draft": "Først elvene."}, {"wait": str(gates[0])},
                          {"draft": " Så\nlengdene."}, {"wait": str(gates[1])}]  # fmt: skip
    chat = start([*draft, " **Glomma**"], colors=colors)
    chat.type("Elver?\r")
    chat.wait_for(shows(chat, r"thinking \d+ s, 1 tokens: Først elvene\."))
    gates[0].touch()
    chat.wait_for(shows(chat, r"thinking \d+ s, 2 tokens: Først elvene\. Så lengdene\."))
    if colors:
        assert "\x1b[2mthinking" in chat.raw
    gates[1].touch()
    chat.expect(r"thought for \d+\.\d s, 2 tokens; /think shows it")
    chat.expect("Glomma")
    chat.expect(IDLE)
    assert not shows(chat, ".*thinking.*")()
    assert ("\x1b[2mthought" in chat.raw) == colors
    chat.type("/think\r")
    chat.expect(r"Først elvene\. Så\s+lengdene\.")


def test_draft_that_is_stopped_is_folded(start: Start, tmp_path: Path) -> None:
    chat = start([{"draft": "Hm."}, {"wait": str(tmp_path / "aldri")}], [" Ja."])
    chat.type("Elver?\r")
    chat.wait_for(shows(chat, r"thinking \d+ s, 1 tokens: Hm\."))
    chat.type(CTRL_C)
    chat.expect("thought for .* 1 tokens")
    chat.expect("stopped; /regen answers again")
    chat.expect(IDLE)
    chat.type("/regen\r")
    chat.expect(r"Ja\.")


def test_draft_on_a_dumb_terminal_is_two_notes(start: Start) -> None:
    chat = start([{"draft": "Hm."}, {"draft": " Tja."}, " Ja."], term="dumb")
    chat.type("Elver?\n")
    chat.expect("thinking …\\s+thought for .* 2 tokens; /think shows it\\s+Ja")
    assert "Hm" not in chat.raw
    assert "\x1b" not in chat.raw


def test_prompt_that_takes_long_is_told_meanwhile(start: Start, tmp_path: Path) -> None:
    chat = start([{"wait": str(tmp_path / "svar")}, " Ja."])
    chat.type("Elver?\r")
    chat.expect(r"reading \d+ tokens, \d+ s")
    (tmp_path / "svar").touch()
    chat.expect(r"Ja\.")
    chat.expect(IDLE)
    assert not shows(chat, ".*reading.*")()


def test_edit_that_is_given_up_changes_nothing(start: Start, tmp_path: Path) -> None:
    chat = start([" Ja."], [" Nei."], [" Jo."])
    chat.type("En?\r")
    chat.expect(r"Ja\.")
    chat.expect(IDLE)
    chat.type("/edit\r")
    chat.expect("Ctrl-C leaves it as it was")
    chat.expect(IDLE)
    chat.type(CTRL_C)
    chat.expect("Ctrl-D or /exit leaves")
    chat.expect(IDLE)
    chat.type("To?\r")
    chat.expect(r"Nei\.")
    chat.expect(IDLE)
    chat.type("/edit\r")
    chat.expect("Ctrl-C leaves it as it was")
    chat.expect(IDLE)
    chat.type("\x15Tre?\r")
    chat.expect(r"Jo\.")
    chat.type("/exit\r")
    assert chat.wait() == 0
    assert saved(tmp_path) == [["En?", "Ja.", "Tre?", "Jo."]]


def test_reading_a_file_goes_with_the_next_request(start: Start, tmp_path: Path) -> None:
    (tmp_path / "en artikkel.txt").write_text("Elva var lang.\n")
    chat = start([" Lang elv."], [" Ja."])
    chat.type(f"/read {tmp_path}/ingen\r")
    chat.expect("cannot be read: no such file")
    chat.expect(IDLE)
    complete(chat, f"/read {tmp_path}/en", "artikkel.txt")
    chat.type("\r")
    chat.expect(r"en artikkel\.txt, 14 characters: goes with the next request")
    chat.expect(r"with en artikkel\.tx")
    chat.type("Oppsummer.\r")
    chat.expect(r"Lang elv\.")
    chat.expect(IDLE)
    chat.type("Sikker?\r")
    chat.expect(r"Ja\.")
    chat.type("/exit\r")
    assert chat.wait() == 0
    (file,) = (tmp_path / "state" / "chats").glob("*.jsonl")
    messages = json.loads(file.read_text("utf-8"))["messages"]
    assert messages[0] == {"role": "user", "content": "Oppsummer.", "input": "Elva var lang."}
    assert messages[2] == {"role": "user", "content": "Sikker?"}


def test_history_that_cannot_be_kept_disturbs_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "state" / "chat-history").mkdir(parents=True)
    chat = start([" Ja."])
    chat.type("Elver?\r")
    chat.expect(r"Ja\.")
    chat.expect(IDLE)
    chat.type("\x1b[A")  # up
    chat.expect(r"Elver\?")
    chat.type("\x15/exit\r")
    assert chat.wait() == 0
    assert "Unhandled" not in chat.raw
