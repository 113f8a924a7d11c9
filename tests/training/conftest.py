"""A tiny tokenizer, token shards and model for the training tests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

TEXT = """
elven renner gjennom dalen og ut i fjorden der båtene ligger ved brygga om våren snøen
smelter fjellet er høyt skogen står stille barna går på ski til skolen hver morgen
fisken biter best ved solnedgang og folk i bygda møtes på torget for å selge bær ost og
ull
"""
WORDS = TEXT.split()


def sentences(count: int, seed: int = 1) -> list[str]:
    """Return made-up sentences, the same for the same seed."""
    chooser = random.Random(seed)
    return [
        " ".join(chooser.choices(WORDS, k=chooser.randint(4, 40))).capitalize() + "."
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece tokenizer of 300 pieces with the files a model directory has."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("tokenizer")
    text = folder / "text.txt"
    text.write_text("\n".join(sentences(400)), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=300,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, minloglevel=2, num_threads=1,
        hard_vocab_limit=False,
    )  # fmt: skip
    text.unlink()
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>",
              "eos_token": "</s>", "unk_token": "<unk>"}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def shards_dir(tokenizer_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Token shards of 200 short documents, over several files."""
    from norcli.formats.shards import ShardWriter
    from norcli.tokens.huggingface import load_tokenizer

    tokenizer = load_tokenizer(tokenizer_dir)
    folder = tmp_path_factory.mktemp("shards")
    assert tokenizer.eos_id is not None
    with ShardWriter(
        folder, vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id,
        bos_id=tokenizer.bos_id, tokenizer_sha256=tokenizer.sha256, shard_tokens=2000,
    ) as writer:  # fmt: skip
        for text in sentences(200, seed=2):
            writer.add_document(tokenizer.encode(text))
    return folder
