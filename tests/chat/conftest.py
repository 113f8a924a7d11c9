"""The tiny model that has learnt three answers, made once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model") / "hf"
    tiny_models.make_directory(directory)
    return directory


@pytest.fixture(scope="session")
def gguf_model(model_directory: Path) -> Path:
    path = model_directory.parent / "tiny.gguf"
    tiny_models.write_gguf(model_directory, path)
    return path
