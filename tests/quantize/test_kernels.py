"""The block formats: the same bytes as llama.cpp, as a slow reference, and readable by gguf-py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from llama_oracle import quantize_rows
from slow_blocks import encode_q4_k, encode_q6_k

from norcli.errors import DataError
from norcli.formats.gguf import BLOCKS, GgmlType
from norcli.quantize.kernels.decode import decode
from norcli.quantize.kernels.encode import ENCODED_TYPES, encode

BLOCK_TYPES = [kind for kind in ENCODED_TYPES if BLOCKS[kind][0] > 1]


def distributions(rows: int, columns: int) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(rows)
    shape = (rows, columns)
    normal = random.standard_normal(shape, np.float32)
    yield "normal", normal
    yield "as trained", normal * np.float32(0.02)
    yield "heavy tails", random.standard_t(3, shape).astype(np.float32)
    yield "positive", np.abs(normal)
    yield "negative", -np.abs(normal) - np.float32(1)
    yield "zero", np.zeros(shape, np.float32)
    yield "constant", np.full(shape, 0.37, np.float32)
    yield "sparse", np.where(random.random(shape) < 0.03, normal, np.float32(0))
    scales = 10.0 ** random.integers(-12, 3, (rows, columns // 32)).repeat(32, 1)
    yield "uneven blocks", normal * scales.astype(np.float32)
    yield "bfloat16", (normal.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    yield "tiny", normal * np.float32(1e-7)
    yield "subnormal", normal * np.float32(1e-40)
    yield "whole numbers", random.integers(-3, 4, shape).astype(np.float32)
    yield "one value", np.where(np.arange(columns) == 5, normal, np.float32(0))


@pytest.mark.parity
@pytest.mark.parametrize("kind", BLOCK_TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("rows", [1, 3, 9, 17])
def test_bytes_equal_llama_cpp_for_any_distribution_and_tail(kind: GgmlType, rows: int) -> None:
    for name, values in distributions(rows, 768):
        wanted = quantize_rows(kind, np.ascontiguousarray(values))
        got = encode(np.ascontiguousarray(values).reshape(-1), kind)
        assert np.array_equal(got, wanted), name


@pytest.mark.parity
@pytest.mark.parametrize("kind", [k for k in BLOCK_TYPES if BLOCKS[k][0] == 32], ids=str)
def test_bytes_equal_llama_cpp_for_rows_that_do_not_fill_256(kind: GgmlType) -> None:
    for name, values in distributions(5, 96):
        wanted = quantize_rows(kind, np.ascontiguousarray(values))
        assert np.array_equal(encode(np.ascontiguousarray(values).reshape(-1), kind), wanted), name


def importances(columns: int) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(columns)
    squares = random.standard_normal(columns, np.float32) ** 2
    yield "inputs", squares
    yield "uneven", squares * (10.0 ** random.integers(-6, 6, columns)).astype(np.float32)
    yield "ones", np.ones(columns, np.float32)
    yield "zero", np.zeros(columns, np.float32)
    yield "few", np.where(random.random(columns) < 0.05, squares, np.float32(0))


@pytest.mark.parity
@pytest.mark.parametrize("kind", BLOCK_TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize(("rows", "columns"), [(1, 256), (3, 768), (11, 512), (5, 96)])
def test_bytes_equal_llama_cpp_with_an_importance_matrix(
    kind: GgmlType, rows: int, columns: int
) -> None:
    if columns % BLOCKS[kind][0]:
        return
    for weights, importance in importances(columns):
        for name, values in distributions(rows, columns):
            source = np.ascontiguousarray(values)
            wanted = quantize_rows(kind, source, importance)
            got = encode(source.reshape(-1), kind, importance)
            assert np.array_equal(got, wanted), (name, weights)


@pytest.mark.parametrize(
    ("kind", "reference"), [(GgmlType.Q4_K, encode_q4_k), (GgmlType.Q6_K, encode_q6_k)]
)
def test_bytes_equal_the_slow_reference(
    kind: GgmlType, reference: Callable[[np.ndarray], bytes]
) -> None:
    with np.errstate(all="ignore"):
        for name, values in distributions(1, 256):
            if name in ("subnormal", "tiny"):
                continue  # numpy's rint differs there from the format's rounding by bits
            assert encode(values.reshape(-1), kind).tobytes() == reference(values[0]), name


@pytest.mark.parity
@pytest.mark.parametrize("kind", ENCODED_TYPES, ids=lambda kind: kind.name)
def test_decoded_weights_equal_those_of_gguf_py(kind: GgmlType) -> None:
    gguf = pytest.importorskip("gguf")
    random = np.random.default_rng(3)
    block, size = BLOCKS[kind]
    raw = random.integers(0, 256, (40, size * (256 // block)), np.uint8)
    if kind in (GgmlType.F32, GgmlType.F16, GgmlType.BF16):
        raw = encode(random.standard_normal(40 * 256).astype(np.float32), kind).reshape(40, -1)
    with np.errstate(invalid="ignore"):
        wanted = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(int(kind)))
        got = decode(raw.reshape(-1), kind)
    # Any bytes, so that no scale, level or bit is left out; NaN where a random half is one.
    np.testing.assert_array_equal(got, wanted.reshape(-1))


@pytest.mark.parametrize("kind", BLOCK_TYPES, ids=lambda kind: kind.name)
def test_decoded_weights_are_close(kind: GgmlType) -> None:
    # Relative error of normal weights; bounds 10 % above what llama.cpp's own bytes give.
    bounds = {"Q3_K": 0.166, "Q4_0": 0.095, "Q4_1": 0.09, "Q4_K": 0.078, "Q5_0": 0.047,
              "Q5_1": 0.044, "Q5_K": 0.04, "Q6_K": 0.02, "Q8_0": 0.0055}  # fmt: skip
    values = np.random.default_rng(1).standard_normal((8, 512), np.float32)
    decoded = decode(encode(values.reshape(-1), kind), kind).reshape(8, -1)
    error = np.sqrt(np.mean((decoded - values) ** 2) / np.mean(values**2))
    assert 0 < error < bounds[kind.name]


def test_halves_round_to_even_and_bfloat16_too() -> None:
    values = np.random.default_rng(2).standard_normal(4096, np.float32)
    values[:4] = [1 + 2**-11, 1 + 3 * 2**-11, 6e-8, 65504]
    assert encode(values, GgmlType.F16).tobytes() == values.astype(np.float16).tobytes()
    bits = encode(np.array([1 + 2**-8, 1 + 3 * 2**-8], np.float32), GgmlType.BF16).view(np.uint16)
    assert (bits.astype(np.uint32) << 16).view(np.float32).tolist() == [1.0, 1.015625]


@pytest.mark.parametrize("kind", [GgmlType.F16, *BLOCK_TYPES], ids=lambda kind: kind.name)
def test_weights_beyond_half_precision_are_refused(kind: GgmlType) -> None:
    values = np.linspace(-1, 1, 512, dtype=np.float32) * np.float32(1e9)
    with pytest.raises(DataError, match="too large"):
        encode(values, kind)


def test_weights_that_bfloat16_would_make_infinite_are_refused() -> None:
    largest = np.array([0x7F7F7FFF], np.uint32).view(np.float32)
    assert np.isfinite(decode(encode(largest, GgmlType.BF16), GgmlType.BF16)).all()
    for value in (np.nextafter(largest, np.float32(np.inf)), np.finfo(np.float32).max):
        for sign in (1, -1):
            with pytest.raises(DataError, match="too large for BF16"):
                encode(np.array([value * sign], np.float32).reshape(-1), GgmlType.BF16)
