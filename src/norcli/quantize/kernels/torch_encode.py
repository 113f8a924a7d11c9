"""K types encoded by torch, on a GPU or, for tests, on the processor: the bytes of `encode`.

The searches are `torch_search`'s; here scales and levels are packed into blocks. Layout facts as in
`q3_k`, `q4_k` and `q6_k`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from norcli.errors import DataError
from norcli.formats.gguf import GgmlType
from norcli.quantize.kernels.encode import Bytes, Floats
from norcli.quantize.kernels.torch_search import (
    TINY,
    MoveSearch,
    RangeSearch,
    ScaleSearch,
    filled,
    first_largest,
    fit_positive,
    fit_signed,
    nearest,
    root,
    summed,
)

Encoder = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]


def encode_on(device: str, values: Floats, kind: GgmlType, importance: Floats | None) -> Bytes:
    """Return the bytes of weights in a K type, worked out on a device.

    Args:
        device: As torch names it, ``cuda`` or ``cpu``.
        values: float32 [n], n a multiple of 256, finite.
        kind: One of `TORCH_TYPES`.
        importance: float32 [columns], see `norcli.quantize.kernels.encode.encode`.

    Raises:
        DataError: A block's scale is too large for half precision.
    """
    blocks = torch.from_numpy(np.ascontiguousarray(values)).to(device).reshape(-1, 256)
    weights = None
    if importance is not None:
        columns = torch.from_numpy(np.ascontiguousarray(importance)).to(device)
        repeats = blocks.numel() // columns.numel()
        weights = columns.repeat(repeats).reshape(-1, 256)
    raw, scales = _ENCODERS[kind](blocks, weights)
    if bool(torch.isinf(scales.half()).any()):
        raise DataError(f"weights too large for {kind.name}, whose scales are half precision")
    found: Bytes = raw.cpu().numpy().reshape(-1)
    return found


def _lanes(blocks: Tensor, sub: int) -> Tensor:
    """Lay sub-blocks side by side, [B, 256] → [sub, B * 256 / sub]."""
    return blocks.reshape(-1, sub).T.contiguous()


def _weigh(blocks: Tensor, weights: Tensor, sub: int) -> Tensor:
    """Return importance times sqrt(2 * mean square of the super-block + x²), in lanes."""
    squares = summed((blocks * blocks).T.contiguous())
    power = (squares + squares) / filled(squares, 256.0)
    return _lanes(weights * root(power[:, None] + blocks * blocks), sub)


def _halves(values: Tensor) -> Tensor:
    """Return halves as two bytes each, uint8 [B, 2]."""
    return values.half().contiguous().view(torch.uint8).reshape(-1, 2)


def _stored(values: Tensor) -> Tensor:
    """Return what half precision keeps of values."""
    return values.half().float()


def _encode_ranged(
    blocks: Tensor, weights: Tensor | None, top: int, first: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Write Q4_K (`top` 15) or Q5_K (31)."""
    x = _lanes(blocks, 32)
    if weights is None:
        mean = summed(x * x) / filled(x[0], 32.0)
        search = RangeSearch(x, root(mean) + x.abs(), top, first, 0.1, steps)
        scales, minima = search.scale.reshape(-1, 8), -search.minimum.reshape(-1, 8)
        d, six = _plain_six(scales)
        dmin, six_min = _plain_six(minima)
    else:
        search = RangeSearch(x, _weigh(blocks, weights, 32), top, -0.9, 0.05, 36)
        cap = 63 if top == 31 else 255
        sums = search.sum_w.reshape(-1, 8).T
        d, six = fit_positive(search.scale.reshape(-1, 8).T, sums, 63)
        dmin, six_min = fit_positive(-search.minimum.reshape(-1, 8).T, sums, 63)
        six, six_min = six.T.clamp(max=cap), six_min.T.clamp(max=cap)
    packed, six, six_min = _pack_six(six, six_min)
    scale = _stored(d)[:, None] * six.float()
    shift = _stored(dmin)[:, None] * six_min.float()
    values = blocks.reshape(-1, 8, 32)
    rounded = nearest((values + shift[:, :, None]) / scale[:, :, None]).clamp(0, top)
    kept = search.kept_levels().T.reshape(-1, 8, 32)
    levels = torch.where(scale[:, :, None] != 0, rounded, kept)
    parts = [_halves(d), _halves(dmin), packed]
    if top == 31:
        shifts = torch.arange(8, device=blocks.device)[None, :, None]
        parts.append(((levels >> 4) << shifts).sum(1).to(torch.uint8))
    low = (levels & 15).reshape(-1, 4, 2, 32)
    parts.append((low[:, :, 0] | (low[:, :, 1] << 4)).reshape(-1, 128).to(torch.uint8))
    return torch.cat(parts, 1), torch.stack([d, dmin])


def _plain_six(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the block scale and 6-bit levels of scales or minima, [B, 8] → [B], [B, 8]."""
    # Not maximum: of -0 and 0 it may take either, and the sign is stored.
    found = values.amax(1)
    highest = torch.where(found > 0, found, torch.zeros_like(found))
    inverse = torch.where(highest > 0, filled(highest, 63.0) / highest, torch.zeros_like(highest))
    six = (nearest(inverse[:, None] * values) & 255).clamp(max=63)
    return highest / filled(highest, 63.0), six


def _pack_six(six: Tensor, minima: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pack two times eight levels into 12 bytes; return them and what they hold."""
    first = (six[:, :4] | ((six[:, 4:] >> 4) << 6)) & 255
    second = (minima[:, :4] | ((minima[:, 4:] >> 4) << 6)) & 255
    third = ((six[:, 4:] & 15) | ((minima[:, 4:] & 15) << 4)) & 255
    held = torch.cat([first & 63, (third & 15) | ((first >> 6) << 4)], 1)
    held_minima = torch.cat([second & 63, (third >> 4) | ((second >> 6) << 4)], 1)
    return torch.cat([first, second, third], 1).to(torch.uint8), held, held_minima


def _encode_q3_k(blocks: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    x = _lanes(blocks, 16)
    search: MoveSearch | ScaleSearch
    if weights is None:
        search = MoveSearch(x)
        d, six = _signed_six(search.scale.reshape(-1, 16))
    else:
        w = _weigh(blocks, weights, 16)
        search = ScaleSearch(x, w, 4)
        d, six = fit_signed(search.scale.reshape(-1, 16).T, summed(w).reshape(-1, 16).T, 32)
        six = six.T
    scale = (_stored(d)[:, None] * six.float())[:, :, None]
    rounded = nearest(blocks.reshape(-1, 16, 16) / scale).clamp(-4, 3) + 4
    kept = search.kept_levels().T.reshape(-1, 16, 16)
    levels = torch.where(scale != 0, rounded, kept).reshape(-1, 256)
    shifts = torch.arange(8, device=blocks.device)[None, :, None]
    third = ((levels.reshape(-1, 8, 32) > 3).int() << shifts).sum(1)
    quarters = (levels & 3).reshape(-1, 2, 4, 32)
    low = (quarters << (2 * shifts[:, None, :4])).sum(2).reshape(-1, 64)
    bits = six + 32
    nibbles = (bits[:, :8] & 15) | ((bits[:, 8:] & 15) << 4)
    high = ((bits >> 4).reshape(-1, 4, 4) << (2 * shifts[:, :4])).sum(1)
    raw = torch.cat([third, low, nibbles, high], 1).to(torch.uint8)
    return torch.cat([raw, _halves(d)], 1), d[None]


def _signed_six(scales: Tensor) -> tuple[Tensor, Tensor]:
    extreme = first_largest(scales.T)
    iscale = filled(extreme, -32.0) / extreme
    six = nearest(iscale[:, None] * scales).clamp(-32, 31)
    none = extreme == 0
    d = torch.where(none, torch.zeros_like(extreme), filled(iscale, 1.0) / iscale)
    return d, torch.where(none[:, None], torch.full_like(six, -32), six)


def _encode_q6_k(blocks: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    x = _lanes(blocks, 16)
    search = ScaleSearch(x, x * x if weights is None else _lanes(weights, 16), 32)
    scales = search.scale.reshape(-1, 16)
    extreme = first_largest(scales.T)
    empty = extreme.abs() < TINY
    iscale = filled(extreme, -128.0) / extreme
    d = torch.where(empty, torch.zeros_like(extreme), filled(iscale, 1.0) / iscale)
    eight = nearest(iscale[:, None] * scales).clamp(max=127).to(torch.int8)
    scale = (_stored(d)[:, None] * eight.float())[:, :, None]
    rounded = nearest(blocks.reshape(-1, 16, 16) / scale).clamp(-32, 31) + 32
    kept = search.kept_levels().T.reshape(-1, 16, 16)
    levels = torch.where(scale != 0, rounded, kept).reshape(-1, 2, 4, 32)
    low = levels & 15
    nibbles = torch.stack(
        [low[:, :, 0] | (low[:, :, 2] << 4), low[:, :, 1] | (low[:, :, 3] << 4)], 2
    )
    shifts = 2 * torch.arange(4, device=blocks.device)[None, None, :, None]
    high = ((levels >> 4) << shifts).sum(2)
    raw = torch.cat([nibbles.reshape(-1, 128), high.reshape(-1, 64)], 1).to(torch.uint8)
    raw = torch.cat([raw, eight.view(torch.uint8), _halves(d)], 1)
    return torch.where(empty[:, None], torch.zeros_like(raw), raw), d[None]


def _encode_q4_k(blocks: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    return _encode_ranged(blocks, weights, 15, -1.0, 20)


def _encode_q5_k(blocks: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    return _encode_ranged(blocks, weights, 31, -0.5, 15)


_ENCODERS: dict[GgmlType, Encoder] = {
    GgmlType.Q3_K: _encode_q3_k, GgmlType.Q4_K: _encode_q4_k, GgmlType.Q5_K: _encode_q5_k,
    GgmlType.Q6_K: _encode_q6_k,
}  # fmt: skip
TORCH_TYPES = tuple(_ENCODERS)
