"""Configurations and models: the counts of the real classes, equal weights for equal seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from norcli.errors import ConfigError
from norcli.model.build import build_model, hugging_face_config
from norcli.model.estimate import count_parameters
from norcli.model.presets import load_preset, preset_names

SMALL = {
    "norwai-mistral-7b": {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
                          "num_key_value_heads": 2, "intermediate_size": 96},
    "norwai-mixtral-8x7b": {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
                            "num_key_value_heads": 2, "intermediate_size": 96},
    "norwai-magistral-24b": {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
                             "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 96},
    "norgpt-nano": {"num_hidden_layers": 2},
    "norllama-nano": {"num_hidden_layers": 2},
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", preset_names())
def test_transformers_counts_the_same(name: str) -> None:
    pytest.importorskip("transformers")
    config = hugging_face_config(load_preset(name))
    model = build_model(config, meta=True)
    assert type(model).__name__ == config["architectures"][0]
    assert sum(p.numel() for p in model.parameters()) == count_parameters(config)


@pytest.mark.parity
@pytest.mark.parametrize("name", SMALL)
def test_a_small_twin_runs_and_repeats(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    preset = load_preset(name)
    config = hugging_face_config(preset, vocab_size=320, context=32, overrides=SMALL[name])
    before = torch.random.get_rng_state()
    model, again = build_model(config, seed=5), build_model(config, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    ids = torch.arange(32).reshape(1, 32)  # [B, T]
    with torch.no_grad():
        logits = model(input_ids=ids).logits  # [B, T, V]
        assert torch.equal(logits, again(input_ids=ids).logits)
        other = build_model(config, seed=6)
        assert not torch.equal(logits, other(input_ids=ids).logits)
    assert logits.shape == (1, 32, 320)
    assert sum(p.numel() for p in model.parameters()) == count_parameters(config)
    model.save_pretrained(tmp_path / "model")
    loaded = type(model).from_pretrained(tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(loaded.eval()(input_ids=ids).logits, model.eval()(input_ids=ids).logits)
    saved = loaded.config.to_dict()
    assert saved.get("sliding_window") == config.get("sliding_window")
    if "rope_parameters" in config:
        assert saved["rope_parameters"]["rope_theta"] == preset.config["rope_theta"]


def test_the_configuration_is_config_json() -> None:
    gpt = hugging_face_config(load_preset("norgpt-3b"), vocab_size=100, context=64, pad_token_id=3)
    assert (gpt["n_embd"], gpt["n_layer"], gpt["n_head"], gpt["n_inner"]) == (2688, 32, 32, 10752)
    assert (gpt["vocab_size"], gpt["n_positions"]) == (100, 64)
    assert (gpt["bos_token_id"], gpt["eos_token_id"], gpt["pad_token_id"]) == (1, 2, 3)
    llama = hugging_face_config(load_preset("norllama-3b"))
    assert llama["rope_parameters"] == {"rope_type": "default", "rope_theta": 10000.0}
    assert llama["head_dim"] == 84
    assert "sliding_window" not in llama
    mistral = hugging_face_config(load_preset("norwai-mistral-7b"))
    assert (mistral["sliding_window"], mistral["num_key_value_heads"]) == (4096, 8)
    mixtral = hugging_face_config(load_preset("norwai-mixtral-8x7b"))
    assert (mixtral["sliding_window"], mixtral["num_local_experts"]) == (None, 8)


def test_shapes_that_do_not_fit_are_refused() -> None:
    preset = load_preset("norllama-nano")
    with pytest.raises(ConfigError, match="not a field"):
        hugging_face_config(preset, overrides={"hiden_size": 64})
    with pytest.raises(ConfigError, match="no multiple"):
        hugging_face_config(preset, overrides={"hidden_size": 130})
    with pytest.raises(ConfigError, match="do not divide"):
        hugging_face_config(preset, overrides={"num_key_value_heads": 3})


def test_another_model_type_is_refused() -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ConfigError, match="not one of"):
        build_model({"model_type": "bert"})
