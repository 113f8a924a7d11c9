"""A GGUF file under evaluation, run by llama.cpp inside this process through xllamacpp.

The other engine behind `norcli.evaluation.models`. llama.cpp's completion call reports the
log-probability of the token it chose, from the logits before any sampling; a large bias makes it
choose the token to be scored. The cache keeps the tokens before, so a text costs one forward pass
of each token, as reading it does.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from norcli.chat.gguf_engine import GgufVocabulary
from norcli.chat.gguf_model import describe_gguf
from norcli.console import Console
from norcli.errors import DataError, NorcliError, missing_extra
from norcli.evaluation.layout import counted_likelihood, cut_middle, lay_out_tree, windows
from norcli.evaluation.models import Advance, Answer, Continuations, Likelihood, cut_at_stop
from norcli.evaluation.options import EvalOptions
from norcli.formats.gguf import GgufFile

# Memory for the cache grows with the context; longer texts are read in windows of this size.
LARGEST_DEFAULT_CONTEXT = 2048
FORCING_BIAS = 1e6


class GgufModel:
    """A model of a GGUF file.

    Args:
        path: The file.
        options: Context and threads.
        console: Its level decides whether llama.cpp may log.

    Raises:
        DataError: The file is damaged, or llama.cpp cannot run it.
        UnavailableError: xllamacpp is not installed.
    """

    engine = "gguf"

    def __init__(self, path: Path, options: EvalOptions, console: Console) -> None:
        try:
            import xllamacpp
        except ModuleNotFoundError as error:
            raise missing_extra("xllamacpp", "chat") from error
        description = describe_gguf(str(path))
        self.template = description.template
        own = description.context_tokens
        self.context = min(own, options.context or LARGEST_DEFAULT_CONTEXT)
        self._key = secrets.token_hex(16)
        params = _parameters(xllamacpp, path, self.context, options.jobs or 1, console.level > 2)
        params.api_keys = [self._key]
        params.endpoint_metrics = True
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            raise DataError(
                f'llama.cpp cannot run this "{description.architecture}" model', path=path,
                hint="give -vv to see what it says",
            ) from error  # fmt: skip
        # A server let go before its loop has begun never ends (xllamacpp 2026.10); an answered
        # question shows that it has begun.
        self._server.handle_metrics()
        self._address = str(self._server.listening_address)
        self.vocabulary = GgufVocabulary(str(path), self._address, self._key)
        bos = self.vocabulary.bos_id
        begins = self.vocabulary.begins_with_bos
        self.prefix = [bos] if begins and bos is not None else []
        eos = self.vocabulary.eos_id
        self._silent = 0 if eos is None else eos
        self._vocab_size = len(GgufFile(str(path)).metadata["tokenizer.ggml.tokens"])

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int, stop: Sequence[str], advance: Advance
    ) -> list[Answer]:
        """Return the greedy answer to each prompt; see `LanguageModel`."""
        room = max(1, self.context - max_new_tokens)
        answers = []
        for prompt in prompts:
            ids = self.prefix + self.vocabulary.encode(prompt) or [self._silent]
            choice = self._complete(
                {
                    "prompt": cut_middle(ids, room), "max_tokens": max_new_tokens,
                    "temperature": 0.0, "cache_prompt": True,
                }
            )  # fmt: skip
            answers.append(Answer(cut_at_stop(choice["text"], stop), len(ids) > room))
            advance(1)
        return answers

    def continuations(
        self, requests: Sequence[tuple[str, Sequence[str]]], advance: Advance
    ) -> list[Continuations]:
        """Return the log-probability of each continuation; see `LanguageModel`."""
        start = self.prefix[0] if self.prefix else self._silent
        results = []
        for prompt, words in requests:
            tree = lay_out_tree(
                prompt, words, self.vocabulary.encode, self.prefix, start, self.context
            )
            scores = [
                self._log_prob(tree.stem + branch, len(tree.stem)) for branch in tree.branches
            ]
            results.append(Continuations(scores, tree.truncated))
            advance(1)
        return results

    def likelihoods(self, texts: Sequence[str], advance: Advance) -> list[Likelihood]:
        """Return how well each text is predicted; see `LanguageModel`."""
        results = []
        for text in texts:
            ids = self.vocabulary.encode(text)
            nll = -sum(
                self._log_prob(window, first)
                for window, first in windows(self.prefix + ids, self.context)
            )
            piece = self._detokenize(ids[:1]) if ids and not self.prefix else ""
            results.append(counted_likelihood(text, ids, nll, bool(self.prefix), piece))
            advance(1)
        return results

    def _log_prob(self, ids: list[int], first: int) -> float:
        """Return the log-probability of the tokens from ``first`` on, each given those before."""
        return sum(
            self._token_log_prob(ids[:place], ids[place]) for place in range(first, len(ids))
        )

    def _token_log_prob(self, before: list[int], token: int) -> float:
        told = self._scored(before, chosen=token, listed=1)
        if told is not None and told["id"] == token:
            return float(told["logprob"])
        # A byte in the middle of a letter is no text, and llama.cpp then tells nothing. Let it
        # write the end piece instead and list the whole vocabulary.
        whole = self._scored(before, chosen=self._silent, listed=self._vocab_size)
        for entry in [] if whole is None else whole["top_logprobs"]:
            if entry["id"] == token:
                return float(entry["logprob"])
        raise NorcliError(f"llama.cpp gives no log-probability of token {token}")

    def _scored(self, before: list[int], chosen: int, listed: int) -> dict[str, Any] | None:
        """Return what llama.cpp tells of the token it is made to choose, None for nothing."""
        choice = self._complete(
            {
                "prompt": before, "max_tokens": 1, "temperature": 0.0, "logprobs": listed,
                "logit_bias": [[chosen, FORCING_BIAS]], "cache_prompt": True,
            }
        )  # fmt: skip
        found: dict[str, Any] | None = None
        if choice["logprobs"] is not None and choice["logprobs"]["content"]:
            found = choice["logprobs"]["content"][0]
        return found

    def _complete(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._server.handle_completions(request)
        if "error" in answer:
            raise NorcliError(f"llama.cpp: {answer['error'].get('message', 'unknown error')}")
        choice: dict[str, Any] = answer["choices"][0]
        return choice

    def _detokenize(self, ids: list[int]) -> str:
        connection = http.client.HTTPConnection(self._address.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/detokenize", json.dumps({"tokens": ids}), headers)
            return str(json.loads(connection.getresponse().read())["content"])
        finally:
            connection.close()


def _parameters(xllamacpp: Any, path: Path, context: int, threads: int, talkative: bool) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    # One more than is ever read: the server keeps room for the token it writes.
    params.n_ctx = context + 1
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 1
    params.warmup = False
    params.ctx_shift = False
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 4 if talkative else -1
    return params
