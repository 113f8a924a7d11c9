"""Fixtures: a vocabulary, and model directories saved as the trainers save them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_models import MODELS, train_sentencepiece


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out waiting for the disk: dozens of files are written here, none must last."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def sentencepiece_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-fallback BPE vocabulary, as tokenize-train makes them."""
    return train_sentencepiece(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="session")
def model(
    tmp_path_factory: pytest.TempPathFactory, sentencepiece_model: Path
) -> Callable[[str], Path]:
    """A function from a name in MODELS to its directory, built at first use."""
    made: dict[str, Path] = {}
    folder = tmp_path_factory.mktemp("models")

    def build(name: str) -> Path:
        if name not in made:
            import torch

            torch.manual_seed(20240 + len(name))
            make, dtype, arguments = MODELS[name]
            # More rows than words: the vocabulary must be padded.
            network = make(431).to(getattr(torch, dtype))
            network.save_pretrained(folder / name, **arguments)
            shutil.copy(sentencepiece_model, folder / name / "tokenizer.model")
            made[name] = folder / name
        return made[name]

    return build
