"""An importance matrix computed from a text: the model reads it, hooks sum its layers' inputs.

Runs the Hugging Face model in torch, on a GPU where there is one; the text is cut into chunks of
equal length, each begun by the begin-of-text token where the model uses one, as llama-imatrix
does. Only the blocks' matrices are recorded; embeddings and the output matrix are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from norcli.console import Console
from norcli.errors import DataError, missing_extra
from norcli.formats.tensors import to_float32
from norcli.quantize.adapter import Adapter
from norcli.quantize.importance import Entry, ImportanceMatrix
from norcli.quantize.plan import Source
from norcli.quantize.texts import read_plain_text, token_chunks

_LAYER = re.compile(r"(?:^|\.)(?:layers|h)\.(\d+)\.")


class _Sums:
    """Running sums of squares of one tensor's inputs, by expert."""

    def __init__(self, experts: int, columns: int) -> None:
        self.squares = np.zeros((experts, columns))
        self.counts = np.zeros(experts)

    def add(self, expert: int, inputs: Any) -> None:
        """Add inputs [..., columns] of one expert."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        self.squares[expert] += flat.double().square().sum(0).cpu().numpy()
        self.counts[expert] += flat.shape[0]


def compute_importance(
    source: Source, text_path: str, *, chunk_tokens: int, most_tokens: int, jobs: int,
    console: Console,
) -> ImportanceMatrix:  # fmt: skip
    """Let the model read a text and return the importance of its inputs.

    Args:
        source: The model directory, opened.
        text_path: A text file, or documents as JSONL or Parquet.
        chunk_tokens: Tokens the model sees at once.
        most_tokens: Stop after this many.
        jobs: Threads.
        console: Shows progress.

    Raises:
        DataError: The text is shorter than one chunk.
        UnavailableError: torch or transformers is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise missing_extra("torch and transformers", "train") from error
    from norcli.cluster.placement import Placement
    from norcli.tokens.huggingface import load_tokenizer
    from norcli.training.distributed import choose_device
    from norcli.training.model_config import load_model

    directory = str(source.checkpoint.directory)
    tokenizer = load_tokenizer(directory)
    text = read_plain_text(text_path, console)
    chunk_tokens = min(chunk_tokens, source.config.max_position_embeddings)
    begin = tokenizer.bos_id if source.vocabulary.add_bos else None
    ids = ([] if begin is None else [begin]) + tokenizer.encode(text)
    chunks = token_chunks(ids, chunk_tokens, begin)[: most_tokens // chunk_tokens]
    if not chunks:
        raise DataError(f"holds less than one chunk of {chunk_tokens} tokens", path=text_path)
    device = choose_device(Placement(), jobs)
    model = load_model(directory, "sdpa")
    if source.adapter is not None:
        _merge(model, source.adapter)
    model = model.to(device).eval()
    sums: dict[str, _Sums] = {}
    handles = list(_watch(model, source, sums))
    with torch.no_grad(), console.progress("imatrix", len(chunks), "chunks") as progress:
        for chunk in chunks:
            model(torch.tensor([chunk], device=device), use_cache=False)
            progress.advance()
    for handle in handles:
        handle.remove()
    entries = {
        name: Entry(seen.squares.astype(np.float32), seen.counts.astype(np.float32))
        for name, seen in sums.items()
    }
    return ImportanceMatrix(entries, [text_path], len(chunks), chunk_tokens, text_path)


def _merge(model: Any, adapter: Adapter) -> None:
    """Add an adapter's products to a model's parameters, and put in what it replaces."""
    import torch

    named = dict(model.named_parameters())
    with torch.no_grad():
        for name in adapter.factors:
            delta = torch.from_numpy(adapter.delta(name, slice(None)))
            parameter = named[name]
            parameter += delta if parameter.shape == delta.shape else delta.T
        for name, entry in adapter.replaced.items():
            named[name].copy_(torch.from_numpy(to_float32(adapter.file.values(entry))))


def _watch(model: Any, source: Source, sums: dict[str, _Sums]) -> Iterator[Any]:
    """Hook every module whose weight becomes a matrix of a block."""
    targets = {
        name.removesuffix(".weight"): tensor.name
        for tensor in source.tensors
        for name in tensor.sources
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2
    }
    for name, module in model.named_modules():
        if name in targets:
            sums[targets[name]] = seen = _Sums(1, module.weight.shape[_input_axis(module)])
            yield module.register_forward_pre_hook(partial(_record, seen))
        elif hasattr(module, "gate_up_proj") and hasattr(module, "down_proj"):
            found = _LAYER.search(name)
            if found is not None and module.gate_up_proj.ndim == 3:
                yield _watch_experts(module, f"blk.{found[1]}.", sums)


def _input_axis(module: Any) -> int:
    """GPT-2's layers store [in, out]."""
    return 0 if type(module).__name__ == "Conv1D" else 1


def _record(seen: _Sums, module: Any, arguments: tuple[Any, ...]) -> None:
    seen.add(0, arguments[0])


def _watch_experts(module: Any, prefix: str, sums: dict[str, _Sums]) -> Any:
    """Hook a Mixtral block's experts, [E, 2F, H] and [E, H, F], which share one module."""
    experts, hidden, inner = module.down_proj.shape
    into = _Sums(experts, hidden)
    down = _Sums(experts, inner)
    sums[prefix + "ffn_gate_exps.weight"] = sums[prefix + "ffn_up_exps.weight"] = into
    sums[prefix + "ffn_down_exps.weight"] = down

    def record(module: Any, arguments: tuple[Any, ...]) -> None:
        states, chosen = arguments[0], arguments[1]
        for expert in range(experts):
            taken = states[(chosen == expert).any(-1)]
            if taken.shape[0]:
                into.add(expert, taken)
                gate, up = (taken @ module.gate_up_proj[expert].T).chunk(2, dim=-1)
                down.add(expert, module.act_fn(gate) * up)

    return module.register_forward_pre_hook(record)
