"""LoRA adapters: merged while quantizing as peft merges them, and as GGUF files for llama.cpp."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import TEXT
from test_conversion import convert, tensor_bytes

from norcli.cli.main import main
from norcli.errors import DataError, UsageError
from norcli.formats.gguf import GgufFile
from norcli.quantize import llama_library
from norcli.quantize.llama_library import LlamaModel

Model = Callable[[str], Path]


def make_adapter(base: Path, folder: Path, **settings: Any) -> Path:
    """Save a random adapter of peft, and the model it makes of the base beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    usual: dict[str, Any] = {
        "r": 4, "lora_alpha": 12, "target_modules": "all-linear", "task_type": "CAUSAL_LM",
        "fan_in_fan_out": network.config.model_type == "gpt2",
    }  # fmt: skip
    adapted = get_peft_model(network, LoraConfig(**(usual | settings)))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.05)
    adapted.save_pretrained(folder / "adapter")
    merged = adapted.merge_and_unload()
    merged.save_pretrained(folder / "merged")
    for file in base.glob("tokenizer*"):
        (folder / "merged" / file.name).write_bytes(file.read_bytes())
    return folder / "adapter"


def weights(path: Path) -> dict[str, np.ndarray]:
    file = GgufFile(str(path))
    return {t.name: np.frombuffer(file.tensor_data(t), "<f4") for t in file.tensors}


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama", {}),
        (
            "llama",
            {"use_rslora": True, "alpha_pattern": {"q_proj": 3}, "rank_pattern": {"o_proj": 2}},
        ),
        ("llama", {"target_modules": ["v_proj"], "modules_to_save": ["lm_head"]}),
        ("gpt2", {}),
        ("mistral", {"target_modules": ["q_proj", "down_proj"]}),
    ],
)  # fmt: skip
def test_merging_equals_peft(
    model: Model, name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    adapter = make_adapter(model(name), tmp_path, **settings)
    convert(model(name), tmp_path / "ours.gguf", "F32", adapter=str(adapter))
    convert(tmp_path / "merged", tmp_path / "peft.gguf", "F32")
    convert(model(name), tmp_path / "base.gguf", "F32")
    ours, peft, base = (weights(tmp_path / f"{n}.gguf") for n in ("ours", "peft", "base"))
    assert list(ours) == list(peft)
    changed = 0
    for tensor in ours:
        np.testing.assert_allclose(ours[tensor], peft[tensor], atol=2e-6, err_msg=tensor)
        changed += not np.array_equal(ours[tensor], base[tensor])
    assert changed > 1


def test_an_importance_matrix_sees_the_merged_model(model: Model, tmp_path: Path) -> None:
    adapter = make_adapter(model("llama"), tmp_path)
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    settings = {"imatrix": str(text), "imatrix_chunk": 64, "name": "x"}
    convert(model("llama"), tmp_path / "a.gguf", "Q4_K_M", adapter=str(adapter), **settings)
    convert(tmp_path / "merged", tmp_path / "b.gguf", "Q4_K_M", **settings)
    ours, peft = tensor_bytes(tmp_path / "a.gguf"), tensor_bytes(tmp_path / "b.gguf")
    # Sums rounded in another order may move single levels, not more.
    equal = sum(a == b for name in ours for a, b in zip(ours[name][1], peft[name][1], strict=True))
    assert equal > 0.999 * sum(len(data) for _, data in ours.values())


@pytest.mark.parity
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_llama_cpp_lays_a_gguf_adapter_over_the_base(
    model: Model, name: str, tmp_path: Path
) -> None:
    adapter = make_adapter(model(name), tmp_path)
    convert(model(name), tmp_path / "base.gguf", "F32")
    convert(tmp_path / "merged", tmp_path / "merged.gguf", "F32")
    command = ["quantize", str(adapter), "--base-model", str(model(name)), "--type", "F32", "-q"]
    assert main([*command, "-o", str(tmp_path / "lora.gguf")]) == 0
    ids = [1, *range(40, 60)]
    with LlamaModel(str(tmp_path / "merged.gguf"), 32, 1) as merged:
        wanted = merged.logits(ids).copy()
    with LlamaModel(str(tmp_path / "base.gguf"), 32, 1) as base:
        plain = base.logits(ids).copy()
        library = llama_library._library()
        library.llama_adapter_lora_init.restype = ctypes.c_void_p
        library.llama_adapter_lora_init.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        loaded = library.llama_adapter_lora_init(base._model, str(tmp_path / "lora.gguf").encode())
        assert loaded
        scale = ctypes.c_float(1.0)
        library.llama_set_adapters_lora.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t,
            ctypes.POINTER(ctypes.c_float),
        ]  # fmt: skip
        pointer = ctypes.c_void_p(loaded)
        assert library.llama_set_adapters_lora(
            base._context, ctypes.byref(pointer), 1, ctypes.byref(scale)
        ) == 0  # fmt: skip
        got = base.logits(ids).copy()
    assert np.abs(got - wanted).max() < 0.01 < 0.1 * np.abs(plain - wanted).max()


def test_what_cannot_be_merged_is_named(model: Model, tmp_path: Path) -> None:
    adapter = make_adapter(model("llama"), tmp_path)
    with pytest.raises(DataError, match=r"adapts .* there is none"):
        convert(model("gpt2"), tmp_path / "out.gguf", "Q8_0", adapter=str(adapter))
    with pytest.raises(DataError, match="is no adapter"):
        convert(model("llama"), tmp_path / "out.gguf", "Q8_0", adapter=str(model("llama")))
    config = adapter / "adapter_config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps(settings | {"use_dora": True}))
    with pytest.raises(DataError, match="use_dora"):
        convert(model("llama"), tmp_path / "out.gguf", "Q8_0", adapter=str(adapter))
    config.write_text(json.dumps(settings | {"peft_type": "IA3"}))
    with pytest.raises(DataError, match="IA3"):
        convert(model("llama"), tmp_path / "out.gguf", "Q8_0", adapter=str(adapter))
    convert(model("llama"), tmp_path / "f32.gguf", "F32")
    with pytest.raises(UsageError, match="model directory"):
        convert(tmp_path / "f32.gguf", tmp_path / "out.gguf", "Q8_0", adapter=str(adapter))
    assert not (tmp_path / "out.gguf").exists()


def test_an_adapter_file_needs_its_base_and_a_plain_type(model: Model, tmp_path: Path) -> None:
    adapter = make_adapter(model("llama"), tmp_path)
    out = str(tmp_path / "lora.gguf")
    base = ["--base-model", str(model("llama"))]
    assert main(["quantize", str(adapter), *base, "--type", "Q4_K_M", "-o", out, "-q"]) == 2
    config = adapter / "adapter_config.json"
    settings = json.loads(config.read_text()) | {"base_model_name_or_path": "NorwAI/none"}
    config.write_text(json.dumps(settings))
    assert main(["quantize", str(adapter), "-o", out, "-q"]) == 2
    assert main(["quantize", str(adapter), *base, "-o", out, "-n", "-q"]) == 0
    assert not Path(out).exists()
    assert main(["quantize", str(adapter), *base, "-o", out, "-q"]) == 0
    made = GgufFile(out)
    assert made.metadata["adapter.lora.alpha"] == 12
    assert {tensor.kind.name for tensor in made.tensors} == {"F16"}
    assert main(["quantize", str(adapter), *base, "-o", out, "-q"]) == 73
