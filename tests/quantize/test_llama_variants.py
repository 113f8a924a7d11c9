"""Llamas that differ from the usual: biases, heads of their own width, scaled rotation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_oracle import logits

from norcli.console import Console
from norcli.quantize.convert import quantize
from norcli.quantize.options import QuantizeOptions

ROPE = {"rope_theta": 10000.0, "factor": 4.0}


@pytest.mark.parity
@pytest.mark.parametrize(
    "settings",
    [
        {"attention_bias": True, "mlp_bias": True},
        {"attention_bias": True, "head_dim": 32},
        {"rope_parameters": ROPE | {"rope_type": "linear"}},
        {"rope_parameters": ROPE | {"rope_type": "yarn", "original_max_position_embeddings": 32}},
    ],
    ids=["biases", "head width", "linear", "yarn"],
)
def test_logits_equal_those_of_the_source(
    settings: dict[str, Any], tmp_path: Path, sentencepiece_model: Path
) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    network = LlamaForCausalLM(
        LlamaConfig(vocab_size=431, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
                    **settings)
    ).eval()  # fmt: skip
    ids = [1, *np.random.default_rng(1).integers(4, 400, 40).tolist()]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.5)
        wanted = network(torch.tensor([ids])).logits[0].numpy()
    network.save_pretrained(tmp_path / "model")
    shutil.copy(sentencepiece_model, tmp_path / "model" / "tokenizer.model")
    path = tmp_path / "model.gguf"
    options = QuantizeOptions(model=str(tmp_path / "model"), output=str(path), type=["F32"])
    quantize(options, Console.silent())
    assert np.abs(logits(path, ids) - wanted).max() < 0.004 < 0.1 * wanted.std()
