"""Ask a server that speaks OpenAI's HTTP interface: norcli serve, vLLM, Ollama, llama.cpp.

The server has the tokenizer and the words around a conversation: messages go to
``/chat/completions``, plain text to ``/completions``, and the answer streams back as server-sent
events. A draft that the server tells apart (``reasoning_content``) stays apart. Standard library
only; nothing is asked but the address that the user gave.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from norcli.chat.background import Producer, answer_together
from norcli.chat.engines import (
    UNKNOWN_CONTEXT,
    ContextFullError,
    GenerationCounts,
    ModelDescription,
    Sampling,
)
from norcli.chat.sanitize import SURROGATES, clean
from norcli.chat.thinking import Thought
from norcli.errors import (
    DataError,
    InputMissingError,
    IOFailureError,
    NorcliError,
    UnavailableError,
    UsageError,
)

LONGEST_EVENT_BYTES = 1 << 24
# An answer of more characters than this for each token asked for is cut off.
CHARACTERS_PER_TOKEN = 64
KEY_HINT = "set NORCLI_API_KEY, or give --api-key-file FILE"


def describe_server(url: str) -> ModelDescription:
    """Describe a server by its URL alone; nothing is asked yet.

    Raises:
        UsageError: It is no URL of a server.
    """
    parts = urlsplit(url)
    try:
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole or parts.query or parts.fragment:
        raise UsageError(f"{url}: not the URL of a server",
                         hint="write it as http://127.0.0.1:8080/v1")  # fmt: skip
    if parts.username is not None or parts.password is not None:
        raise UsageError("a URL with a password in it is not taken", hint=KEY_HINT)
    return ModelDescription(
        path=url.rstrip("/"), engine="url", architecture="server",
        context_tokens=UNKNOWN_CONTEXT, template="server", chat_template=None,
    )  # fmt: skip


class ServerVocabulary:
    """Stands where other engines have a tokenizer: text goes to the server as it is."""

    bos_id: int | None = None
    begins_with_bos = False
    eos_id: int | None = None
    control_texts: Sequence[str] = ()
    think_ids: tuple[int, int] | None = None

    def encode(self, text: str, control: bool = False) -> list[Any]:
        """Return the text, as one part of a prompt for ``/completions``."""
        return [text]

    def spelling(self, token_id: int) -> str:
        """Refuse: only the server knows.

        Raises:
            UsageError: Always.
        """
        raise UsageError("only the server knows its tokens")


class UrlEngine:
    """A model behind a URL.

    Args:
        description: From `describe_server`.
        model_name: What the server calls the model; None asks it, and takes the only one.
        key: Shown to the server; None shows none.
        timeout: Seconds without a byte after which the server counts as gone.
        context: Tokens of context, where the user knows them.

    Raises:
        UnavailableError: The server is not there, or does not accept the key.
        InputMissingError: It has no such model.
    """

    def __init__(
        self, description: ModelDescription, *, model_name: str | None = None,
        key: str | None = None, timeout: float = 120.0, context: int | None = None,
    ) -> None:  # fmt: skip
        self.description = description
        self.vocabulary = ServerVocabulary()
        self.counts = GenerationCounts()
        self._url = urlsplit(description.path)
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        model = self._find_model(model_name)
        self._model = str(model["id"])
        self.description = dataclasses.replace(description, architecture=_shown(self._model))
        self.context_tokens = context or _context_of(model)

    def generate(
        self, ids: Sequence[Any], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        """Yield the answer's text as it comes; see `Engine`.

        Raises:
            NorcliError: The server refuses, or breaks off.
        """
        self.counts = GenerationCounts(is_exact=False)
        return self._stream(ids, sampling, stopped, self.counts)

    def generate_together(
        self,
        requests: Sequence[tuple[Sequence[Any], Sampling]],
        on_text: Callable[[int, str], bool],
    ) -> list[GenerationCounts]:
        """Answer several prompts at once; see `Engine`."""
        return answer_together(self._stream, requests, on_text)

    def set_adapter(self, path: str | None) -> None:
        """Refuse: the server decides what it runs.

        Raises:
            UsageError: Always.
        """
        raise UsageError("a server's adapter cannot be changed from here",
                         hint="norcli serve MODEL --adapter FILE")  # fmt: skip

    def close(self) -> None:
        """Nothing is held between answers."""

    def _stream(
        self, ids: Sequence[Any], sampling: Sampling, stopped: Callable[[], bool],
        counts: GenerationCounts,
    ) -> Generator[str]:  # fmt: skip
        started = time.perf_counter()
        counts.is_exact = False
        path, request = _request(self._model, ids, sampling)
        line, is_cut = _Line(), False
        room = CHARACTERS_PER_TOKEN * sampling.max_new_tokens
        producer = Producer(lambda put, cancelled: self._ask(path, request, put, line))
        try:
            for event in producer.read(stopped):
                for choice in _objects(event.get("choices")):
                    is_cut |= choice.get("finish_reason") == "length"
                    for piece in _pieces(choice):
                        if not counts.prompt_seconds:
                            counts.prompt_seconds = time.perf_counter() - started
                        # Until the server says how many: most send a token at a time.
                        counts.new_tokens += 1
                        counts.draft_tokens += isinstance(piece, Thought)
                        room -= len(piece)
                        yield piece
                if room < 0:
                    raise _broken(self.description.path, "does not stop where it was asked to")
                _take_usage(event.get("usage"), counts)
            counts.finished = not is_cut and not stopped()
        finally:
            # A server that nobody listens to any more shall stop, and not wait for its next word.
            line.hang_up()
            counts.seconds = time.perf_counter() - started

    def _ask(
        self, path: str, request: dict[str, Any], put: Callable[[Any], None], line: _Line
    ) -> None:
        with self._open("POST", path, request, line) as response:
            for event in _events(self.description.path, response):
                put(event)

    def _open(
        self, method: str, path: str, request: dict[str, Any] | None = None,
        line: _Line | None = None,
    ) -> _Answer:  # fmt: skip
        host, port = self._url.hostname or "", self._url.port
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=self._timeout)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        body = None if request is None else json.dumps(request).encode()
        try:
            connection.connect()
            if line is not None:
                line.connected(connection.sock)
            connection.request(method, self._url.path.rstrip("/") + path, body, self._headers)
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise _refusal(self.description.path, response, self._timeout)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(self.description.path, error, self._timeout) from error
        except NorcliError:
            connection.close()
            raise
        return _Answer(connection, response, self.description.path, self._timeout)

    def _find_model(self, wanted: str | None) -> dict[str, Any]:
        with self._open("GET", "/models") as response:
            try:
                listed = json.loads(response.read(LONGEST_EVENT_BYTES))["data"]
                models = {str(model["id"]): dict(model) for model in listed}
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise UnavailableError(
                    "does not answer like an OpenAI-compatible server", path=self.description.path,
                    hint="the URL usually ends in /v1",
                ) from error  # fmt: skip
        if wanted is None and len(models) == 1:
            return next(iter(models.values()))
        known = _shown(", ".join(list(models)[:8])) or "none"
        if wanted is None:
            raise UsageError(f"{self.description.path} has {len(models)} models",
                             hint=f"give --model-name, one of: {known}")  # fmt: skip
        if wanted not in models:
            raise InputMissingError(f'has no model "{wanted}"', path=self.description.path,
                                    hint=f"it has: {known}")  # fmt: skip
        return models[wanted]


class _Line:
    """The connection of one answer, which another thread may cut at any moment."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._lock = threading.Lock()

    def connected(self, opened: socket.socket) -> None:
        """Take the connection once there is one."""
        with self._lock:
            self._socket = opened
            if self._is_cut:
                _cut(opened)

    def hang_up(self) -> None:
        """Cut it; who waits for the server is told at once."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                _cut(self._socket)


def _cut(opened: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        opened.shutdown(socket.SHUT_RDWR)


class _Answer:
    """A response while it is read; errors on the way become the user's."""

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse,
        url: str, timeout: float,
    ) -> None:  # fmt: skip
        self._connection, self._response = connection, response
        self._url, self._timeout = url, timeout

    def __enter__(self) -> http.client.HTTPResponse:
        return self._response

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._connection.close()
        if isinstance(error, TimeoutError):
            raise _unreachable(self._url, error, self._timeout) from error
        if isinstance(error, (OSError, http.client.HTTPException)):
            raise _broken(self._url) from error


def _request(model: str, ids: Sequence[Any], sampling: Sampling) -> tuple[str, dict[str, Any]]:
    settings = {
        "model": model, "stream": True, "stream_options": {"include_usage": True},
        "max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature,
        "top_p": sampling.top_p, "seed": sampling.seed,
        # Not OpenAI's, but known to the servers of open models.
        "top_k": sampling.top_k, "min_p": sampling.min_p,
    }  # fmt: skip
    if sampling.repeat_penalty != 1.0:
        settings["repeat_penalty"] = settings["repetition_penalty"] = sampling.repeat_penalty
    if all(isinstance(part, str) for part in ids):
        return "/completions", {"prompt": "".join(ids), **settings}
    messages = [
        {"role": m["role"],
         "content": f"{m['content']}\n\n{m['input']}" if m.get("input") else m["content"]}
        for m in ids
    ]  # fmt: skip
    return "/chat/completions", {"messages": messages, **settings}


def _events(url: str, response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the JSON of server-sent events until the stream's own end.

    Raises:
        IOFailureError: The stream ends before it says so, or holds something else.
    """
    while True:
        line = response.readline(LONGEST_EVENT_BYTES)
        if not line:
            raise _broken(url)
        field, _, value = line.strip().partition(b":")
        if field != b"data":
            continue
        if value.strip() == b"[DONE]":
            return
        try:
            event = json.loads(value.decode("utf-8", errors="replace"))
        except (ValueError, RecursionError) as error:
            raise _broken(url) from error
        if not isinstance(event, dict):
            raise _broken(url)
        if "error" in event:
            raise UnavailableError(f"the server says: {_message(event)}", path=url)
        yield event


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _take_usage(usage: Any, counts: GenerationCounts) -> None:
    """Take a server's own count of tokens in place of ours; most give it once, at the end."""
    if not isinstance(usage, dict):
        return
    told = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(number, int) and number >= 0 for number in told) or not told[0]:
        return
    counts.prompt_tokens, counts.new_tokens = (int(number or 0) for number in told)
    details = usage.get("completion_tokens_details")
    drafted = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if isinstance(drafted, int):
        counts.draft_tokens = drafted
    counts.draft_tokens = min(counts.draft_tokens, counts.new_tokens)
    counts.is_exact = True


def _pieces(choice: dict[str, Any]) -> Iterator[str]:
    delta = choice.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    thought = delta.get("reasoning_content") or delta.get("reasoning")
    if isinstance(thought, str) and thought:
        yield Thought(thought.translate(SURROGATES))
    text = delta.get("content") or choice.get("text")
    if isinstance(text, str) and text:
        yield text.translate(SURROGATES)


def _context_of(model: dict[str, Any]) -> int:
    """Return the context that a server tells: vLLM in the model itself, llama.cpp in ``meta``."""
    meta = model.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    for value in (model.get("max_model_len"), meta.get("n_ctx"), meta.get("n_ctx_train")):
        if isinstance(value, int) and value > 0:
            return value
    return UNKNOWN_CONTEXT


def _refusal(url: str, response: http.client.HTTPResponse, timeout: float) -> NorcliError:
    status = response.status
    answer: Any = None
    try:
        answer = json.loads(response.read(1 << 16))
        said = _message(answer)
    except (ValueError, RecursionError, OSError, http.client.HTTPException):
        said = _shown(response.reason)
    if status in (401, 403):
        return UnavailableError(f"the server does not accept the key ({status})", path=url,
                                hint=KEY_HINT)  # fmt: skip
    if status == 404:
        return InputMissingError(f"the server does not know this address or model (404): {said}",
                                 path=url, hint="the URL usually ends in /v1")  # fmt: skip
    if status in (400, 413, 422):
        kind = ContextFullError if _is_full(answer) else DataError
        return kind(f"the server refuses the request ({status}): {said}", path=url)
    return UnavailableError(f"the server cannot answer ({status}): {said}", path=url)


def _unreachable(url: str, error: Exception, timeout: float) -> NorcliError:
    if isinstance(error, TimeoutError):
        return UnavailableError(f"the server says nothing for {timeout:g} s", path=url,
                                hint="give --timeout SECONDS to wait longer")  # fmt: skip
    if isinstance(error, ConnectionRefusedError):
        return UnavailableError("no server answers there", path=url,
                                hint="is it running, and on this port?")  # fmt: skip
    if isinstance(error, ssl.SSLError):
        return UnavailableError(f"no secure connection: {error.reason}", path=url)
    if isinstance(error, (http.client.HTTPException, ConnectionError)):
        return _broken(url)
    reason = getattr(error, "strerror", None) or "no connection"
    return UnavailableError(f"cannot be reached: {str(reason).lower()}", path=url)


def _broken(url: str, how: str = "broke off in the middle of its answer") -> NorcliError:
    return IOFailureError(f"the server {how}", path=url)


def _is_full(answer: Any) -> bool:
    """Whether a refusal is about the context: llama.cpp says so by type, others by code or word."""
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return False
    if error.get("type") == "exceed_context_size_error":
        return True
    return (error.get("code") == "context_length_exceeded"
            or "context length" in str(error.get("message")))  # fmt: skip


def _message(answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return _shown(str(error or "no reason given"))


def _shown(text: str) -> str:
    """Return what a server says so that it fits in a line and does nothing to a terminal."""
    return clean(" ".join(text.split())[:200])
