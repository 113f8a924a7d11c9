"""GGUF files back as model directories: nothing lost from exact files, tokenizers equal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import MODELS, PROBE, TEXT
from test_conversion import convert, tensor_bytes

from norcli.cli.main import main
from norcli.formats.gguf import GgufFile
from norcli.quantize.byte_pair_vocabulary import PRE_TOKENIZERS
from norcli.quantize.kernels.decode import decode

Model = Callable[[str], Path]


@pytest.mark.parity
@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_loses_nothing(model: Model, name: str, tmp_path: Path) -> None:
    import torch
    from sentencepiece import SentencePieceProcessor
    from transformers import AutoModelForCausalLM

    from norcli.tokens.huggingface import load_tokenizer

    exact = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}[MODELS[name][1]]
    convert(model(name), tmp_path / "a.gguf", exact)
    back = tmp_path / "back"
    command = ["quantize", str(tmp_path / "a.gguf"), "--to-safetensors", "-q", "-o"]
    assert main([*command, str(back)]) == 0
    convert(back, tmp_path / "b.gguf", exact, name=model(name).name)
    assert tensor_bytes(tmp_path / "a.gguf") == tensor_bytes(tmp_path / "b.gguf")
    first, second = (GgufFile(str(tmp_path / f"{n}.gguf")) for n in "ab")
    for key in ("tokens", "scores", "token_type", "bos_token_id", "eos_token_id"):
        key = f"tokenizer.ggml.{key}"
        assert list(np.atleast_1d(first.metadata[key])) == list(np.atleast_1d(second.metadata[key]))
    ids = torch.tensor([[1, *range(30, 60)]])
    with torch.no_grad():
        before, after = (
            AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)(ids).logits
            for path in (model(name), back)
        )
    assert torch.equal(before, after)
    processor: Any = SentencePieceProcessor(model_file=str(model(name) / "tokenizer.model"))
    tokenizer = load_tokenizer(str(back))
    assert all(tokenizer.encode(line) == processor.encode(line) for line in PROBE)
    assert main([*command, str(back)]) == 73


def test_quantized_weights_come_back_decoded(model: Model, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    convert(model("mixtral"), tmp_path / "q.gguf", "Q4_K_M")
    command = ["quantize", str(tmp_path / "q.gguf"), "--to-safetensors", "--type", "F32", "-q"]
    assert main([*command, "-o", str(tmp_path / "back")]) == 0
    found = load_file(tmp_path / "back" / "model.safetensors")
    file = GgufFile(str(tmp_path / "q.gguf"))
    infos = {tensor.name: tensor for tensor in file.tensors}

    def decoded(name: str) -> np.ndarray:
        raw = np.frombuffer(file.tensor_data(infos[name]), np.uint8)
        return decode(raw, infos[name].kind).reshape(infos[name].shape)

    np.testing.assert_array_equal(
        found["model.layers.1.block_sparse_moe.experts.5.w2.weight"],
        decoded("blk.1.ffn_down_exps.weight")[5],
    )
    values = decoded("blk.0.attn_q.weight").reshape(4, 32, 2, -1).swapaxes(1, 2)
    np.testing.assert_array_equal(
        found["model.layers.0.self_attn.q_proj.weight"], values.reshape(256, -1)
    )


@pytest.mark.parametrize("pattern", PRE_TOKENIZERS)
def test_byte_level_vocabularies_come_back(model: Model, pattern: str, tmp_path: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<unk>", "<s>", "</s>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(TEXT.splitlines(), trainer)
    source = tmp_path / "source"
    source.mkdir()
    for file in model("llama").glob("*"):
        if not file.name.startswith("tokenizer"):
            (source / file.name).write_bytes(file.read_bytes())
    backend.save(str(source / "tokenizer.json"))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                "tokenizer_class": "PreTrainedTokenizerFast"}  # fmt: skip
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(source, tmp_path / "a.gguf", "BF16")
    back = tmp_path / "back"
    command = ["quantize", str(tmp_path / "a.gguf"), "--to-safetensors", "-q", "-o", str(back)]
    assert main(command) == 0
    again = Tokenizer.from_file(str(back / "tokenizer.json"))
    for line in (*PROBE, *TEXT.splitlines()):
        assert again.encode(line).ids == backend.encode(line).ids, line
        assert again.decode(again.encode(line).ids) == backend.decode(backend.encode(line).ids)
    convert(back, tmp_path / "b.gguf", "BF16")
    one, two = (GgufFile(str(tmp_path / f"{n}.gguf")).metadata for n in "ab")
    assert one["tokenizer.ggml.pre"] == two["tokenizer.ggml.pre"]
    assert list(one["tokenizer.ggml.merges"]) == list(two["tokenizer.ggml.merges"])


def test_what_cannot_be_written_back_is_refused(model: Model, tmp_path: Path) -> None:
    convert(model("llama"), tmp_path / "a.gguf", "Q8_0")
    command = ["quantize", str(tmp_path / "a.gguf"), "--to-safetensors", "-q"]
    out = ["-o", str(tmp_path / "out")]
    assert main(command) == 2
    assert main([*command, *out, "--type", "Q4_0"]) == 2
    assert main([*command, *out, "-n"]) == 0
    assert main(["quantize", str(tmp_path / "no.gguf"), "--to-safetensors", *out, "-q"]) == 66
    whole = (tmp_path / "a.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:-50_000])
    assert main(["quantize", str(tmp_path / "cut.gguf"), "--to-safetensors", *out, "-q"]) == 65
    (tmp_path / "a.gguf").write_bytes(whole.replace(b"llama", b"mamba"))
    assert main([*command, *out]) == 65
    assert not (tmp_path / "out").exists()
