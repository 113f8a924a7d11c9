"""``norcli eval``, ``eval score`` and ``eval tasks``: parse, call the core, write the report."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.evaluation.options import EvalOptions, ReportOptions, ScoreOptions, TasksOptions
from norcli.streams import atomic_file, check_distinct, check_output, write_text


def run(options: EvalOptions, console: Console) -> Outcome:
    """Run tasks on a model."""
    started = time.monotonic()
    check_distinct(output=options.output, predictions=options.predictions)
    from norcli.evaluation.opening import engine_of
    from norcli.evaluation.scoring import read_data, select_tasks

    engine = engine_of(options.model, options.engine)
    tasks = select_tasks(options)
    for path in (options.output, options.predictions):
        if path is not None:
            check_output(path, options.overwrite)
    data = read_data(tasks, options, console)
    if options.dry_run:
        plan: dict[str, Any] = {"model": options.model, "engine": engine}
        plan |= {part.task.name: f"{len(part.items)} items of {part.path}" for part in data}
        write_plan(plan, options.json)
        return Outcome(plan)

    from norcli.evaluation.opening import open_model
    from norcli.evaluation.report import model_details, report_task
    from norcli.evaluation.scoring import run_task, write_predictions

    model = open_model(options, console)
    runs = [run_task(part, model, options, console) for part in data]
    if options.predictions is not None:
        write_predictions(runs, options.predictions, options.overwrite)
    reports = [report_task(one, options) for one in runs]
    outcome = _finish(
        reports, model_details(model, options), options, options.json, options.predictions != "-"
    )
    return replace(outcome, summary=f"{outcome.summary}, {time.monotonic() - started:.1f} s")


def score(options: ScoreOptions, console: Console) -> Outcome:
    """Score predictions that exist already."""
    from norcli.evaluation.metrics.catalogue import metric_names

    names = metric_names(options.metrics)
    if options.output is not None:
        check_output(options.output, options.overwrite)
    if options.dry_run:
        from norcli.formats.documents import input_paths

        plan = {"inputs": input_paths(options), "metrics": names or "by the fields"}
        write_plan(plan, options.json)
        return Outcome(plan)
    from norcli.evaluation.predictions import score_predictions

    reports = score_predictions(options, console)
    details = {"seed": options.seed, "compat": options.compat}
    return _finish(reports, details, options, options.json)


def tasks(options: TasksOptions, console: Console) -> Outcome:
    """List tasks and metrics."""
    from norcli.evaluation.listing import listing_json, listing_text

    write_text(listing_json() if options.json else listing_text())
    return Outcome()


def _finish(
    reports: list[Any], details: dict[str, Any], options: ReportOptions, as_json_text: bool,
    prints: bool = True,
) -> Outcome:  # fmt: skip
    from norcli.evaluation.report import as_json, as_table

    text = as_json(reports, details)
    if options.output is not None:
        with atomic_file(options.output, overwrite=options.overwrite) as stream:
            stream.write(text.encode("utf-8"))
    if prints and options.output != "-":
        write_text(text if as_json_text else as_table(reports, options.format))
    items = sum(report.n for report in reports)
    stats = {"tasks": len(reports), "items": items, "report": json.loads(text)["tasks"]}
    return Outcome(stats, f"{items} items, tasks: {len(reports)}")


COMMANDS = {
    "eval": Command(
        options=EvalOptions,
        run=run,
        description="Asks a model the items of local task files and prints each metric with the "
        "number of items and a 95 % bootstrap interval.\n\nAnswers are written greedily; labels "
        "and choices are taken by log-probability. A tuned model is asked in the template stored "
        "with it.",
        examples=(
            ("Some tasks of the embedded sample", "norcli eval model --data "
             "examples/data/evaluation --tasks boolq,summarization,perplexity"),
            ("Keep the report and every prediction", "norcli eval model.gguf --data evaluation "
             "-o report.json --predictions predictions.jsonl"),
        ),
    ),
    "eval score": Command(
        options=ScoreOptions,
        run=score,
        description="Reads JSONL records with prediction and reference, references or label, and "
        "prints the metrics. Needs no model and no torch.",
        examples=(
            ("Score the answers of another program",
             "norcli eval score --metrics bleu,rouge answers.jsonl"),
            ("The way NLEBench computed its tables",
             "norcli eval score --compat nlebench < predictions.jsonl"),
        ),
    ),
    "eval tasks": Command(
        options=TasksOptions,
        run=tasks,
        description="Lists the tasks with their data files and fields, and the metrics.",
        examples=(("What can be evaluated?", "norcli eval tasks"),),
    ),
}  # fmt: skip
