"""The chat as a person meets it: a real pseudo-terminal, keys, signals, saved files."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pseudo_terminal import CTRL_C, CTRL_D, UP, PseudoTerminal
from tiny_models import ENDLESS, PAIRS, RIVER, RIVER_ANSWER

from norcli.hosting.options import ServeOptions
from norcli.hosting.serve import ModelServer, plan_server

Open = Callable[..., PseudoTerminal]
READY = r"Ctrl-D leaves\s+>"
CAPITAL = "Hva heter hovedstaden?"


@pytest.fixture()
def open_chat(gguf_model: Path, tmp_path: Path) -> Iterator[Open]:
    opened: list[PseudoTerminal] = []

    def start(*words: str, term: str = "xterm-256color") -> PseudoTerminal:
        arguments = ["chat", str(gguf_model), "--temperature", "0", *words]
        opened.append(PseudoTerminal(arguments, tmp_path, term))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def transcripts(state: Path) -> list[list[dict[str, str]]]:
    files = sorted((state / "norcli" / "chats").glob("*.jsonl"))
    return [json.loads(file.read_text("utf-8"))["messages"] for file in files]


def test_ask_interrupt_and_leave(open_chat: Open, tmp_path: Path) -> None:
    chat = open_chat("--context", "65536", "--max-new-tokens", "60000", "--speed")
    chat.expect(READY)
    chat.type(RIVER + "\r")
    chat.expect(RIVER_ANSWER)
    chat.expect(r"\d+ \+ \d+ tokens, first after .* tokens/s; .* of 65536 tokens of context")
    chat.type("/clear\r")
    chat.expect("a new conversation")
    chat.type(ENDLESS + "\r")
    chat.expect("en to tre en to tre")
    chat.type(CTRL_C)
    chat.expect("stopped; /regen answers again")
    # The line editor is back and the model answers again: nothing was lost.
    chat.expect("tokens of context")
    chat.type("/system Kort.\r")
    chat.expect(r"system message: Kort\.\s+>")
    chat.type(CTRL_C)
    chat.expect(r"Ctrl-D or /exit leaves\s+>")
    chat.kill(signal.SIGINT)
    chat.expect(r"Ctrl-D or /exit leaves\s+>")
    chat.type(CTRL_D)
    chat.expect("saved as .*jsonl")
    assert chat.wait() == 0
    first, second = transcripts(tmp_path)
    assert [message["content"] for message in first] == [RIVER, RIVER_ANSWER]
    assert second[1]["content"].startswith("en to tre")
    assert [message["role"] for message in second] == ["user", "assistant"]


def test_slash_commands(open_chat: Open, tmp_path: Path) -> None:
    chat = open_chat()
    chat.expect(READY)
    chat.type("/hlep\r")
    chat.expect('no command "/hlep"')
    chat.expect("did you mean /help")
    chat.type("/help\r")
    chat.expect("/regen .*Answer the last request again")
    chat.expect("another line")
    chat.type("/stats\r")
    chat.expect("after each answer: on")
    chat.type("Hva heter hovudstaden\r")
    chat.expect("tokens of context")
    chat.type("/undo\r")
    chat.expect("taken back: Hva heter hovudstaden")
    chat.type(RIVER + "\r")
    chat.expect(RIVER_ANSWER)
    chat.type("/edit\r")
    chat.expect(r"lengste elv\?")
    chat.type("\x15" + RIVER + "\r")  # Ctrl-U empties the line
    chat.expect(RIVER_ANSWER)
    saved = tmp_path / "samtale.jsonl"
    chat.type(f"/save {saved}\r")
    chat.expect("saved as")
    chat.type(f"/save {saved}\r")
    chat.expect("exists already")
    chat.type("/clear\r")
    chat.expect("a new conversation")
    chat.type("/regen\r")
    chat.expect("no request to answer again")
    chat.type(f"/load {saved}\r")
    chat.expect(RIVER_ANSWER)
    chat.type("/set temperature hot\r")
    chat.expect("takes a number")
    chat.type("/set top-k 5\r")
    chat.expect("top_k 5")
    chat.type("/tokens Glomma\r")
    chat.expect(r"\d+ tokens")
    chat.type("/template none\r")
    chat.expect("template none")
    chat.type("/quit\r")
    assert chat.wait() == 0
    assert [m["content"] for m in json.loads(saved.read_text())["messages"]] == [
        RIVER, RIVER_ANSWER,
    ]  # fmt: skip


def test_history_and_loading_on_a_later_day(open_chat: Open, tmp_path: Path) -> None:
    first = open_chat()
    first.expect(READY)
    first.type(RIVER + "\r")
    first.expect(RIVER_ANSWER)
    first.type("/quit\r")
    first.wait()
    (file,) = (tmp_path / "norcli" / "chats").glob("*.jsonl")
    second = open_chat("--load", str(file), "--no-save")
    second.expect(READY)
    second.type("/regen\r")
    second.expect(RIVER_ANSWER)
    second.type("/quit\r")
    assert second.wait() == 0
    assert len(transcripts(tmp_path)) == 1
    third = open_chat()
    third.expect(READY)
    third.type(UP)
    third.expect("/quit")
    third.type(UP)
    third.expect(r"lengste elv\?")
    third.type("\r")
    third.expect(RIVER_ANSWER)


def test_resuming_from_the_command_line(open_chat: Open, tmp_path: Path) -> None:
    nothing = open_chat("--resume")
    nothing.expect("no conversation is saved here")
    assert nothing.wait() == 66
    names = []
    for question in (RIVER, CAPITAL):
        chat = open_chat()
        chat.expect(READY)
        chat.type(question + "\r")
        chat.expect(PAIRS[question][:10])
        chat.type("/exit\r")
        names.append(chat.expect(r"saved as .*/(\S+)\.jsonl")[1])
        assert chat.wait() == 0
    newest = open_chat("--resume")
    newest.expect(rf"1 +{names[1]} +1 turns +{re.escape(CAPITAL)}\s+2 +{names[0]} +1 turns")
    newest.expect(rf"going on with {names[1]}; /load NUMBER takes another")
    newest.expect(rf"> {re.escape(CAPITAL)}\s+{PAIRS[CAPITAL][:10]}")
    newest.expect(READY)
    newest.type(RIVER + "\r")
    newest.expect("Glomma er Norges")
    newest.type("/exit\r")
    assert newest.wait() == 0
    for choice in ("2", names[0]):
        older = open_chat("--resume", choice)
        older.expect(rf"> {re.escape(RIVER)}\s+{re.escape(RIVER_ANSWER)}")
        older.expect(READY)
        older.type(CTRL_D)
        assert older.wait() == 0
    assert [[m["content"] for m in saved][::2] for saved in transcripts(tmp_path)] == [
        [RIVER], [CAPITAL, RIVER],
    ]  # fmt: skip
    unknown = open_chat("--resume", "i-går")
    unknown.expect('there is no conversation "i-går"')
    assert unknown.wait() == 66


def test_dumb_terminal_gets_plain_lines(open_chat: Open) -> None:
    chat = open_chat("--context", "65536", "--max-new-tokens", "60000", "--no-save", term="dumb")
    chat.expect(READY)
    chat.type(RIVER + "\n")
    chat.expect(RIVER_ANSWER + r"\s+> ")
    chat.type("Tell\\\n")
    chat.expect(r"\. ")
    chat.type("meg\n")
    chat.expect("> ")
    chat.type("/undo\n")
    chat.expect(r"taken back: Tell\s+meg")
    chat.type("/clear\n")
    chat.expect("a new conversation")
    chat.type(ENDLESS + "\n")
    chat.expect("en to tre en to tre")
    chat.type(CTRL_C)
    chat.expect("stopped")
    chat.type(CTRL_C)
    chat.expect(r"Ctrl-D or /exit leaves\s+> ")
    chat.type(CTRL_D)
    assert chat.wait() == 0
    assert "\x1b" not in chat.raw


def test_sigterm_ends_an_answer_and_keeps_it(open_chat: Open, tmp_path: Path) -> None:
    chat = open_chat("--context", "65536", "--max-new-tokens", "60000")
    chat.expect(READY)
    chat.type(ENDLESS + "\r")
    chat.expect("en to tre en to tre")
    chat.kill(signal.SIGTERM)
    assert chat.wait() == 143
    (messages,) = transcripts(tmp_path)
    assert messages[1]["content"].startswith("en to tre")


def test_answer_that_is_cut_off_can_be_continued(open_chat: Open, tmp_path: Path) -> None:
    chat = open_chat("--max-new-tokens", "3")
    chat.expect(READY)
    chat.type(RIVER + "\r")
    chat.expect("cut off after 3 tokens; /continue goes on")
    chat.type("/set max-new-tokens 100\r")
    chat.expect("max_new_tokens 100")
    chat.type("/continue\r")
    chat.expect(r"lengste elv\.")
    chat.type("/exit\r")
    assert chat.wait() == 0
    assert transcripts(tmp_path)[0][1]["content"] == RIVER_ANSWER


def test_meter_of_a_server_tells_its_tokens(gguf_model: Path, tmp_path: Path) -> None:
    options = ServeOptions(model=str(gguf_model), port=0, context=256)
    server = ModelServer(options, plan_server(options, {}))
    chat = PseudoTerminal(["chat", server.address + "/v1", "--temperature", "0"], tmp_path)
    try:
        chat.expect("tiny, context 256 tokens, template server")
        chat.expect(READY)
        chat.expect("tiny  server  0 of 256 token")
        chat.type(RIVER + "\r")
        chat.expect(RIVER_ANSWER)
        chat.expect("tiny  server  16 of 256 token")
        chat.type("/clear\r")
        chat.expect("a new conversation")
        chat.type(ENDLESS + "\r")
        chat.expect("cut off after .* tokens: the context is full")
        chat.expect("256 of 256 token")
        chat.type("/undo\r")
        chat.expect("taken back")
        chat.expect("tiny  server  0 of 256 token")
        chat.type("/exit\r")
        assert chat.wait() == 0
    finally:
        chat.close()
        server.close()
