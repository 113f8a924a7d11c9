"""The weights of a source, tile by tile: some rows of one matrix, as the file will have them.

Transposed, reordered for rotary embedding, stacked by expert and with an adapter's product added,
but each only as large as a core's cache: memory does not depend on the model's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.formats.tensors import to_float32
from norcli.quantize.adapter import Adapter
from norcli.quantize.kernels.encode import Floats
from norcli.quantize.plan import Source, Weights
from norcli.quantize.tensor_names import PlannedTensor

# Four MB of float32: fits the cache of one core, and is large beside the cost of a hand-over.
TILE_WEIGHTS = 1 << 20

Stored = npt.NDArray[Any]


@dataclass(frozen=True)
class Tile:
    """Some rows of one matrix of one tensor; `last` in its tensor or not.

    `importance` weighs the columns, float32 [columns]; None weighs them alike.
    """

    tensor: PlannedTensor
    index: int
    source: str | None
    weights: int
    load: Callable[[], Floats]
    last: bool
    importance: Floats | None = None


def tiles_of(source: Source, tile_weights: int) -> Iterator[Tile]:
    """Yield the tiles of all tensors, in the order of the file, of about so many weights."""
    for index, tensor in enumerate(source.tensors):
        if tensor.values is not None:
            flat = tensor.values.reshape(-1)
            yield Tile(tensor, index, None, flat.size, partial(_computed, flat), True)
            continue
        importance = source.importance
        weights = None if importance is None else importance.weights_of(tensor.name, tensor.shape)
        yield from _tensor_tiles(source, tensor, index, weights, tile_weights)


def _computed(values: Floats) -> Floats:
    return values


def _tensor_tiles(
    source: Source, tensor: PlannedTensor, index: int, weights: Floats | None, tile_weights: int
) -> Iterator[Tile]:
    matrices = list(_matrices(source.checkpoint, tensor))
    for number, (name, matrix) in enumerate(matrices):
        rows, columns = matrix.shape
        order = rotary_order(rows, tensor.heads) if tensor.transform == "rotary" else None
        step = max(1, tile_weights // columns)
        for first in range(0, rows, step):
            end = min(first + step, rows)
            chosen: Any = slice(first, end) if order is None else order[first:end]
            last = end == rows and number == len(matrices) - 1
            load = partial(_load, matrix, chosen, name, source.adapter)
            importance = None if weights is None else weights[number]
            yield Tile(tensor, index, name, (end - first) * columns, load, last, importance)


def _load(matrix: Stored, chosen: Any, name: str, adapter: Adapter | None) -> Floats:
    values = to_float32(matrix[chosen])
    delta = None if adapter is None else adapter.delta(name, chosen)
    return (values if delta is None else values + delta).reshape(-1)


def _matrices(checkpoint: Weights, tensor: PlannedTensor) -> Iterator[tuple[str, Stored]]:
    """Yield the stored matrices of a tensor as mapped views, rows as the file will have them."""
    for name in tensor.sources:
        stored = checkpoint.stored(name)
        if tensor.transform == "transpose":
            stored = stored.T
        if stored.ndim == 1:
            # The rows of a rotary bias are its single values.
            shape = (-1, 1) if tensor.transform == "rotary" else (1, -1)
            yield name, stored.reshape(shape)
        elif stored.ndim == 2:
            yield name, stored
        else:
            height = tensor.shape[-2]
            for expert in stored:
                yield name, expert[tensor.row_start : tensor.row_start + height]


def rotary_order(rows: int, heads: int) -> npt.NDArray[np.int64]:
    """Return which stored row each written row is: halves of each head become pairs.

    Hugging Face stores the first components of all pairs of a head, then the second ones;
    llama.cpp's graph turns neighbouring rows together.
    """
    half = rows // heads // 2
    grid = np.arange(rows, dtype=np.int64).reshape(heads, 2, half)
    return np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(-1)
