"""A tokenizer and two tiny models with random weights, one of each type the family has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from norcli.console import Console
from norcli.evaluation.options import EvalOptions

TEXTS = (
    "Norges lengste elv er Glomma, og den renner ut i havet ved Fredrikstad.",
    "Hva heter hovedstaden i Norge?\n\nSvar: Oslo er hovedstaden i Norge.",
    "Er det sant at laksen vandrer opp i elva for å gyte?\nSvar: ja\nSvar: nei",
    "Spørsmål: Kva er det høgaste fjellet i landet?\nSvar: Galdhøpiggen.",
    "Tekst: Filmen var svært god, men boka er bedre.\nHoldning: positiv eller negativ",
)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from norcli.tokens.options import TokenizeTrainOptions
    from norcli.tokens.train import train_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    source = folder / "text.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in TEXTS * 4]
    source.write_text("\n".join(lines), encoding="utf-8")
    options = TokenizeTrainOptions(
        inputs=[str(source)], output=str(folder / "tokenizer"), vocab_size=420
    )
    train_tokenizer(options, Console.silent())
    return folder / "tokenizer"


def make_model(tokenizer_folder: Path, folder: Path, preset: str) -> Path:
    from norcli.model.build import build_model, hugging_face_config
    from norcli.model.presets import load_preset
    from norcli.tokens.huggingface import load_tokenizer

    shutil.copytree(tokenizer_folder, folder)
    size = load_tokenizer(folder).vocab_size
    config = hugging_face_config(load_preset(preset), vocab_size=size, context=96)
    build_model(config, seed=3).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gpt2_folder(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tokenizer_folder, tmp_path_factory.mktemp("gpt2") / "model", "norgpt-nano")


@pytest.fixture(scope="session")
def llama_folder(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama") / "model"
    return make_model(tokenizer_folder, folder, "norllama-nano")


@pytest.fixture()
def options_for() -> object:
    """Options for a model and data, everything else by default."""

    def make(
        model: Path | str = "model", data: Path | str = "data", **values: object
    ) -> EvalOptions:
        return EvalOptions(model=str(model), data=str(data), **values)  # type: ignore[arg-type]

    return make
