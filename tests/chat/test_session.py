"""Turns, taking back, stopping, and what happens when the context is full."""

from __future__ import annotations

import pytest
from scripted_engine import ScriptedEngine

from norcli.chat.engines import Sampling
from norcli.chat.prompting import Template
from norcli.chat.session import Session
from norcli.errors import DataError, NorcliError

NORWAI = Template("norwai", marker="Svar:")


def make(answers: list[list[str]], context: int = 1000, **options: object) -> Session:
    engine = ScriptedEngine(answers, context)
    sampling = Sampling(max_new_tokens=int(str(options.pop("max_new_tokens", 10))), seed=5)
    return Session(engine, NORWAI, sampling, **options)  # type: ignore[arg-type]


def test_turns_follow_each_other() -> None:
    session = make([[" Glom", "ma."], [" Trysil", "elva."]], system="Svar kort.")
    assert "".join(session.ask("Elv?")) == "Glomma."
    assert "".join(session.ask("Nest?", "Lista.")) == "Trysilelva."
    engine = session.engine
    assert isinstance(engine, ScriptedEngine)
    assert engine.asked == [
        "<s>Svar kort.\n\nElv?\n\nSvar:",
        "<s>Svar kort.\n\nElv?\n\nSvar: Glomma.</s>\n\nNest?\n\nLista.\nSvar:",
    ]
    assert [sampling.seed for sampling in engine.samplings] == [5, 6]
    assert [m["role"] for m in session.record()] == ["system", *["user", "assistant"] * 2]


def test_answer_ends_at_the_next_instruction() -> None:
    session = make([[" Ja.", "\n\nHva?", "\n\nSvar:", " Nei."]])
    assert "".join(session.ask("Går det?")) == "Ja."
    assert session.counts.new_tokens == 3
    assert session.counts.finished


def test_stopped_answer_is_kept() -> None:
    session = make([[" en", " to", " tre"]])
    asked = []
    shown = "".join(session.ask("Tell", stopped=lambda: len(asked) == 2 or asked.append(1)))
    assert shown == "en to"
    assert session.messages[-1] == {"role": "assistant", "content": "en to"}


def test_undo_and_regenerate() -> None:
    session = make([[" A."], [" B."], [" C."]])
    list(session.ask("Først"))
    list(session.ask("Så"))
    assert "".join(session.regenerate()) == "C."
    assert [m["content"] for m in session.messages] == ["Først", "A.", "Så", "C."]
    assert session.undo() == {"role": "user", "content": "Så"}
    assert session.undo() is not None
    assert session.undo() is None
    with pytest.raises(DataError, match="no request"):
        session.regenerate()


def test_oldest_turns_are_left_out_when_the_context_is_full() -> None:
    session = make([[" Ja."]] * 5, context=120, system="Kort.")
    for number in range(5):
        list(session.ask(f"Spørsmål {number} " + "x" * 20))
    engine = session.engine
    assert isinstance(engine, ScriptedEngine)
    assert session.dropped_turns == 3
    assert engine.asked[-1].startswith("<s>Kort.\n\nSpørsmål 3")
    assert len(session.messages) == 10
    assert all(len(asked) + 10 <= 120 for asked in engine.asked)


def test_too_long_request_is_refused_and_not_kept() -> None:
    session = make([[" Ja."]], context=50)
    with pytest.raises(DataError, match="more than the context of 50"):
        list(session.ask("x" * 60))
    assert session.messages == []
    assert "".join(session.ask("Kort")) == "Ja."


def test_room_is_shared_with_the_answer() -> None:
    session = make([[" Ja."]], context=50, max_new_tokens=500)
    list(session.ask("x" * 30))
    engine = session.engine
    assert isinstance(engine, ScriptedEngine)
    assert engine.samplings[0].max_new_tokens == 50 - len(engine.asked[0]) + 2  # <s> is one token


def test_failure_of_the_engine_leaves_the_conversation() -> None:
    session = make([[" A."], [" B."]])
    list(session.ask("Først"))
    engine = session.engine
    assert isinstance(engine, ScriptedEngine)

    def fail(position: int) -> None:
        raise NorcliError("broken")

    engine.on_chunk = fail
    with pytest.raises(NorcliError, match="broken"):
        list(session.ask("Så"))
    assert len(session.messages) == 2


def test_restored_conversation_brings_its_system_message() -> None:
    session = make([[" Ja."]], system="Gammel.")
    session.restore([{"role": "system", "content": "Ny."}, {"role": "user", "content": "Hei"},
                     {"role": "assistant", "content": "Hallo"}])  # fmt: skip
    list(session.ask("Og?"))
    assert session.record()[0]["content"] == "Ny."
    assert len(session.messages) == 4


def test_request_stays_where_no_other_answer_comes() -> None:
    session = make([["A."]])
    list(session.ask("Først"))
    before = list(session.messages)
    with pytest.raises(DataError):
        list(session.regenerate("x" * 3000))
    with pytest.raises(IndexError):  # nothing is scripted any more
        list(session.regenerate())
    assert session.messages == before
    assert session.last_request == before[0]


def test_answer_goes_on_where_it_stopped() -> None:
    session = make([["Glom"], ["ma er", " lang.\n\nHva?\n\nSvar:"], [" Ja."]])
    with pytest.raises(DataError, match="no answer to go on with"):
        list(session.go_on())
    list(session.ask("Elv?"))
    assert "".join(session.go_on()) == "ma er lang."
    assert [m["content"] for m in session.messages] == ["Elv?", "Glomma er lang."]
    engine = session.engine
    assert isinstance(engine, ScriptedEngine)
    assert engine.asked == ["<s>Elv?\n\nSvar:", "<s>Elv?\n\nSvar: Glom"]
    session.undo()
    with pytest.raises(DataError, match="no answer to go on with"):
        list(session.go_on())
