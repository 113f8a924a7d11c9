"""The proof of a vocabulary: passes on a true one, refuses a false one by its first line."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import train_sentencepiece
from test_conversion import convert

from norcli.console import Console
from norcli.errors import DataError
from norcli.quantize import parity
from norcli.quantize.byte_pair_vocabulary import TEKKEN_PATTERN

Model = Callable[[str], Path]


def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect warnings of silent consoles."""
    found: list[str] = []
    monkeypatch.setattr(Console, "warn", lambda self, message, kind=None: found.append(message))
    return found


def with_tokenizer(model: Model, folder: Path, **settings: Any) -> Path:
    directory = folder / "m"
    shutil.copytree(model("gpt2-192"), directory)
    shutil.copy(train_sentencepiece(folder, **settings), directory / "tokenizer.model")
    return directory


NORMALIZING = {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True}


@pytest.mark.parity
def test_a_difference_is_refused_with_its_cause_and_place(model: Model, tmp_path: Path) -> None:
    directory = with_tokenizer(model, tmp_path, **NORMALIZING)
    with pytest.raises(DataError, match="removes extra spaces") as caught:
        convert(directory, tmp_path / "m.gguf", "Q8_0")
    assert "in the source" in caught.value.message
    assert "--allow-tokenizer-mismatch" in str(caught.value.hint)
    assert not (tmp_path / "m.gguf").exists()


def test_a_vocabulary_without_bytes_is_refused_before_llama_cpp_crashes(
    model: Model, tmp_path: Path
) -> None:
    directory = with_tokenizer(model, tmp_path, byte_fallback=False, vocab_size=150)
    with pytest.raises(DataError, match="no byte pieces"):
        convert(directory, tmp_path / "m.gguf", "Q8_0")
    convert(directory, tmp_path / "m.gguf", "Q8_0", allow_tokenizer_mismatch=True)


@pytest.mark.parity
def test_a_difference_can_be_allowed(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = said(monkeypatch)
    directory = with_tokenizer(model, tmp_path, **NORMALIZING)
    convert(directory, tmp_path / "m.gguf", "Q8_0", allow_tokenizer_mismatch=True)
    assert (tmp_path / "m.gguf").exists()
    assert len(warnings) == 1
    assert "differently from token" in warnings[0]


@pytest.mark.parity
def test_a_wrong_conversion_would_be_found(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = with_tokenizer(model, tmp_path, add_dummy_prefix=False)
    convert(directory, tmp_path / "a.gguf", "Q8_0")
    real = parity.write_stub

    def forgetful(vocabulary: Any, path: str) -> None:
        vocabulary.words.add_space_prefix = None  # the defect of other converters
        real(vocabulary, path)

    monkeypatch.setattr(parity, "write_stub", forgetful)
    with pytest.raises(DataError, match="differently from token 1 on"):
        convert(directory, tmp_path / "b.gguf", "Q8_0")


@pytest.mark.parity
def test_tekken_is_proved_too(model: Model, tmp_path: Path) -> None:
    pieces = [bytes([byte]) for byte in range(256)]
    pieces += [b"er", b" N", b"or", b" Nor", b"ge", b"ges", "å".encode(), b"  ", b"lv"]
    described = {
        "config": {"pattern": TEKKEN_PATTERN, "default_vocab_size": len(pieces) + 10,
                   "version": "v13", "default_num_special_tokens": 10},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(p).decode()}
                  for i, p in enumerate(pieces)],
        "special_tokens": [{"rank": i, "token_str": t}
                           for i, t in enumerate(["<unk>", "<s>", "</s>", "[INST]"])],
    }  # fmt: skip
    directory = tmp_path / "m"
    shutil.copytree(model("llama"), directory)
    (directory / "tokenizer.model").unlink()
    (directory / "tekken.json").write_text(json.dumps(described))
    convert(directory, tmp_path / "m.gguf", "Q8_0")
    described["vocab"] = [*described["vocab"][:256], *reversed(described["vocab"][256:])]
    (directory / "tekken.json").write_text(json.dumps(described))
    convert(directory, tmp_path / "n.gguf", "Q8_0")


def test_without_llama_cpp_the_run_says_that_nothing_is_proved(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = said(monkeypatch)
    monkeypatch.setattr(parity, "find_spec", lambda name: None)
    convert(model("gpt2-192"), tmp_path / "m.gguf", "Q8_0")
    assert len(warnings) == 1
    assert "not proved" in warnings[0]
