"""The report: errors by tensor, divergence against an independent reading, memory, the matrix."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from llama_oracle import logits
from small_models import TEXT
from test_conversion import convert

from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.gguf import GgufFile
from norcli.quantize.divergence import FIELDS, Divergence, compare_rows, measure_divergence
from norcli.quantize.llama_library import LlamaModel
from norcli.quantize.memory import memory_need
from norcli.quantize.model_config import read_model_config
from norcli.quantize.report_text import report_text

Model = Callable[[str], Path]


def test_rows_are_compared_as_the_formulas_say() -> None:
    random = np.random.default_rng(5)
    source = (random.standard_normal((6, 50)) * 4).astype(np.float32)
    other = source + random.standard_normal((6, 50)).astype(np.float32)
    targets = random.integers(0, 50, 6)
    out = np.empty((6, len(FIELDS)))
    compare_rows(source, other, targets, out)
    p = np.exp(source.astype(float)) / np.exp(source.astype(float)).sum(1, keepdims=True)
    q = np.exp(other.astype(float)) / np.exp(other.astype(float)).sum(1, keepdims=True)
    rows = np.arange(6)
    np.testing.assert_allclose(out[:, 0], -np.log(p[rows, targets]))
    np.testing.assert_allclose(out[:, 1], -np.log(q[rows, targets]))
    np.testing.assert_allclose(out[:, 2], (p * np.log(p / q)).sum(1))
    np.testing.assert_array_equal(out[:, 3], p.argmax(1) == q.argmax(1))
    np.testing.assert_allclose(out[:, 4], q[rows, targets] - p[rows, targets])
    found = Divergence.of(out)
    assert found.perplexity == pytest.approx(math.exp(out[:, 1].mean()))
    assert found.mean.error == pytest.approx(out[:, 2].std(ddof=1) / math.sqrt(6))
    assert found.quantiles["100"] == out[:, 2].max()


@pytest.mark.parity
def test_logits_come_from_llama_cpp_unchanged(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    convert(model("llama"), path, "Q4_K_M")
    ids = [1, *range(40, 70)]
    with LlamaModel(str(path), 64, 1) as loaded:
        loaded.logits(ids[:7])  # a sequence leaves nothing behind for the next
        got = loaded.logits(ids).copy()
        tokens = loaded.tokenize("Hva er Norges lengste elv?")
    # Two versions of llama.cpp; cyllama's is the older.
    np.testing.assert_allclose(got, logits(path, ids), atol=2e-3)
    assert tokens[0] == 1
    assert len(tokens) > 5


def test_equal_files_do_not_diverge(model: Model, tmp_path: Path) -> None:
    convert(model("llama"), tmp_path / "{type}.gguf", "BF16", "Q3_K_M")
    chunks = [list(range(20 * n, 20 * n + 16)) for n in range(1, 6)]
    paths = [str(tmp_path / "BF16.gguf"), str(tmp_path / "Q3_K_M.gguf")]
    same, other = measure_divergence(paths[0], paths, chunks, 1, Console.silent())
    assert same.shape == (5 * 7, len(FIELDS))
    assert np.abs(same[:, 2]).max() < 1e-6
    assert same[:, 3].all()
    assert 1e-5 < other[:, 2].mean() < 1


def test_the_report_measures_by_language_and_judges_the_matrix(
    model: Model, tmp_path: Path
) -> None:
    text = tmp_path / "text.jsonl"
    documents = [
        {"id": str(i), "lang": lang, "text": TEXT} for i, lang in enumerate(("nob", "nno"))
    ]
    text.write_text("".join(json.dumps(d) + "\n" for d in documents), encoding="utf-8")
    settings = {"report": True, "report_text": str(text), "report_chunk": 32, "context": 100,
                "imatrix": str(text), "imatrix_chunk": 32}  # fmt: skip
    report = convert(model("llama"), tmp_path / "{type}.gguf", "Q4_0", "Q8_0", **settings)
    by_type = {quality.type: quality for quality in report.quality}
    assert set(by_type["Q4_0"].languages) == {"nob", "nno"}
    parts = by_type["Q4_0"].languages.values()
    assert sum(part.tokens for part in parts) == by_type["Q4_0"].total.tokens
    assert by_type["Q4_0"].total.mean.value > 10 * by_type["Q8_0"].total.mean.value > 0
    assert by_type["Q4_0"].gain is not None
    assert by_type["Q8_0"].gain is None  # Q8_0 takes no notice of a matrix
    shown = report_text(report)
    assert "perplexity of the source" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert by_type["Q4_0"].verdict in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Q4_0.gguf", "Q8_0.gguf", "text.jsonl",
    ]  # fmt: skip


def test_errors_by_tensor_are_those_of_the_decoded_file(model: Model, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    report = convert(model("llama"), tmp_path / "{type}.gguf", "F32", "Q4_K_M", report=True)
    source, made = (GgufFile(str(tmp_path / f"{kind}.gguf")) for kind in ("F32", "Q4_K_M"))
    rows = {row.name: row for row in report.files[1].table}
    for before, after in zip(source.tensors, made.tensors, strict=True):
        weights = np.frombuffer(source.tensor_data(before), "<f4").astype(np.float64)
        raw = np.frombuffer(made.tensor_data(after), np.uint8)
        decoded = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(int(after.kind)))
        error = math.sqrt(np.mean((decoded.view(np.float32).reshape(-1) - weights) ** 2))
        assert rows[before.name].rmse == pytest.approx(error, abs=1e-9)
    assert all(row.rmse == 0 for row in report.files[0].table)


def test_memory_names_the_smallest_machine(model: Model) -> None:
    config = read_model_config(model("llama"))
    need = memory_need(config, int(4.2e9), 100_000)
    assert need.context == 128  # no longer than the model's own
    # 2 (keys, values) x 9 layers x 2 heads x 64 wide x 2 bytes x 128 tokens
    assert need.cache_bytes == 2 * 9 * 2 * 64 * 2 * 128
    assert (need.gpu, need.laptop) == (6, 16)
    assert memory_need(config, int(200e9), 10).advice == "several GPUs, no laptop"


def test_a_text_too_short_is_refused_and_named(model: Model, tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("Hei.", encoding="utf-8")
    with pytest.raises(DataError, match="less than one chunk of 128"):
        convert(model("llama"), tmp_path / "a.gguf", "Q8_0", report_text=str(text))


def test_the_command_prints_tables_or_json(model: Model, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "norcli", "quantize", str(model("gpt2-80")), "--type",
               "Q4_K_M", "--report", "-q"]  # fmt: skip
    shown = subprocess.check_output([*command, "-o", str(tmp_path / "a.gguf")], text=True)
    assert "rows that do not fill blocks" in shown
    assert "largest errors" in shown
    raw = subprocess.check_output([*command, "--json", "-o", str(tmp_path / "b.gguf")])
    data = json.loads(raw)
    assert {"name", "type", "wanted", "rmse", "relative"} == set(data["files"][0]["table"][0])
    assert data["files"][0]["memory"]["gpu"] == 4
