"""rlhf ppo and the whole of rlhf: models loaded, PPO run, the policy and its report written."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
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
from norcli.alignment.sample import (
    candidate_records,
    load_policy,
    prompt_encoder,
)
from norcli.alignment.score import scored_records
from norcli.console import Console
from norcli.errors import CannotCreateError, ConfigError, DataError, UsageError
from norcli.formats.documents import RecordWriter, input_paths
from norcli.locks import output_lock
from norcli.options import GENERAL, RecordInputOptions, option_fields, options_as_toml
from norcli.streams import require_directory
from norcli.training.model_config import context_of, model_fingerprint, read_model_config
from norcli.training.templates import DEFAULT_TEMPLATE, store_template, template_of

PPO_NUMBERS = (
    "steps", "rollouts", "minibatch", "ppo_epochs", "lr", "kl_coef", "max_kl", "clip_range",
    "value_clip", "reward_clip", "gamma", "gae_lambda", "temperature", "max_new_tokens", "seed",
    "instruction", "too_long", "reward_model", "encoder", "target_kl", "pooling",
    "encoder_tokens", "rouge_weight", "length_penalty",
)  # fmt: skip

# What the folder of a whole run holds.
RUN_FILE, COMPLETE_FILE = "run.json", "training.json"
CANDIDATES, SCORED = "candidates.jsonl", "scored.jsonl"
REWARD_MODEL, POLICY = "reward-model", "policy"
# A run may be continued with another value of these.
ANY_VALUE = frozenset({"output", "files_from", "batch_size", "save_every"})


def plan_ppo(options: PpoOptions | RlhfOptions) -> dict[str, Any]:
    """Check model, encoder and inputs and return what a run would do; no torch."""
    from norcli.model.estimate import count_parameters

    config = read_model_config(require_directory(options.model, "a model directory"))
    prompt_encoder(options.model, options)
    if options.encoder not in (None, HASHED_TRIGRAMS):
        require_directory(str(options.encoder), "an encoder directory")
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
        raise no_articles(options)
    return prompts, tokenizer


def no_articles(options: RecordInputOptions) -> DataError:
    """Return the error for an input without anything to learn from."""
    return DataError(
        "no articles to summarize", path=options.inputs[0] if options.inputs else "<stdin>"
    )


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
        "prompts": _digest(prompts),
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
    from norcli.alignment.report import canary_rewards, canary_scores, describe_policy
    from norcli.alignment.reward_model import ScalarModel, load_scalar_model
    from norcli.cluster.placement import Placement
    from norcli.training.checkpoint import save_model_directory
    from norcli.training.distributed import choose_device

    device = choose_device(Placement(), options.jobs)
    torch.manual_seed(options.seed)
    settings = _similarity(options)
    similarity = SimilarityReward.from_options(load_encoder(settings), settings)
    policy = load_policy(options.model, device)
    if options.reward_model is not None:
        context = context_of(read_model_config(Path(options.reward_model)))
        score = reward_model_scorer(load_scalar_model(options.reward_model, device), context)
        value = load_scalar_model(options.reward_model, device)
    else:
        score = similarity_scorer(similarity, tokenizer)
        value = ScalarModel(load_policy(options.model, device)).to(device)
    reference = copy.deepcopy(policy)
    learner = Learner(policy, reference, value, tokenizer, score)
    log = run_ppo(learner, prompts, options, directory, console)  # type: ignore[arg-type]
    arguments = (learner, prompts, similarity, options.max_new_tokens)
    report: dict[str, Any] = {
        "before": describe_policy(reference, *arguments),
        "after": describe_policy(policy, *arguments),
        "canaries": canary_scores(similarity, prompts, options.seed),
        "encoder": similarity.encoder.description,
        "prompts": len(prompts), "rounds": len(log), "last_round": log[-1],
    }  # fmt: skip
    if options.reward_model is not None:
        report["canary_rewards"] = canary_rewards(learner, prompts, options.seed)

    def write(folder: Path) -> None:
        save_model_directory(policy, options.model, folder)
        store_template(folder, template_of(options.model) or DEFAULT_TEMPLATE)
        lines = "".join(json.dumps(entry) + "\n" for entry in log)
        (folder / "log.jsonl").write_text(lines, encoding="utf-8")
        (folder / "norcli.toml").write_text(options_as_toml("rlhf ppo", options), encoding="utf-8")

    directory.finish(write, report)
    directory.prune(0)
    return report


def _digest(prompts: list[Prompt]) -> str:
    """Return a hash of what is asked and of the references."""
    texts = json.dumps([[prompt.text, prompt.reference] for prompt in prompts])
    return hashlib.sha256(texts.encode()).hexdigest()[:32]


def _similarity(options: PpoOptions) -> SimilarityOptions:
    """Return the similarity of the report: the run's own encoder, else the stand-in."""
    shared = {
        field.name: getattr(options, field.name) for field in option_fields(SimilarityOptions)
    }
    return SimilarityOptions(**(shared | {"encoder": options.encoder or HASHED_TRIGRAMS}))


def run_all(options: RlhfOptions, console: Console) -> dict[str, Any]:
    """Run sample, score, reward-model and ppo into one folder; complete steps are passed over.

    Returns:
        The reward model's facts and the report of PPO.
    """
    from norcli.alignment.reward_model import reward_facts
    from norcli.training.checkpoint import write_json

    # Whatever can be wrong with the command is told before anything is written.
    plan_ppo(options)
    folder = Path(options.output)
    _check_folder(folder, options)
    folder.mkdir(parents=True, exist_ok=True)
    with output_lock(options.output):
        write_json(folder / RUN_FILE, _identity(options))
        _prepare(folder, options, console)
        # The candidates carry article and reference: standard input is read once.
        ppo = _narrowed(
            options, PpoOptions, **_reading(folder / CANDIDATES), output=str(folder / POLICY),
            reward_model=str(folder / REWARD_MODEL),
        )  # fmt: skip
        report = optimize(ppo, console)
    return {"reward_model": reward_facts(str(folder / REWARD_MODEL)), **report}


def _prepare(folder: Path, options: RlhfOptions, console: Console) -> None:
    """Make candidates, scores and reward model, each where it is not there yet."""
    from norcli.alignment.reward_model import train_reward_model

    if not (folder / CANDIDATES).exists():
        sample = _narrowed(options, SampleOptions, output=str(folder / CANDIDATES))
        with RecordWriter(sample) as writer:
            for record in candidate_records(sample, console):
                writer.write(record)
            if not writer.records:
                raise no_articles(options)
    if not (folder / SCORED).exists():
        score = _narrowed(
            options, ScoreOptions, **_reading(folder / CANDIDATES), output=str(folder / SCORED)
        )
        with RecordWriter(score) as writer:
            for record in scored_records(score, console):
                writer.write(record)
    if not (folder / REWARD_MODEL).exists():
        training = _narrowed(
            options, RewardModelOptions, **_reading(folder / SCORED),
            output=str(folder / REWARD_MODEL),
        )  # fmt: skip
        train_reward_model(training, console)


def _reading(file: Path) -> dict[str, Any]:
    """Return the input options of a later step: all of one file, whatever the first step read."""
    return {
        "inputs": [str(file)], "files_from": None, "input_format": "jsonl", "limit": None,
        "shard": None, "overwrite": False,
    }  # fmt: skip


def _identity(options: RlhfOptions) -> dict[str, Any]:
    """Return what a run must have in common with the one it continues."""
    settings = {
        field.name: getattr(options, field.name) for field in option_fields(RlhfOptions)
        if field.info.in_config and field.info.group != GENERAL and field.name not in ANY_VALUE
    }  # fmt: skip
    digest = hashlib.sha256()
    paths = input_paths(options)
    for path in paths:
        # What came by a pipe is gone; its candidates are what goes on.
        if path != "-":
            digest.update(Path(path).read_bytes())
    model = model_fingerprint(Path(options.model))
    return {"model": model, "seed": options.seed, "data": digest.hexdigest()[:32], **settings}


def _check_folder(folder: Path, options: RlhfOptions) -> None:
    """Empty a folder for --overwrite; refuse one that holds something else or another run.

    Raises:
        CannotCreateError: Its run is complete, or it holds no run.
        ConfigError: An unfinished run of another configuration.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    marker = folder / RUN_FILE
    if not marker.is_file():
        raise CannotCreateError("exists and holds no rlhf run", path=folder,
                                hint="give another directory")  # fmt: skip
    if not (folder / CANDIDATES).exists():
        return  # nothing to go on from
    if options.overwrite:
        for name in (CANDIDATES, SCORED, RUN_FILE):
            (folder / name).unlink(missing_ok=True)
        for name in (REWARD_MODEL, POLICY):
            shutil.rmtree(folder / name, ignore_errors=True)
        return
    if (folder / POLICY / COMPLETE_FILE).exists():
        raise CannotCreateError("holds a complete run", path=folder,
                                hint="give --overwrite to replace it")  # fmt: skip
    before, now = json.loads(marker.read_text(encoding="utf-8")), _identity(options)
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if changed:
        raise ConfigError(
            f"holds an unfinished run with another {', '.join(changed[:3])}", path=folder,
            hint="repeat the first command, or give --overwrite",
        )  # fmt: skip


def _narrowed(options: RlhfOptions, kind: type[Any], **changes: Any) -> Any:
    """Return the options of one step with the values of the whole run."""
    names = {field.name for field in option_fields(kind)}
    shared = {f.name: getattr(options, f.name) for f in option_fields(type(options))
              if f.name in names}  # fmt: skip
    return kind(**(shared | changes))
