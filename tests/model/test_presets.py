"""The presets: the report's Table 1 row by row, and what a wrong name gets."""

from __future__ import annotations

import pytest

from norcli.errors import ConfigError
from norcli.model.presets import load_preset, preset_names

# Table 1 of the report, as printed: parameters in billions, hidden size, context, vocabulary,
# GPU hours, accelerator, strategy.
TABLE_1 = {
    "norgpt-369m": (0.3696, 1024, "2k", "64k", 1300, "A100", "Trained from scratch"),
    "norgpt-3b": (2.95, 2688, "2k", "64k", 2600, "A100", "Trained from scratch"),
    "norgpt-23b": (23.03, 6144, "2k", "64k", 53100, "A100", "Trained from scratch"),
    "norllama-3b": (3.07, 2688, "2k", "64k", 2200, "A100", "Trained from scratch"),
    "norwai-mistral-7b-pretrain": (7.54, 4096, "4k", "68k", 5100, "H100", "Trained from scratch"),
    "norwai-mistral-7b": (7.54, 4096, "4k", "68k", 4600, "H100", "Continual Pretraining"),
    "norwai-llama2-7b": (7.03, 4096, "4k", "68k", 4400, "H100", "Continual Pretraining"),
    "norwai-mixtral-8x7b": (47.00, 4096, "32k", "68k", 31100, "H100", "Continual Pretraining"),
    "norwai-magistral-24b": (23.85, 5120, "40k", "158k", 22000, "H100", "Continual Pretraining"),
    "norwai-mistral-7b-instruct": (7.54, 4096, "4k", "68k", 38.4, "H100", "Instruction tuning"),
    "norwai-mixtral-8x7b-instruct": (47.00, 4096, "32k", "68k", 170.8, "H100",
                                     "Instruction tuning"),
}  # fmt: skip
CONTEXT = {"2k": 2048, "4k": 4096, "32k": 32768, "40k": 40960}


def test_the_family_stands_in_the_order_of_the_table() -> None:
    assert preset_names() == [*TABLE_1, "norgpt-nano", "norllama-nano", "norllama-micro"]


@pytest.mark.parametrize("name", TABLE_1)
def test_a_preset_carries_its_row(name: str) -> None:
    preset = load_preset(name)
    printed, hidden, context, vocab, hours, accelerator, strategy = TABLE_1[name]
    report = preset.report
    unit = {"M": 1e-3, "B": 1.0}[report["parameters"][-1]]
    assert float(report["parameters"][:-1]) * unit == pytest.approx(printed)
    assert preset.config["hidden_size"] == report["hidden_size"] == hidden
    assert preset.context == CONTEXT[context] == CONTEXT[report["context"]]
    assert preset.config["vocab_size"] == pytest.approx(1000 * int(vocab[:-1]), rel=0.01)
    assert (report["gpu_hours"], report["accelerator"]) == (hours, accelerator)
    assert preset.strategy == strategy
    assert report["architecture"] == ("MoE" if "mixtral" in name else "Transformer")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_complete(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    assert preset.title.lower() == name
    assert preset.stage in ("base", "instruct", "test")
    assert preset.advice["topics"] and preset.advice["use"] and preset.advice["gpu_memory"]
    assert preset.training["source"]
    assert all(note.text and note.source for note in preset.notes)
    assert preset.config["max_position_embeddings"] >= preset.context


def test_norgpt_23b_has_49_layers() -> None:
    assert load_preset("norgpt-23b").config["num_hidden_layers"] == 49


def test_instruction_models_share_the_shape_of_their_base() -> None:
    for base in ("norwai-mistral-7b", "norwai-mixtral-8x7b"):
        assert load_preset(f"{base}-instruct").config == load_preset(base).config


def test_original_hyper_parameters_are_kept() -> None:
    training = load_preset("norgpt-23b").training
    assert (training["lr"], training["min_lr"], training["global_batch_size"]) == (
        9.7e-5, 9.7e-6, 112,
    )  # fmt: skip
    assert load_preset("norllama-3b").training["lr"] == 5.6e-5


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match='unknown preset "norgtp-369m"') as caught:
        load_preset("norgtp-369m")
    assert "did you mean norgpt-369m?" in str(caught.value.hint)
    with pytest.raises(ConfigError) as caught:
        load_preset("zzz")
    assert "norcli models" in str(caught.value.hint)


def test_names_are_taken_in_any_case_and_copies_are_the_callers() -> None:
    preset = load_preset("NorGPT-nano")
    preset.config["hidden_size"] = 1
    assert load_preset("norgpt-nano").config["hidden_size"] == 128
