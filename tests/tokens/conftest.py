"""A tokenizer trained once for all tests of the tokens stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizer_texts import documents

from norcli.console import Console
from norcli.tokens.huggingface import SentencePieceTokenizer
from norcli.tokens.options import TokenizeTrainOptions
from norcli.tokens.train import train_tokenizer


def write_jsonl(path: Path, records: list[dict[str, str]]) -> Path:
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSONL file of 300 short documents."""
    return write_jsonl(tmp_path_factory.mktemp("corpus") / "corpus.jsonl", documents(300))


@pytest.fixture(scope="session")
def tokenizer_dir(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of 800 pieces."""
    output = tmp_path_factory.mktemp("tokenizer") / "tok"
    options = TokenizeTrainOptions(inputs=[str(corpus)], output=str(output), vocab_size=800)
    train_tokenizer(options, Console.silent())
    return output


@pytest.fixture(scope="session")
def tokenizer(tokenizer_dir: Path) -> SentencePieceTokenizer:
    """The same, loaded."""
    return SentencePieceTokenizer(tokenizer_dir / "tokenizer.model")
