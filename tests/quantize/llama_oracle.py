"""llama.cpp as the tests' oracle: its quantizer, its kernels, its tokenizer and its logits."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from norcli.formats.gguf import BLOCKS, GgmlType


def bindings() -> Any:
    """cyllama's module with its log switched off."""
    module = pytest.importorskip("cyllama.llama.llama_cpp")
    module.disable_logging()
    return module


def quantize_file(source: Path, target: Path, file_type: int) -> None:
    """Let llama.cpp quantize a GGUF file."""
    llama = bindings()
    parameters = llama.LlamaModelQuantizeParams()
    parameters.ftype = file_type
    parameters.nthread = 1
    llama.model_quantize(str(source), str(target), parameters)


def quantize_rows(
    kind: GgmlType, rows: np.ndarray, importance: np.ndarray | None = None
) -> np.ndarray:
    """Let llama.cpp's kernel quantize a float32 matrix, by importance [columns] or plainly."""
    package = pytest.importorskip("xllamacpp")
    library = next(Path(package.__file__).parent.glob("*.so"))
    function = ctypes.CDLL(str(library)).ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3,
                         ctypes.c_void_p]  # fmt: skip
    block, size = BLOCKS[kind]
    out = np.zeros(rows.size // block * size, np.uint8)
    written = function(
        int(kind),
        rows.ctypes.data,
        out.ctypes.data,
        0,
        rows.shape[0],
        rows.shape[1],
        None if importance is None else importance.ctypes.data,
    )
    assert written == out.size
    return out


def load(path: Path) -> Any:
    """Load a model on the processor."""
    llama = bindings()

    class Model(llama.LlamaModel):  # type: ignore[misc, name-defined]
        # The context asks for this attribute, which the package's own class lacks.
        n_vocab = property(lambda self: self.get_vocab().n_vocab)

    parameters = llama.LlamaModelParams()
    parameters.n_gpu_layers = 0
    return Model(str(path), parameters)


def logits(path: Path, ids: list[int]) -> np.ndarray:
    """Return float32 logits [T, V] of one sequence."""
    llama = bindings()
    model = load(path)
    parameters = llama.LlamaContextParams()
    parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 128, 1, 1
    context = llama.LlamaContext(model, parameters)
    batch = llama.LlamaBatch(n_tokens=len(ids), embd=0, n_seq_max=1)
    batch.set_batch(ids, 0, True)
    context.decode(batch)
    return np.array([context.get_logits_ith(i) for i in range(len(ids))], np.float32)
