"""The context meter: counted here, told by a server, or estimated and called so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from test_servers import StandIn, stand_in
from tiny_models import ENDLESS, RIVER

from norcli.chat.context_use import ContextUse, ServerMeter
from norcli.chat.engines import UNKNOWN_CONTEXT, ContextFullError
from norcli.chat.options import ChatOptions
from norcli.chat.session import Session
from norcli.chat.start import open_session
from norcli.console import Console
from norcli.errors import DataError
from norcli.hosting.options import ServeOptions
from norcli.hosting.serve import ModelServer, plan_server

Open = Callable[[str], Session]


@pytest.fixture()
def session_with() -> Iterator[Open]:
    with ExitStack() as stack:

        def open_one(model: str) -> Session:
            options = ChatOptions(model=model, max_new_tokens=20)
            return stack.enter_context(open_session(options, Console.silent()))()

        yield open_one


@pytest.fixture(scope="module")
def own_server(gguf_model: Path) -> Iterator[str]:
    server_options = ServeOptions(model=str(gguf_model), port=0, context=256)
    server = ModelServer(server_options, plan_server(server_options, {}))
    yield server.address + "/v1"
    server.close()


def test_words_say_what_is_known() -> None:
    assert ContextUse(5).of(100) == "5 of 100 tokens"
    assert ContextUse(5, is_exact=False).of(100) == "about 5 of 100 tokens"
    assert ContextUse(5, is_exact=False).of(UNKNOWN_CONTEXT) == "about 5 tokens"


def test_meter_learns_how_long_a_token_is() -> None:
    meter, messages = ServerMeter(), [{"role": "user", "content": "x" * 30, "input": "y" * 30}]
    assert meter.use([]) == ContextUse(0)
    assert meter.use(messages) == ContextUse(20, is_exact=False)
    meter.learn(messages, 30)
    assert meter.use(messages) == ContextUse(30)
    assert meter.use([*messages, {"role": "user", "content": "z" * 20}]) == ContextUse(40, False)


def test_own_server_counts_what_the_file_counts(
    own_server: str, gguf_model: Path, session_with: Open
) -> None:
    here = session_with(str(gguf_model))
    there = session_with(own_server)
    for session in (here, there):
        assert session.context_use() == ContextUse(0)
        "".join(session.ask(RIVER))
        assert session.counts.is_exact
    assert there.messages == here.messages
    assert there.engine.context_tokens == 256
    assert there.engine.description.architecture == "tiny"
    assert there.counts.prompt_tokens == here.counts.prompt_tokens
    # Servers count the end token, too.
    assert there.counts.new_tokens == here.counts.new_tokens + 1
    told = there.context_use()
    assert told == ContextUse(there.counts.prompt_tokens + there.counts.new_tokens)
    there.undo()
    there.messages.append({"role": "user", "content": RIVER})
    assert not there.context_use().is_exact


def test_turns_that_a_server_has_no_room_for_are_left_out(
    own_server: str, session_with: Open
) -> None:
    session = session_with(own_server)
    dropped = []
    for _ in range(12):
        "".join(session.ask(ENDLESS))
        dropped.append(session.dropped_turns)
        assert session.context_use().tokens <= 256
    assert dropped[0] == 0 < dropped[-1] < 12
    assert dropped == sorted(dropped)
    assert len(session.messages) == 24
    with pytest.raises(ContextFullError, match="context size"):
        "".join(session.ask("elv " * 400))
    assert len(session.messages) == 24
    session.clear()
    "".join(session.ask(RIVER))
    assert session.dropped_turns == 0
    with pytest.raises(DataError):
        session.fit([])


def test_server_without_usage_is_estimated(session_with: Open) -> None:
    with stand_in() as url:
        session = session_with(url)
        assert "".join(session.ask("Hei")) == "Hm.Glomma."
    assert not session.counts.is_exact
    assert session.context_use() == ContextUse(round(len("HeiGlomma.") / 3), is_exact=False)
    assert session.counts.draft_tokens == 1


@pytest.mark.parametrize(
    ("usage", "exact"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 9}, True),
        ({"prompt_tokens": 7, "completion_tokens": 9,
          "completion_tokens_details": {"reasoning_tokens": 4}}, True),
        ({"prompt_tokens": 0, "completion_tokens": 0}, False),
        ({"prompt_tokens": "7", "completion_tokens": None}, False),
        ({"prompt_tokens": -7, "completion_tokens": 9}, False),
        ([7, 9], False),
    ],
)  # fmt: skip
def test_usage_is_taken_where_it_is_one(
    monkeypatch: pytest.MonkeyPatch, session_with: Open, usage: Any, exact: bool
) -> None:
    monkeypatch.setattr(StandIn, "usage", usage)
    with stand_in() as url:
        session = session_with(url)
        "".join(session.ask("Hei"))
    assert session.counts.is_exact == exact
    if exact:
        drafted = 4 if "completion_tokens_details" in usage else 1
        assert session.context_use() == ContextUse(16 - drafted)
    assert not session.context_use().is_exact or exact
