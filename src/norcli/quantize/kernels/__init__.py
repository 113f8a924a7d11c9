"""Numba kernels that write llama.cpp's block formats bit for bit."""

from __future__ import annotations


def warm_up() -> None:
    """Compile every kernel on a few weights, so that the next run loads it from the cache."""
    import numpy as np

    from norcli.quantize.kernels.encode import ENCODED_TYPES, encode

    # Two super-blocks: one alone would not differ in shape, but this also runs a tail.
    sample = np.linspace(-1, 1, 512, dtype=np.float32)
    for kind in ENCODED_TYPES:
        encode(sample, kind)
        encode(sample, kind, sample)
