"""The server as programs meet it: OpenAI's own client, streams, keys, refusals, a clean end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from norcli.cli.main import main
from norcli.errors import CannotCreateError, UsageError
from norcli.hosting.options import ServeOptions
from norcli.hosting.serve import plan_server
from norcli.training.templates import render_messages

openai = pytest.importorskip("openai")
pytest.importorskip("xllamacpp")

KEY = "hemmelig-123"
LONG_CONTEXT = 60_000


@contextmanager
def running(served: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own."""
    environment = os.environ | {"NORCLI_API_KEY": KEY}
    process = subprocess.Popen(
        [sys.executable, "-m", "norcli", "serve", str(served), "--port", "0", *words],
        stderr=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"norgpt-liten at (http://127\.0\.0\.1:\d+)/v1, with a key", line)
        assert found, line
        yield found[1], process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.fixture(scope="module")
def address(served: Path) -> Iterator[str]:
    with running(served, "--parallel", "2") as (address, _):
        yield address


@pytest.fixture(scope="module")
def long_address(long_served: Path) -> Iterator[str]:
    """One slot and room for an answer that takes long."""
    with running(long_served, "--context", str(LONG_CONTEXT)) as (address, _):
        yield address


@pytest.fixture()
def client(address: str) -> Any:
    return openai.OpenAI(base_url=address + "/v1", api_key=KEY, max_retries=0)


def ask(client: Any, **settings: Any) -> Any:
    messages = [{"role": "user", "content": "Hva er Norges lengste elv?"}]
    usual = {"model": "norgpt-liten", "messages": messages, "max_tokens": 8, "temperature": 0}
    return client.chat.completions.create(**(usual | settings))


def test_the_client_lists_the_model(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["norgpt-liten"]


def test_a_chat_is_the_completion_of_its_rendered_text(client: Any) -> None:
    answer = ask(client)
    messages = [{"role": "user", "content": "Hva er Norges lengste elv?"}]
    text = render_messages("norwai", messages)
    plain = client.completions.create(
        model="norgpt-liten", prompt=text, max_tokens=8, temperature=0
    )
    assert answer.choices[0].message.content == plain.choices[0].text
    assert answer.usage.completion_tokens == 8
    assert answer.choices[0].finish_reason == "length"


def test_a_stream_gives_the_same_answer_in_pieces(client: Any) -> None:
    pieces = [
        chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True) if chunk.choices
    ]
    assert len([piece for piece in pieces if piece]) > 2
    assert "".join(pieces) == ask(client).choices[0].message.content


def test_an_answer_ends_before_a_stop_text(client: Any) -> None:
    whole = ask(client).choices[0].message.content
    stop = whole[4:6]
    stopped = ask(client, stop=[stop]).choices[0]
    assert stopped.message.content == whole[: whole.index(stop)]
    assert stopped.finish_reason == "stop"


def test_a_seed_repeats_an_answer(client: Any) -> None:
    first, second, other = (
        ask(client, temperature=1.5, seed=seed).choices[0].message.content for seed in (7, 7, 8)
    )
    assert first == second != other


def test_several_ask_at_once(client: Any) -> None:
    answers: list[str] = []

    def work() -> None:
        answers.append(ask(client).choices[0].message.content)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 5
    assert len(set(answers)) == 1


def test_a_wrong_key_is_refused(address: str) -> None:
    other = openai.OpenAI(base_url=address + "/v1", api_key="feil", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        ask(other)
    with pytest.raises(openai.AuthenticationError):
        other.models.list()


def test_a_prompt_beyond_the_context_is_refused(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="context"):
        ask(client, messages=[{"role": "user", "content": "elv " * 400}])


def post(address: str, path: str, body: bytes | None) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(
        address + path, body, {"Authorization": f"Bearer {KEY}", "Origin": "http://ond.example",
                               "Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def test_broken_requests_get_a_status_and_the_server_lives(address: str) -> None:
    assert post(address, "/v1/chat/completions", b"{broken")[0] == 400
    assert post(address, "/v1/chat/completions", b'{"messages": 5}')[0] == 400
    assert post(address, "/nothing", None)[0] == 404
    status, body, headers = post(address, "/health", None)
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert not headers.get("Access-Control-Allow-Origin")


def test_nothing_shows_or_changes_what_others_ask(address: str) -> None:
    assert post(address, "/slots", None)[0] == 501
    assert post(address, "/props", b'{"a": 1}')[0] in (404, 501)
    assert post(address, "/", None)[0] == 404


ENDLESS = {"messages": [{"role": "user", "content": "Tell."}], "max_tokens": 100_000,
           "ignore_eos": True, "stream": True}  # fmt: skip


def open_stream(address: str, key: str) -> socket.socket:
    """Begin an answer that would not end by itself before the test does."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    body = json.dumps(ENDLESS).encode()
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}"
            f"\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
    connection.sendall(head.encode() + body)
    seen = b""
    while seen.count(b"data: ") < 3:
        seen += connection.recv(4096)
    assert seen.startswith(b"HTTP/1.1 200")
    return connection


def tokens_made(address: str, key: str) -> int:
    told = post(address, "/metrics", None)[1].decode()
    found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", told, re.MULTILINE)
    assert found, told
    return int(found[1])


def test_client_that_leaves_frees_the_model(long_address: str) -> None:
    open_stream(long_address, KEY).close()
    other = openai.OpenAI(base_url=long_address + "/v1", api_key=KEY, max_retries=0)
    before = tokens_made(long_address, KEY)
    # There is one slot: this answer comes only when the one before has been given up.
    assert ask(other).choices[0].message.content
    assert tokens_made(long_address, KEY) - before < LONG_CONTEXT // 2


def test_sigterm_cuts_answers_off_and_ends_well(long_served: Path) -> None:
    with running(long_served, "--context", str(LONG_CONTEXT)) as (address, process):
        with open_stream(address, KEY) as connection:
            connection.settimeout(20)  # llama.cpp by itself would wait for 30 s
            process.send_signal(signal.SIGTERM)
            while connection.recv(1 << 16):
                pass
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n": 9}, "'n'"), ({"max_tokens": -5}, "max_tokens"), ({"max_tokens": "x"}, "max_tokens"),
     ({"messages": [{"role": "user"}]}, "content")],
)  # fmt: skip
def test_bad_settings_are_named(address: str, settings: dict[str, Any], message: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hei"}], "max_tokens": 2} | settings
    status, said, _ = post(address, "/v1/chat/completions", json.dumps(body).encode())
    assert status == 400
    assert message in json.loads(said)["error"]["message"]


def test_unknown_fields_are_ignored_and_probabilities_told(client: Any) -> None:
    answer = ask(client, logprobs=True, top_logprobs=2, max_tokens=3, extra_body={"ukjent": [1]})
    told = answer.choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in told] == [2, 2, 2]
    assert "".join(token.token for token in told) == answer.choices[0].message.content
    assert all(token.logprob <= 0 for token in told)


def test_body_without_end_is_refused(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(60)
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer "
                f"{KEY}\r\nTransfer-Encoding: chunked\r\n\r\n")  # fmt: skip
        connection.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with pytest.raises(OSError):
            for _ in range(400):
                connection.sendall(chunk)
    assert post(address, "/health", None)[0] == 200


def test_other_machines_need_a_key(served: Path, tmp_path: Path) -> None:
    options = ServeOptions(model=str(served), host="0.0.0.0", port=0)
    with pytest.raises(UsageError, match="no key"):
        plan_server(options, {})
    assert plan_server(options, {"NORCLI_API_KEY": "x"}).keys == ["x"]
    keys = tmp_path / "keys.txt"
    keys.write_text("en\n\nto \n")
    options.api_key_file = str(keys)
    assert plan_server(options, {}).keys == ["en", "to"]
    options.api_key_file, options.no_key = None, True
    assert plan_server(options, {}).keys == []


def test_a_taken_port_is_named(served: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotCreateError, match=f"port {port} on 127.0.0.1 is taken"):
            plan_server(ServeOptions(model=str(served), port=port), {})


@pytest.mark.parametrize(
    ("words", "code"),
    [(["none.gguf"], 66), (["."], 65), (["{gguf}", "--host", "nowhere.invalid"], 2),
     (["{gguf}", "--api-key-file", "none"], 66), (["{gguf}", "--adapter", "{gguf}"], 65),
     (["{gguf}", "--context", "100000"], 2), (["{gguf}", "-n"], 0)],
)  # fmt: skip
def test_refusals(served: Path, words: list[str], code: int) -> None:
    assert main(["serve", "-q", *(word.replace("{gguf}", str(served)) for word in words)]) == code
