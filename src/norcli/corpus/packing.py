"""Texts end to end as UTF-8 bytes, the form in which kernels and array functions read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def pack(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Lay texts end to end as UTF-8; lone surrogates, which UTF-8 cannot hold, become "?".

    Returns:
        The bytes, uint8, and the start of each text and the end of the last, int64 (T + 1,).
    """
    return join(encode(texts))


def encode(texts: Sequence[str]) -> list[bytes]:
    """Return texts as UTF-8; lone surrogates become "?"."""
    return [text.encode("utf-8", "replace") for text in texts]


def join(encoded: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Lay encoded texts end to end, as `pack` does."""
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(data) for data in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets
