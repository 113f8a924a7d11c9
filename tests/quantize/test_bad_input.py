"""Damaged and hostile model directories and GGUF files: a reason in one line, and no output."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, NorcliError, UsageError
from norcli.formats.gguf import GgufFile
from norcli.quantize.convert import quantize
from norcli.quantize.inspection import inspection, inspection_text
from norcli.quantize.options import QuantizeOptions
from norcli.quantize.safetensors_export import export_safetensors

TINY = Path(__file__).parent.parent / "cases" / "quantize" / "models" / "tiny"
WEIGHT = "transformer.h.0.mlp.c_fc.weight"


@pytest.fixture()
def tiny(tmp_path: Path) -> Path:
    """A copy of the GPT-2 of the command cases."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def convert(directory: Path, **settings: Any) -> Path:
    target = directory.parent / "out" / "model.gguf"
    target.parent.mkdir(exist_ok=True)
    usual = {"model": str(directory), "output": str(target), "type": ["Q8_0"]}
    quantize(QuantizeOptions(**(usual | settings)), Console.silent())
    return target


def refused(directory: Path, message: str) -> None:
    """Convert, expect a reason, and find nothing where the output would be."""
    with pytest.raises(DataError, match=message) as caught:
        convert(directory)
    assert caught.value.path is not None
    assert "\n" not in caught.value.message
    assert list((directory.parent / "out").iterdir()) == []


def change_config(directory: Path, **fields: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n_head", 0, '"n_head" of 0; expected a count'),
        ("n_head", -2, "expected a count"),
        ("n_head", 3, "3 heads for a width of 32"),
        ("n_layer", 10**12, "expected a count"),
        ("n_layer", 10**9, 'nothing for "blk.1.'),
        ("n_embd", "x", '"n_embd" of "x"; expected a count'),
        ("n_embd", [32], "expected a count"),
        ("n_embd", float("inf"), '"n_embd" of Infinity'),
        ("n_embd", True, "expected a count"),
        ("n_positions", -1, "expected a count"),
        ("layer_norm_epsilon", float("nan"), "expected a positive number"),
        ("layer_norm_epsilon", "abc", "expected a positive number"),
        ("architectures", [3], 'architecture "3"'),
        ("architectures", ["BertModel"], 'architecture "BertModel"'),
    ],
)
def test_numbers_that_no_model_has(tiny: Path, field: str, value: Any, message: str) -> None:
    change_config(tiny, **{field: value})
    refused(tiny, message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_key_value_heads": 3}, "4 heads for 3 key heads"),
        ({"head_dim": 7}, "cannot be rotated"),
        ({"rope_parameters": [1]}, "no object"),
        ({"rope_parameters": {"rope_type": "linear", "factor": "a"}}, '"factor" of "a"'),
        ({"rope_theta": 0}, '"rope_theta" of 0'),
        ({"sliding_window": "x"}, '"sliding_window" of "x"'),
    ],
)
def test_numbers_that_no_llama_has(tiny: Path, fields: dict[str, Any], message: str) -> None:
    llama = {"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "num_attention_heads": 4,
             "intermediate_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 32,
             "rms_norm_eps": 1e-5}  # fmt: skip
    change_config(tiny, **(llama | fields))
    refused(tiny, message)


def test_json_nested_without_end(tiny: Path) -> None:
    (tiny / "config.json").write_text("[" * 100_000)
    refused(tiny, "not valid JSON")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("added_tokens.json", {"<x>": "abc"}, "does not understand"),
        ("added_tokens.json", {"<x>": 10**10}, "the id 10000000000, the embedding has 320 rows"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "a"}}}, "understand"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": "abc"}}, "does not understand"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": {}}}, "does not understand"),
        ("tokenizer_config.json", {"added_tokens_decoder": [1]}, "does not understand"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"-5": {"content": "a"}}}, "the id -5"),
        ("tokenizer_config.json", [], "not a JSON object"),
        ("tokenizer.json", {"added_tokens": [{"id": 0}]}, "does not understand"),
    ],
)
def test_added_tokens_that_make_no_sense(tiny: Path, file: str, content: Any, message: str) -> None:
    (tiny / file).write_text(json.dumps(content))
    refused(tiny, message)


def test_a_word_below_zero_in_tokenizer_json(tiny: Path) -> None:
    (tiny / "tokenizer.model").unlink()
    model = {"type": "BPE", "vocab": {"a": 0, "b": -7}, "merges": []}
    described = {"model": model, "pre_tokenizer": {"type": "ByteLevel"}}
    (tiny / "tokenizer.json").write_text(json.dumps(described))
    refused(tiny, "an id below 0")


def test_a_template_that_is_not_utf8(tiny: Path) -> None:
    (tiny / "chat_template.jinja").write_bytes(b"\xff\xfe")
    refused(tiny, "is not UTF-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:, :10].copy(), r"shape \[10, 32\], the configuration asks for \[64, 32\]"),
        (lambda w: w[:, :0].copy(), "shape"),
        (lambda w: np.where(w == w[3, 4], np.float16(np.nan), w), "NaN or infinite"),
        (lambda w: np.where(w == w[3, 4], np.float16(-np.inf), w), "NaN or infinite"),
        (lambda w: w.astype(np.int8), "stored as I8; expected F32, F16 or BF16"),
        (lambda w: w.astype(np.float64), "stored as F64"),
    ],
)
def test_weights_that_cannot_be_written(
    tiny: Path, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    weights = load_file(tiny / "model.safetensors")
    save_file(weights | {WEIGHT: change(weights[WEIGHT])}, tiny / "model.safetensors")
    refused(tiny, message)


def test_a_directory_is_not_replaced_by_a_file(tiny: Path) -> None:
    target = tiny.parent / "out"
    target.mkdir()
    with pytest.raises(CannotCreateError, match="is a directory"):
        convert(tiny, output=str(target), overwrite=True)


def test_names_that_are_not_utf8(tiny: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tiny.parent) + b"/odd\xff"))
    tiny.rename(odd)
    path = convert(odd)
    assert GgufFile(str(path)).metadata["general.name"] == "odd?"
    assert "odd?" in inspection_text(inspection(str(path)))


def test_the_report_s_text_is_read_before_the_weights(tiny: Path, tmp_path: Path) -> None:
    text = tmp_path / "empty.txt"
    text.touch()
    with pytest.raises(DataError, match="holds no text"):
        convert(tiny, report_text=str(text))
    with pytest.raises(UsageError, match="name it with -o"):
        text.write_text("Fjorden lå blank. " * 100, "utf-8")
        convert(tiny, report_text=str(text), output="-")
    assert list((tmp_path / "out").iterdir()) == []


def test_chunks_of_a_report_stay_within_the_model_s_positions(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    text = tmp_path / "text.txt"
    text.write_text("Fjorden lå blank i det første lyset. " * 100, "utf-8")
    options = QuantizeOptions(
        model=str(tiny), output=str(tmp_path / "m.gguf"), type=["Q8_0"], report_text=str(text),
        report_chunk=512, report_tokens=128,
    )  # fmt: skip
    report = quantize(options, Console.silent())
    # Four chunks of the model's 32 positions; of each 15 tokens are judged.
    assert report.quality[0].total.tokens == 60


def test_a_device_is_no_gguf_file() -> None:
    with pytest.raises(DataError, match="device"):
        GgufFile("/dev/null")


@pytest.mark.parametrize(
    "fields",
    [
        {"lora_alpha": "x"},
        {"lora_alpha": None},
        {"lora_alpha": float("inf")},
        {"alpha_pattern": "x"},
        {"alpha_pattern": {"(": 1}},
        {"alpha_pattern": {"c_fc": [1]}},
    ],
)
def test_adapters_whose_scale_is_no_number(tiny: Path, fields: dict[str, Any]) -> None:
    adapter = tiny.parent / "adapter"
    adapter.mkdir()
    name = "base_model.model." + WEIGHT.removesuffix(".weight")
    factors = {f"{name}.lora_A.weight": np.ones((2, 32), np.float32),
               f"{name}.lora_B.weight": np.ones((64, 2), np.float32)}  # fmt: skip
    save_file(factors, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    assert convert(tiny, adapter=str(adapter)).is_file()
    (adapter / "adapter_config.json").write_text(json.dumps(config | fields))
    with pytest.raises(DataError, match="that is no number"):
        convert(tiny, adapter=str(adapter), overwrite=True)


def test_a_vocabulary_that_its_own_library_refuses(tiny: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tiny / "tokenizer.model"
    path.write_bytes(path.read_bytes().replace(b"<0x65>", b"<0Z65>"))
    refused(tiny, "cannot be loaded by the library")


def mutate(raw: bytes, chance: random.Random) -> bytes:
    """Change a few bytes or numbers of a file's header, cut it, or shift what follows."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(4, 12000 if chance.random() < 0.5 else 1500)
        kind = chance.random()
        if at + 8 >= len(data):
            continue
        if kind < 0.4:
            data[at] = chance.randrange(256)
        elif kind < 0.6:
            number = chance.choice((0, 1, 1 << 31, 1 << 63, (1 << 64) - 1, chance.getrandbits(64)))
            data[at : at + 8] = struct.pack("<Q", number)
        elif kind < 0.75:
            number = chance.choice((0, 1, 2, 8, 9, 12, 13, 30, 99, 1 << 31, (1 << 32) - 1))
            data[at : at + 4] = struct.pack("<I", number)
        elif kind < 0.85:
            data = data[: chance.randrange(len(data))]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(data)


def test_mutated_gguf_files_are_read_or_refused(tiny: Path, tmp_path: Path) -> None:
    raw = convert(tiny, type=["F16"]).read_bytes()
    chance = random.Random(7)
    path, out = tmp_path / "mutated.gguf", tmp_path / "out"
    refusals = 0
    for number in range(120):
        path.write_bytes(mutate(raw, chance))
        file = QuantizeOptions(model=str(path), output=str(out / f"{number}.gguf"), type=["Q8_0"])
        folder = QuantizeOptions(model=str(path), output=str(out / f"{number}"))
        silent = Console.silent()
        for act in (partial(inspection, str(path)), partial(quantize, file, silent),
                    partial(export_safetensors, folder, silent)):  # fmt: skip
            try:
                act()
            except NorcliError as error:
                refusals += 1
                assert isinstance(error, DataError), error
    assert refusals > 50
