"""Run a Hugging Face directory with transformers: safetensors only, token by token.

The loop is ours rather than `generate`: text streams as soon as a character is complete, a stop
is seen between tokens, and the cache of a conversation is kept from turn to turn. Imported only
when a directory is opened; see `gguf_engine` for the fast start.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from norcli.chat.decoding import IncrementalDecoder
from norcli.chat.engines import GenerationCounts, ModelDescription, Sampling
from norcli.chat.huggingface_model import (
    ADAPTER_FILE,
    base_directory,
    stop_ids,
    tokenizer_directory,
)
from norcli.chat.sampling import choose_token
from norcli.errors import DataError, missing_extra
from norcli.tokens.huggingface import JsonTokenizer, SentencePieceTokenizer, load_tokenizer
from norcli.training.templates import begins_with_bos

# Larger models keep the type they are stored in, so that they fit in memory.
LARGEST_FLOAT32_BYTES = 4 << 30


class DirectoryVocabulary:
    """The tokenizer of a directory, with control tokens on request only."""

    def __init__(self, directory: Path) -> None:
        self.tokenizer = load_tokenizer(directory)
        self.bos_id = self.tokenizer.bos_id
        self.begins_with_bos = begins_with_bos(directory)
        self.eos_id = self.tokenizer.eos_id
        self._control_ids = _control_ids(self.tokenizer)
        self.control_texts: Sequence[str] = tuple(self._control_ids)
        alternatives = "|".join(map(re.escape, sorted(self.control_texts, key=len, reverse=True)))
        self._control = re.compile(f"({alternatives})" if alternatives else "(?!)")

    def encode(self, text: str, control: bool = False) -> list[int]:
        """Return the ids of a text, without a begin token; see `Vocabulary`."""
        if isinstance(self.tokenizer, JsonTokenizer):
            self.tokenizer.backend.encode_special_tokens = not control
            return self.tokenizer.encode(text)
        if not control:
            return self.tokenizer.encode(text)
        ids: list[int] = []
        for part in self._control.split(text):
            if part in self._control_ids:
                ids.append(self._control_ids[part])
            elif part:
                ids += self.tokenizer.encode(part)
        return ids

    def spelling(self, token_id: int) -> str:
        """Return how the vocabulary writes a token."""
        return self.tokenizer.piece(token_id)


def _control_ids(tokenizer: Any) -> dict[str, int]:
    if isinstance(tokenizer, SentencePieceTokenizer):
        size, processor = tokenizer.vocab_size, tokenizer.processor
        return {tokenizer.piece(i): i for i in range(size) if processor.is_control(i)}
    added = tokenizer.backend.get_added_tokens_decoder()
    return {token.content: i for i, token in added.items() if token.special}


class HuggingFaceEngine:
    """A Hugging Face model in memory, on the GPU where torch finds one.

    Args:
        description: From `describe_directory`.
        context: Tokens of context.
        threads: Threads of torch.
        keeps_prompt: See `open_engine`.

    Raises:
        UnavailableError: torch, transformers or peft is not installed.
        DataError: The weights are damaged, or not those of the configuration.
    """

    def __init__(
        self, description: ModelDescription, *, context: int, threads: int,
        keeps_prompt: bool = False,
    ) -> None:  # fmt: skip
        self.description = description
        self.context_tokens = context
        self.counts = GenerationCounts()
        directory = Path(description.path)
        self.vocabulary = DirectoryVocabulary(tokenizer_directory(directory))
        self._end_ids = stop_ids(directory)
        if self.vocabulary.eos_id is not None:
            self._end_ids.add(self.vocabulary.eos_id)
        try:
            import torch
        except ModuleNotFoundError as error:
            raise missing_extra("torch", "train") from error
        torch.set_num_threads(threads)
        self._torch: Any = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = load_model(directory, self._device)
        self._keeps_prompt = keeps_prompt
        self._cache: Any = None
        self._cached_ids: list[int] = []

    def generate(
        self, ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        """Yield the answer's text as it comes; see `Engine`."""
        started = time.perf_counter()
        self.counts = GenerationCounts(prompt_tokens=len(ids))
        decoder = IncrementalDecoder(self.vocabulary.tokenizer.decode, ids)
        generator = np.random.default_rng(sampling.seed)
        known = list(ids)
        try:
            logits = self._read_prompt(known)
            while not stopped():
                token = choose_token(logits, known, sampling, generator)
                if not self.counts.prompt_seconds:
                    self.counts.prompt_seconds = time.perf_counter() - started
                if token in self._end_ids:
                    self.counts.finished = True
                    break
                self.counts.new_tokens += 1
                known.append(token)
                text = decoder.feed(token)
                if text:
                    yield text
                if self.counts.new_tokens >= sampling.max_new_tokens:
                    break
                logits = self._forward([token])
            rest = decoder.flush()
            if rest:
                yield rest
        finally:
            self.counts.seconds = time.perf_counter() - started
            if not self._keeps_prompt:
                self._cache, self._cached_ids = None, []

    def _read_prompt(self, ids: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the logits after the prompt; what the cache holds of it already is not reread."""
        from transformers import DynamicCache

        shared = 0
        if self._cache is not None and not any(self._cache.is_sliding):
            pairs = zip(ids[:-1], self._cached_ids, strict=False)
            shared = next((i for i, (a, b) in enumerate(pairs) if a != b),
                          min(len(ids) - 1, len(self._cached_ids)))  # fmt: skip
        if shared:
            # The cached tokens after the shared ones belong to an answer taken back.
            self._cache.crop(shared)
            self._cached_ids = self._cached_ids[:shared]
        else:
            self._cache = DynamicCache(config=self._model.config)
            self._cached_ids = []
        return self._forward(ids[shared:])

    def _forward(self, ids: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
        torch = self._torch
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([ids], device=self._device),  # [1, T]
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self._cached_ids += ids
        logits: np.ndarray[Any, np.dtype[np.float32]]
        logits = output.logits[0, -1].float().cpu().numpy()  # [V]
        return logits

    def close(self) -> None:
        """Let go of the model."""
        self._model = self._cache = None


def load_model(directory: Path, device: str) -> Any:
    """Load the weights of a directory, an adapter merged into its base model.

    Raises:
        UnavailableError: transformers, or peft for an adapter, is not installed.
        DataError: The weights are damaged, or not those of the configuration.
    """
    try:
        import transformers
        from safetensors import SafetensorError
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "transformers", "train") from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    base = base_directory(directory)
    size = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    small = device == "cpu" and size <= LARGEST_FLOAT32_BYTES
    try:
        model, loading = transformers.AutoModelForCausalLM.from_pretrained(
            base, dtype="float32" if small else "auto", use_safetensors=True,
            local_files_only=True, trust_remote_code=False, output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"its weights cannot be loaded: {reason}", path=base) from error
    missing = sorted(loading["missing_keys"])
    if missing:
        raise DataError(f'its weights lack "{missing[0]}"', path=base)
    if (directory / ADAPTER_FILE).is_file() and base != directory:
        model = _merge_adapter(model, directory)
    return model.to(device).eval()


def _merge_adapter(model: Any, directory: Path) -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise missing_extra("peft", "train") from error
    try:
        with warnings.catch_warnings():
            # peft asks transformers by names that it has renamed.
            warnings.simplefilter("ignore", FutureWarning)
            return peft.PeftModel.from_pretrained(model, directory).merge_and_unload()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the adapter cannot be loaded: {reason}", path=directory) from error
