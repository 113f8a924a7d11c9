"""Float arithmetic that the block formats need bit for bit: half precision, rounding, bits.

Used by every kernel of this folder. The conversions work on bits, so that the result does not
depend on the processor's half-precision instructions; rounding to an integer goes through the
float whose last place is one, as the reference does, so that ties go to the even neighbour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

# 1.5 * 2^23: added to a float of magnitude below 2^22, its low mantissa bits are the rounded
# integer, offset by 2^22.
_ROUNDING = np.float32(12582912.0)
_MANTISSA = np.int32(0x007FFFFF)
_OFFSET = np.int32(0x00400000)

inlined = njit(error_model="numpy", fastmath=False, inline="never")


@intrinsic
def float_bits(typing_context: Any, value: Any) -> Any:
    """Return the bits of a float32 as int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int32))

    return types.int32(types.float32), generate


@intrinsic
def bits_float(typing_context: Any, value: Any) -> Any:
    """Return the float32 that an int32 holds the bits of."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


@inlined
def nearest(value: np.float32) -> np.int32:
    """Round to the nearest integer, ties to even; defined (not sensible) beyond 2^22."""
    return np.int32(np.int32(float_bits(np.float32(value + _ROUNDING)) & _MANTISSA) - _OFFSET)


@inlined
def half_bits(value: np.float32) -> np.int32:
    """Return the 16 bits of the half nearest to a float, ties to even."""
    bits = float_bits(value)
    sign = np.int32((bits >> 16) & 0x8000)
    magnitude = np.int32(bits & 0x7FFFFFFF)
    if magnitude >= 0x47800000:  # 65536 and beyond: infinity, or a NaN kept quiet
        return np.int32(sign | (0x7E00 if magnitude > 0x7F800000 else 0x7C00))
    if magnitude < 0x38800000:
        # Subnormal halves are multiples of 2^-24, the last place of floats in [0.5, 1).
        shifted = np.float32(bits_float(magnitude) + np.float32(0.5))
        return np.int32(sign | (float_bits(shifted) - np.int32(0x3F000000)))
    odd = np.int32((magnitude >> 13) & 1)
    rounded = np.int32(magnitude - np.int32(112 << 23) + np.int32(0xFFF) + odd)
    return np.int32(sign | (rounded >> 13))


@inlined
def half_value(bits: np.int32) -> np.float32:
    """Return the float that 16 bits of half precision stand for."""
    magnitude = np.int32(bits & 0x7FFF)
    if magnitude >= 0x7C00:
        value = bits_float(np.int32(0x7F800000 | ((magnitude & 0x3FF) << 13)))
    elif magnitude >= 0x400:
        value = bits_float(np.int32((magnitude << 13) + (112 << 23)))
    else:
        value = np.float32(np.float32(magnitude) * np.float32(5.9604644775390625e-08))
    return -value if bits & 0x8000 else value


@inlined
def is_infinite_half(bits: np.int32) -> bool:
    """Whether a scale left the range of half precision: the block would be read as infinities."""
    return (bits & 0x7C00) == 0x7C00
