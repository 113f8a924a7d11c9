"""GGUF, the file format of llama.cpp: header, metadata and tensor table, in and out.

The writer knows every offset before the first tensor byte, so quantize streams; the reader maps
the file and decodes strings on demand, so a 131k-word vocabulary opens at once. Layout facts:
docs/gguf.md in ggml-org/ggml, version 3. Tensor bytes are opaque here; see quantize.kernels.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, BinaryIO

from norcli.errors import DataError
from norcli.streams import open_input

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = 32
MAX_DIMENSIONS = 4


class GgmlType(IntEnum):
    """Types of tensors by their number in the file; those that norcli can name."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q8_1 = 9
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    Q8_K = 15
    IQ2_XXS = 16
    IQ2_XS = 17
    IQ3_XXS = 18
    IQ1_S = 19
    IQ4_NL = 20
    IQ3_S = 21
    IQ2_S = 22
    IQ4_XS = 23
    I8 = 24
    I16 = 25
    I32 = 26
    I64 = 27
    F64 = 28
    IQ1_M = 29
    BF16 = 30


# Weights in a block and bytes it takes.
BLOCKS: dict[GgmlType, tuple[int, int]] = {
    GgmlType.F32: (1, 4), GgmlType.F16: (1, 2), GgmlType.BF16: (1, 2), GgmlType.F64: (1, 8),
    GgmlType.I8: (1, 1), GgmlType.I16: (1, 2), GgmlType.I32: (1, 4), GgmlType.I64: (1, 8),
    GgmlType.Q4_0: (32, 18), GgmlType.Q4_1: (32, 20), GgmlType.Q5_0: (32, 22),
    GgmlType.Q5_1: (32, 24), GgmlType.Q8_0: (32, 34), GgmlType.Q8_1: (32, 36),
    GgmlType.Q2_K: (256, 84), GgmlType.Q3_K: (256, 110), GgmlType.Q4_K: (256, 144),
    GgmlType.Q5_K: (256, 176), GgmlType.Q6_K: (256, 210), GgmlType.Q8_K: (256, 292),
    GgmlType.IQ2_XXS: (256, 66), GgmlType.IQ2_XS: (256, 74), GgmlType.IQ3_XXS: (256, 98),
    GgmlType.IQ1_S: (256, 50), GgmlType.IQ4_NL: (32, 18), GgmlType.IQ3_S: (256, 110),
    GgmlType.IQ2_S: (256, 82), GgmlType.IQ4_XS: (256, 136), GgmlType.IQ1_M: (256, 56),
}  # fmt: skip


class ValueType(IntEnum):
    """Types of metadata values."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


_CODES = {
    ValueType.UINT8: "B", ValueType.INT8: "b", ValueType.UINT16: "H", ValueType.INT16: "h",
    ValueType.UINT32: "I", ValueType.INT32: "i", ValueType.FLOAT32: "f", ValueType.BOOL: "?",
    ValueType.UINT64: "Q", ValueType.INT64: "q", ValueType.FLOAT64: "d",
}  # fmt: skip


def row_bytes(kind: GgmlType, columns: int) -> int:
    """Return the bytes of one row; the columns must fill whole blocks."""
    block, size = BLOCKS[kind]
    return columns // block * size


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file: name, shape with the row length last, type, offset in the data.

    The file itself stores extents the other way round, the row length first.
    """

    name: str
    shape: tuple[int, ...]
    kind: GgmlType
    offset: int = 0

    @property
    def elements(self) -> int:
        """Number of weights."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor without padding."""
        block, size = BLOCKS[self.kind]
        return self.elements // block * size


@dataclass
class Metadata:
    """Key-value pairs to write, in order, each with its stored type; None for a copied pair."""

    pairs: dict[str, tuple[ValueType | None, Any]] = field(default_factory=dict)

    def copy(self, key: str, pair: bytes) -> None:
        """Take over a pair as it stands in another file, see `GgufFile.raw_pair`."""
        self.pairs[key] = (None, pair)

    def put(self, kind: ValueType, key: str, value: Any) -> None:
        """Set a scalar or a string; None leaves the key out."""
        if value is not None:
            self.pairs[key] = (kind, value)

    def text(self, key: str, value: str | None) -> None:
        """Set a string; None leaves the key out."""
        self.put(ValueType.STRING, key, value)

    def uint32(self, key: str, value: int | None) -> None:
        """Set an unsigned number; None leaves the key out."""
        self.put(ValueType.UINT32, key, value)

    def float32(self, key: str, value: float | None) -> None:
        """Set a float; None leaves the key out."""
        self.put(ValueType.FLOAT32, key, value)

    def boolean(self, key: str, value: bool | None) -> None:
        """Set a truth value; None leaves the key out."""
        self.put(ValueType.BOOL, key, value)

    def array(self, kind: ValueType, key: str, values: Sequence[Any] | None) -> None:
        """Set an array of scalars or strings (str or bytes); None leaves the key out."""
        if values is not None:
            self.pairs[key] = (ValueType.ARRAY, (kind, values))

    def encode(self) -> bytes:
        """Return the pairs as they stand in a file."""
        parts: list[bytes] = []
        for key, (kind, value) in self.pairs.items():
            if kind is None:
                parts.append(value)
                continue
            parts += [_encode_text(key), struct.pack("<I", kind)]
            if kind is ValueType.ARRAY:
                item_kind, items = value
                parts.append(struct.pack("<IQ", item_kind, len(items)))
                parts.append(_encode_items(item_kind, items))
            else:
                parts.append(_encode_items(kind, [value]))
        return b"".join(parts)


def _encode_text(text: str | bytes) -> bytes:
    # A name taken from a path may hold bytes that are no UTF-8.
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return len(raw).to_bytes(8, "little") + raw


def _encode_items(kind: ValueType, items: Sequence[Any]) -> bytes:
    if kind is ValueType.STRING:
        return b"".join(map(_encode_text, items))
    return struct.pack(f"<{len(items)}{_CODES[kind]}", *items)


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def place_tensors(tensors: Iterable[TensorInfo]) -> list[TensorInfo]:
    """Return the tensors with the offsets they get when written one after the other."""
    placed, offset = [], 0
    for tensor in tensors:
        placed.append(TensorInfo(tensor.name, tensor.shape, tensor.kind, offset))
        offset += _padded(tensor.size_bytes)
    return placed


def padding_after(size: int) -> bytes:
    """Return the zero bytes between a tensor of this size and the next."""
    return bytes(_padded(size) - size)


def encode_header(metadata: Metadata, tensors: Sequence[TensorInfo]) -> bytes:
    """Return everything before the tensor data, padding included; `tensors` are placed."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata.pairs))]
    parts.append(metadata.encode())
    for tensor in tensors:
        parts.append(_encode_text(tensor.name))
        extents = tensor.shape[::-1]
        layout = f"<I{len(extents)}QIQ"
        parts.append(struct.pack(layout, len(extents), *extents, tensor.kind, tensor.offset))
    header = b"".join(parts)
    return header + padding_after(len(header))


def write_gguf(
    stream: BinaryIO, metadata: Metadata, tensors: Sequence[tuple[TensorInfo, bytes]]
) -> int:
    """Write a file whose tensors are at hand; return its bytes.

    Args:
        stream: Where to.
        metadata: The pairs.
        tensors: Each with its data, in order; offsets are worked out here.
    """
    infos = place_tensors(info for info, _ in tensors)
    header = encode_header(metadata, infos)
    size = stream.write(header)
    for info, (_, data) in zip(infos, tensors, strict=True):
        size += stream.write(data) + stream.write(padding_after(info.size_bytes))
    return size


class TextArray(Sequence[str]):
    """An array of strings in a mapped file; each is decoded when asked for."""

    def __init__(self, data: mmap.mmap, starts: list[int]) -> None:
        self._data = data
        self._starts = starts

    def __len__(self) -> int:
        """Return the number of strings."""
        return len(self._starts)

    def raw(self, index: int) -> bytes:
        """Return the bytes of one string; vocabularies may hold broken UTF-8."""
        start = self._starts[index]
        (length,) = struct.unpack_from("<Q", self._data, start)
        return self._data[start + 8 : start + 8 + length]

    def __getitem__(self, index: Any) -> Any:
        """Return one string, or a list of strings for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        return self.raw(index).decode("utf-8", errors="replace")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the strings."""
        return (self[i] for i in range(len(self)))


class GgufFile:
    """A GGUF file's metadata and tensor table, and a map of its data.

    Attributes:
        metadata: Values by key; arrays of strings as `TextArray`, of numbers as tuples.
        tensors: The tensor table in file order.
        data_start: Where tensor offsets count from.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is no GGUF file, or damaged or truncated.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with open_input(path) as stream:
            try:
                self.data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise DataError("is empty: not a GGUF file", path=path) from None
            except OSError as error:
                raise DataError("is a device or a pipe; a GGUF file is mapped, not read through",
                                path=path) from error  # fmt: skip
        self._at = 4
        if self.data[:4] != MAGIC:
            raise DataError("does not start like a GGUF file", path=path)
        try:
            self._read()
        except (struct.error, OverflowError, ValueError) as error:
            raise self._truncated() from error

    def _truncated(self) -> DataError:
        return DataError(
            f"is truncated or damaged: the header does not fit its {len(self.data)} bytes",
            path=self.path,
        )

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        # Sizes in a hostile header are checked against the file before anything is allocated.
        if self._at + size > len(self.data):
            raise self._truncated()
        values = struct.unpack_from(layout, self.data, self._at)
        self._at += size
        return values

    def _read(self) -> None:
        (self.version,) = self._unpack("<I")
        if self.version not in (2, VERSION):
            raise DataError(f"is GGUF version {self.version}; expected 2 or 3", path=self.path)
        tensor_count, pair_count = self._unpack("<QQ")
        if (tensor_count + pair_count) * 12 > len(self.data):
            raise self._truncated()
        self.metadata: dict[str, Any] = {}
        self._pairs: dict[str, tuple[int, int]] = {}
        for _ in range(pair_count):
            start = self._at
            key = self._text()
            self.metadata[key] = self._value(self._kind())
            self._pairs[key] = start, self._at
        self.tensors = [self._tensor() for _ in range(tensor_count)]
        if len({tensor.name for tensor in self.tensors}) < tensor_count:
            raise DataError("holds two tensors of one name", path=self.path)
        alignment = self.metadata.get("general.alignment", ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0:
            raise DataError("has an alignment that is no positive number", path=self.path)
        self.data_start = -(-self._at // alignment) * alignment
        end = max((t.offset + t.size_bytes for t in self.tensors), default=0)
        if self.data_start + end > len(self.data):
            raise DataError(
                f"is truncated: {len(self.data)} bytes, its header promises "
                f"{self.data_start + end}",
                path=self.path, hint="copy or make the file again",
            )  # fmt: skip

    def _text(self) -> str:
        (length,) = self._unpack("<Q")
        (raw,) = self._unpack(f"<{min(length, len(self.data) + 1)}s")
        return str(raw.decode("utf-8", errors="replace"))

    def _kind(self) -> ValueType:
        (number,) = self._unpack("<I")
        return ValueType(number)

    def _value(self, kind: ValueType) -> Any:
        if kind is ValueType.STRING:
            return self._text()
        if kind is not ValueType.ARRAY:
            return self._unpack("<" + _CODES[kind])[0]
        item_kind = self._kind()
        (count,) = self._unpack("<Q")
        if item_kind is ValueType.STRING:
            return self._texts(count)
        if item_kind is ValueType.ARRAY:
            raise DataError("holds arrays of arrays, which norcli does not read", path=self.path)
        return self._unpack(f"<{min(count, len(self.data) + 1)}{_CODES[item_kind]}")

    def _texts(self, count: int) -> TextArray:
        data, at, size = self.data, self._at, len(self.data)
        if count * 8 > size:
            raise self._truncated()
        starts, length_of = [], struct.Struct("<Q").unpack_from
        for _ in range(count):
            starts.append(at)
            at += 8 + length_of(data, at)[0]
            if at > size:
                raise self._truncated()
        self._at = at
        return TextArray(data, starts)

    def _tensor(self) -> TensorInfo:
        name = self._text()
        (dimensions,) = self._unpack("<I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise DataError(f'tensor "{name}" has {dimensions} dimensions', path=self.path)
        extents = self._unpack(f"<{dimensions}Q")
        number, offset = self._unpack("<IQ")
        try:
            kind = GgmlType(number)
        except ValueError:
            raise DataError(
                f'tensor "{name}" has type {number}, which norcli does not know', path=self.path
            ) from None
        if extents[0] % BLOCKS[kind][0] or not all(extents):
            raise DataError(
                f'tensor "{name}" of {kind.name} has extents {list(extents)}: no whole blocks',
                path=self.path,
            )
        return TensorInfo(name, tuple(extents[::-1]), kind, offset)

    def raw_pair(self, key: str) -> bytes:
        """Return a metadata pair's bytes, key and type included."""
        start, end = self._pairs[key]
        return self.data[start:end]

    def tensor_data(self, tensor: TensorInfo) -> memoryview:
        """Return the bytes of one tensor, not copied."""
        start = self.data_start + tensor.offset
        return memoryview(self.data)[start : start + tensor.size_bytes]
