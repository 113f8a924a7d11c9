"""Options of `pretrain` and `sft`: what both share, and what each has alone.

Standard library only: help and plans work without torch. A value of None means "what the preset
says", worked out in `norcli.training.settings`.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.options import INPUT, OUTPUT, GeneralOptions, RecordInputOptions, option
from norcli.training.templates import DEFAULT_TEMPLATE, TEMPLATES

MODEL = "Model"
LENGTH = "Length of the run"
OPTIMIZATION = "Optimization"
HARDWARE = "Hardware"
CHECKPOINTS = "Checkpoints and measurements"
LORA = "LoRA"

SCHEDULES = ("cosine", "wsd", "constant")
PRECISIONS = ("auto", "fp32", "bf16")
ATTENTIONS = ("auto", "sdpa", "flash", "eager")
DISTRIBUTIONS = ("auto", "none", "ddp", "fsdp2", "deepspeed")


@dataclass(kw_only=True)
class RunDirectoryOptions:
    """Where a training run keeps its checkpoints and, at the end, its model."""

    output: str = option(
        help="Directory for the checkpoints and the finished model", group=OUTPUT, short="o",
        metavar="DIR", complete="dir",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Start anew in a directory that holds a run", group=OUTPUT, in_config=False
    )
    log: str | None = option(
        None, help="Also write one JSON line per logged step to this file", group=OUTPUT,
        metavar="FILE", complete="file:.jsonl",
    )  # fmt: skip


@dataclass(kw_only=True)
class TrainingOptions:
    """Options of every gradient descent in norcli."""

    max_steps: int | None = option(
        None, help="Stop after this many optimizer steps", group=LENGTH, minimum=1
    )
    epochs: float | None = option(
        None, help="Go through the data this many times", group=LENGTH, minimum=0.0,
        default_text="1 for pretrain, 3 for sft",
    )  # fmt: skip
    seq_len: int | None = option(
        None, help="Tokens per row", group=OPTIMIZATION, minimum=8,
        default_text="the context of the model",
    )  # fmt: skip
    micro_batch_size: int | None = option(
        None, help="Rows per device and pass", group=OPTIMIZATION, minimum=1,
        default_text="what 8192 tokens hold",
    )  # fmt: skip
    global_batch_size: int | None = option(
        None, help="Rows per optimizer step, over all devices", group=OPTIMIZATION, minimum=1,
        default_text="the preset's",
    )  # fmt: skip
    lr: float | None = option(
        None, help="Highest learning rate", group=OPTIMIZATION, minimum=0.0,
        default_text="the preset's",
    )  # fmt: skip
    min_lr: float | None = option(
        None, help="Learning rate at the end", group=OPTIMIZATION, minimum=0.0,
        default_text="the preset's, else a tenth of --lr",
    )  # fmt: skip
    schedule: str | None = option(
        None, help="How the learning rate falls", group=OPTIMIZATION, choices=SCHEDULES,
        default_text="the preset's, else cosine",
    )  # fmt: skip
    warmup_steps: int | None = option(
        None, help="Steps over which the learning rate rises", group=OPTIMIZATION, minimum=0,
        default_text="the preset's fraction, else 1 % of the run",
    )  # fmt: skip
    decay_fraction: float = option(
        0.1, help="Last part of the run over which wsd falls", group=OPTIMIZATION, minimum=0.0,
        maximum=1.0,
    )  # fmt: skip
    optimizer: str = option("adamw", help="Update rule", group=OPTIMIZATION, choices=("adamw",))
    weight_decay: float | None = option(
        None, help="Decoupled decay of the matrices", group=OPTIMIZATION, minimum=0.0,
        default_text="the preset's, else 0.1",
    )  # fmt: skip
    grad_clip: float | None = option(
        None, help="Largest norm of the gradient; 0 for no limit", group=OPTIMIZATION,
        minimum=0.0, default_text="the preset's, else 1",
    )  # fmt: skip
    beta1: float = option(
        0.9, help="Decay of AdamW's first moment", group=OPTIMIZATION, minimum=0.0, maximum=1.0
    )
    beta2: float = option(
        0.95, help="Decay of AdamW's second moment", group=OPTIMIZATION, minimum=0.0, maximum=1.0
    )
    precision: str = option(
        "auto", help="Arithmetic; auto takes bf16 where the device is faster with it",
        group=HARDWARE, choices=PRECISIONS,
    )  # fmt: skip
    attention: str = option(
        "auto", help="Attention kernel; auto takes flash where it can, else sdpa",
        group=HARDWARE, choices=ATTENTIONS,
    )  # fmt: skip
    compile: bool = option(
        False, help="Compile the model first (minutes; pays on long runs)", group=HARDWARE
    )
    recompute: bool = option(
        False, help="Recompute activations in the backward pass to save memory", group=HARDWARE
    )
    distributed: str = option(
        "auto", help="How several processes share the work; auto takes fsdp2", group=HARDWARE,
        choices=DISTRIBUTIONS,
    )  # fmt: skip
    save_every: int | None = option(
        None, help="Steps between checkpoints", group=CHECKPOINTS, minimum=1,
        default_text="a tenth of the run, from 50 to 1000",
    )  # fmt: skip
    keep_checkpoints: int | None = option(
        None, help="Keep this many of the newest checkpoints", group=CHECKPOINTS, minimum=0,
        default_text="2 while training, none once the model is complete",
    )  # fmt: skip
    eval_every: int | None = option(
        None, help="Steps between measurements on held-out data", group=CHECKPOINTS, minimum=1,
        default_text="at the end only",
    )  # fmt: skip
    log_every: int = option(10, help="Steps between logged lines", group=CHECKPOINTS, minimum=1)


@dataclass(kw_only=True)
class PretrainModelOptions:
    """What model pretrain begins with; a class of its own so that help shows it early."""

    tokenizer: str | None = option(
        None, help="Directory of the tokenizer the shards were made with", group=MODEL,
        metavar="DIR", complete="dir", default_text="that of --base-model, else the shards'",
    )  # fmt: skip
    preset: str | None = option(
        None, help="Model to train from scratch; norcli models lists them", group=MODEL,
        metavar="NAME", complete="preset",
    )  # fmt: skip
    base_model: str | None = option(
        None, help="Model directory to go on from (continual pretraining)", group=MODEL,
        metavar="DIR", complete="dir",
    )  # fmt: skip
    set: list[str] = option(
        help="Change a field of the preset's configuration: NAME=VALUE", group=MODEL,
        metavar="NAME=VALUE", default_factory=list,
    )  # fmt: skip


@dataclass(kw_only=True)
class SftModelOptions:
    """What model sft begins with, and how it is asked."""

    model: str = option(
        help="Model directory to fine-tune", group=MODEL, metavar="DIR", complete="dir"
    )
    template: str = option(
        DEFAULT_TEMPLATE, help="Prompt template; stored with the model", group=MODEL,
        choices=tuple(TEMPLATES),
    )  # fmt: skip


@dataclass(kw_only=True)
class PretrainOptions(RunDirectoryOptions, TrainingOptions, PretrainModelOptions, GeneralOptions):
    """Options of ``norcli pretrain``."""

    shards: list[str] = option(
        help="Token shards made by norcli tokenize: directories or files", group=INPUT,
        positional=True, default_factory=list, complete="dir",
    )  # fmt: skip
    eval_shards: list[str] = option(
        help="Token shards to measure on, never trained on", group=INPUT, default_factory=list,
        metavar="SHARDS", complete="dir",
    )  # fmt: skip
    held_out: float = option(
        0.0, help="Part of the documents to measure on instead of training on", group=INPUT,
        minimum=0.0, maximum=0.5,
    )  # fmt: skip
    max_tokens: int | None = option(
        None, help="Stop after about this many tokens", group=LENGTH, minimum=1
    )
    document_mask: bool = option(
        False, help="Keep documents that share a row from seeing each other", group=OPTIMIZATION
    )


@dataclass(kw_only=True)
class SftOptions(
    RunDirectoryOptions, TrainingOptions, SftModelOptions, RecordInputOptions, GeneralOptions
):
    """Options of ``norcli sft``."""

    eval_data: str | None = option(
        None, help="Instruction records to measure on", group=INPUT, metavar="FILE",
        complete="file:.jsonl,.parquet",
    )  # fmt: skip
    held_out: float = option(
        0.0, help="Part of the records to measure on instead of training on", group=INPUT,
        minimum=0.0, maximum=0.5,
    )  # fmt: skip
    loss_on_prompt: bool = option(
        False, help="Learn the prompts too, not the answers only", group=OPTIMIZATION
    )
    packing: bool = option(
        True, help="Put several records into one row, kept apart by a document mask",
        group=OPTIMIZATION,
    )  # fmt: skip
    too_long: str = option(
        "stop", help="What to do with a record longer than a row", group=INPUT,
        choices=("stop", "skip", "truncate"),
    )  # fmt: skip
    lora: bool = option(False, help="Train a LoRA adapter instead of all weights", group=LORA)
    rank: int = option(16, help="Rank of the adapter", group=LORA, minimum=1)
    alpha: float = option(32.0, help="Scale of the adapter, divided by the rank", group=LORA)
    dropout: float = option(
        0.0, help="Dropout in front of the adapter", group=LORA, minimum=0.0, maximum=0.9
    )
    target_modules: list[str] = option(
        help="Layers that get an adapter", group=LORA, default_factory=list, metavar="NAMES",
        default_text="all linear layers; attention only for Mixtral",
    )  # fmt: skip
    merge: bool = option(
        False, help="Also merge the adapter into the weights and save a plain model", group=LORA
    )
