"""Servers that send what no server should: one line, the right exit status, a clean terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from test_servers import StandIn, stand_in

from norcli.chat.options import ChatOptions
from norcli.chat.sanitize import SIGNS
from norcli.chat.session import Session
from norcli.chat.start import open_session
from norcli.console import Console
from norcli.errors import IOFailureError, NorcliError, UnavailableError

DONE = b"data: [DONE]\n\n"


class Saying(StandIn):
    """Sends given bytes."""

    models: ClassVar[bytes] = b'{"data": [{"id": "m"}]}'
    status: ClassVar[tuple[int, str]] = (200, "OK")
    body: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.models)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(*self.status)
        self.end_headers()
        self.wfile.write(self.body)


def saying(*contents: Any) -> bytes:
    events = [{"choices": [{"delta": {"content": content}}]} for content in contents]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


@pytest.fixture()
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(Saying, "body", saying("Ja.") + DONE)
    with stand_in(kind=Saying) as url:
        options = ChatOptions(model=url, max_new_tokens=4)
        with open_session(options, Console.silent()) as new_session:
            yield new_session()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'data: {"choices":[{"delta":{"content":"a\xff\xfeb"}}]}\n\n' + DONE, "a\ufffd\ufffdb"),
        (saying("a\ud800b") + DONE, "a\ufffdb"),
        (saying("a\0b") + DONE, "a\0b"),
        (b": ping\r\nevent: x\r\ndata:" + saying("Ja.")[5:] + b"\r\nid: 5\n" + DONE, "Ja."),
        (b'data: {"choices": 5}\n\ndata: {"choices": [5]}\n\n' + saying(5, "Ja.") + DONE, "Ja."),
        (b'data: {"choices": [{"delta": [1], "text": {}}], "usage": 3}\n' + DONE, ""),
        (DONE, ""),
    ],
)
def test_odd_answer_is_taken(
    session: Session, monkeypatch: pytest.MonkeyPatch, body: bytes, text: str
) -> None:
    monkeypatch.setattr(Saying, "body", body)
    assert "".join(session.ask("Hei")) == text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"data: {\n\n", b"data: 5\n\n", b"data: " + b"[" * 200_000 + b"\n\n",
        b"data: " + b"x" * (17 << 20), saying("ord " * 200) + DONE, saying(*["ord "] * 100),
    ],
    ids=["nothing", "half", "number", "deep", "huge", "long", "endless"],
)  # fmt: skip
def test_broken_answer_ends_in_one_line(
    session: Session, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(Saying, "body", body)
    with pytest.raises(IOFailureError) as raised:
        "".join(session.ask("Hei"))
    assert len(str(raised.value)) < 150
    monkeypatch.setattr(Saying, "body", saying("Ja.") + DONE)
    assert "".join(session.ask("Igjen")) == "Ja."


def test_answer_that_breaks_off_is_kept_and_one_that_never_began_is_not(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saying, "body", b"")
    with pytest.raises(IOFailureError):
        "".join(session.ask("En"))
    assert session.messages == []
    monkeypatch.setattr(Saying, "body", saying("Glomma", " er"))
    with pytest.raises(IOFailureError):
        "".join(session.ask("To"))
    assert [m["content"] for m in session.messages] == ["To", "Glomma er"]
    monkeypatch.setattr(Saying, "body", saying("Ja.") + DONE)
    assert "".join(session.regenerate()) == "Ja."
    assert [m["content"] for m in session.messages] == ["To", "Ja."]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ((500, "b\x1b[31md"), b""),
        ((503, "no"), b'{"error": {"message": "\\u001b]0;tittel\\u0007' + b"x" * 900 + b'"}}'),
        ((400, "no"), b'{"error": "\\u202e\\u009b2J"}'),
        ((418, "no"), b'{"detail": ' + b"[" * 100_000),
    ],
)
def test_refusal_does_nothing_to_the_terminal(
    session: Session, monkeypatch: pytest.MonkeyPatch, status: tuple[int, str], body: bytes
) -> None:
    monkeypatch.setattr(Saying, "status", status)
    monkeypatch.setattr(Saying, "body", body)
    with pytest.raises(NorcliError) as raised:
        "".join(session.ask("Hei"))
    told = str(raised.value)
    assert str(status[0]) in told
    assert not set(map(ord, told)) & set(SIGNS)
    assert len(told) < 350


@pytest.mark.parametrize(
    "models", [b"", b"{}", b"[]", b'{"data": [5]}', b'{"data": ' + b"[" * 200_000, b"\xff" * 90]
)
def test_list_of_models_that_is_none(monkeypatch: pytest.MonkeyPatch, models: bytes) -> None:
    monkeypatch.setattr(Saying, "models", models)
    with stand_in(kind=Saying) as url, pytest.raises(UnavailableError, match="does not answer"):
        session_of(url)


def test_names_of_models_are_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Saying, "models", b'{"data": [{"id": "\\u001b[2J"}, {"id": "b"}]}')
    with stand_in(kind=Saying) as url, pytest.raises(NorcliError) as raised:
        session_of(url)
    assert raised.value.hint == "give --model-name, one of: ␛[2J, b"


def session_of(url: str) -> None:
    with open_session(ChatOptions(model=url), Console.silent()):
        raise AssertionError("the model was taken")
