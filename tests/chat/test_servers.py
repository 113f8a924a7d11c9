"""Chat with servers: our own, and a stand-in that does everything wrong in turn."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tiny_models import RIVER, RIVER_ANSWER

from norcli.chat.engines import Sampling
from norcli.chat.opening import describe_model, open_engine
from norcli.chat.options import ChatOptions
from norcli.console import Console
from norcli.hosting.options import ServeOptions
from norcli.hosting.serve import ModelServer, plan_server

EVENTS = [{"choices": [{"delta": {"reasoning_content": "Hm."}}]},
          {"choices": [{"delta": {"content": "Glom"}}]},
          {"choices": [{"delta": {"content": "ma."}, "finish_reason": "stop"}]}]  # fmt: skip


def chat(*words: str, given: str = "", key: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "norcli", "chat", *words], input=given, capture_output=True,
        text=True, timeout=60, check=False, env={**os.environ, "NORCLI_API_KEY": key},
    )  # fmt: skip


class StandIn(http.server.BaseHTTPRequestHandler):
    """Answers as its fault says."""

    fault: ClassVar[str] = ""
    usage: ClassVar[Any] = None  # given in a last event, where it is anything

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.fault == "silent":
            time.sleep(3)
        if self.fault in ("401", "404", "500"):
            self.send_error(int(self.fault))
            return
        names = ["a", "b"] if self.fault == "two" else ["a"]
        body = "<html>" if self.fault == "html" else json.dumps(
            {"data": [{"id": name, "max_model_len": 77} for name in names]}
        )  # fmt: skip
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.fault == "400":
            self.send_response(400)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "too\\nlong"}}')
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in EVENTS[:2] if self.fault in ("broken", "error", "garbage") else EVENTS:
            self.wfile.write(f"data: {json.dumps(event)}\r\n\r\n: ping\n\n".encode())
        if self.usage is not None:
            last = {"choices": [], "usage": self.usage}
            self.wfile.write(f"data: {json.dumps(last)}\n\n".encode())
        if self.fault == "error":
            self.wfile.write(b'data: {"error": {"message": "out of memory"}}\n\n')
        elif self.fault == "garbage":
            self.wfile.write(b"data: {nonsense\n\n")
        elif self.fault != "broken":
            self.wfile.write(b"data: [DONE]\n\n")


@contextmanager
def stand_in(fault: str = "", kind: type[StandIn] = StandIn) -> Iterator[str]:
    handler = type("Handler", (kind,), {"fault": fault})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def own_server(gguf_model: Path) -> Iterator[str]:
    options = ServeOptions(model=str(gguf_model), port=0, context=512)
    server = ModelServer(options, plan_server(options, {"NORCLI_API_KEY": "hemmelig"}))
    yield server.address + "/v1"
    server.close()


def test_own_server_answers_as_the_file_does(own_server: str) -> None:
    result = chat(own_server, "--prompt", RIVER, key="hemmelig")
    assert (result.stdout, result.stderr) == (RIVER_ANSWER + "\n", "")
    raw = chat(own_server, "--mode", "completion", "--prompt", f"{RIVER}\n\nSvar:", key="hemmelig")
    assert raw.stdout == RIVER_ANSWER + "\n"


def test_key_comes_from_a_file_or_the_environment(own_server: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hemmelig\n")
    assert chat(own_server, "--prompt", RIVER, "--api-key-file", str(file)).returncode == 0
    refused = chat(own_server, "--prompt", RIVER, key="feil")
    assert refused.returncode == 69
    told, hint = refused.stderr.splitlines()
    assert told == f"norcli chat: {own_server}: the server does not accept the key (401)"
    assert hint == "hint: set NORCLI_API_KEY, or give --api-key-file FILE"
    assert "feil" not in refused.stderr
    file.write_text("\n")
    assert chat(own_server, "--prompt", RIVER, "--api-key-file", str(file)).returncode == 65


def test_records_go_to_a_server_several_at_once(own_server: str) -> None:
    given = "".join(json.dumps({"prompt": RIVER, "n": n}) + "\n" for n in range(5))
    result = chat(own_server, "--jsonl", "--batch-size", "3", given=given, key="hemmelig")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers == [{"prompt": RIVER, "n": n, "completion": RIVER_ANSWER} for n in range(5)]


def test_draft_of_a_server_is_kept_apart() -> None:
    with stand_in() as url:
        assert chat(url, "--prompt", "Hei").stdout == "Glomma.\n"
        record = chat(url, "--jsonl", given='{"prompt": "Hei"}\n').stdout
    assert json.loads(record) == {"prompt": "Hei", "thinking": "Hm.", "completion": "Glomma."}


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("401", 69, "does not accept the key (401)"),
        ("404", 66, "does not know this address or model (404)"),
        ("500", 69, "the server cannot answer (500)"),
        ("400", 65, "the server refuses the request (400): too long"),
        ("html", 69, "does not answer like an OpenAI-compatible server"),
        ("two", 2, "has 2 models\nhint: give --model-name, one of: a, b"),
        ("broken", 74, "the server broke off in the middle of its answer"),
        ("garbage", 74, "the server broke off in the middle of its answer"),
        ("error", 69, "the server says: out of memory"),
        ("silent", 69, "the server says nothing for 0.5 s"),
    ],
)
def test_fault_of_a_server_is_told_in_one_line(fault: str, code: int, message: str) -> None:
    with stand_in(fault) as url:
        result = chat(url, "--prompt", "Hei", "--timeout", "0.5" if fault == "silent" else "20")
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") <= 2


def test_server_that_is_not_there_is_told_in_one_line() -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = chat(f"http://127.0.0.1:{port}/v1", "--prompt", "Hei")
    assert result.returncode == 69
    assert "no server answers there\nhint: is it running, and on this port?\n" in result.stderr


def test_unknown_model_name_is_told_with_those_there_are() -> None:
    with stand_in("two") as url:
        assert chat(url, "--prompt", "Hei", "--model-name", "b").stdout == "Glomma.\n"
        result = chat(url, "--prompt", "Hei", "--model-name", "c")
    assert (result.returncode, result.stderr.partition("\n")[2]) == (66, "hint: it has: a, b\n")


class Waiting(StandIn):
    """Says a word, then nothing more until nobody listens."""

    left: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.fault != "mute":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"data: {json.dumps(EVENTS[1])}\n\n".encode())
        self.connection.settimeout(60)
        assert self.connection.recv(1) == b""
        self.left.set()


@pytest.mark.parametrize("fault", ["", "mute"])
def test_stopping_hangs_up_at_once(fault: str) -> None:
    Waiting.left.clear()
    with stand_in(fault, Waiting) as url:
        engine = open_engine(describe_model(url), ChatOptions(model=url), Console.silent())
        waited: list[int] = []
        pieces = engine.generate(
            [{"role": "user", "content": "Hei"}], Sampling(),
            lambda: (bool(fault) and len(waited) == 3) or waited.append(1),
        )  # fmt: skip
        if not fault:
            assert next(pieces) == "Glom"
            pieces.close()
        assert list(pieces) == []
        assert Waiting.left.wait(30)
