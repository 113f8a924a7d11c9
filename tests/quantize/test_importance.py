"""Importance matrices: both file forms, conversion against llama.cpp, computing one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from llama_oracle import quantize_rows
from small_models import TEXT
from test_conversion import convert, tensor_bytes

from norcli.errors import DataError, UsageError
from norcli.formats.gguf import BLOCKS, GgufFile
from norcli.quantize.importance import (
    Entry,
    ImportanceMatrix,
    read_importance,
    write_importance,
)
from norcli.quantize.options import TYPE_NAMES

Model = Callable[[str], Path]


def random_matrix(file: Path) -> ImportanceMatrix:
    """A matrix for every block matrix of a GGUF file; one expert has seen nothing."""
    random = np.random.default_rng(7)
    entries = {}
    for tensor in GgufFile(str(file)).tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) >= 2:
            experts = tensor.shape[0] if len(tensor.shape) == 3 else 1
            counts = np.full(experts, 300, np.float32)
            counts[1:2] = 0
            sums = random.standard_normal((experts, tensor.shape[-1])).astype(np.float32) ** 2
            entries[tensor.name] = Entry(sums * counts[:, None], counts)
    return ImportanceMatrix(entries, ["text.txt"], 3, 100)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["llama", "mixtral", "gpt2", "gpt2-80"])
def test_tensors_equal_what_llama_cpp_makes_by_the_same_importance(
    model: Model, name: str, tmp_path: Path
) -> None:
    convert(model(name), tmp_path / "f32.gguf", "F32")
    path = tmp_path / "matrix.gguf"
    write_importance(random_matrix(tmp_path / "f32.gguf"), str(path), False)
    matrix = read_importance(str(path))
    types = [kind for kind in TYPE_NAMES if kind not in ("F32", "F16", "BF16")]
    convert(model(name), tmp_path / "{type}.gguf", *types, imatrix=str(path))
    source = GgufFile(str(tmp_path / "f32.gguf"))
    weighed = 0
    for kind in types:
        made = GgufFile(str(tmp_path / f"{kind}.gguf"))
        assert made.metadata["quantize.imatrix.entries_count"] == len(matrix.entries)
        for before, after in zip(source.tensors, made.tensors, strict=True):
            if BLOCKS[after.kind][0] == 1:
                continue
            rows = np.frombuffer(source.tensor_data(before), "<f4").reshape(before.shape)
            weights = matrix.weights_of(before.name, before.shape)
            parts = rows if rows.ndim == 3 else rows[None]
            wanted = b"".join(
                quantize_rows(
                    after.kind, np.ascontiguousarray(part),
                    None if weights is None else np.ascontiguousarray(weights[expert]),
                ).tobytes()
                for expert, part in enumerate(parts)
            )  # fmt: skip
            assert bytes(made.tensor_data(after)) == wanted, (kind, before.name)
            weighed += weights is not None
    assert weighed > 10


def test_the_first_layers_of_plain_types_are_guarded(model: Model, tmp_path: Path) -> None:
    convert(model("llama"), tmp_path / "f32.gguf", "F32")
    matrix = tmp_path / "matrix.gguf"
    write_importance(random_matrix(tmp_path / "f32.gguf"), str(matrix), False)
    convert(model("llama"), tmp_path / "{type}.gguf", "Q4_0", "Q5_0", imatrix=str(matrix))
    for kind, guarded in (("Q4_0", "Q4_1"), ("Q5_0", "Q5_1")):
        made = tensor_bytes(tmp_path / f"{kind}.gguf")
        assert made["blk.0.ffn_down.weight"][0] == guarded
        assert made["blk.1.ffn_down.weight"][0] == kind


def test_the_older_file_form_gives_the_same_bytes(model: Model, tmp_path: Path) -> None:
    convert(model("llama"), tmp_path / "f32.gguf", "F32")
    matrix = random_matrix(tmp_path / "f32.gguf")
    write_importance(matrix, str(tmp_path / "m.gguf"), False)
    raw = struct.pack("<i", len(matrix.entries))
    for name, entry in matrix.entries.items():
        # Means of what each call saw, added up over calls: here 2 calls.
        values = (entry.weights()[0] * np.float32(2)).tobytes()
        raw += struct.pack("<i", len(name)) + name.encode()
        raw += struct.pack("<ii", 2, len(values) // 4) + values
    (tmp_path / "m.dat").write_bytes(raw + struct.pack("<ii", 3, 4) + b"text")
    convert(model("llama"), tmp_path / "a.gguf", "Q4_K_M", imatrix=str(tmp_path / "m.gguf"))
    convert(model("llama"), tmp_path / "b.gguf", "Q4_K_M", imatrix=str(tmp_path / "m.dat"))
    assert tensor_bytes(tmp_path / "a.gguf") == tensor_bytes(tmp_path / "b.gguf")
    assert read_importance(str(tmp_path / "m.dat")).datasets == ["text"]


@pytest.mark.parametrize("name", ["llama", "mixtral", "gpt2"])
def test_a_matrix_is_computed_from_what_the_layers_read(
    model: Model, name: str, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from norcli.tokens.huggingface import load_tokenizer

    text = tmp_path / "text.txt"
    text.write_text(TEXT * 2, encoding="utf-8")
    saved = tmp_path / "matrix.gguf"
    settings = {"imatrix_chunk": 64, "imatrix_tokens": 200, "save_imatrix": str(saved)}
    convert(model(name), tmp_path / "out.gguf", "Q4_K_M", imatrix=str(text), **settings)
    matrix = read_importance(str(saved))
    assert (matrix.chunks, matrix.chunk_tokens) == (3, 64)
    # The first layer's attention reads the normalized embeddings: computed here by hand.
    ids = [1, *load_tokenizer(str(model(name))).encode(TEXT * 2)][: 3 * 64]
    ids[0] = ids[64] = ids[128] = 1
    network = AutoModelForCausalLM.from_pretrained(model(name), dtype=torch.float32)
    with torch.no_grad():
        if name == "gpt2":
            body = network.transformer
            states = body.wte(torch.tensor(ids)) + body.wpe(torch.arange(192) % 64)
            read = body.h[0].ln_1(states)
        else:
            read = network.model.layers[0].input_layernorm(network.model.embed_tokens(
                torch.tensor(ids)))  # fmt: skip
    wanted = read.double().square().sum(0).numpy()
    part = "attn_qkv" if name == "gpt2" else "attn_q"
    np.testing.assert_allclose(matrix.entries[f"blk.0.{part}.weight"].sums[0], wanted, rtol=1e-5)
    if name == "mixtral":
        counts = matrix.entries["blk.0.ffn_down_exps.weight"].counts
        assert counts.sum() == 3 * 64 * network.config.num_experts_per_tok
        assert "blk.0.ffn_gate_exps.weight" in matrix.entries


def test_a_matrix_of_another_model_is_refused(model: Model, tmp_path: Path) -> None:
    convert(model("gpt2"), tmp_path / "f32.gguf", "F32")
    other = tmp_path / "other.gguf"
    write_importance(random_matrix(tmp_path / "f32.gguf"), str(other), False)
    with pytest.raises(DataError, match=r"whose inputs are|nothing for"):
        convert(model("llama"), tmp_path / "out.gguf", "Q4_K_M", imatrix=str(other))
    (tmp_path / "short.txt").write_text("Hei.", encoding="utf-8")
    with pytest.raises(DataError, match="less than one chunk"):
        convert(
            model("llama"), tmp_path / "out.gguf", "Q4_K_M", imatrix=str(tmp_path / "short.txt")
        )
    with pytest.raises(UsageError, match="needs --imatrix"):
        convert(model("llama"), tmp_path / "out.gguf", "Q4_K_M", save_imatrix=str(tmp_path / "m"))
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    "raw",
    [b"", b"\1\0\0\0", b"\xff\xff\xff\x7f" * 4, struct.pack("<ii", 1, 3) + b"abc" + b"\0" * 4],
)
def test_a_damaged_matrix_is_named(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.dat"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"importance matrix"):
        read_importance(str(path))
