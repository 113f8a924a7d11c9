"""llama.cpp's C interface through xllamacpp's shared library: a GGUF file's logits and tokens.

xllamacpp's Python classes give answers, not logits; the library behind them exports llama.h whole.
The two parameter structs are passed as they come from llama.cpp's own defaults, and only the
three sizes at the head of one are changed, so that a longer struct in a later version does no
harm; their defaults are checked first. Facts: include/llama.h.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError, UnavailableError, missing_extra

# Room for the parameter structs, about four times what they take today.
_STRUCT_WORDS = 128
# n_ctx, n_batch and n_ubatch of llama_context_default_params().
_KNOWN_DEFAULTS = (512, 2048, 512)


class _Params(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * _STRUCT_WORDS),)


class _Batch(ctypes.Structure):
    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


_LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


@_LogCallback
def _silence(level: int, text: bytes, data: int) -> None:
    """Drop llama.cpp's log; what went wrong is said in norcli's own words."""


_POINTER, _INT = ctypes.c_void_p, ctypes.c_int32
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_context_default_params": (_Params, []),
    "llama_model_default_params": (_Params, []),
    "llama_model_load_from_file": (_POINTER, [ctypes.c_char_p, _Params]),
    "llama_init_from_model": (_POINTER, [_POINTER, _Params]),
    "llama_model_free": (None, [_POINTER]),
    "llama_free": (None, [_POINTER]),
    "llama_model_get_vocab": (_POINTER, [_POINTER]),
    "llama_vocab_n_tokens": (_INT, [_POINTER]),
    "llama_vocab_get_add_bos": (ctypes.c_bool, [_POINTER]),
    "llama_vocab_bos": (_INT, [_POINTER]),
    "llama_tokenize": (
        _INT,
        [_POINTER, ctypes.c_char_p, _INT, ctypes.POINTER(_INT), _INT, ctypes.c_bool, ctypes.c_bool],
    ),
    "llama_n_ctx": (ctypes.c_uint32, [_POINTER]),
    "llama_batch_init": (_Batch, [_INT, _INT, _INT]),
    "llama_batch_free": (None, [_Batch]),
    "llama_set_n_threads": (None, [_POINTER, _INT, _INT]),
    "llama_decode": (_INT, [_POINTER, _Batch]),
    "llama_get_logits": (ctypes.POINTER(ctypes.c_float), [_POINTER]),
    "llama_get_memory": (_POINTER, [_POINTER]),
    "llama_memory_clear": (None, [_POINTER, ctypes.c_bool]),
    "llama_log_set": (None, [_LogCallback, _POINTER]),
    "llama_backend_init": (None, []),
}


@cache
def _library() -> Any:
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise missing_extra("xllamacpp", "chat") from error
    path = next(Path(xllamacpp.__file__).parent.glob("*.so"))
    library = ctypes.CDLL(str(path))
    try:
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise UnavailableError(f"this xllamacpp does not give access to llama.cpp: {error}",
                               hint="pip install 'norcli[chat]'") from error  # fmt: skip
    if tuple(library.llama_context_default_params().words[:3]) != _KNOWN_DEFAULTS:
        raise UnavailableError("this xllamacpp carries a llama.cpp with other context parameters")
    library.llama_log_set(_silence, None)
    library.llama_backend_init()
    return library


class LlamaModel:
    """A GGUF file loaded in llama.cpp, on the processor.

    Args:
        path: The file.
        context: Most tokens of a sequence; None to use the vocabulary alone.
        threads: Threads of the arithmetic.

    Attributes:
        vocab_size: Words of the vocabulary.
        begin: The token that texts begin with, None where they begin with none.

    Raises:
        DataError: llama.cpp cannot load it.
        UnavailableError: xllamacpp is not installed, or of an unknown kind.
    """

    def __init__(self, path: str, context: int | None, threads: int) -> None:
        library = self._library = _library()
        self._model = library.llama_model_load_from_file(
            os.fsencode(path), library.llama_model_default_params()
        )
        if not self._model:
            raise DataError("llama.cpp cannot load it", path=path)
        self._vocab = library.llama_model_get_vocab(self._model)
        self.vocab_size = int(library.llama_vocab_n_tokens(self._vocab))
        begins = library.llama_vocab_get_add_bos(self._vocab)
        self.begin = int(library.llama_vocab_bos(self._vocab)) if begins else None
        self.path = path
        self._context: int | None = None
        self._batch: Any = None
        if context is not None:
            self._open_context(context, threads)

    def _open_context(self, context: int, threads: int) -> None:
        library = self._library
        params = library.llama_context_default_params()
        params.words[0] = params.words[1] = params.words[2] = context
        self._context = library.llama_init_from_model(self._model, params)
        if not self._context:
            library.llama_model_free(self._model)
            raise DataError(f"llama.cpp finds no memory for {context} tokens", path=self.path)
        library.llama_set_n_threads(self._context, threads, threads)
        self._batch = library.llama_batch_init(context, 0, 1)

    def __enter__(self) -> LlamaModel:
        """Return the model, which the block's end lets go."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the model's memory."""
        if self._context:
            self._library.llama_batch_free(self._batch)
            self._library.llama_free(self._context)
        self._library.llama_model_free(self._model)

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Return the tokens of a text; with `special`, begun as the model's texts begin."""
        raw = text.encode("utf-8")
        room = len(raw) + 2
        tokens = (_INT * room)()
        count = self._library.llama_tokenize(
            self._vocab, raw, len(raw), tokens, room, special and self.begin is not None, False
        )
        return list(tokens[:count])

    def logits(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the logits after each token of one sequence.

        Args:
            ids: At most `context` tokens.

        Returns:
            float32 [T, V], valid until the next call.

        Raises:
            DataError: llama.cpp cannot compute them.
        """
        library, batch = self._library, self._batch
        library.llama_memory_clear(library.llama_get_memory(self._context), True)
        for place, token in enumerate(ids):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = 1
        batch.n_tokens = len(ids)
        if library.llama_decode(self._context, batch):
            raise DataError("llama.cpp cannot compute it", path=self.path)
        pointer = library.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (len(ids), self.vocab_size))
