"""What `norcli models` shows."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from norcli.errors import ConfigError, DataError
from norcli.model.build import hugging_face_config
from norcli.model.catalogue import advice_text, advise, describe, family, family_table, to_toml
from norcli.model.options import TOPICS, ModelsAdviseOptions, ModelsShowOptions
from norcli.model.presets import load_preset, preset_names


def test_the_table_has_a_row_per_preset_and_straight_columns() -> None:
    lines = family_table().splitlines()
    assert [line.split()[0] for line in lines] == ["name", *preset_names()]
    column = lines[0].index("strategy")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)
    assert [row["name"] for row in family()] == preset_names()


@pytest.mark.parametrize("name", preset_names())
def test_a_description_is_valid_toml_and_loses_nothing(name: str) -> None:
    described = describe(ModelsShowOptions(model=name))
    read = tomllib.loads(to_toml(described))
    expected = {key: value for key, value in described.items() if value != {}}
    assert read == expected


def test_a_description_says_what_there_is_to_know() -> None:
    described = describe(ModelsShowOptions(model="norwai-mistral-7b", context=1000))
    assert described["counts"]["parameters"] == 7_536_586_752
    assert described["memory"]["kv_cache_bytes"] == 131_072_000
    assert list(described["memory"]["gguf_bytes"]) == [
        "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16",
    ]  # fmt: skip
    assert described["cost"]["implied_tokens_per_second_per_gpu"] == 3089
    assert any("67 993" in note["text"] for note in described["notes"])


def test_another_vocabulary_changes_the_count() -> None:
    described = describe(ModelsShowOptions(model="norgpt-nano", vocab_size=4096))
    assert described["counts"]["parameters"] == 1_088_256 + 2048 * 128


def test_a_model_directory_is_counted_too(tmp_path: Path) -> None:
    config = hugging_face_config(load_preset("norgpt-nano"), vocab_size=500)
    (tmp_path / "config.json").write_text(json.dumps(config))
    described = describe(ModelsShowOptions(model=str(tmp_path)))
    assert described["counts"]["parameters"] == 1_088_256 - (2048 - 500) * 128
    assert tomllib.loads(to_toml(described))["memory"]["context"] == 256


def test_directories_without_a_usable_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no .*config\.json"):
        describe(ModelsShowOptions(model=str(tmp_path)))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        describe(ModelsShowOptions(model=str(tmp_path)))


def test_advice_follows_the_report() -> None:
    advice = {entry["topic"]: [m["name"] for m in entry["models"]]
              for entry in advise(ModelsAdviseOptions())}  # fmt: skip
    assert list(advice) == list(TOPICS)
    assert {"norgpt-369m", "norgpt-3b"} <= set(advice["light"])
    assert {"norgpt-23b", "norwai-mistral-7b"} <= set(advice["comprehension"])
    assert {"norwai-mixtral-8x7b", "norwai-magistral-24b"} <= set(advice["long-context"])
    assert advice["assistant"][0] == "norwai-mistral-7b-instruct"
    assert advice["laptop"] == ["norwai-mistral-7b-instruct"]
    assert advice["reasoning"] == advice["minority-languages"] == ["norwai-magistral-24b"]


def test_advice_for_a_machine_names_what_fits() -> None:
    options = ModelsAdviseOptions(use=["assistant"], memory=6.0)
    entry = advise(options)[0]
    assert [model["name"] for model in entry["models"]] == ["norwai-mistral-7b-instruct"]
    assert entry["models"][0]["fits"] == ["Q3_K_M", "Q4_K_M"]
    small = ModelsAdviseOptions(use=["reasoning"], memory=2.0)
    assert advise(small)[0]["models"] == []
    assert "no model of the family fits into 2 GB" in advice_text(advise(small), 2.0)
