"""The options of ``norcli eval`` and its subcommands.

Standard library only: help, man page and completions are made from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.options import INPUT, OUTPUT, GeneralOptions, RecordInputOptions, option

MODEL = "Model"
PROMPTS = "Prompts"
METRICS = "Metrics"

COMPAT = ("none", "nlebench", "lm-eval")


@dataclass(kw_only=True)
class ReportOptions:
    """Options of the report that both ways of evaluating print."""

    output: str | None = option(
        None, help="Write the report as JSON to this file as well; - in place of the table",
        group=OUTPUT, short="o",
        metavar="FILE", complete="file:.json",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Replace outputs that exist", group=OUTPUT, in_config=False
    )
    format: str = option(
        "text", help="Form of the table on standard output; --json prints the report instead",
        group=OUTPUT, choices=("text", "markdown"),
    )  # fmt: skip
    compat: str = option(
        "none", help="Compute metrics as published numbers were: NLEBench's code, or the ASCII "
        "tokenization of lm-eval and rouge-score", group=METRICS, choices=COMPAT,
    )  # fmt: skip
    resamples: int = option(
        1000, help="Bootstrap resamples of the 95 % intervals; 0 for none", group=METRICS,
        minimum=0, maximum=100_000,
    )  # fmt: skip


@dataclass(kw_only=True)
class EvalOptions(ReportOptions, GeneralOptions):
    """Options of ``norcli eval``."""

    model: str = option(
        help="Hugging Face directory, or GGUF file", positional=True, metavar="MODEL",
        complete="dir", group=INPUT, in_config=False,
    )  # fmt: skip
    data: str = option(
        help="Folder with one file for each task, or the file of a single task", group=INPUT,
        metavar="DIR|FILE", complete="file",
    )  # fmt: skip
    tasks: list[str] = option(
        default_factory=list, help="Tasks to run; norcli eval tasks lists them", group=INPUT,
        metavar="TASK,...", default_text="every task that the folder has a file for",
    )  # fmt: skip
    limit: int | None = option(
        None, help="Take at most this many items of each task", group=INPUT, minimum=1
    )
    predictions: str | None = option(
        None, help="Write every prediction as JSONL, for norcli eval score; - in place of the "
        "table", group=OUTPUT,
        metavar="FILE", complete="file:.jsonl",
    )  # fmt: skip
    engine: str = option(
        "auto", help="What runs the model; auto goes by the file", group=MODEL,
        choices=("auto", "hf", "gguf"),
    )  # fmt: skip
    device: str = option(
        "auto", help="Device of a Hugging Face model: auto, cpu, cuda or cuda:N", group=MODEL,
        metavar="DEVICE",
    )  # fmt: skip
    dtype: str = option(
        "auto", help="Precision of a Hugging Face model; auto is as stored on a GPU, float32 on "
        "a CPU", group=MODEL, choices=("auto", "float32", "bfloat16", "float16"),
    )  # fmt: skip
    batch_tokens: int = option(
        8192, help="Most tokens of a batch, padding counted", group=MODEL, minimum=1, metavar="N"
    )
    context: int | None = option(
        None, help="Most tokens of a prompt and its answer", group=MODEL, minimum=16,
        metavar="N", default_text="the model's own",
    )  # fmt: skip
    template: str = option(
        "auto", help="Prompt template; auto is the one stored with the model, and the task's "
        "plain prompt where there is none", group=PROMPTS,
        choices=("auto", "none", "norwai", "norwai-en"),
    )  # fmt: skip
    few_shot: int = option(
        0, help="Solved examples in front of each item", group=PROMPTS, minimum=0, metavar="N"
    )
    max_new_tokens: int | None = option(
        None, help="Most tokens of an answer", group=PROMPTS, minimum=1, metavar="N",
        default_text="the task's own",
    )  # fmt: skip


@dataclass(kw_only=True)
class ScoreOptions(RecordInputOptions, ReportOptions, GeneralOptions):
    """Options of ``norcli eval score``."""

    metrics: list[str] = option(
        default_factory=list, help="Metrics to compute; norcli eval tasks lists them",
        group=METRICS, metavar="METRIC,...",
        default_text="those of the records' task, else those that fit the fields",
    )  # fmt: skip
    prediction_key: str = option(
        "prediction", help="Field that holds the model's answer", group=INPUT, metavar="KEY"
    )
    reference_key: str = option(
        "reference", help="Field that holds the right answer, text or list", group=INPUT,
        metavar="KEY", default_text="reference, else references, else label",
    )  # fmt: skip


@dataclass(kw_only=True)
class TasksOptions(GeneralOptions):
    """Options of ``norcli eval tasks``."""
