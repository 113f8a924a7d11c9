"""Whole models: tensors, tokens and logits as llama.cpp has them, for every type and class."""

from __future__ import annotations

import io
import json
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from llama_oracle import load, logits, quantize_file
from small_models import MODELS, PROBE, train_sentencepiece

from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, InputMissingError, UsageError
from norcli.formats.gguf import GgmlType, GgufFile
from norcli.quantize.convert import quantize
from norcli.quantize.options import TYPE_NAMES, QuantizeOptions
from norcli.quantize.report import ConversionReport
from norcli.quantize.types import QUANTIZATIONS

Model = Callable[[str], Path]


def convert(directory: Path, output: Path, *types: str, **settings: object) -> ConversionReport:
    options = QuantizeOptions(model=str(directory), output=str(output), type=list(types))
    for name, value in settings.items():
        setattr(options, name, value)
    return quantize(options, Console.silent())


def tensor_bytes(path: Path) -> dict[str, tuple[str, bytes]]:
    file = GgufFile(str(path))
    return {t.name: (t.kind.name, bytes(file.tensor_data(t))) for t in file.tensors}


@pytest.mark.parity
@pytest.mark.parametrize("name", [name for name in MODELS if name != "gpt2-80"])
def test_every_type_has_the_tensors_that_llama_cpp_makes(
    model: Model, name: str, tmp_path: Path
) -> None:
    convert(model(name), tmp_path / "{type}.gguf", *TYPE_NAMES)
    # From float32, so that no intermediate rounding hides a difference.
    for kind in TYPE_NAMES[1:]:
        oracle = tmp_path / "oracle.gguf"
        quantize_file(tmp_path / "F32.gguf", oracle, QUANTIZATIONS[kind].file_type)
        wanted, got = tensor_bytes(oracle), tensor_bytes(tmp_path / f"{kind}.gguf")
        assert {n: t for n, (t, _) in got.items()} == {n: t for n, (t, _) in wanted.items()}, kind
        assert [n for n in got if got[n] != wanted[n]] == [], kind
        metadata = GgufFile(str(oracle)).metadata
        assert metadata["general.file_type"] == QUANTIZATIONS[kind].file_type


@pytest.mark.parity
@pytest.mark.parametrize("name", MODELS)
def test_logits_and_tokens_equal_those_of_the_source(
    model: Model, name: str, tmp_path: Path, sentencepiece_model: Path
) -> None:
    import torch
    from sentencepiece import SentencePieceProcessor
    from transformers import AutoModelForCausalLM

    path = tmp_path / "model.gguf"
    convert(model(name), path, "F32")
    ids = [1, *np.random.default_rng(0).integers(4, 400, 40).tolist()]
    network = AutoModelForCausalLM.from_pretrained(model(name), dtype=torch.float32)
    with torch.no_grad():
        wanted = network(torch.tensor([ids])).logits[0].numpy()
    got = logits(path, ids)
    # llama.cpp's own kernels round activations: 0.001 on logits whose deviation is 0.3.
    assert np.abs(got - wanted).max() < 0.004 < 0.1 * wanted.std()
    loaded = load(path)  # its vocabulary does not outlive it
    vocabulary = loaded.get_vocab()
    processor = SentencePieceProcessor(model_file=str(sentencepiece_model))
    for line in PROBE:
        assert list(vocabulary.tokenize(line, False, False)) == processor.encode(line)
    assert (vocabulary.token_bos(), vocabulary.token_eos()) == (1, 2)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["Q3_K_M", "Q4_K_M", "Q5_K_M", "Q8_0"])
def test_narrow_models_fall_back_and_run(model: Model, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "narrow.gguf"
    report = convert(model("gpt2-192"), path, kind)
    assert bool(report.files[0].fallbacks) == (kind != "Q8_0")
    assert all("blocks of 256" in line for line in report.files[0].fallback_lines)
    assert np.isfinite(logits(path, [1, 50, 60, 70])).all()


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["Q4_K_M", "Q8_0"])
def test_rows_that_fill_no_block_become_halves_and_run(
    model: Model, kind: str, tmp_path: Path
) -> None:
    # llama.cpp's quantizer refuses rows of 80; its engine computes with the halves.
    path = tmp_path / "narrow.gguf"
    convert(model("gpt2-80"), path, kind)
    kinds = {name: kind for name, (kind, _) in tensor_bytes(path).items()}
    assert kinds["token_embd.weight"] == kinds["blk.0.attn_qkv.weight"] == "F16"
    assert kinds["blk.0.ffn_down.weight"] in ("Q6_K", "Q4_K", "Q8_0")  # its rows are 256 long
    assert np.isfinite(logits(path, [1, 50, 60, 70])).all()


def test_bytes_do_not_depend_on_threads_nor_on_what_else_is_written(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(model("mixtral"), tmp_path / "one.gguf", "Q4_K_M")
    # Small tiles make many of them, with tails.
    monkeypatch.setattr("norcli.quantize.encoding.TILE_WEIGHTS", 5000)
    convert(model("mixtral"), tmp_path / "three.gguf", "Q4_K_M", jobs=3)
    convert(model("mixtral"), tmp_path / "{type}.gguf", "Q8_0", "Q4_K_M", name="one", jobs=2)
    one = (tmp_path / "one.gguf").read_bytes()
    assert (tmp_path / "three.gguf").read_bytes() == one
    assert tensor_bytes(tmp_path / "Q4_K_M.gguf") == tensor_bytes(tmp_path / "one.gguf")


def test_metadata_says_what_config_json_says(model: Model, tmp_path: Path) -> None:
    convert(model("mixtral"), tmp_path / "m.gguf", "Q8_0", name="Liten Mixtral")
    metadata = GgufFile(str(tmp_path / "m.gguf")).metadata
    expected = {
        "general.architecture": "llama", "general.name": "Liten Mixtral",
        "general.file_type": 7, "llama.block_count": 2, "llama.context_length": 128,
        "llama.embedding_length": 256, "llama.feed_forward_length": 256,
        "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
        "llama.expert_count": 8, "llama.expert_used_count": 2, "llama.vocab_size": 431,
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.bos_token_id": 1,
    }  # fmt: skip
    assert {key: metadata.get(key) for key in expected} == expected
    assert metadata["tokenizer.ggml.tokens"][430] == "[PAD430]"
    assert metadata["tokenizer.ggml.token_type"][430] == 5


def test_chat_template_is_taken_from_its_file_or_the_configuration(
    model: Model, tmp_path: Path
) -> None:
    directory = tmp_path / "m"
    shutil.copytree(model("gpt2-192"), directory)
    settings = {"chat_template": "{{ old }}", "add_bos_token": True}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(directory, tmp_path / "a.gguf", "F16")
    (directory / "chat_template.jinja").write_text("{{ messages }}\n")
    convert(directory, tmp_path / "b.gguf", "F16")
    first, second = (GgufFile(str(tmp_path / f"{x}.gguf")).metadata for x in "ab")
    assert first["tokenizer.chat_template"] == "{{ old }}"
    assert second["tokenizer.chat_template"] == "{{ messages }}\n"
    assert second["tokenizer.ggml.add_bos_token"] is True


def test_fallbacks_are_said(model: Model, tmp_path: Path) -> None:
    stream = io.StringIO()
    options = QuantizeOptions(model=str(model("gpt2-192")), output=str(tmp_path / "x.gguf"))
    quantize(options, Console("norcli quantize", stream=stream))
    assert "8 tensors Q4_K → Q5_0: rows do not fill blocks of 256" in stream.getvalue()
    assert "2 tensors Q6_K → Q8_0: rows do not fill blocks of 256" in stream.getvalue()


def rewrite_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture()
def copy(model: Model, tmp_path: Path) -> Path:
    """A model directory that a test may spoil."""
    shutil.copytree(model("mistral"), tmp_path / "model")
    return tmp_path / "model"


def assert_refused(copy: Path, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        convert(copy, copy.parent / "x.gguf", "Q4_K_M")
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


def test_directory_without_config_is_refused(copy: Path) -> None:
    (copy / "config.json").unlink()
    assert_refused(copy, DataError, "no config.json")


def test_unknown_architecture_is_refused(copy: Path) -> None:
    rewrite_config(copy, architectures=["MambaForCausalLM"])
    assert_refused(copy, DataError, "MambaForCausalLM")


def test_missing_tokenizer_is_named(copy: Path) -> None:
    (copy / "tokenizer.model").unlink()
    assert_refused(copy, DataError, "no tokenizer: neither tokenizer.model")


def test_truncated_shard_is_named(copy: Path) -> None:
    shard = sorted(copy.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-100])
    assert_refused(copy, DataError, "is truncated")


def test_missing_shard_is_named(copy: Path) -> None:
    sorted(copy.glob("*.safetensors"))[1].unlink()
    assert_refused(copy, InputMissingError, "no such file")


def test_missing_tensor_is_named(copy: Path) -> None:
    rewrite_config(copy, num_hidden_layers=3)
    assert_refused(copy, DataError, r"blk\.2\.")


def test_wrong_shape_is_named(copy: Path) -> None:
    rewrite_config(copy, intermediate_size=640)
    assert_refused(copy, DataError, "the configuration asks for")


def test_tokenizer_larger_than_the_embedding_is_refused(copy: Path) -> None:
    words = {"added_tokens_decoder": {"440": {"content": "<x>", "special": True}}}
    (copy / "tokenizer_config.json").write_text(json.dumps(words))
    assert_refused(copy, DataError, "the id 440, the embedding has 431 rows")


def test_not_a_number_is_refused_with_the_tensor_name(copy: Path) -> None:
    file = sorted(copy.glob("*.safetensors"))[1]
    data = bytearray(file.read_bytes())
    data[-2:] = struct.pack("<e", float("nan"))
    file.write_bytes(bytes(data))
    assert_refused(copy, DataError, 'tensor ".*" holds NaN')


def test_existing_output_and_several_types_in_one_file_are_refused(
    model: Model, tmp_path: Path
) -> None:
    (tmp_path / "x.gguf").write_bytes(b"old")
    with pytest.raises(CannotCreateError):
        convert(model("gpt2"), tmp_path / "x.gguf", "Q8_0")
    assert (tmp_path / "x.gguf").read_bytes() == b"old"
    with pytest.raises(UsageError, match="2 types need 2 files"):
        convert(model("gpt2"), tmp_path / "y.gguf", "Q8_0", "F16")


def test_memory_is_bounded_by_tiles_not_by_tensors(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    from norcli.quantize import encoding as module

    def measured(values: np.ndarray, kind: GgmlType, importance: None) -> np.ndarray:
        sizes.append(values.size)
        return encode(values, kind, importance)

    encode = module.encode
    monkeypatch.setattr(module, "encode", measured)
    monkeypatch.setattr("norcli.quantize.encoding.TILE_WEIGHTS", 4096)
    convert(model("llama"), tmp_path / "x.gguf", "Q8_0")
    assert max(sizes) == 4096


def _size(path: Path) -> int:
    """Return how long a file is, or 0 where it has just been renamed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_killed_run_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    directory = tmp_path / "m"
    config = LlamaConfig(vocab_size=431, hidden_size=512, intermediate_size=1024,
                         num_hidden_layers=4, num_attention_heads=8)  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(directory)
    (tmp_path / "sp").mkdir()
    shutil.copy(train_sentencepiece(tmp_path / "sp"), directory / "tokenizer.model")
    command = [sys.executable, "-m", "norcli", "quantize", str(directory), "--type", "Q4_K_M",
               "-o", str(tmp_path / "out.gguf"), "-q"]  # fmt: skip
    target = tmp_path / "out.gguf"
    assert subprocess.run(command, check=False).returncode == 0
    whole = target.read_bytes()
    during = 0
    for _ in range(3):
        target.unlink()
        process = subprocess.Popen(command)
        while process.poll() is None:
            # Mid-write: the temporary file has begun to grow.
            growing = [f for f in tmp_path.glob("*out.gguf*") if f != target]
            if any(_size(f) > 100_000 for f in growing):
                process.kill()
                break
            time.sleep(0.002)
        assert process.wait() in (0, -signal.SIGKILL)
        if target.exists():  # the kill came after the renaming, or never
            assert target.read_bytes() == whole
        else:
            during += 1
            target.touch()
    assert during
    target.unlink()
    assert subprocess.run(command, check=False).returncode == 0
    assert target.read_bytes() == whole
    assert [f.name for f in tmp_path.glob("*out.gguf*")] == ["out.gguf"]
