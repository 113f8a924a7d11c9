"""Run a GGUF file with llama.cpp, inside this process, through xllamacpp.

Prompts go in as token ids, so that nothing a user types can become a control token. The ids come
from llama.cpp's own tokenizer, which the package offers over its loopback HTTP port only; that
port is closed to others by a random key. Answers come through a callback, on a thread of their
own, so that Ctrl-C is seen at once.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from norcli.chat.background import Producer, answer_together
from norcli.chat.engines import REPEAT_WINDOW, GenerationCounts, ModelDescription, Sampling
from norcli.chat.gguf_model import GgufTokens, check_adapter
from norcli.chat.thinking import ThoughtTracker
from norcli.errors import DataError, NorcliError, missing_extra

# The same order as in huggingface_engine, so that both engines choose from the same tokens.
SAMPLERS = ["penalties", "top_k", "top_p", "min_p", "temperature"]


class GgufVocabulary:
    """The tokenizer inside a GGUF file, as llama.cpp applies it."""

    def __init__(self, path: str, address: str, key: str) -> None:
        tokens = GgufTokens(path)
        self.bos_id = tokens.bos_id
        self.begins_with_bos = tokens.begins_with_bos
        self.eos_id = tokens.eos_id
        self.control_texts: Sequence[str] = tokens.control_texts
        self.think_ids = tokens.think_ids
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
        adapter: A GGUF LoRA adapter.
        parallel: Answers at a time, each with the whole context.
        keeps_prompt: See `open_engine`.
        talkative: Whether llama.cpp may log on standard error.

    Raises:
        UnavailableError: xllamacpp is not installed.
        DataError: llama.cpp cannot run the file, or not with the adapter.
    """

    def __init__(
        self,
        description: ModelDescription,
        *,
        context: int,
        threads: int,
        adapter: str | None = None,
        parallel: int = 1,
        keeps_prompt: bool = False,
        talkative: bool = False,
    ) -> None:
        try:
            import xllamacpp
        except ModuleNotFoundError as error:
            raise missing_extra("xllamacpp", "chat") from error
        self._library: Any = xllamacpp
        self.description = description
        self.context_tokens = context
        self._threads, self._parallel, self._talkative = threads, parallel, talkative
        self._keeps_prompt = keeps_prompt
        self._producers: list[Producer] = []
        self.counts = GenerationCounts()
        self._server: Any = None
        self._start(adapter)

    def _start(self, adapter: str | None) -> None:
        if adapter is not None:
            check_adapter(adapter)
        key = secrets.token_hex(16)
        params = self._parameters(adapter)
        params.api_keys = [key]
        try:
            server: Any = self._library.Server(params)
        except RuntimeError as error:
            what = f'llama.cpp cannot run this "{self.description.architecture}" model'
            raise DataError(
                what if adapter is None else f"{what} with the adapter {adapter}",
                path=self.description.path, hint="give -vv to see what it says",
            ) from error  # fmt: skip
        # A server that is let go before its loop has begun never ends (xllamacpp 2026.10); an
        # answered question shows that it has.
        server.handle_metrics()
        self._server = server
        self.vocabulary = GgufVocabulary(self.description.path, server.listening_address, key)

    def set_adapter(self, path: str | None) -> None:
        """Load the model again, with the adapter; see `Engine`."""
        self._end_producers()
        # The old server stays until the new one is there, so that a bad adapter changes nothing;
        # both map the same file.
        self._start(path)

    def generate(
        self, ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        """Yield the answer's text as it comes; see `Engine`.

        Raises:
            NorcliError: llama.cpp refused the request.
        """
        self._end_producers()
        self.counts = GenerationCounts()
        return self._stream(ids, sampling, stopped, self.counts)

    def generate_together(
        self,
        requests: Sequence[tuple[Sequence[int], Sampling]],
        on_text: Callable[[int, str], bool],
    ) -> list[GenerationCounts]:
        """Answer several prompts at once; see `Engine`."""
        self._end_producers()
        return answer_together(self._stream, requests, on_text)

    def _stream(
        self, ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool],
        counts: GenerationCounts,
    ) -> Generator[str]:  # fmt: skip
        started = time.perf_counter()
        thoughts = ThoughtTracker(self.vocabulary.think_ids, sampling.think_tokens)
        known = list(ids)
        counts.prompt_tokens = len(ids)
        try:
            while counts.new_tokens < sampling.most_tokens and not counts.finished:
                left = sampling.most_tokens - counts.new_tokens
                limits = dataclasses.replace(sampling, max_new_tokens=left)
                for piece in self._pieces(known, limits, thoughts, counts, stopped):
                    if not counts.prompt_seconds:
                        counts.prompt_seconds = time.perf_counter() - started
                    if piece:
                        yield piece
                forced = thoughts.forced_id
                if forced is None or counts.finished or stopped():
                    return
                # The draft is too long: its end is put behind it, and the answer goes on.
                known.append(forced)
                thoughts.feed(forced)
                counts.new_tokens += 1
        finally:
            counts.seconds = time.perf_counter() - started

    def _pieces(
        self, known: list[int], sampling: Sampling, thoughts: ThoughtTracker,
        counts: GenerationCounts, stopped: Callable[[], bool],
    ) -> Generator[str]:  # fmt: skip
        """Yield a piece for each token of one request, until a draft is too long.

        The ids are added to ``known``; they are told only where drafts are possible.
        """
        before = counts.new_tokens
        producer = Producer(self._completion(_request(
            known, sampling, self._keeps_prompt, tells_ids=self.vocabulary.think_ids is not None
        )))  # fmt: skip
        self._producers.append(producer)
        for chunk in producer.read(stopped):
            if "error" in chunk:
                raise NorcliError(f"llama.cpp: {_message(chunk)}")
            choice = chunk["choices"][0]
            if "usage" in chunk:
                counts.new_tokens = before + chunk["usage"]["completion_tokens"]
            if choice["finish_reason"] is not None:
                # No stop texts are given to llama.cpp: only the end token, counted by it, stops.
                counts.finished = choice["finish_reason"] == "stop"
                counts.new_tokens -= counts.finished
                continue
            counts.new_tokens += "usage" not in chunk
            for token in self._token_ids(choice):
                known.append(token)
                thoughts.feed(token)
            counts.draft_tokens = thoughts.tokens
            yield thoughts.piece(choice["text"])
            if thoughts.forced_id is not None:
                return

    def _completion(
        self, request: dict[str, Any]
    ) -> Callable[[Callable[[Any], None], threading.Event], None]:
        server = self._server

        def produce(put: Callable[[Any], None], cancelled: threading.Event) -> None:
            def on_chunk(chunk: dict[str, Any]) -> bool:
                put(chunk)
                return cancelled.is_set()

            try:
                server.handle_completions(request, on_chunk)
            except RuntimeError as error:
                put({"error": {"message": str(error)}})

        return produce

    def _token_ids(self, choice: dict[str, Any]) -> list[int]:
        """Return the ids behind a chunk; none where they were not asked for."""
        told = (choice.get("logprobs") or {}).get("content") or []
        ids = [int(token["id"]) for token in told]
        if told and bytes(told[-1]["bytes"]) != choice["text"].encode():
            # A character of several tokens comes with the id of its last: read it again.
            return self.vocabulary.encode(choice["text"])
        return ids

    def _end_producers(self) -> None:
        """Wait until llama.cpp has left the answers before; it looks up once a token."""
        for producer in self._producers:
            producer.join()
        self._producers = []

    def close(self) -> None:
        """Let go of the model."""
        self._end_producers()
        self._server = None

    def _parameters(self, adapter: str | None) -> Any:
        params = self._library.CommonParams()
        params.model.path = self.description.path
        params.n_parallel = self._parallel
        params.n_ctx = self.context_tokens * self._parallel
        params.cpuparams.n_threads = self._threads
        params.cpuparams_batch.n_threads = self._threads
        params.n_threads_http = 1
        params.warmup = False
        params.ctx_shift = False
        params.ui = False
        params.endpoint_slots = False
        params.endpoint_metrics = True
        params.verbosity = 4 if self._talkative else -1
        if adapter is not None:
            entry = self._library.CommonAdapterLoraInfo()
            entry.path, entry.scale = adapter, 1.0
            params.lora_adapters = [entry]
        return params


def _request(
    ids: Sequence[int], sampling: Sampling, keeps_prompt: bool, *, tells_ids: bool
) -> dict[str, Any]:
    request = {
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
    # llama.cpp tells a token's id with its probability only.
    return request | {"logprobs": 1} if tells_ids else request


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):
        return str(error.get("message", "unknown error"))
    return "unknown error"
