"""GGUF headers: what is written is read back, here and by gguf-py; damage and hostility refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from norcli.errors import DataError
from norcli.formats.gguf import (
    GgmlType,
    GgufFile,
    Metadata,
    TensorInfo,
    ValueType,
    encode_header,
    padding_after,
    place_tensors,
)


def sample(path: Path) -> Path:
    metadata = Metadata()
    metadata.text("general.architecture", "llama")
    metadata.uint32("llama.block_count", 2)
    metadata.float32("eps", 0.5)
    metadata.boolean("yes", True)
    metadata.text("left.out", None)
    metadata.array(ValueType.STRING, "tokens", ["<s>", "hæ", b"\xc3"])
    metadata.array(ValueType.FLOAT32, "scores", [0.0, -1.5])
    metadata.array(ValueType.INT32, "types", [3, 1])
    tensors = place_tensors(
        [TensorInfo("a.weight", (3, 32), GgmlType.Q8_0), TensorInfo("b.weight", (5,), GgmlType.F32)]
    )
    with path.open("wb") as stream:
        stream.write(encode_header(metadata, tensors))
        for number, tensor in enumerate(tensors):
            stream.write(bytes([number + 1]) * tensor.size_bytes)
            stream.write(padding_after(tensor.size_bytes))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = GgufFile(str(sample(tmp_path / "x.gguf")))
    assert list(file.metadata) == [
        "general.architecture", "llama.block_count", "eps", "yes", "tokens", "scores", "types"
    ]  # fmt: skip
    assert file.metadata["llama.block_count"] == 2
    assert file.metadata["yes"] is True
    assert list(file.metadata["tokens"]) == ["<s>", "hæ", "\ufffd"]
    assert file.metadata["tokens"].raw(2) == b"\xc3"
    assert file.metadata["tokens"][-2:] == ["hæ", "\ufffd"]
    assert file.metadata["scores"] == (0.0, -1.5)
    assert [(t.name, t.shape, t.kind.name, t.offset) for t in file.tensors] == [
        ("a.weight", (3, 32), "Q8_0", 0), ("b.weight", (5,), "F32", 128)
    ]  # fmt: skip
    assert bytes(file.tensor_data(file.tensors[1])) == b"\x02" * 20


@pytest.mark.parity
def test_gguf_py_reads_the_same(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(sample(tmp_path / "x.gguf"))
    assert reader.get_field("llama.block_count").contents() == 2
    assert reader.get_field("scores").contents() == [0.0, -1.5]
    assert [(t.name, t.shape.tolist(), t.tensor_type.name) for t in reader.tensors] == [
        ("a.weight", [32, 3], "Q8_0"), ("b.weight", [5], "F32")
    ]  # fmt: skip
    assert np.all(reader.tensors[0].data == 1)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = sample(tmp_path / "x.gguf").read_bytes()
    for keep in range(len(data) - 12):
        (tmp_path / "cut.gguf").write_bytes(data[:keep])
        with pytest.raises(DataError, match=r"truncated|GGUF"):
            GgufFile(str(tmp_path / "cut.gguf"))


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<IQQ", 3, 1 << 62, 0),
        struct.pack("<IQQ", 3, 0, 1 << 62),
        struct.pack("<IQQQ", 3, 0, 1, 1 << 63),
        struct.pack("<IQQQ4sIIQ", 3, 0, 1, 4, b"keys", 9, 8, 1 << 60),
        struct.pack("<IQQQ4sIIQ", 3, 0, 1, 4, b"keys", 9, 6, 1 << 60),
        struct.pack("<IQQQ4sI", 3, 0, 1, 4, b"keys", 77),
        struct.pack("<IQQQ4sI", 3, 1, 0, 4, b"name", 99),
        struct.pack("<IQQQ4sIQIQ", 3, 1, 0, 4, b"name", 1, 1 << 60, 0, 0),
        struct.pack("<IQQQ4sIQIQ", 3, 1, 0, 4, b"name", 1, 1, 4000, 0),
    ],
    ids=range(9),
)
def test_hostile_counts_are_refused_at_once(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + head + bytes(64))
    with pytest.raises(DataError):
        GgufFile(str(tmp_path / "bad.gguf"))


@pytest.mark.parametrize("data", [b"", b"GGML1234", b"GGUF" + struct.pack("<IQQ", 1, 0, 0)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(data)
    with pytest.raises(DataError, match="GGUF"):
        GgufFile(str(tmp_path / "x.gguf"))


def write_tensors(path: Path, *tensors: TensorInfo) -> Path:
    """Write a file whose header alone counts: its tensors are zeros."""
    placed = place_tensors(tensors)
    path.write_bytes(encode_header(Metadata(), placed) + bytes(4096))
    return path


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([TensorInfo("a", (), GgmlType.F32)], "0 dimensions"),
        ([TensorInfo("a", (4, 0), GgmlType.F32)], "no whole blocks"),
        ([TensorInfo("a", (2, 33), GgmlType.Q8_0)], "no whole blocks"),
        ([TensorInfo("a", (1,) * 5, GgmlType.F32)], "5 dimensions"),
        ([TensorInfo("a", (4,), GgmlType.F32)] * 2, "two tensors of one name"),
    ],
)
def test_tensors_that_no_program_reads_are_refused(
    tmp_path: Path, tensors: list[TensorInfo], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        GgufFile(str(write_tensors(tmp_path / "x.gguf", *tensors)))
