"""Safetensors read without torch: values exact, damage named."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from norcli.errors import DataError, InputMissingError
from norcli.formats.tensors import Checkpoint, TensorFile, to_float32


@pytest.fixture()
def file(tmp_path: Path) -> Path:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = tmp_path / "model.safetensors"
    save_file({"a": values, "b": values.astype(np.float16)}, path)
    return path


def write_raw(path: Path, header: object, data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_values_come_back_from_each_stored_type(file: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    for name in "ab":
        assert to_float32(checkpoint.stored(name)).tolist() == np.arange(12).reshape(3, 4).tolist()
    assert checkpoint.parameters == 24
    assert checkpoint.size_bytes == 12 * 4 + 12 * 2


def test_bfloat16_is_exact(tmp_path: Path) -> None:
    wanted = np.array([1.0, -2.5, 3.140625, 1e-38, np.inf], np.float32)
    bits = (wanted.view(np.uint32) >> 16).astype(np.uint16)
    header = {"x": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}
    write_raw(tmp_path / "model.safetensors", header, bits.tobytes())
    got = to_float32(Checkpoint(tmp_path).stored("x"))
    assert got.view(np.uint32).tolist() == (bits.astype(np.uint32) << 16).tolist()


def test_released_pages_are_read_again(file: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    stored = checkpoint.stored("a")
    first = stored.tolist()
    checkpoint.release("a")
    assert stored.tolist() == first


def test_shards_are_found_through_the_index(tmp_path: Path) -> None:
    for number, name in enumerate("xy"):
        save_file({name: np.full(3, number, np.float32)}, tmp_path / f"{name}.safetensors")
    index = {"weight_map": {"x": "x.safetensors", "y": "y.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.stored("y").tolist() == [1, 1, 1]
    (tmp_path / "y.safetensors").unlink()
    with pytest.raises(InputMissingError, match=r"y\.safetensors: no such file"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("index", ["[]", "{", '{"weight_map": {"x": "../x.safetensors"}}'])
def test_bad_index_is_refused(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(DataError):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 40, -1])
def test_every_truncation_is_named(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"model\.safetensors: (is truncated|holds)"):
        TensorFile(file)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, "takes 8 bytes"),
        ({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, "negative"),
        ({"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, "negative"),
        ({"x": {"dtype": "F32", "shape": [1]}}, "cannot be understood"),
        ({"x": [1]}, "cannot be understood"),
        ([], "cannot be understood"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, header: object, message: str) -> None:
    write_raw(tmp_path / "model.safetensors", header, bytes(8))
    with pytest.raises(DataError, match=message):
        Checkpoint(tmp_path)


def test_other_types_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"x": np.arange(3)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match='"x" is stored as I64'):
        Checkpoint(tmp_path).stored("x")


def test_pickled_weights_are_explained(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"no model\.safetensors, only pytorch_model\.bin"
    ) as caught:
        Checkpoint(tmp_path)
    assert "save_pretrained" in (caught.value.hint or "")
