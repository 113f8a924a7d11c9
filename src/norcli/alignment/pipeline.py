"""rlhf ppo and the whole of rlhf: models loaded, PPO run, the policy and its report written."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from norcli.alignment.encoders import load_encoder
from norcli.alignment.options import (
    HASHED_TRIGRAMS,
    PpoOptions,
    RewardModelOptions,
    RlhfOptions,
    SampleOptions,
    ScoreOptions,
    SimilarityOptions,
)
from norcli.alignment.prompts import Prompt, read_prompts
from norcli.alignment.rewards import SimilarityReward
from norcli.alignment.sample import candidate_records, context_of, prompt_encoder
from norcli.alignment.score import scored_records
from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.formats.documents import RecordWriter, input_paths
from norcli.options import option_fields
from norcli.streams import output_lock, require_directory
from norcli.training.model_config import load_model, model_fingerprint, read_model_config
from norcli.training.templates import DEFAULT_TEMPLATE, store_template, template_of

PPO_NUMBERS = (
    "steps", "rollouts", "minibatch", "ppo_epochs", "lr", "kl_coef", "max_kl", "clip_range",
    "value_clip", "reward_clip", "gamma", "gae_lambda", "temperature", "max_new_tokens", "seed",
    "instruction", "too_long", "reward_model", "encoder",
)  # fmt: skip


def plan_ppo(options: PpoOptions | RlhfOptions) -> dict[str, Any]:
    """Check model and inputs and return what a run would do; no torch."""
    from norcli.model.estimate import count_parameters

    config = read_model_config(require_directory(options.model, "a model directory"))
    parameters = count_parameters(config)
    paths = input_paths(options)
    rounds = options.steps * options.rollouts
    return {
        "model": options.model, "parameters": parameters, "context": context_of(config),
        "inputs": paths, "rounds": options.steps, "answers": rounds,
        "most_new_tokens": rounds * options.max_new_tokens,
        # Policy, reference, value and reward model in float32, and AdamW for the first and third.
        "memory_bytes": 4 * parameters * (4 + 2 * 3), "output": options.output,
    }  # fmt: skip


def load_prompts(options: PpoOptions, console: Console) -> tuple[list[Prompt], Any]:
    """Return all prompts and the tokenizer.

    Raises:
        DataError: There are none.
    """
    encoder, tokenizer = prompt_encoder(options.model, options)
    prompts = list(read_prompts(options, encoder, console))
    if not prompts:
        raise DataError("no articles to summarize",
                        path=options.inputs[0] if options.inputs else "<stdin>")  # fmt: skip
    return prompts, tokenizer


def optimize(options: PpoOptions, console: Console) -> dict[str, Any]:
    """Run PPO and write the policy.

    Returns:
        The report: before, after, canaries, the last round of the log.

    Raises:
        UsageError: Neither a reward model nor an encoder was named.
        NorcliError: As the parts that it is made of.
    """
    if options.reward_model is None and options.encoder is None:
        raise UsageError("name what gives the reward: --reward-model DIR or --encoder DIR")
    prompts, tokenizer = load_prompts(options, console)
    from norcli.training.checkpoint import RunDirectory

    identity = {
        "command": "rlhf ppo", "model": model_fingerprint(Path(options.model)),
        "prompts": len(prompts),
        "settings": {name: getattr(options, name) for name in PPO_NUMBERS},
    }  # fmt: skip
    directory = RunDirectory(options.output, identity, console)
    with output_lock(options.output):
        directory.open(options.overwrite)
        return _optimize(options, prompts, tokenizer, directory, console)


def _optimize(
    options: PpoOptions, prompts: list[Prompt], tokenizer: Any, directory: Any, console: Console
) -> dict[str, Any]:
    import torch

    from norcli.alignment.ppo import Learner, reward_model_scorer, run_ppo, similarity_scorer
    from norcli.alignment.report import canary_scores, describe_policy
    from norcli.alignment.reward_model import ScalarModel, load_scalar_model
    from norcli.training.checkpoint import save_model_directory

    torch.set_num_threads(options.jobs or 1)
    torch.manual_seed(options.seed)
    similarity = SimilarityReward(load_encoder(_similarity(options)))
    policy = load_model(options.model, "sdpa")
    if options.reward_model is not None:
        score = reward_model_scorer(load_scalar_model(options.reward_model))
        value = load_scalar_model(options.reward_model)
    else:
        score = similarity_scorer(similarity, tokenizer)
        value = ScalarModel(load_model(options.model, "sdpa"))
    reference = copy.deepcopy(policy)
    learner = Learner(policy, reference, value, tokenizer, score)
    log = run_ppo(learner, prompts, options, directory, console)  # type: ignore[arg-type]
    arguments = (tokenizer, prompts, similarity, options.max_new_tokens)
    report: dict[str, Any] = {
        "before": describe_policy(reference, *arguments),
        "after": describe_policy(policy, *arguments),
        "canaries": canary_scores(similarity, prompts, options.seed),
        "encoder": similarity.encoder.description,
        "prompts": len(prompts), "rounds": len(log), "last_round": log[-1],
    }  # fmt: skip

    def write(folder: Path) -> None:
        save_model_directory(policy, options.model, folder)
        store_template(folder, template_of(options.model) or DEFAULT_TEMPLATE)
        lines = "".join(json.dumps(entry) + "\n" for entry in log)
        (folder / "log.jsonl").write_text(lines, encoding="utf-8")

    directory.finish(write, report)
    directory.prune(0)
    return report


def _similarity(options: PpoOptions) -> SimilarityOptions:
    """Return the similarity of the report: the run's own encoder, else the stand-in."""
    return SimilarityOptions(encoder=options.encoder or HASHED_TRIGRAMS)


def run_all(options: RlhfOptions, console: Console) -> dict[str, Any]:
    """Run sample, score, reward-model and ppo into one folder; complete steps are passed over.

    Returns:
        The reward model's facts and the report of PPO.
    """
    from norcli.alignment.reward_model import reward_facts, train_reward_model

    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    _check_folder(folder, options)
    candidates, scored = folder / "candidates.jsonl", folder / "scored.jsonl"
    if options.overwrite or not candidates.exists():
        sample = _narrowed(options, SampleOptions, output=str(candidates))
        with RecordWriter(sample) as writer:
            for record in candidate_records(sample, console):
                writer.write(record)
    if options.overwrite or not scored.exists():
        score = _narrowed(options, ScoreOptions, inputs=[str(candidates)], output=str(scored))
        with RecordWriter(score) as writer:
            for record in scored_records(score, console):
                writer.write(record)
    if options.overwrite or not (folder / "reward-model").exists():
        train_reward_model(
            _narrowed(options, RewardModelOptions, inputs=[str(scored)],
                      output=str(folder / "reward-model")),
            console,
        )  # fmt: skip
    ppo = _narrowed(options, PpoOptions, output=str(folder / "policy"),
                    reward_model=str(folder / "reward-model"))  # fmt: skip
    report = optimize(ppo, console)
    return {"reward_model": reward_facts(str(folder / "reward-model")), **report}


def _check_folder(folder: Path, options: RlhfOptions) -> None:
    """Refuse a folder that holds another run.

    Raises:
        CannotCreateError: Its run is complete.
        ConfigError: An unfinished run of another model.
    """
    from norcli.errors import CannotCreateError, ConfigError

    if options.overwrite:
        return
    if (folder / "policy" / "training.json").exists():
        raise CannotCreateError("holds a complete run", path=folder,
                                hint="give --overwrite to replace it")  # fmt: skip
    marker = folder / "run.json"
    identity = {
        "model": model_fingerprint(Path(options.model)), "candidates": options.candidates,
        "encoder": options.encoder, "seed": options.seed, "objective": options.objective,
        "inputs": [os.path.basename(path) for path in options.inputs],
    }  # fmt: skip
    if marker.exists() and json.loads(marker.read_text(encoding="utf-8")) != identity:
        raise ConfigError("holds an unfinished run with another configuration", path=folder,
                          hint="repeat the first command, or give --overwrite")  # fmt: skip
    marker.write_text(json.dumps(identity), encoding="utf-8")


def _narrowed(options: RlhfOptions, kind: type[Any], **changes: Any) -> Any:
    """Return the options of one step with the values of the whole run."""
    names = {field.name for field in option_fields(kind)}
    shared = {f.name: getattr(options, f.name) for f in option_fields(type(options))
              if f.name in names}  # fmt: skip
    return kind(**(shared | changes))
