"""Importance matrices: how strongly each input column of a tensor is used, read and written.

Both forms that llama.cpp knows: the GGUF file of today's llama-imatrix, and its older .dat file.
`activations` computes one from a text. Facts of the formats: tools/imatrix/imatrix.cpp and
tools/quantize/quantize.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from norcli.errors import DataError
from norcli.formats.gguf import (
    MAGIC,
    GgmlType,
    GgufFile,
    Metadata,
    TensorInfo,
    TextArray,
    ValueType,
    write_gguf,
)
from norcli.quantize.kernels.encode import Floats
from norcli.streams import atomic_file, open_input

SUMS, COUNTS = ".in_sum2", ".counts"
MOST_ENTRIES = 1 << 20
LONGEST_NAME = 1 << 10


@dataclass(frozen=True)
class Entry:
    """What was seen of one tensor's inputs.

    Attributes:
        sums: Sum of squares of each input column, float32 [experts, columns].
        counts: Tokens that each expert saw, float32 [experts].
    """

    sums: Floats
    counts: Floats

    def weights(self) -> Floats:
        """Return mean squares, float32 [experts, columns]; ones for an expert that saw nothing."""
        counts = self.counts[:, None]
        means = self.sums / np.where(counts > 0, counts, np.float32(1))
        return np.where(counts > 0, means, np.float32(1)).astype(np.float32)


@dataclass
class ImportanceMatrix:
    """Entries by GGUF tensor name, and where they come from."""

    entries: dict[str, Entry]
    datasets: list[str] = field(default_factory=list)
    chunks: int = 0
    chunk_tokens: int = 0
    path: str = ""

    def weights_of(self, name: str, shape: Sequence[int]) -> Floats | None:
        """Return what weighs a tensor's rows, None where nothing was recorded for it.

        Args:
            name: GGUF name.
            shape: Extents, the row length last; experts first where there are three.

        Returns:
            float32 [experts or 1, columns].

        Raises:
            DataError: The entry belongs to a model of another shape, or is not finite.
        """
        entry = self.entries.get(name)
        if entry is None:
            return None
        experts = shape[0] if len(shape) == 3 else 1
        weights = entry.weights()
        if weights.shape != (experts, shape[-1]):
            raise DataError(
                f'has {list(weights.shape)} values for "{name}", whose inputs are '
                f"{[experts, shape[-1]]}", path=self.path,
                hint="was it made from another model?",
            )  # fmt: skip
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise DataError(f'holds negative or infinite values for "{name}"', path=self.path)
        return weights

    def describe(self, metadata: Metadata) -> None:
        """Add the keys that llama-quantize writes into a file made with an importance matrix."""
        metadata.text("quantize.imatrix.file", self.path)
        metadata.text("quantize.imatrix.dataset", self.datasets[0] if self.datasets else None)
        metadata.put(ValueType.INT32, "quantize.imatrix.entries_count", len(self.entries))
        metadata.put(ValueType.INT32, "quantize.imatrix.chunks_count", self.chunks)


def is_importance_matrix(path: str) -> bool:
    """Whether a file holds a matrix rather than a text: by its first bytes, or .dat."""
    if path == "-":
        return False
    with open_input(path) as stream:
        return stream.read(4) == MAGIC or path.endswith(".dat")


def read_importance(path: str) -> ImportanceMatrix:
    """Read a matrix of either form.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is no importance matrix, or damaged.
    """
    with open_input(path) as stream:
        is_gguf = stream.read(4) == MAGIC
    matrix = _read_gguf(path) if is_gguf else _read_dat(path)
    if not matrix.entries:
        raise DataError("holds no importance matrix", path=path)
    return matrix


def _read_gguf(path: str) -> ImportanceMatrix:
    file = GgufFile(path)
    if file.metadata.get("general.type") != "imatrix":
        raise DataError("is a GGUF file, but no importance matrix", path=path)
    tensors = {tensor.name: tensor for tensor in file.tensors}
    entries = {}
    for name, tensor in tensors.items():
        if not name.endswith(SUMS):
            continue
        counts = tensors.get(name.removesuffix(SUMS) + COUNTS)
        kinds = {tensor.kind, counts.kind if counts else None}
        if counts is None or kinds != {GgmlType.F32} or tensor.elements % counts.elements:
            raise DataError(f'"{name}" does not go with its counts', path=path)
        sums = np.frombuffer(file.tensor_data(tensor), "<f4").reshape(counts.elements, -1)
        seen = np.frombuffer(file.tensor_data(counts), "<f4")
        entries[name.removesuffix(SUMS)] = Entry(sums, seen)
    datasets = file.metadata.get("imatrix.datasets")
    chunks, length = (file.metadata.get(f"imatrix.chunk_{name}", 0) for name in ("count", "size"))
    if not all(isinstance(number, int) and 0 <= number < 1 << 31 for number in (chunks, length)):
        raise DataError("has counts of chunks that are none", path=path)
    names = list(datasets) if isinstance(datasets, TextArray) else []
    return ImportanceMatrix(entries, names, chunks, length, path)


def _read_dat(path: str) -> ImportanceMatrix:
    """Read the older form: count, then name, calls, and values that are means times calls."""
    with open_input(path) as stream:
        raw = stream.read()
    at, entries = 4, {}
    wrong = DataError("is damaged, or no importance matrix", path=path)
    try:
        (count,) = struct.unpack_from("<i", raw)
        if not 0 < count <= MOST_ENTRIES:
            raise wrong
        for _ in range(count):
            (length,) = struct.unpack_from("<i", raw, at)
            if not 0 < length <= LONGEST_NAME:
                raise wrong
            name = raw[at + 4 : at + 4 + length].decode("utf-8")
            calls, values = struct.unpack_from("<ii", raw, at + 4 + length)
            at += 12 + length
            if values <= 0 or at + 4 * values > len(raw):
                raise wrong
            sums = np.frombuffer(raw, "<f4", values, at)[None]
            entries[name] = Entry(sums, np.array([max(calls, 1)], np.float32))
            at += 4 * values
        chunks, length = struct.unpack_from("<ii", raw, at) if at + 8 <= len(raw) else (0, 0)
        datasets = [raw[at + 8 : at + 8 + length].decode("utf-8", "replace")] if length > 0 else []
    except (struct.error, UnicodeDecodeError) as error:
        raise wrong from error
    return ImportanceMatrix(entries, datasets, chunks, 0, path)


def write_importance(matrix: ImportanceMatrix, path: str, overwrite: bool) -> None:
    """Write a matrix as the GGUF file that llama-quantize reads.

    Raises:
        CannotCreateError: The file exists, or its folder does not.
    """
    metadata = Metadata()
    metadata.text("general.type", "imatrix")
    metadata.array(ValueType.STRING, "imatrix.datasets", matrix.datasets)
    metadata.uint32("imatrix.chunk_count", matrix.chunks)
    metadata.uint32("imatrix.chunk_size", matrix.chunk_tokens)
    parts: list[tuple[TensorInfo, bytes]] = []
    for name in sorted(matrix.entries):
        entry = matrix.entries[name]
        for suffix, values in ((SUMS, entry.sums), (COUNTS, entry.counts[:, None])):
            info = TensorInfo(name + suffix, values.shape, GgmlType.F32)
            parts.append((info, np.ascontiguousarray(values, "<f4").tobytes()))
    with atomic_file(path, overwrite=overwrite) as stream:
        write_gguf(stream, metadata, parts)
