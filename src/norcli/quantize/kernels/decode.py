"""From the bytes of any supported type back to float32 weights, vectorized over blocks.

For the report's errors by tensor, for files that are quantized again and for turning a GGUF file
back into safetensors. Layout facts: ggml-common.h (block_q4_0 and its siblings) and ggml-quants.c
(dequantize_row_*). The results equal llama.cpp's to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.formats.gguf import BLOCKS, GgmlType
from norcli.quantize.kernels.encode import Bytes, Floats

Blocks = npt.NDArray[np.uint8]  # [blocks, bytes of a block]
Levels = npt.NDArray[Any]


def decode(raw: Bytes, kind: GgmlType) -> Floats:
    """Return the weights that bytes of a type stand for.

    Args:
        raw: uint8 [n], whole blocks.
        kind: One of `DECODED_TYPES`.

    Returns:
        float32 [weights]; a view for F32.
    """
    if kind is GgmlType.F32:
        return raw.view("<f4")
    if kind is GgmlType.F16:
        return raw.view("<f2").astype(np.float32)
    if kind is GgmlType.BF16:
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return _DECODERS[kind](raw.reshape(-1, BLOCKS[kind][1])).reshape(-1)


def _half(blocks: Blocks, at: int) -> Floats:
    """Return the half at a byte of each block as float32 [blocks, 1]."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(blocks: Blocks, at: int) -> Levels:
    """Return levels 0 to 15 of 16 bytes: low halves first, uint8 [blocks, 32]."""
    packed = blocks[:, at : at + 16]
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _fifth_bits(blocks: Blocks, at: int) -> Levels:
    """Return 0 or 16 for each of 32 weights, from four bytes."""
    bits = np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little")
    return bits << 4


def _q4_0(blocks: Blocks) -> Floats:
    return _half(blocks, 0) * (_nibbles(blocks, 2).astype(np.float32) - np.float32(8))


def _q4_1(blocks: Blocks) -> Floats:
    return _half(blocks, 0) * _nibbles(blocks, 4).astype(np.float32) + _half(blocks, 2)


def _q5_0(blocks: Blocks) -> Floats:
    levels = (_nibbles(blocks, 6) | _fifth_bits(blocks, 2)).astype(np.float32)
    return _half(blocks, 0) * (levels - np.float32(16))


def _q5_1(blocks: Blocks) -> Floats:
    levels = (_nibbles(blocks, 8) | _fifth_bits(blocks, 4)).astype(np.float32)
    return _half(blocks, 0) * levels + _half(blocks, 2)


def _q8_0(blocks: Blocks) -> Floats:
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _q3_k(blocks: Blocks) -> Floats:
    """Third bits in 32 bytes, low bits in 64, sixteen 6-bit scales in 12, d."""
    count = len(blocks)
    third = np.unpackbits(blocks[:, :32, None], axis=2, bitorder="little")  # [B, 32, 8]
    third = third.swapaxes(1, 2).reshape(count, 256)
    packed = blocks[:, 32:96].reshape(count, 2, 1, 32)
    shifts = np.arange(0, 8, 2, dtype=np.uint8)[None, None, :, None]
    low = ((packed >> shifts) & 3).reshape(count, 256)
    levels = low.astype(np.int8) - ((third ^ 1) << 2).astype(np.int8)
    bytes_ = blocks[:, 96:108]
    low_four = np.concatenate([bytes_[:, :8] & 15, bytes_[:, :8] >> 4], axis=1)
    shifts = np.arange(0, 8, 2, dtype=np.uint8)[None, :, None]
    high_two = ((bytes_[:, None, 8:12] >> shifts) & 3).reshape(count, 16)
    scales = (low_four | (high_two << 4)).astype(np.int8) - np.int8(32)
    steps = _half(blocks, 108) * scales.astype(np.float32)
    return (steps[:, :, None] * levels.reshape(count, 16, 16)).reshape(count, 256)


def _six_bit_pairs(blocks: Blocks) -> tuple[Levels, Levels]:
    """Return scales and minima of eight sub-blocks, uint8 [blocks, 8]; see q4_k's packing."""
    first, second, third = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scales = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)], axis=1)
    return scales, minima


def _scaled_levels(blocks: Blocks, levels: Levels) -> Floats:
    """Return d * scale * level - dmin * minimum for levels [blocks, 8, 32]."""
    scales, minima = _six_bit_pairs(blocks)
    steps = _half(blocks, 0) * scales.astype(np.float32)
    shifts = _half(blocks, 2) * minima.astype(np.float32)
    return steps[:, :, None] * levels.astype(np.float32) - shifts[:, :, None]


def _four_bit_levels(blocks: Blocks, at: int) -> Levels:
    packed = blocks[:, at : at + 128].reshape(-1, 4, 32)
    return np.stack([packed & 15, packed >> 4], axis=2).reshape(-1, 8, 32)


def _q4_k(blocks: Blocks) -> Floats:
    return _scaled_levels(blocks, _four_bit_levels(blocks, 16))


def _q5_k(blocks: Blocks) -> Floats:
    bits = np.unpackbits(blocks[:, 16:48, None], axis=2, bitorder="little").swapaxes(1, 2)
    return _scaled_levels(blocks, _four_bit_levels(blocks, 48) | (bits << 4))


def _q6_k(blocks: Blocks) -> Floats:
    """Low four bits in 128 bytes, high two in 64, sixteen 8-bit scales, d."""
    count = len(blocks)
    low = blocks[:, :128].reshape(count, 2, 2, 32)  # [B, half, quarter pair, 32]
    low = np.concatenate([low & 15, low >> 4], axis=2)  # [B, half, 4, 32]
    shifts = np.arange(0, 8, 2, dtype=np.uint8)[None, None, :, None]
    high = (blocks[:, 128:192].reshape(count, 2, 1, 32) >> shifts) & 3
    levels = (low | (high << 4)).reshape(count, 16, 16).astype(np.int8) - np.int8(32)
    steps = _half(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    return (steps[:, :, None] * levels).reshape(count, 256)


_DECODERS: dict[GgmlType, Callable[[Blocks], Floats]] = {
    GgmlType.Q4_0: _q4_0, GgmlType.Q4_1: _q4_1, GgmlType.Q5_0: _q5_0, GgmlType.Q5_1: _q5_1,
    GgmlType.Q8_0: _q8_0, GgmlType.Q3_K: _q3_k, GgmlType.Q4_K: _q4_k, GgmlType.Q5_K: _q5_k,
    GgmlType.Q6_K: _q6_k,
}  # fmt: skip
DECODED_TYPES = (GgmlType.F32, GgmlType.F16, GgmlType.BF16, *_DECODERS)
