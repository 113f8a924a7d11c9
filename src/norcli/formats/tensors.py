"""Safetensors checkpoints read by memory map, without torch: one file, or shards with an index.

Used by quantize, which takes rows as float32 whatever the stored type; bfloat16 is the upper half
of a float32 and needs no library. Checks headers against file sizes, so that a truncated download
is named before any work. Does not write checkpoints and does not read pickled ones.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError, InputMissingError

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit

Floats = npt.NDArray[np.float32]

_STORED: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
               "U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1,
               "F8_E5M2": 1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor lies: name, stored type, shape, file, byte range in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    start: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """Number of values."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class TensorFile:
    """One safetensors file: its header, checked, and a read-only map of its data.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is truncated, or not a safetensors file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        try:
            with open(path, "rb") as stream:
                self.size = os.fstat(stream.fileno()).st_size
                self.entries = self._read_header(stream.read(8), stream)
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise InputMissingError("no such file", path=self.path) from None
        except OSError as error:
            raise InputMissingError(f"cannot be read: {error.strerror}", path=self.path) from error

    def _read_header(self, prefix: bytes, stream: Any) -> dict[str, TensorEntry]:
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or self.size < 8 + 2:
            raise self._wrong(f"holds {self.size} bytes: not a safetensors file")
        if length > MAX_HEADER_BYTES:
            raise self._wrong("does not start like a safetensors file")
        if 8 + length > self.size:
            raise self._truncated(8 + length)
        try:
            header = json.loads(stream.read(length))
            items = [(name, value) for name, value in header.items() if name != "__metadata__"]
            return {name: self._entry(name, value, 8 + length) for name, value in items}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._wrong("has a safetensors header that cannot be understood") from error

    def _entry(self, name: str, value: dict[str, Any], data_start: int) -> TensorEntry:
        shape = tuple(int(extent) for extent in value["shape"])
        start, end = (int(offset) for offset in value["data_offsets"])
        entry = TensorEntry(
            name, str(value["dtype"]), shape, self.path, data_start + start, end - start
        )
        if start < 0 or end < start or min(shape, default=0) < 0:
            raise self._wrong(f'tensor "{name}" has a negative place or shape')
        if data_start + end > self.size:
            raise self._truncated(data_start + end)
        wanted = entry.elements * _ITEM_BYTES.get(entry.dtype, 0)
        if entry.dtype in _ITEM_BYTES and wanted != entry.size_bytes:
            raise self._wrong(
                f'tensor "{name}" takes {wanted} bytes by its shape, {entry.size_bytes} in the file'
            )
        return entry

    def _wrong(self, message: str) -> DataError:
        return DataError(message, path=self.path)

    def _truncated(self, wanted: int) -> DataError:
        return DataError(
            f"is truncated: {self.size} bytes, its header promises at least {wanted}",
            path=self.path, hint="copy or download the file again",
        )  # fmt: skip

    def values(self, entry: TensorEntry) -> npt.NDArray[Any]:
        """Return the stored values in the entry's shape; bfloat16 as its uint16 bits."""
        kind = _STORED.get(entry.dtype)
        if kind is None:
            raise self._wrong(
                f'tensor "{entry.name}" is stored as {entry.dtype}; expected F32, F16 or BF16'
            )
        flat = np.frombuffer(self._map, kind, entry.elements, entry.start)
        return flat.reshape(entry.shape)

    def release(self, entry: TensorEntry) -> None:
        """Let go of the memory pages of a tensor; they are read again if touched.

        Mapped pages count as resident memory, so a model larger than the bound needs this.
        """
        if not hasattr(self._map, "madvise") or entry.size_bytes == 0:
            return
        first = entry.start // mmap.PAGESIZE * mmap.PAGESIZE
        self._map.madvise(mmap.MADV_DONTNEED, first, entry.start + entry.size_bytes - first)


class Checkpoint:
    """All tensors of a model directory by name.

    Args:
        directory: A Hugging Face model directory.

    Raises:
        InputMissingError: A shard that the index names is not there.
        DataError: There is no safetensors checkpoint, or a file of it is damaged.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.files: dict[str, TensorFile] = {}
        self.entries: dict[str, TensorEntry] = {}
        index = self.directory / INDEX_FILE
        for name in _shards(index) if index.is_file() else [self._single()]:
            self._add(name)
        if not self.entries:
            raise DataError("holds no tensors", path=self.directory)

    def _single(self) -> str:
        if (self.directory / SINGLE_FILE).is_file():
            return SINGLE_FILE
        found = sorted(path.name for path in self.directory.glob("*.safetensors"))
        if len(found) == 1:
            return found[0]
        pickled = sorted(path.name for path in self.directory.glob("*.bin"))
        raise DataError(
            f"has no {SINGLE_FILE}" + (f", only {pickled[0]}" if pickled else ""),
            path=self.directory,
            hint="save the model with save_pretrained(..., safe_serialization=True)",
        )

    def _add(self, name: str) -> None:
        file = TensorFile(self.directory / name)
        self.files[file.path] = file
        for tensor, entry in file.entries.items():
            if tensor in self.entries:
                raise DataError(f'holds tensor "{tensor}" a second time', path=file.path)
            self.entries[tensor] = entry

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors as stored."""
        return sum(entry.size_bytes for entry in self.entries.values())

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(entry.elements for entry in self.entries.values())

    def stored(self, name: str) -> npt.NDArray[Any]:
        """Return a tensor's stored values, mapped from the file."""
        entry = self.entries[name]
        return self.files[entry.path].values(entry)

    def release(self, name: str) -> None:
        """Let go of the memory pages of a tensor."""
        entry = self.entries[name]
        self.files[entry.path].release(entry)


def to_float32(stored: npt.NDArray[Any]) -> Floats:
    """Return stored values as float32, exactly; uint16 is taken as bfloat16.

    The result is contiguous and a view where nothing had to change.
    """
    if stored.dtype == np.uint16:
        wide = stored.astype(np.uint32, order="C")
        np.left_shift(wide, 16, out=wide)
        return wide.view(np.float32)
    return np.ascontiguousarray(stored, dtype=np.float32)


def _shards(index: Path) -> Sequence[str]:
    """Return the file names in an index, each once, in the order of first mention."""
    try:
        names = json.loads(index.read_bytes())["weight_map"].values()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError('cannot be read as an index with a "weight_map"', path=index) from error
    shards = list(dict.fromkeys(str(name) for name in names))
    for name in shards:
        if Path(name).name != name:
            raise DataError(f'names a shard outside the directory: "{name}"', path=index)
    return shards
