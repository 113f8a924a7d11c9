"""The folder of a whole run, and PPO's checkpoints for models with a head of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from norcli.alignment import ppo
from norcli.alignment.generation import seeded_generator
from norcli.alignment.options import PpoOptions
from norcli.alignment.pipeline import optimize
from norcli.alignment.ppo_loss import next_kl_coef
from norcli.alignment.prompts import Prompt
from norcli.alignment.report import canaries
from norcli.alignment.reward_model import ScalarModel, pad_right
from norcli.cli.configuration import read_section
from norcli.cli.main import main
from norcli.console import Console
from norcli.model.build import build_model, hugging_face_config
from norcli.model.presets import load_preset
from norcli.options import option_fields
from norcli.training.checkpoint import save_model_directory
from norcli.training.model_config import load_model
from norcli.training.templates import store_template

QUICK = ["--encoder", "hashed-trigrams", "--steps", "1", "--rollouts", "2", "--candidates", "2",
         "--max-new-tokens", "6", "--too-long", "truncate", "-q"]  # fmt: skip


@pytest.fixture(scope="module")
def llama(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with a language-model head that is not its embedding, as the report's are."""
    folder = tmp_path_factory.mktemp("llama")
    config = hugging_face_config(
        load_preset("norllama-nano"), vocab_size=400,
        overrides={"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 64,
                   "num_attention_heads": 2, "num_key_value_heads": 1,
                   "max_position_embeddings": 512},
    )  # fmt: skip
    config["tie_word_embeddings"] = False
    config["head_dim"] = 16
    save_model_directory(build_model(config, seed=1), policy, folder)
    store_template(folder, "norwai")
    return folder


def options_of(model: Path, data: Path, output: Path, **changes: Any) -> PpoOptions:
    values: dict[str, Any] = {
        "steps": 6, "rollouts": 4, "lr": 1e-3, "save_every": 2, "max_new_tokens": 6,
        "too_long": "truncate", "max_kl": 1e6, "target_kl": 0.5, "encoder": "hashed-trigrams",
    }  # fmt: skip
    return PpoOptions(
        model=str(model), inputs=[str(data)], output=str(output), **(values | changes)
    )


def test_an_untied_model_goes_on_to_the_same_weights(
    llama: Path, summaries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    optimize(options_of(llama, summaries, whole), Console.silent())
    real = ppo.learn

    def stops_in_round_five(*arguments: Any) -> dict[str, float]:
        if arguments[-1] == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(ppo, "learn", stops_in_round_five)
    with pytest.raises(KeyboardInterrupt):
        optimize(options_of(llama, summaries, broken), Console.silent())
    assert [f.name for f in broken.glob("checkpoints/step-*")] == ["step-000004"]
    monkeypatch.undo()
    optimize(options_of(llama, summaries, broken), Console.silent())
    for name in ("model.safetensors", "log.jsonl"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    rounds = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in rounds] == [1, 2, 3, 4, 5, 6]
    assert len({entry["kl_coef"] for entry in rounds}) > 1


def test_a_price_on_distance_keeps_the_policy_near(
    policy: Path, summaries: Path, tmp_path: Path
) -> None:
    away = {}
    for price in (0.0, 1.0):
        changes = {"steps": 25, "lr": 5e-3, "kl_coef": price, "target_kl": None}
        options = options_of(policy, summaries, tmp_path / str(price), **changes)
        away[price] = optimize(options, Console.silent())["last_round"]["kl"]
    assert away[0.0] > 3 * abs(away[1.0])


def test_the_price_follows_the_distance() -> None:
    assert next_kl_coef(0.1, 5.0, None) == 0.1
    assert next_kl_coef(0.1, 12.0, 6.0) == pytest.approx(0.1 * 1.02)
    assert next_kl_coef(0.1, 6.6, 6.0) == pytest.approx(0.1 * 1.01)
    assert next_kl_coef(0.1, -1.0, 6.0) == pytest.approx(0.1 * 0.98)


def test_a_wrong_command_leaves_nothing_behind(
    policy: Path, summaries: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    assert main(["rlhf", str(tmp_path / "no"), str(summaries), "-o", out, *QUICK]) == 66
    assert main(["rlhf", str(policy), str(tmp_path / "no.jsonl"), "-o", out, *QUICK]) == 66
    wrong = [*QUICK, "--encoder", str(tmp_path / "no")]
    assert main(["rlhf", str(policy), str(summaries), "-o", out, *wrong]) == 66
    assert not Path(out).exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("kept")
    assert main(["rlhf", str(policy), str(summaries), "-o", str(foreign), *QUICK,
                 "--overwrite"]) == 73  # fmt: skip
    assert (foreign / "thesis.txt").read_text() == "kept"


def test_steps_that_are_complete_are_passed_over(
    policy: Path, summaries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = ["rlhf", str(policy), str(summaries), "-o", str(out), "--limit", "3", *QUICK]
    real = ppo.learn
    monkeypatch.setattr(ppo, "learn", lambda *_: 1 / 0)
    assert main(command) == 70
    monkeypatch.setattr(ppo, "learn", real)
    assert len((out / "candidates.jsonl").read_bytes().splitlines()) == 3
    made = (out / "reward-model" / "model.safetensors").stat().st_mtime_ns
    assert main([*command, "--temperature", "0.5"]) == 78
    assert main(command) == 0
    assert (out / "reward-model" / "model.safetensors").stat().st_mtime_ns == made
    report = json.loads((out / "policy" / "training.json").read_text())
    assert report["prompts"] == 3
    assert set(report["canary_rewards"]) == set(report["canaries"])
    repeated = read_section(
        str(out / "policy" / "norcli.toml"), "rlhf ppo", option_fields(PpoOptions)
    )
    assert repeated["reward_model"] == str(out / "reward-model")
    assert repeated["temperature"] == PpoOptions.temperature
    assert main([*command, "--overwrite", "--temperature", "0.5"]) == 0


def test_rewards_do_not_depend_on_padding(policy: Path) -> None:
    model = ScalarModel(load_model(str(policy), "sdpa")).eval()
    torch.nn.init.normal_(model.head.weight, generator=seeded_generator(1))
    rows = [[1, 8, 9, 10, 2], [1, 8, 2]]
    with torch.no_grad():
        together = model.score(*pad_right(rows, 2))
        alone = torch.cat([model.score(*pad_right([row], 2)) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together[0] != together[1]


def test_canaries_are_made_from_the_references() -> None:
    prompts = [Prompt(str(i), "", [], "", text, "") for i, text in enumerate(
        ["Elva gikk over sine bredder.", "Skolen er stengt i dag."])]  # fmt: skip
    texts = {name: made[0] for name, made in canaries(prompts, seed=0).items()}
    assert texts["negated"] == "Elva gikk ikke over sine bredder."
    assert texts["first half"] == "Elva gikk"
    assert texts["three times"].split() == 3 * prompts[0].reference.split()
    assert texts["other article"] == prompts[1].reference
    assert sorted(texts["words shuffled"].split()) == sorted(prompts[0].reference.split())
