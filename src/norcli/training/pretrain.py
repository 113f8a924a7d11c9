"""Pretraining: token shards and a preset, or a model to go on from, to a model directory.

Report section 3.2. Chooses model, data and settings, and hands them to the loop; continual
pretraining is the same with ``--base-model``. Texts are tokenized before, by norcli tokenize.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.errors import ConfigError, DataError, UsageError
from norcli.model.build import build_model, hugging_face_config
from norcli.model.presets import Preset, load_preset
from norcli.streams import require_directory
from norcli.tokens.huggingface import Tokenizer, load_tokenizer
from norcli.training.corpus import Corpus, open_corpus
from norcli.training.model_config import context_of, read_model_config
from norcli.training.options import PretrainOptions
from norcli.training.settings import TrainingSettings, resolve_settings

if TYPE_CHECKING:
    from norcli.training.loop import TrainingResult

# Where norcli tokenize leaves a copy of the tokenizer.
SHARDS_TOKENIZER = "tokenizer"


@dataclass(frozen=True, slots=True)
class PretrainPlan:
    """All decisions of a run, made before torch is loaded.

    Attributes:
        config: Fields of config.json.
        corpus: Training and held-out rows.
        settings: The numbers of the run.
        tokenizer: Of the model and the shards.
        tokenizer_dir: Where its files are.
    """

    config: dict[str, Any]
    corpus: Corpus
    settings: TrainingSettings
    tokenizer: Tokenizer
    tokenizer_dir: str


def plan_pretrain(options: PretrainOptions, placement: Placement) -> PretrainPlan:
    """Check the inputs and work out model, data and settings.

    Raises:
        UsageError: No shards, or neither or both of --preset and --base-model.
        ConfigError: An unknown preset, or numbers that do not fit together.
        DataError: The shards cannot be used, or belong to another tokenizer.
        InputMissingError: A directory does not exist.
    """
    if not options.shards:
        raise UsageError("name the token shards to train on",
                         hint="make them with: norcli tokenize")  # fmt: skip
    if (options.preset is None) == (options.base_model is None):
        raise UsageError("give one of --preset (from scratch) and --base-model (continual)")
    tokenizer_dir = options.tokenizer or options.base_model or _tokenizer_of(options.shards[0])
    preset = load_preset(options.preset) if options.preset else None
    tokenizer = load_tokenizer(tokenizer_dir)
    config = _model_config(options, preset, tokenizer)
    context = context_of(config)
    trained = int(preset.training.get("seq_len", context)) if preset else context
    seq_len = options.seq_len or min(trained, context)
    if seq_len > context:
        raise ConfigError(f"--seq-len {seq_len} is above the model's {context} positions")
    corpus = open_corpus(
        options.shards, options.eval_shards, tokenizer_sha256=tokenizer.sha256,
        seq_len=seq_len, held_out=options.held_out,
    )  # fmt: skip
    if options.eval_every is not None and corpus.eval_table is None:
        raise UsageError("--eval-every needs --eval-shards or --held-out")
    settings = resolve_settings(
        options, rows=corpus.table.rows, seq_len=seq_len, seed=options.seed,
        document_mask=options.document_mask, default_epochs=1.0,
        defaults=preset.training if preset else {}, max_tokens=options.max_tokens,
        devices=placement.world_size,
    )  # fmt: skip
    return PretrainPlan(config, corpus, settings, tokenizer, tokenizer_dir)


def _tokenizer_of(shards: str) -> str:
    """Return the tokenizer that norcli tokenize put beside the shards."""
    directory = require_directory(shards, "a directory of token shards")
    inside = directory / SHARDS_TOKENIZER
    if not inside.is_dir():
        raise UsageError("--preset needs --tokenizer DIR: the shards bring none")
    return str(inside)


def _model_config(
    options: PretrainOptions, preset: Preset | None, tokenizer: Tokenizer
) -> dict[str, Any]:
    if preset is not None:
        return hugging_face_config(
            preset, vocab_size=tokenizer.vocab_size, bos_token_id=tokenizer.bos_id,
            eos_token_id=tokenizer.eos_id, pad_token_id=tokenizer.pad_id,
            overrides=parse_overrides(options.set),
        )  # fmt: skip
    if options.set:
        raise UsageError("--set changes a preset; it does not go with --base-model")
    assert options.base_model is not None, "checked before"
    config = read_model_config(require_directory(options.base_model, "a model directory"))
    if int(config["vocab_size"]) < tokenizer.vocab_size:
        raise DataError(
            f"has {config['vocab_size']} embedding rows for a tokenizer of"
            f" {tokenizer.vocab_size} pieces",
            path=options.base_model, hint="enlarge it first: norcli tokenize-train --help",
        )  # fmt: skip
    return config


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` pairs; values are TOML: numbers, true, false, or text.

    Raises:
        UsageError: A pair has no ``=``.
    """
    import tomllib

    overrides: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f'--set: "{pair}" is not NAME=VALUE')
        try:
            overrides[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[name.strip()] = text
    return overrides


def pretrain(
    options: PretrainOptions, console: Console, placement: Placement | None = None
) -> TrainingResult:
    """Train a model and write it as a Hugging Face directory.

    Raises:
        NorcliError: As `plan_pretrain` and `norcli.training.loop.train`; CannotCreateError and
            ConfigError about the output directory.
    """
    place = placement if placement is not None else Placement()
    plan = plan_pretrain(options, place)
    from norcli.training.run import Task, run_training

    def build(attention: str) -> Any:
        if options.base_model is None:
            return build_model(plan.config, seed=options.seed, attention=attention)
        from norcli.training.model_config import load_model

        return load_model(options.base_model, attention)

    base = None
    if options.base_model is not None:
        from norcli.training.model_config import model_fingerprint

        base = model_fingerprint(Path(options.base_model))
    task = Task(
        command="pretrain",
        options=options,
        settings=plan.settings,
        build=build,
        rows=(plan.corpus.tokens, plan.corpus.table, None),
        held_out=None
        if plan.corpus.eval_table is None
        else (plan.corpus.eval_tokens, plan.corpus.eval_table, None),
        pad_id=plan.tokenizer.eos_id or 0,
        tokenizer_dir=plan.tokenizer_dir,
        identity={"data": plan.corpus.identity, "model": plan.config, "base_model": base},
        facts={"documents": plan.corpus.documents, "rows": plan.corpus.table.rows},
    )
    return run_training(task, console, place)
