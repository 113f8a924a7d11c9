"""A Hugging Face directory under evaluation: greedy answers and log-probabilities in batches.

One of the two engines behind `norcli.evaluation.models`. Sequences are sorted by length and
batched by tokens; the output layer runs at the scored positions alone, which is most of the cost
with vocabularies of 64k and more. Answers to one prompt share its computation: they lie behind it
in one sequence and do not see each other (see docs/design/0007).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from norcli.console import Console
from norcli.errors import DataError, UnavailableError, missing_extra
from norcli.evaluation.layout import (
    Tree,
    counted_likelihood,
    cut_middle,
    lay_out_tree,
    windows,
)
from norcli.evaluation.models import Advance, Answer, Continuations, Likelihood, cut_at_stop
from norcli.evaluation.options import EvalOptions
from norcli.tokens.huggingface import load_tokenizer
from norcli.training.templates import begins_with_bos, template_of

# Classes whose logits are the output layer applied to the last hidden state, nothing else.
PLAIN_HEADS = frozenset(
    {"gpt2", "gptj", "gpt_neox", "bloom", "llama", "mistral", "mixtral", "qwen2", "qwen3"}
)


class HuggingFaceModel:
    """A causal language model of transformers.

    Args:
        directory: The model, with its tokenizer.
        options: Device, precision, batch size and context.
        console: For warnings.

    Raises:
        DataError: The weights or the configuration cannot be read.
        UnavailableError: transformers, or the device asked for, is not there.
    """

    engine = "hf"

    def __init__(self, directory: Path, options: EvalOptions, console: Console) -> None:
        self.tokenizer = load_tokenizer(directory)
        self.template = template_of(directory)
        self.device = _device(options.device)
        self.batch_tokens = options.batch_tokens
        self.model = _load(directory, options.dtype, self.device)
        config = self.model.config
        own = int(getattr(config, "max_position_embeddings", 2048))
        self.context = min(own, options.context or own)
        if config.vocab_size < self.tokenizer.vocab_size:
            raise DataError(
                f"the tokenizer has {self.tokenizer.vocab_size} pieces, the model only "
                f"{config.vocab_size}", path=directory,
            )  # fmt: skip
        bos = self.tokenizer.bos_id
        begins = begins_with_bos(directory)
        # Stands in for an empty prompt where there is no begin piece.
        self._start = next((i for i in (bos, self.tokenizer.eos_id) if i is not None), 0)
        self.prefix = [bos] if begins and bos is not None else []
        self._plain_head = config.model_type in PLAIN_HEADS

    # Greedy answers

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[str], max_new_tokens: int, stop: Sequence[str], advance: Advance
    ) -> list[Answer]:
        """Return the greedy answer to each prompt; see `LanguageModel`."""
        room = max(1, self.context - max_new_tokens)
        encoded = [
            self.prefix + ids or [self._start] for ids in self.tokenizer.encode_batch(list(prompts))
        ]
        kept = [cut_middle(ids, room) for ids in encoded]
        answers: list[Answer | None] = [None] * len(kept)
        sizes = [len(ids) + max_new_tokens for ids in kept]
        for batch in self._batches(sizes):
            texts = self._greedy([kept[i] for i in batch], max_new_tokens, stop)
            for index, text in zip(batch, texts, strict=True):
                truncated = len(encoded[index]) > room
                answers[index] = Answer(cut_at_stop(text, stop), truncated)
            advance(len(batch))
        return [answer for answer in answers if answer is not None]

    def _greedy(self, rows: list[list[int]], max_new_tokens: int, stop: Sequence[str]) -> list[str]:
        from transformers import DynamicCache

        width = max(len(row) for row in rows)
        # Padding goes to the left, so that all rows end where the answer begins.  (B, T)
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=self.device)
        mask = torch.tensor(
            [[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.device
        )
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        written: list[list[int]] = [[] for _ in rows]
        finished = [False] * len(rows)
        for _ in range(max_new_tokens):
            logits = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions,
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            ).logits[:, -1]  # (B, V)  # fmt: skip
            chosen = logits.argmax(-1)
            for row, token in enumerate(chosen.tolist()):
                if finished[row]:
                    continue
                written[row].append(token)
                finished[row] = self._ends(written[row], stop)
            if all(finished):
                break
            ids = chosen[:, None]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            positions = positions[:, -1:] + 1
        eos = self.tokenizer.eos_id
        return [self.tokenizer.decode([t for t in row if t != eos]) for row in written]

    def _ends(self, written: list[int], stop: Sequence[str]) -> bool:
        if written[-1] == self.tokenizer.eos_id:
            return True
        if not stop:
            return False
        text = self.tokenizer.decode(written).lstrip()
        return any(word in text for word in stop)

    # Log-probabilities of continuations

    @torch.inference_mode()
    def continuations(
        self, requests: Sequence[tuple[str, Sequence[str]]], advance: Advance
    ) -> list[Continuations]:
        """Return the log-probability of each continuation; see `LanguageModel`."""
        trees = [self._tree(prompt, words) for prompt, words in requests]
        results: list[Continuations | None] = [None] * len(trees)
        for batch in self._batches([tree.size for tree in trees]):
            scores = self._score_trees([trees[i] for i in batch])
            for index, log_probs in zip(batch, scores, strict=True):
                results[index] = Continuations(log_probs, trees[index].truncated)
            advance(len(batch))
        return [result for result in results if result is not None]

    def _tree(self, prompt: str, words: Sequence[str]) -> Tree:
        return lay_out_tree(
            prompt, words, self.tokenizer.encode, self.prefix, self._start, self.context
        )

    def _score_trees(self, trees: Sequence[Tree]) -> list[list[float]]:
        width = max(tree.size for tree in trees)
        ids = torch.zeros(len(trees), width, dtype=torch.long)
        positions = torch.zeros(len(trees), width, dtype=torch.long)
        # Every place sees itself, padding too, so that no row of the softmax is empty.
        sees = torch.eye(width, dtype=torch.bool).repeat(len(trees), 1, 1)  # (B, T, T)
        sources: list[tuple[int, int]] = []
        targets: list[int] = []
        for row, tree in enumerate(trees):
            _fill(tree, ids[row], positions[row], sees[row])
            for place, target in _predictions(tree):
                sources.append((row, place))
                targets.append(target)
        picked = self._log_probs(
            ids, targets, sources, position_ids=positions, attention_mask=self._bias(sees)
        ).tolist()
        scores, taken = [], 0
        for tree in trees:
            tree_scores = []
            for branch in tree.branches:
                tree_scores.append(float(sum(picked[taken : taken + len(branch)])))
                taken += len(branch)
            scores.append(tree_scores)
        return scores

    def _bias(self, sees: Tensor) -> Tensor:
        """Return what is added to attention scores for a (B, T, T) table of who sees whom."""
        lowest = torch.finfo(self.model.dtype).min
        bias = torch.zeros(sees.shape, dtype=self.model.dtype).masked_fill_(~sees, lowest)
        return bias[:, None]  # (B, 1, T, T)

    def _log_probs(
        self, ids: Tensor, targets: list[int], sources: list[tuple[int, int]], **inputs: Tensor
    ) -> Tensor:
        """Return log-probabilities of targets, each predicted at (row, place) of its source."""
        rows, places = (
            torch.tensor(part, device=self.device) for part in zip(*sources, strict=True)
        )
        wanted = torch.tensor(targets, device=self.device)
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        if self._plain_head:
            states = self.model.base_model(
                input_ids=ids.to(self.device), use_cache=False, **inputs
            ).last_hidden_state  # (B, T, H)
            at = states[rows, places]
            head = self.model.get_output_embeddings()
            # Blocks bound the logits to about 64 MiB of float32.
            step = max(1, (1 << 24) // self.model.config.vocab_size)
            blocks = [
                _pick(head(at[i : i + step]), wanted[i : i + step])
                for i in range(0, len(wanted), step)
            ]
            return torch.cat(blocks)
        logits = self.model(input_ids=ids.to(self.device), use_cache=False, **inputs).logits
        return _pick(logits[rows, places], wanted)

    # Likelihood of texts

    @torch.inference_mode()
    def likelihoods(self, texts: Sequence[str], advance: Advance) -> list[Likelihood]:
        """Return how well each text is predicted; see `LanguageModel`.

        Texts longer than the context are read in the windows of `layout.windows`.
        """
        encoded = self.tokenizer.encode_batch(list(texts))
        pieces: list[tuple[int, list[int], int]] = []
        for index, ids in enumerate(encoded):
            pieces += [(index, *window) for window in windows(self.prefix + ids, self.context)]
        nll = [0.0] * len(texts)
        left = [sum(1 for piece in pieces if piece[0] == i) for i in range(len(texts))]
        advance(left.count(0))
        for batch in self._batches([len(ids) for _, ids, _ in pieces]):
            sums = self._score_windows([pieces[i][1:] for i in batch])
            for place, total in zip(batch, sums, strict=True):
                owner = pieces[place][0]
                nll[owner] -= total
                left[owner] -= 1
                advance(int(left[owner] == 0))
        return [
            counted_likelihood(text, ids, total, bool(self.prefix), self.tokenizer.decode(ids[:1]))
            for text, ids, total in zip(texts, encoded, nll, strict=True)
        ]

    def _score_windows(self, batch: Sequence[tuple[list[int], int]]) -> list[float]:
        width = max(len(ids) for ids, _ in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        # Padding at the end needs no mask: causal attention never looks there.
        sources: list[tuple[int, int]] = []
        targets: list[int] = []
        counts = []
        for row, (window, first) in enumerate(batch):
            ids[row, : len(window)] = torch.tensor(window)
            sources += [(row, place - 1) for place in range(first, len(window))]
            targets += window[first:]
            counts.append(len(window) - first)
        picked = self._log_probs(ids, targets, sources)
        return [float(part.double().sum()) for part in torch.split(picked, counts)]

    def _batches(self, sizes: Sequence[int]) -> Iterator[list[int]]:
        """Yield indices in batches of at most ``batch_tokens``, longest first."""
        order = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
        batch: list[int] = []
        for index in order:
            if batch and sizes[batch[0]] * (len(batch) + 1) > self.batch_tokens:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


def _fill(tree: Tree, ids: Tensor, positions: Tensor, sees: Tensor) -> None:
    """Write a tree's tokens (T,), positions (T,) and who sees whom (T, T) into one row."""
    stem = begin = len(tree.stem)
    ids[:begin] = torch.tensor(tree.stem)
    positions[:begin] = torch.arange(begin)
    sees[:begin, :begin] = torch.ones(begin, begin, dtype=torch.bool).tril()
    for branch in tree.branches:
        # A branch's last token is predicted but never read, so it takes no place.
        length = len(branch) - 1
        end = begin + length
        ids[begin:end] = torch.tensor(branch[:-1], dtype=torch.long)
        positions[begin:end] = torch.arange(stem, stem + length)
        sees[begin:end, :stem] = True
        sees[begin:end, begin:end] = torch.ones(length, length, dtype=torch.bool).tril()
        begin = end


def _predictions(tree: Tree) -> Iterator[tuple[int, int]]:
    """Yield (place that predicts, token predicted), branch by branch."""
    begin = len(tree.stem)
    for branch in tree.branches:
        yield len(tree.stem) - 1, branch[0]
        for offset, token in enumerate(branch[1:]):
            yield begin + offset, token
        begin += len(branch) - 1


def _pick(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of each target, (N,) from logits (N, V)."""
    logits = logits.float()
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UnavailableError(f"no GPU for --device {name}: torch found none",
                               hint="give --device cpu")  # fmt: skip
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UnavailableError(f'--device: "{name}" is no device torch knows') from error


def _load(directory: Path, dtype: str, device: torch.device) -> Any:
    try:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging
    except ImportError as error:
        raise missing_extra("transformers", "eval") from error
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if dtype == "auto":
        dtype = "float32" if device.type == "cpu" else "auto"
    precision: Any = dtype if dtype == "auto" else getattr(torch, dtype)
    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            directory, dtype=precision, local_files_only=True, attn_implementation="sdpa",
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"cannot be loaded: {reason}", path=directory) from error
    if loaded["missing_keys"]:
        # transformers would go on with random numbers in their place.
        first = sorted(loaded["missing_keys"])[0]
        raise DataError(
            f"cannot be loaded: weights of {len(loaded['missing_keys'])} tensors are missing, "
            f"{first} for one", path=directory,
        )  # fmt: skip
    return model.to(device).eval()
