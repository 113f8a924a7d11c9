"""Tiles of weights turned into the bytes of each file, by threads or on a GPU, in the files' order.

A tile is encoded once per type, whatever the number of files; results come in order, so that the
bytes depend neither on the number of threads nor on the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from norcli.errors import DataError, UnavailableError, missing_extra
from norcli.formats.gguf import GgmlType
from norcli.quantize.kernels.decode import decode
from norcli.quantize.kernels.encode import Bytes, Floats, encode
from norcli.quantize.plan import Layout, Source
from norcli.quantize.tiles import TILE_WEIGHTS, Tile, tiles_of

# A GPU wants many sub-blocks at once: 256 MB of float32.
GPU_TILE_WEIGHTS = 64 << 20

Encode = Callable[[Floats, GgmlType, Floats | None], Bytes]


@dataclass(frozen=True)
class Work:
    """What is to be encoded, and how.

    Attributes:
        source: The weights.
        layouts: The files.
        jobs: Threads.
        device: ``cpu`` or ``cuda``.
        measures: Whether errors are added up.
    """

    source: Source
    layouts: list[Layout]
    jobs: int = 1
    device: str = "cpu"
    measures: bool = False


@dataclass(frozen=True)
class Encoded:
    """A tile's bytes for each file, with its squared errors and squared weights if measured."""

    data: list[Bytes]
    errors: list[float] = field(default_factory=list)
    power: float = 0.0


def encode_tiles(work: Work) -> Iterator[tuple[Tile, Encoded]]:
    """Yield the tiles in file order with their bytes for each file.

    Raises:
        DataError: The model holds NaN or infinite weights, or too large ones.
        UnavailableError: There is no GPU, or torch is not installed.
    """
    encode_one = _encoder(work.device)
    tiles = tiles_of(work.source, GPU_TILE_WEIGHTS if work.device != "cpu" else TILE_WEIGHTS)
    if work.jobs == 1:
        for tile in tiles:
            yield tile, _encode_tile(tile, work, encode_one)
        return
    waiting: deque[tuple[Tile, Future[Encoded]]] = deque()
    with ThreadPoolExecutor(work.jobs) as pool:
        try:
            for tile in tiles:
                waiting.append((tile, pool.submit(partial(_encode_tile, tile, work, encode_one))))
                if len(waiting) > 2 * work.jobs:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _encoder(device: str) -> Encode:
    """Return what encodes weights on a device; types without a search stay on the processor."""
    if device == "cpu":
        return encode
    try:
        import torch
    except ImportError as error:
        raise missing_extra("torch", "train") from error
    from norcli.quantize.kernels.torch_encode import TORCH_TYPES, encode_on

    if not torch.cuda.is_available():
        raise UnavailableError("no GPU that torch can use was found", hint="leave --device out")

    def encode_there(values: Floats, kind: GgmlType, importance: Floats | None) -> Bytes:
        if kind in TORCH_TYPES:
            return encode_on(device, values, kind, importance)
        return encode(values, kind, importance)

    return encode_there


def _encode_tile(tile: Tile, work: Work, encode_one: Encode) -> Encoded:
    values = tile.load()
    entries = work.source.checkpoint.entries
    path = None if tile.source is None else entries[tile.source].path
    if not np.isfinite(values).all():
        raise DataError(f'tensor "{tile.source}" holds NaN or infinite weights', path=path)
    kinds = [layout.choices[tile.index].kind for layout in work.layouts]
    try:
        encoded = {kind: encode_one(values, kind, tile.importance) for kind in dict.fromkeys(kinds)}
    except DataError as error:
        raise DataError(f'tensor "{tile.source}" holds {error.message}', path=path,
                        hint="convert to BF16 or F32") from error  # fmt: skip
    data = [encoded[kind] for kind in kinds]
    if not work.measures:
        return Encoded(data)
    errors = {kind: _squares(decode(raw, kind) - values) for kind, raw in encoded.items()}
    return Encoded(data, [errors[kind] for kind in kinds], _squares(values))


def _squares(values: Floats) -> float:
    return float(np.sum(np.square(values, dtype=np.float64)))
