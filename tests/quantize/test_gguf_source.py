"""GGUF files as sources: the same files as from the model directory, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_models import MODELS
from test_conversion import convert, tensor_bytes
from test_importance import random_matrix

from norcli.errors import DataError, InputMissingError
from norcli.formats.gguf import GgufFile
from norcli.quantize.importance import write_importance

Model = Callable[[str], Path]


@pytest.mark.parametrize("name", MODELS)
def test_a_gguf_source_gives_the_bytes_of_its_model_directory(
    model: Model, name: str, tmp_path: Path
) -> None:
    exact = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}[MODELS[name][1]]
    convert(model(name), tmp_path / "{type}.gguf", exact, "Q4_K_M", "Q3_K_S", name="Prøve")
    convert(tmp_path / f"{exact}.gguf", tmp_path / "again-{type}.gguf", "Q4_K_M", "Q3_K_S")
    for kind in ("Q4_K_M", "Q3_K_S"):
        wanted, got = (GgufFile(str(tmp_path / f"{p}{kind}.gguf")) for p in ("", "again-"))
        assert {k: str(v) for k, v in got.metadata.items() if "TextArray" not in str(v)} == {
            k: str(v) for k, v in wanted.metadata.items() if "TextArray" not in str(v)
        }
        assert list(got.metadata["tokenizer.ggml.tokens"]) == list(
            wanted.metadata["tokenizer.ggml.tokens"]
        )
        assert tensor_bytes(tmp_path / f"{kind}.gguf") == tensor_bytes(
            tmp_path / f"again-{kind}.gguf"
        )


def test_a_gguf_source_takes_an_importance_matrix_and_a_name(model: Model, tmp_path: Path) -> None:
    convert(model("mixtral"), tmp_path / "f32.gguf", "F32")
    matrix = tmp_path / "matrix.gguf"
    write_importance(random_matrix(tmp_path / "f32.gguf"), str(matrix), False)
    convert(model("mixtral"), tmp_path / "a.gguf", "Q4_K_M", imatrix=str(matrix))
    convert(tmp_path / "f32.gguf", tmp_path / "b.gguf", "Q4_K_M", imatrix=str(matrix), name="Ny")
    assert tensor_bytes(tmp_path / "a.gguf") == tensor_bytes(tmp_path / "b.gguf")
    assert GgufFile(str(tmp_path / "b.gguf")).metadata["general.name"] == "Ny"


def test_quantized_and_damaged_sources_are_refused(model: Model, tmp_path: Path) -> None:
    convert(model("llama"), tmp_path / "{type}.gguf", "Q8_0", "F16")
    with pytest.raises(DataError, match="quantized already"):
        convert(tmp_path / "Q8_0.gguf", tmp_path / "out.gguf", "Q4_0")
    with pytest.raises(InputMissingError):
        convert(tmp_path / "none.gguf", tmp_path / "out.gguf", "Q4_0")
    whole = (tmp_path / "F16.gguf").read_bytes()
    for size in (3, 20, 200, len(whole) - 40_000):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"GGUF|truncated"):
            convert(tmp_path / "cut.gguf", tmp_path / "out.gguf", "Q4_0")
    (tmp_path / "other.gguf").write_bytes(whole.replace(b"llama", b"mamba"))
    with pytest.raises(DataError, match='architecture "mamba"'):
        convert(tmp_path / "other.gguf", tmp_path / "out.gguf", "Q4_0")
    assert not (tmp_path / "out.gguf").exists()
