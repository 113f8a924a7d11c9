"""Adapters beside the weights: put on, changed and taken off in both engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from norcli.chat.engines import Engine, Sampling
from norcli.chat.opening import describe_model, open_engine
from norcli.chat.options import ChatOptions
from norcli.console import Console
from norcli.errors import DataError, InputMissingError

IDS = [1, 5, 9, 20, 33]


@pytest.fixture(scope="module")
def adapter(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import peft
    import torch

    from norcli.chat.huggingface_engine import load_model

    torch.manual_seed(1)
    settings = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    path = tmp_path_factory.mktemp("adapter") / "lora"
    peft.get_peft_model(load_model(model_directory, "cpu"), settings).save_pretrained(path)
    return path


@pytest.fixture(params=["hf", "gguf"])
def case(
    request: pytest.FixtureRequest, model_directory: Path, gguf_model: Path, adapter: Path,
    tmp_path: Path,
) -> tuple[str, str]:  # fmt: skip
    """Return a model and an adapter in its form."""
    if request.param == "hf":
        return str(model_directory), str(adapter)
    file = tmp_path / "lora.gguf"
    command = ["quantize", str(adapter), "--base-model", str(model_directory), "-o", str(file)]
    subprocess.run([sys.executable, "-m", "norcli", *command], check=True, capture_output=True)
    return str(gguf_model), str(file)


def answer(engine: Engine) -> str:
    return "".join(engine.generate(IDS, Sampling(max_new_tokens=12), lambda: False))


def open_with(model: str, adapter: str | None) -> Engine:
    options = ChatOptions(model=model, adapter=adapter)
    return open_engine(describe_model(model), options, Console.silent())


def test_adapter_is_put_on_and_taken_off(case: tuple[str, str], adapter: Path) -> None:
    model, file = case
    engine = open_with(model, None)
    plain = answer(engine)
    engine.set_adapter(file)
    adapted = answer(engine)
    assert adapted != plain
    engine.set_adapter(None)
    assert answer(engine) == plain
    with pytest.raises((DataError, InputMissingError)):
        engine.set_adapter(str(adapter.parent))
    assert answer(engine) == plain
    engine.close()
    merged = open_with(str(adapter), None)
    given = open_with(model, file)
    assert answer(given) == adapted == answer(merged)
    given.close()
    merged.close()
