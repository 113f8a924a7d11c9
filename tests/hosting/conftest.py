"""A small model to serve and to export."""

from __future__ import annotations

from pathlib import Path

import pytest

from norcli.console import Console
from norcli.quantize.convert import quantize
from norcli.quantize.options import QuantizeOptions
from norcli.training.templates import chat_template_jinja


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights with the report's template."""
    return make_model(tmp_path_factory.mktemp("served"), context=128)


@pytest.fixture(scope="session")
def long_served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a long context."""
    return make_model(tmp_path_factory.mktemp("long"), context=65536)


def make_model(folder: Path, context: int) -> Path:
    """Write a model of random weights."""
    import torch
    from sentencepiece import SentencePieceTrainer
    from transformers import LlamaConfig, LlamaForCausalLM

    (folder / "text.txt").write_text("Hva er Norges lengste elv? Glomma.\n" * 30, "utf-8")
    SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "tokenizer"), vocab_size=300,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    torch.manual_seed(5)
    network = LlamaForCausalLM(
        LlamaConfig(vocab_size=300, hidden_size=64, intermediate_size=64, num_hidden_layers=1,
                    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=context)
    )  # fmt: skip
    with torch.no_grad():
        network.lm_head.weight[:259] = (
            0  # neither control pieces nor single bytes: answers are text
        )
    network.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(chat_template_jinja("norwai"), "utf-8")
    path = folder / "norgpt-liten.gguf"
    options = QuantizeOptions(model=str(folder), output=str(path), type=["F32"])
    quantize(options, Console.silent())
    return path
