"""The GPU's kernels on the processor: the bytes of the compiled ones, plain and weighed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_kernels import distributions, importances

from norcli.errors import DataError
from norcli.formats.gguf import GgmlType
from norcli.quantize.kernels.encode import encode
from norcli.quantize.kernels.torch_encode import TORCH_TYPES, encode_on

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return str(request.param)


@pytest.mark.parametrize("kind", TORCH_TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("rows", [1, 9])
def test_bytes_equal_the_compiled_kernels(device: str, kind: GgmlType, rows: int) -> None:
    for name, values in distributions(rows, 768):
        flat = np.ascontiguousarray(values).reshape(-1)
        assert np.array_equal(encode_on(device, flat, kind, None), encode(flat, kind)), name


@pytest.mark.parametrize("kind", TORCH_TYPES, ids=lambda kind: kind.name)
def test_bytes_equal_the_compiled_kernels_by_importance(device: str, kind: GgmlType) -> None:
    for weights, importance in importances(512):
        for name, values in distributions(11, 512):
            flat = np.ascontiguousarray(values).reshape(-1)
            got = encode_on(device, flat, kind, importance)
            assert np.array_equal(got, encode(flat, kind, importance)), (name, weights)


def test_weights_beyond_half_precision_are_refused(device: str) -> None:
    values = np.linspace(-1, 1, 512, dtype=np.float32) * np.float32(1e9)
    with pytest.raises(DataError, match="too large"):
        encode_on(device, values, GgmlType.Q4_K, None)
