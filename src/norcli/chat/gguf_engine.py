"""Run a GGUF file with llama.cpp, inside this process, through xllamacpp.

Prompts go in as token ids, so that nothing a user types can become a control token. The ids come
from llama.cpp's own tokenizer, which the package offers over its loopback HTTP port only; that
port is closed to others by a random key. Answers come through a callback, on a thread of their
own, so that Ctrl-C is seen at once.
"""

from __future__ import annotations

import http.client
import json
import queue
import secrets
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from norcli.chat.engines import REPEAT_WINDOW, GenerationCounts, ModelDescription, Sampling
from norcli.chat.gguf_model import GgufTokens
from norcli.errors import DataError, NorcliError, missing_extra

# The same order as in huggingface_engine, so that both engines choose from the same tokens.
SAMPLERS = ["penalties", "top_k", "top_p", "min_p", "temperature"]
POLL_SECONDS = 0.05


class GgufVocabulary:
    """The tokenizer inside a GGUF file, as llama.cpp applies it."""

    def __init__(self, path: str, address: str, key: str) -> None:
        tokens = GgufTokens(path)
        self.bos_id = tokens.bos_id
        self.begins_with_bos = tokens.begins_with_bos
        self.eos_id = tokens.eos_id
        self.control_texts: Sequence[str] = tokens.control_texts
        self.spelling = tokens.spelling
        self._address = address.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def encode(self, text: str, control: bool = False) -> list[int]:
        """Return the ids of a text, without a begin token; see `Vocabulary`."""
        request = {"content": text, "add_special": False, "parse_special": control}
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request("POST", "/tokenize", json.dumps(request), self._headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise NorcliError(f"llama.cpp did not tokenize the prompt: {_message(answer)}")
        ids: list[int] = answer["tokens"]
        return ids


class GgufEngine:
    """A GGUF model in memory.

    Args:
        description: From `describe_gguf`, which has checked the file.
        context: Tokens of context.
        threads: Threads of llama.cpp.
        keeps_prompt: See `open_engine`.
        talkative: Whether llama.cpp may log on standard error.

    Raises:
        UnavailableError: xllamacpp is not installed.
        DataError: llama.cpp cannot run the file.
    """

    def __init__(
        self,
        description: ModelDescription,
        *,
        context: int,
        threads: int,
        keeps_prompt: bool = False,
        talkative: bool = False,
    ) -> None:
        try:
            import xllamacpp
        except ModuleNotFoundError as error:
            raise missing_extra("xllamacpp", "chat") from error
        self.description = description
        key = secrets.token_hex(16)
        params = _parameters(xllamacpp, description.path, context, threads, talkative)
        params.api_keys = [key]
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            raise DataError(
                f'llama.cpp cannot run this "{description.architecture}" model',
                path=description.path, hint="give -vv to see what it says",
            ) from error  # fmt: skip
        # A server that is let go before its loop has begun never ends (xllamacpp 2026.10); an
        # answered question shows that it has.
        self._server.handle_metrics()
        self.context_tokens = context
        self.vocabulary = GgufVocabulary(description.path, self._server.listening_address, key)
        self._keeps_prompt = keeps_prompt
        self._worker: threading.Thread | None = None
        self._cancelled = threading.Event()
        self.counts = GenerationCounts()

    def generate(
        self, ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        """Yield the answer's text as it comes; see `Engine`.

        Raises:
            NorcliError: llama.cpp refused the request.
        """
        self._end_worker()
        self._cancelled = threading.Event()
        self.counts = GenerationCounts(prompt_tokens=len(ids))
        chunks: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        request = _request(ids, sampling, self._keeps_prompt)
        self._worker = threading.Thread(
            target=self._complete, args=(request, chunks, self._cancelled)
        )
        started = time.perf_counter()
        self._worker.start()
        try:
            yield from self._read(chunks, started, stopped)
        finally:
            self.counts.seconds = time.perf_counter() - started
            self._cancelled.set()

    def _complete(
        self,
        request: dict[str, Any],
        chunks: queue.SimpleQueue[dict[str, Any] | None],
        cancelled: threading.Event,
    ) -> None:
        def on_chunk(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            return cancelled.is_set()

        try:
            self._server.handle_completions(request, on_chunk)
        except RuntimeError as error:
            chunks.put({"error": {"message": str(error)}})
        finally:
            chunks.put(None)

    def _read(
        self,
        chunks: queue.SimpleQueue[dict[str, Any] | None],
        started: float,
        stopped: Callable[[], bool],
    ) -> Generator[str]:
        while not stopped():
            try:
                chunk = chunks.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if chunk is None:
                return
            if "error" in chunk:
                raise NorcliError(f"llama.cpp: {_message(chunk)}")
            choice = chunk["choices"][0]
            if "usage" in chunk:
                self.counts.new_tokens = chunk["usage"]["completion_tokens"]
            if choice["finish_reason"] is not None:
                # No stop texts are given to llama.cpp: only the end token, counted by it, stops.
                self.counts.finished = choice["finish_reason"] == "stop"
                self.counts.new_tokens -= self.counts.finished
                continue
            if not self.counts.prompt_seconds:
                self.counts.prompt_seconds = time.perf_counter() - started
            self.counts.new_tokens += "usage" not in chunk
            if choice["text"]:
                yield choice["text"]

    def _end_worker(self) -> None:
        """Wait until llama.cpp has left the answer before; it looks up once a token."""
        if self._worker is not None:
            self._cancelled.set()
            self._worker.join()
            self._worker = None

    def close(self) -> None:
        """Let go of the model."""
        self._end_worker()
        self._server = None


def _parameters(xllamacpp: Any, path: str, context: int, threads: int, talkative: bool) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 1
    params.warmup = False
    params.ctx_shift = False
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = True
    params.verbosity = 4 if talkative else -1
    return params


def _request(ids: Sequence[int], sampling: Sampling, keeps_prompt: bool) -> dict[str, Any]:
    return {
        "prompt": list(ids),
        "stream": True,
        "max_tokens": sampling.max_new_tokens,
        "samplers": SAMPLERS,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": REPEAT_WINDOW,
        # The largest number means a random seed to llama.cpp.
        "seed": sampling.seed % 0xFFFFFFFF,
        "cache_prompt": keeps_prompt,
    }


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):
        return str(error.get("message", "unknown error"))
    return "unknown error"
