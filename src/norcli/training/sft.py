"""Supervised fine-tuning on instructions: JSONL records and a model to a tuned model.

Report section 3.3.1: full weights or LoRA, on two prompt templates. Only answers are learnt unless
told otherwise, records of a row never see each other, and the template is stored with the model so
that chat, serve and GGUF prompt it alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.formats.documents import BadRecords, Place, read_records
from norcli.options import RecordInputOptions
from norcli.streams import require_directory
from norcli.tokens.huggingface import Tokenizer, load_tokenizer
from norcli.training.instructions import (
    Example,
    ExampleSet,
    encode_messages,
    join_examples,
    record_messages,
)
from norcli.training.model_config import context_of, model_fingerprint, read_model_config
from norcli.training.options import SftOptions
from norcli.training.order import mixed
from norcli.training.packing import RowTable, cut_documents, pack_rows, single_rows
from norcli.training.settings import TrainingSettings, resolve_settings
from norcli.training.templates import begins_with_bos, store_template, template_of

if TYPE_CHECKING:
    from norcli.training.loop import TrainingResult

# What fine-tuning does where no flag says otherwise. A tenth of the usual pretraining rate for
# full weights; LoRA needs more (arXiv 2106.09685, table 11 and after).
FULL_DEFAULTS = {"lr": 2e-5, "warmup_fraction": 0.03, "weight_decay": 0.0, "global_batch_size": 16}
LORA_DEFAULTS = {**FULL_DEFAULTS, "lr": 2e-4}
SMALL_MODEL_LR = 1e-3
SMALL_MODEL_HIDDEN_SIZE = 512
DEFAULT_EPOCHS = 3.0


@dataclass(frozen=True, slots=True)
class SftPlan:
    """All decisions of a run, made before torch is loaded.

    Attributes:
        config: The model's config.json.
        train: Examples to learn.
        train_table: Their rows.
        held_out: Examples to measure on, or None.
        held_out_table: Their rows.
        settings: The numbers of the run.
        tokenizer: The model's.
        counts: Records read, dropped and cut.
    """

    config: dict[str, Any]
    train: ExampleSet
    train_table: RowTable
    held_out: ExampleSet | None
    held_out_table: RowTable | None
    settings: TrainingSettings
    tokenizer: Tokenizer
    counts: dict[str, int]


def plan_sft(options: SftOptions, console: Console, placement: Placement) -> SftPlan:
    """Read and encode the records, and work out the settings.

    Raises:
        DataError: No records, a bad one, or one that does not fit a row (--too-long stop).
        InputMissingError: A file or the model does not exist.
        ConfigError: Numbers that do not fit together.
    """
    directory = require_directory(options.model, "a model directory")
    config = read_model_config(directory)
    tokenizer = load_tokenizer(options.model)
    if tokenizer.vocab_size > int(config["vocab_size"]):
        raise DataError(
            f"has {config['vocab_size']} embedding rows for a tokenizer of"
            f" {tokenizer.vocab_size} pieces", path=options.model,
        )  # fmt: skip
    _warn_of_template(options, console)
    context = context_of(config)
    seq_len = min(options.seq_len or context, context)
    counts = {"records": 0, "too_long": 0}
    examples = _read_examples(options, options, tokenizer, seq_len, console, counts)
    held_out: list[Example] = []
    if options.eval_data is not None:
        source = replace(options, inputs=[options.eval_data], files_from=None, shard=None)
        held_out = _read_examples(source, options, tokenizer, seq_len, console, {
            "records": 0, "too_long": 0})  # fmt: skip
    elif options.held_out:
        numbers = mixed(np.arange(len(examples), dtype=np.uint64)) >> np.uint64(11)
        chosen = numbers < np.uint64(options.held_out * 2**53)
        held_out = [e for e, out in zip(examples, chosen, strict=True) if out]
        examples = [e for e, out in zip(examples, chosen, strict=True) if not out]
    if not examples:
        raise DataError("no instruction records to train on",
                        path=options.inputs[0] if options.inputs else "<stdin>")  # fmt: skip
    if options.eval_every is not None and not held_out:
        raise UsageError("--eval-every needs --eval-data or --held-out")
    train, table = _rows(examples, seq_len, options.packing)
    eval_set, eval_table = _rows(held_out, seq_len, options.packing) if held_out else (None, None)
    defaults: dict[str, Any] = dict(LORA_DEFAULTS if options.lora else FULL_DEFAULTS)
    width = int(config.get("hidden_size") or config.get("n_embd") or 0)
    if width < SMALL_MODEL_HIDDEN_SIZE:
        defaults["lr"] = SMALL_MODEL_LR
    settings = resolve_settings(
        options, rows=table.rows, seq_len=seq_len, seed=options.seed,
        document_mask=options.packing, default_epochs=DEFAULT_EPOCHS, defaults=defaults,
        devices=placement.world_size,
    )  # fmt: skip
    return SftPlan(config, train, table, eval_set, eval_table, settings, tokenizer, counts)


def _warn_of_template(options: SftOptions, console: Console) -> None:
    """Say so when a tuned model is tuned on with another template."""
    before = template_of(options.model)
    if before is not None and before != options.template:
        console.warn(f"the model was tuned with template {before}; it is now tuned with"
                     f" {options.template}")  # fmt: skip


def _read_examples(
    source: RecordInputOptions, options: SftOptions, tokenizer: Tokenizer, seq_len: int,
    console: Console, counts: dict[str, int],
) -> list[Example]:  # fmt: skip
    bad = BadRecords(source, console)
    bos = begins_with_bos(options.model)
    examples = []
    for place, record in read_records(source, console, bad):
        counts["records"] += 1
        try:
            messages = record_messages(record, place)
        except DataError as error:
            bad.handle(error)
            continue
        example = encode_messages(
            messages, options.template, tokenizer, bos=bos, loss_on_prompt=options.loss_on_prompt
        )
        fitted = _fitted(example, seq_len, options.too_long, place)
        if fitted is not example:
            counts["too_long"] += 1
        if fitted is not None:
            examples.append(fitted)
    bad.report()
    if counts["too_long"]:
        done = "left out" if options.too_long == "skip" else "cut off"
        console.warn(f"{done} {counts['too_long']} records of more than {seq_len} tokens")
    return examples


def _fitted(example: Example, seq_len: int, too_long: str, place: Place) -> Example | None:
    """Return an example that fits a row: itself, cut off, or None to leave it out.

    Raises:
        DataError: It is too long and is to stop the run, or no answer would be left of it.
    """
    if len(example.ids) <= seq_len + 1:
        return example
    if too_long == "skip":
        return None
    if too_long == "stop":
        raise DataError(
            f"record has {len(example.ids)} tokens, a row {seq_len}",
            path=place.path, line=place.line,
            hint="give --too-long truncate or skip, or a larger --seq-len",
        )  # fmt: skip
    learn = example.learn[: seq_len + 1]
    if not any(learn):
        raise DataError(
            f"the prompt alone fills a row of {seq_len} tokens: nothing of the answer would be"
            " left to learn", path=place.path, line=place.line,
            hint="give --too-long skip, or a larger --seq-len",
        )  # fmt: skip
    return Example(example.ids[: seq_len + 1], learn)


def _rows(examples: list[Example], seq_len: int, packing: bool) -> tuple[ExampleSet, RowTable]:
    joined = join_examples(examples)
    pieces = cut_documents(joined.bounds, seq_len)
    table = pack_rows(*pieces, seq_len) if packing else single_rows(*pieces, seq_len)
    return joined, table


def sft(
    options: SftOptions, console: Console, placement: Placement | None = None
) -> TrainingResult:
    """Fine-tune a model and write it, or its adapter, as a Hugging Face directory.

    Raises:
        NorcliError: As `plan_sft` and `norcli.training.loop.train`; CannotCreateError and
            ConfigError about the output directory.
    """
    if options.merge and not options.lora:
        raise UsageError("--merge goes with --lora")
    place = placement if placement is not None else Placement()
    plan = plan_sft(options, console, place)
    console.say(
        f"{len(plan.train.bounds)} examples, {len(plan.train.tokens)} tokens,"
        f" {plan.train.targets} of them learnt, in {plan.train_table.rows} rows"
    )
    from norcli.training.model_config import load_model
    from norcli.training.run import Task, run_training

    held_out = None
    if plan.held_out is not None and plan.held_out_table is not None:
        held_out = (plan.held_out.tokens, plan.held_out_table, plan.held_out.learn)
    identity = {
        "data": _fingerprint(plan), "base_model": model_fingerprint(Path(options.model)),
        "template": options.template,
    }  # fmt: skip
    task = Task(
        command="sft",
        options=options,
        settings=plan.settings,
        build=lambda attention: load_model(options.model, attention),
        rows=(plan.train.tokens, plan.train_table, plan.train.learn),
        held_out=held_out,
        pad_id=plan.tokenizer.eos_id or 0,
        tokenizer_dir=options.model,
        identity=identity,
        facts={"examples": len(plan.train.bounds), **plan.counts, "rows": plan.train_table.rows},
        finish=lambda path: store_template(path, options.template),
    )
    if options.lora:
        _use_adapter(task, options)
    return run_training(task, console, place)


def _fingerprint(plan: SftPlan) -> str:
    import hashlib

    digest = hashlib.sha256(plan.train.tokens.tobytes())
    digest.update(plan.train.learn.tobytes())
    if plan.held_out is not None:
        digest.update(plan.held_out.tokens.tobytes())
    return digest.hexdigest()[:32]


def _use_adapter(task: Any, options: SftOptions) -> None:
    """Let a task train, save and read an adapter instead of all weights."""
    from norcli.training import adapters
    from norcli.training.checkpoint import save_model_directory

    build_plain = task.build
    task.build = lambda attention: adapters.add_adapter(build_plain(attention), options)
    task.read_weights = adapters.read_adapter
    task.identity["lora"] = {
        "rank": options.rank, "alpha": options.alpha, "dropout": options.dropout,
        "target_modules": options.target_modules,
    }  # fmt: skip

    def save_adapter(model: Any, path: Path, weights: dict[str, Any]) -> None:
        adapters.save_adapter(model, options.model, path, weights)
        store_template(path, options.template)

    def save_final(model: Any, path: Path, weights: dict[str, Any]) -> None:
        if not options.merge:
            save_adapter(model, path, weights)
            return
        # The adapter goes beside the merged model, each loadable on its own.
        (path / "adapter").mkdir()
        save_adapter(model, path / "adapter", weights)
        save_model_directory(adapters.merged_model(model), options.model, path)
        store_template(path, options.template)

    task.write_weights = save_adapter
    task.write_model = save_final
