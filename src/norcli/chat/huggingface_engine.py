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

from norcli.chat.engines import GenerationCounts, ModelDescription, Sampling
from norcli.chat.huggingface_model import (
    ADAPTER_FILE,
    base_directory,
    stop_ids,
    tokenizer_directory,
)
from norcli.chat.thinking import think_ids
from norcli.chat.token_loop import TokenLoop
from norcli.errors import DataError, InputMissingError, missing_extra
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
        self.think_ids = think_ids(self._control_ids)
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
        adapter: A LoRA adapter's directory.
        keeps_prompt: See `open_engine`.

    Raises:
        UnavailableError: torch, transformers or peft is not installed.
        DataError: The weights are damaged, or not those of the configuration.
    """

    def __init__(
        self, description: ModelDescription, *, context: int, threads: int,
        adapter: str | None = None, keeps_prompt: bool = False,
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
        self._keeps_prompt = keeps_prompt
        self._has_adapter = False
        self._cache: Any = None
        self._cached_ids: list[int] = []
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = load_model(directory, self._device)
        if adapter is not None:
            self.set_adapter(adapter)

    def generate(
        self, ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        """Yield the answer's text as it comes; see `Engine`."""
        started = time.perf_counter()
        self.counts = GenerationCounts(prompt_tokens=len(ids))
        loop = self._loop(ids, sampling, self.counts)
        try:
            logits = self._read_prompt(list(ids))
            while not stopped():
                pieces = loop.take(logits)
                if not self.counts.prompt_seconds:
                    self.counts.prompt_seconds = time.perf_counter() - started
                yield from pieces
                if loop.ended:
                    break
                logits = self._forward([loop.last_id])
            yield from loop.flush()
        finally:
            self.counts.seconds = time.perf_counter() - started
            if not self._keeps_prompt:
                self._forget()

    def generate_together(
        self,
        requests: Sequence[tuple[Sequence[int], Sampling]],
        on_text: Callable[[int, str], bool],
    ) -> list[GenerationCounts]:
        """Answer several prompts in one batch, padded on the left; see `Engine`."""
        from transformers import DynamicCache

        started = time.perf_counter()
        counts = [GenerationCounts(prompt_tokens=len(ids)) for ids, _ in requests]
        loops = [
            self._loop(*request, count) for request, count in zip(requests, counts, strict=True)
        ]
        rows = list(range(len(requests)))  # position of each row that still goes on
        longest = max((len(ids) for ids, _ in requests), default=0)
        padded = np.zeros((len(rows), longest), dtype=np.int64)  # [B, T]
        mask = np.zeros_like(padded)
        for row, (ids, _) in enumerate(requests):
            padded[row, longest - len(ids) :] = ids
            mask[row, longest - len(ids) :] = 1
        cache = DynamicCache(config=self._model.config)
        while rows:
            logits = self._forward_batch(padded, mask, cache)
            kept = []
            for index, row in enumerate(rows):
                if not self._advance(loops[row], logits[index], row, on_text):
                    kept.append(index)
                counts[row].seconds = time.perf_counter() - started
                counts[row].prompt_seconds = counts[row].prompt_seconds or counts[row].seconds
            if 0 < len(kept) < len(rows):
                cache.batch_select_indices(self._torch.tensor(kept, device=self._device))
            rows = [rows[index] for index in kept]
            padded = np.array([[loops[row].last_id] for row in rows], dtype=np.int64)
            mask = np.pad(mask[kept], ((0, 0), (0, 1)), constant_values=1)
        return counts

    @staticmethod
    def _advance(
        loop: TokenLoop, logits: np.ndarray[Any, np.dtype[np.float32]], row: int,
        on_text: Callable[[int, str], bool],
    ) -> bool:  # fmt: skip
        """Take a row one token further; return whether its answer is over."""
        pieces = loop.take(logits)
        if loop.ended:
            pieces += loop.flush()
        return any([on_text(row, piece) for piece in pieces]) or loop.ended  # noqa: C419

    def set_adapter(self, path: str | None) -> None:
        """Put an adapter beside the weights, or take it away; see `Engine`."""
        base = self._model.unload() if self._has_adapter else self._model
        self._has_adapter = False
        self._model = base
        self._forget()
        if path is not None:
            self._model = _with_adapter(base, Path(path)).to(self._device).eval()
            self._has_adapter = True

    def _loop(
        self, ids: Sequence[int], sampling: Sampling, counts: GenerationCounts
    ) -> TokenLoop:  # fmt: skip
        return TokenLoop(
            ids, sampling, decode=self.vocabulary.tokenizer.decode, end_ids=self._end_ids,
            think_ids=self.vocabulary.think_ids, counts=counts,
        )  # fmt: skip

    def _forget(self) -> None:
        self._cache, self._cached_ids = None, []

    def _forward_batch(
        self, ids: np.ndarray[Any, np.dtype[np.int64]], mask: np.ndarray[Any, np.dtype[np.int64]],
        cache: Any,
    ) -> np.ndarray[Any, np.dtype[np.float32]]:  # fmt: skip
        """Return the logits [B, V] after the last of these tokens [B, T].

        Args:
            ids: Tokens that the cache does not hold yet.
            mask: [B, all tokens]; 0 where a row is padded on the left.
            cache: Of this batch.
        """
        torch = self._torch
        # Positions count from the first token that is no padding.
        positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[:, -ids.shape[1] :]
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
                position_ids=torch.from_numpy(positions).to(self._device),
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            )  # fmt: skip
        logits: np.ndarray[Any, np.dtype[np.float32]] = output.logits[:, -1].float().cpu().numpy()
        return logits

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
    return _with_adapter(model, directory).merge_and_unload()


def _with_adapter(model: Any, directory: Path) -> Any:
    if not (directory / ADAPTER_FILE).is_file():
        if not directory.exists():
            raise InputMissingError("no such adapter", path=directory)
        raise DataError(f"is no LoRA adapter: it has no {ADAPTER_FILE}", path=directory)
    try:
        import peft
    except ModuleNotFoundError as error:
        raise missing_extra("peft", "train") from error
    try:
        with warnings.catch_warnings():
            # peft asks transformers by names that it has renamed.
            warnings.simplefilter("ignore", FutureWarning)
            return peft.PeftModel.from_pretrained(model, directory)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the adapter cannot be loaded: {reason}", path=directory) from error
