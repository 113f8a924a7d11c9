"""A tiny policy with a real tokenizer, trained on nothing, for every test of rlhf."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from norcli.cli.main import main
from norcli.model.build import build_model, hugging_face_config
from norcli.model.presets import load_preset
from norcli.training.checkpoint import save_model_directory
from norcli.training.templates import store_template

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "data" / "summaries.jsonl"


@pytest.fixture(scope="session")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "summaries.jsonl"
    file.write_text("\n".join(SAMPLE.read_text(encoding="utf-8").splitlines()[:6]) + "\n")
    return file


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("policy")
    tokenizer = folder / "tokenizer"
    texts = folder / "texts.jsonl"
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    texts.write_text("\n".join(json.dumps({"text": row["article"]}) for row in rows))
    assert os.path.exists(texts)
    code = main(["tokenize-train", str(texts), "--vocab-size", "400", "-o", str(tokenizer), "-q"])
    assert code == 0
    config = hugging_face_config(
        load_preset("norgpt-nano"), vocab_size=400,
        overrides={"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 64,
                   "num_attention_heads": 2, "max_position_embeddings": 512},
    )  # fmt: skip
    model = folder / "model"
    model.mkdir()
    save_model_directory(build_model(config, seed=1), tokenizer, model)
    store_template(model, "norwai")
    return model
