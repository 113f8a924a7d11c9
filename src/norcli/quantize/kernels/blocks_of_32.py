"""Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0: one scale (and minimum) per 32 weights.

The types that widths not divisible by 256 fall back to, and simple types of their own. Facts of
the formats: ggml-quants.c (quantize_row_*_ref). With an importance matrix see
`weighted_blocks_of_32`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.quantize.kernels.floats import half_bits, inlined, is_infinite_half

BLOCK = 32


@inlined
def _largest(source: Any, base: int) -> np.float32:
    """Return the value of largest magnitude, the first of equals."""
    largest, magnitude = np.float32(0), np.float32(0)
    for i in range(BLOCK):
        x = source[base + i]
        if np.float32(abs(x)) > magnitude:
            magnitude, largest = np.float32(abs(x)), x
    return largest


@inlined
def _inverse(d: np.float32) -> np.float32:
    """Return 1/d, or 0 where that is no finite number.

    Blocks of subnormal floats have an infinite inverse; the reference's integer conversion then
    ends at level 0, as this zero does.
    """
    inverse = np.float32(np.float32(1) / d)
    return inverse if abs(inverse) <= np.float32(3.4028235e38) else np.float32(0)


@inlined
def put_half(out: Any, at: int, value: np.float32) -> bool:
    """Write a half; False if the value leaves its range."""
    bits = half_bits(value)
    out[at], out[at + 1] = np.uint8(bits & 255), np.uint8(bits >> 8)
    return not is_infinite_half(bits)


@inlined
def pack(level: Any, out: Any, at: int) -> None:
    """Weights i and i + 16 share byte i."""
    for i in range(16):
        out[at + i] = np.uint8((level[i] & 15) | ((level[16 + i] & 15) << 4))


@inlined
def pack_fifth_bits(level: Any, out: Any, at: int) -> None:
    """Bit i of four bytes belongs to weight i."""
    fifth = np.uint32(0)
    for i in range(BLOCK):
        fifth |= np.uint32(np.uint32((level[i] & 16) >> 4) << np.uint32(i))
    for byte in range(4):
        out[at + byte] = np.uint8((fifth >> np.uint32(8 * byte)) & np.uint32(255))


@inlined
def _signed_levels(source: Any, base: int, middle: np.int32, level: Any) -> np.float32:
    """Fill levels 0..2*middle-1 around `middle`, the extreme value at 0; return the scale."""
    d = np.float32(_largest(source, base) / np.float32(-middle))
    inverse, half = _inverse(d), np.float32(np.float32(middle) + np.float32(0.5))
    top = np.int32(2 * middle - 1)
    if d != np.float32(0) and inverse == np.float32(0):
        half = np.float32(0)  # see _inverse
    for i in range(BLOCK):
        value = np.float32(np.float32(source[base + i] * inverse) + half)
        level[i] = np.uint8(min(top, np.int32(value)))
    return d


@inlined
def _ranged_levels(source: Any, base: int, top: np.int32, level: Any, low: Any) -> np.float32:
    """Fill levels 0..top from the lowest to the highest value; return the scale."""
    lowest, highest = source[base], source[base]
    for i in range(BLOCK):
        x = source[base + i]
        lowest = x if x < lowest else lowest
        highest = x if x > highest else highest
    d = np.float32(np.float32(highest - lowest) / np.float32(top))
    inverse = _inverse(d)
    for i in range(BLOCK):
        value = np.float32(
            np.float32(np.float32(source[base + i] - lowest) * inverse) + np.float32(0.5)
        )
        level[i] = np.uint8(min(top, np.int32(value)))
    low[0] = lowest
    return d


@kernel
def encode_q4_0(source: Any, out: Any) -> int:
    """Write Q4_0 blocks of 18 bytes; return how many scales leave half's range."""
    bad, level = 0, np.empty(BLOCK, np.uint8)
    for b in range(source.size // BLOCK):
        d = _signed_levels(source, b * BLOCK, np.int32(8), level)
        bad += 0 if put_half(out, b * 18, d) else 1
        pack(level, out, b * 18 + 2)
    return bad


@kernel
def encode_q4_1(source: Any, out: Any) -> int:
    """Write Q4_1 blocks of 20 bytes; return how many scales leave half's range."""
    bad, level, low = 0, np.empty(BLOCK, np.uint8), np.empty(1, np.float32)
    for b in range(source.size // BLOCK):
        d = _ranged_levels(source, b * BLOCK, np.int32(15), level, low)
        good = put_half(out, b * 20, d) & put_half(out, b * 20 + 2, low[0])
        bad += 0 if good else 1
        pack(level, out, b * 20 + 4)
    return bad


@kernel
def encode_q5_0(source: Any, out: Any) -> int:
    """Write Q5_0 blocks of 22 bytes; return how many scales leave half's range."""
    bad, level = 0, np.empty(BLOCK, np.uint8)
    for b in range(source.size // BLOCK):
        d = _signed_levels(source, b * BLOCK, np.int32(16), level)
        bad += 0 if put_half(out, b * 22, d) else 1
        pack_fifth_bits(level, out, b * 22 + 2)
        pack(level, out, b * 22 + 6)
    return bad


@kernel
def encode_q5_1(source: Any, out: Any) -> int:
    """Write Q5_1 blocks of 24 bytes; return how many scales leave half's range."""
    bad, level, low = 0, np.empty(BLOCK, np.uint8), np.empty(1, np.float32)
    for b in range(source.size // BLOCK):
        d = _ranged_levels(source, b * BLOCK, np.int32(31), level, low)
        good = put_half(out, b * 24, d) & put_half(out, b * 24 + 2, low[0])
        bad += 0 if good else 1
        pack_fifth_bits(level, out, b * 24 + 4)
        pack(level, out, b * 24 + 8)
    return bad


@kernel
def encode_q8_0(source: Any, out: Any) -> int:
    """Write Q8_0 blocks of 34 bytes; return how many scales leave half's range."""
    bad = 0
    half = np.float32(0.5)
    for b in range(source.size // BLOCK):
        d = np.float32(np.float32(abs(_largest(source, b * BLOCK))) / np.float32(127))
        inverse = _inverse(d)
        bad += 0 if put_half(out, b * 34, d) else 1
        for i in range(BLOCK):
            value = np.float32(source[b * BLOCK + i] * inverse)
            whole = np.int32(value)
            # Half away from zero, as roundf; the difference is exact, value + 0.5 is not.
            rest = np.float32(value - np.float32(whole))
            whole += np.int32(1) if rest >= half else np.int32(0)
            whole -= np.int32(1) if rest <= -half else np.int32(0)
            out[b * 34 + 2 + i] = np.uint8(whole & 255)
    return bad
