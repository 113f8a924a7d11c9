"""Running tasks on a model: one prediction record per item, by the kind of the task.

The core of `norcli eval`. A prediction record holds what its metrics need and nothing of the
model, so that `norcli eval score` gives the same numbers from the file. Measuring is
`norcli.evaluation.report`'s part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli.console import Console, Progress
from norcli.errors import DataError, InputMissingError, UsageError
from norcli.evaluation.items import Item, read_items, require_file, task_file
from norcli.evaluation.models import Advance, LanguageModel
from norcli.evaluation.options import EvalOptions
from norcli.evaluation.prompts import answer_words, build_prompt, choose_shots
from norcli.evaluation.tasks import Task, find_tasks, load_tasks
from norcli.formats.documents import RecordWriter
from norcli.options import RecordOutputOptions


@dataclass(frozen=True)
class TaskData:
    """A task with its items and, for few-shot prompts, where solved examples come from.

    Attributes:
        task: The task.
        path: Its file.
        items: The items to run.
        shots: Items to take solved examples from.
        shots_path: Their file; the task's own where there is no training file.
    """

    task: Task
    path: Path
    items: list[Item]
    shots: list[Item]
    shots_path: Path | None


@dataclass(frozen=True)
class TaskRun:
    """The prediction records of one task.

    Attributes:
        data: What was run.
        template: The prompt template, None for the task's plain prompt.
        records: One per item, in order.
        truncated: Items whose prompt did not fit the context.
    """

    data: TaskData
    template: str | None
    records: list[dict[str, Any]]
    truncated: int


def select_tasks(options: EvalOptions) -> list[Task]:
    """Return the tasks to run: those named, else those the folder has files for.

    Raises:
        UsageError: A task is unknown, or one file is given for several tasks.
        InputMissingError: There is no data.
    """
    data = Path(options.data)
    if not data.exists():
        raise InputMissingError("no such file or directory", path=options.data)
    if options.tasks:
        tasks = find_tasks(options.tasks)
        files = {require_file(task, options.data) for task in tasks}
        if data.is_file() and len(tasks) > len(files) == 1:
            raise UsageError("--data names one file, --tasks several tasks",
                             hint="give a folder with a file for each task")  # fmt: skip
        return tasks
    if data.is_file():
        named = [task for task in load_tasks().values()
                 if data.name.partition(".")[0].replace("_", "-") in task.data]  # fmt: skip
        if not named:
            raise UsageError("--tasks must say which task this file is for")
        return named[:1]
    found = [task for task in load_tasks().values() if task_file(task, options.data)]
    if not found:
        raise InputMissingError("holds no file of any task", path=options.data,
                                hint="norcli eval tasks lists the files looked for")  # fmt: skip
    return found


def read_data(tasks: Sequence[Task], options: EvalOptions, console: Console) -> list[TaskData]:
    """Read the items of all tasks, before any model is loaded.

    Raises:
        InputMissingError: A file is missing.
        DataError: A file cannot be used.
    """
    return [_task_data(task, options, console) for task in tasks]


def _task_data(task: Task, options: EvalOptions, console: Console) -> TaskData:
    path = require_file(task, options.data)
    if not options.few_shot or not shows_examples(task):
        items = read_items(task, path, console, options.limit)
        return TaskData(task, path, items, [], None)
    items = read_items(task, path, console)
    training = task_file(task, options.data, ".train")
    shots = items if training is None else read_items(task, training, console)
    available = len(shots) - (training is None)
    if available < options.few_shot:
        raise DataError(
            f"--few-shot {options.few_shot} needs more examples than the {available} there are",
            path=training or path,
        )
    return TaskData(task, path, items[: options.limit], shots, training or path)


def shows_examples(task: Task) -> bool:
    """Whether a task has right answers that solved examples can show."""
    return "references" in task.fields or "label" in task.fields


def run_task(
    data: TaskData, model: LanguageModel, options: EvalOptions, console: Console
) -> TaskRun:
    """Run one task on a model.

    Raises:
        DataError: An item cannot be scored, for instance an empty text for perplexity.
    """
    template = _template(data.task, model, options)
    run = {
        "generate": _generate,
        "classify": _choose,
        "choose": _choose,
        "perplexity": _perplexity,
        "bias": _bias,
    }[data.task.kind]
    with console.progress(data.task.name, len(data.items), "items") as progress:
        records, truncated = run(data, template, model, options, _advance(progress))
    if truncated:
        console.warn(
            f"{data.task.name}: {truncated} of {len(records)} prompts were cut in the middle "
            f"to fit {model.context} tokens", kind=f"truncated {data.task.name}",
        )  # fmt: skip
    return TaskRun(data, template, records, truncated)


def _advance(progress: Progress) -> Advance:
    return lambda count: progress.advance(count)


def _template(task: Task, model: LanguageModel, options: EvalOptions) -> str | None:
    if not task.templated or task.kind in ("perplexity", "bias") or options.template == "none":
        return None
    return model.template if options.template == "auto" else options.template


def _prompts(data: TaskData, template: str | None, options: EvalOptions) -> list[str]:
    own = data.shots_path == data.path
    prompts = []
    for index, item in enumerate(data.items):
        shots = choose_shots(data.shots, index if own else None, options.few_shot, options.seed)
        prompts.append(build_prompt(data.task, item, template, shots))
    return prompts


Records = tuple[list[dict[str, Any]], int]


def _generate(
    data: TaskData, template: str | None, model: LanguageModel, options: EvalOptions,
    advance: Advance,
) -> Records:  # fmt: skip
    task = data.task
    # A tuned model ends its answers itself, with the end-of-text token.
    stop = task.stop if template is None else ()
    # A task's own limit takes no more than a quarter of a short context.
    limit = options.max_new_tokens or min(task.max_new_tokens, model.context // 4)
    if limit >= model.context:
        raise UsageError(
            f"--max-new-tokens {limit} leaves no room for a prompt in {model.context} tokens"
        )
    prompts = _prompts(data, template, options)
    answers = model.generate(prompts, limit, stop, advance)
    records = [
        {
            "task": task.name, "id": item.id, "prompt": prompt, "prediction": answer.text,
            "references": item.fields.get("references", []),
        }
        for item, prompt, answer in zip(data.items, prompts, answers, strict=True)
    ]  # fmt: skip
    return records, sum(answer.truncated for answer in answers)


def _choose(
    data: TaskData, template: str | None, model: LanguageModel, options: EvalOptions,
    advance: Advance,
) -> Records:  # fmt: skip
    task = data.task
    prompts = _prompts(data, template, options)
    words = [answer_words(task, item) for item in data.items]
    scored = model.continuations(list(zip(prompts, words, strict=True)), advance)
    records = []
    for item, prompt, choices, result in zip(data.items, prompts, words, scored, strict=True):
        best = max(range(len(choices)), key=lambda i: result.log_probs[i])
        assert item.label is not None, "a labelled task reads labels"
        named = task.kind == "classify"
        records.append(
            {
                "task": task.name, "id": item.id, "prompt": prompt,
                "prediction": choices[best] if named else best,
                "label": choices[item.label] if named else item.label,
                "choices": choices, "log_probs": result.log_probs,
            }
        )  # fmt: skip
    return records, sum(result.truncated for result in scored)


def _perplexity(
    data: TaskData, template: str | None, model: LanguageModel, options: EvalOptions,
    advance: Advance,
) -> Records:  # fmt: skip
    texts = [item.fields["text"] for item in data.items]
    results = model.likelihoods(texts, advance)
    records = []
    for item, result in zip(data.items, results, strict=True):
        if not result.tokens:
            raise DataError(f'text "{item.id}" is too short to predict a token of it',
                            path=data.path)  # fmt: skip
        records.append(
            {
                "task": data.task.name, "id": item.id, "nll": result.nll, "tokens": result.tokens,
                "words": result.words, "bytes": result.bytes,
            }
        )  # fmt: skip
    return records, 0


def _bias(
    data: TaskData, template: str | None, model: LanguageModel, options: EvalOptions,
    advance: Advance,
) -> Records:  # fmt: skip
    texts = [item.fields[side] for item in data.items for side in ("more", "less")]
    results = model.likelihoods(texts, lambda count: advance(count / 2))
    perplexities = [math.exp(result.nll / max(result.tokens, 1)) for result in results]
    records = [
        {
            "task": data.task.name, "id": item.id, "group": item.fields["group"],
            "perplexity_more": perplexities[2 * place],
            "perplexity_less": perplexities[2 * place + 1],
        }
        for place, item in enumerate(data.items)
    ]  # fmt: skip
    return records, 0


def write_predictions(runs: Sequence[TaskRun], path: str, overwrite: bool) -> None:
    """Write the prediction records of all tasks, one after another.

    Raises:
        CannotCreateError: The file exists, or cannot be made.
    """
    options = RecordOutputOptions(output=path, overwrite=overwrite)
    with RecordWriter(options) as writer:
        for run in runs:
            for record in run.records:
                writer.write(record)
