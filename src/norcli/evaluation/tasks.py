"""The evaluation tasks as data: one TOML file each under ``tasks/`` (report, sections 4.1, 4.2).

The first step of `norcli eval`: a task names its data file and fields, its prompt, its metrics
and how it is scored. Standard library only. Reading the data is `norcli.evaluation.items`' part.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from norcli.errors import UsageError

KINDS = ("generate", "classify", "choose", "perplexity", "bias")

# The order of the report: Tables 4 to 6, the rest of Table 3, Table 7's kinds.
_ORDER = (
    "conversation", "summarization", "instruction", "boolq", "qnli", "mrpc", "multi-qa-sum",
    "multi-qa-sum-summary", "crows-pairs", "toxicity", "sentiment", "sentiment-3",
    "multiple-choice", "closed-book-qa", "reading-comprehension", "norsumm-nob", "norsumm-nno",
    "translation", "perplexity",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One task.

    Args:
        name: What ``--tasks`` takes.
        summary: One line.
        kind: How an item is scored: ``generate`` (greedy text against references), ``classify``
            (log-probability of the label words), ``choose`` (of each answer), ``perplexity``,
            ``bias`` (of two sentences).
        data: Where its file is looked for in the data folder, without suffix.
        fields: For each field of the task, the names it may have in a record.
        metrics: Names of its metrics.
        optional: Defaults of the fields that a record may lack.
        instruction: First part of a templated prompt.
        input: Second part; empty for none.
        plain: Prompt for models without a template.
        stop: Texts at which a plain answer ends; a templated one ends with the end-of-text token.
        max_new_tokens: Most tokens of an answer.
        labels: For each label word, the values it stands for in the data.
        expand: Field with a list of records that each make an item.
        history: Field with the turns of a conversation, in place of an instruction.
        system: Field with the speaker's description before a conversation.
        languages: Fields with a language code, shown to the model as the language's name.
        templated: False for tasks whose prompt is never put into a template.
    """

    name: str
    summary: str
    kind: str
    data: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    metrics: tuple[str, ...]
    optional: Mapping[str, str] = field(default_factory=dict)
    instruction: str = ""
    input: str = ""
    plain: str = ""
    stop: tuple[str, ...] = ()
    max_new_tokens: int = 64
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expand: str = ""
    history: str = ""
    system: str = ""
    languages: tuple[str, ...] = ()
    templated: bool = True

    def expected(self) -> str:
        """Return the field names the task expects, as messages show them."""
        names = [
            "|".join(accepted) for name, accepted in self.fields.items()
            if name not in self.optional
        ]  # fmt: skip
        return ", ".join(names)


def _task(name: str, table: dict[str, Any]) -> Task:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    values["fields"] = {key: tuple(names) for key, names in table["fields"].items()}
    values["labels"] = {key: tuple(data) for key, data in table.get("labels", {}).items()}
    return Task(name=name, **values)


@cache
def load_tasks() -> dict[str, Task]:
    """Return all tasks by name, in the order of the report."""
    folder = resources.files("norcli.evaluation") / "tasks"
    tasks = {}
    for name in _ORDER:
        text = (folder / f"{name}.toml").read_text(encoding="utf-8")
        tasks[name] = _task(name, tomllib.loads(text))
    return tasks


def canonical_name(name: str) -> str:
    """Return a task's name as the list has it: underscores become hyphens, norquad its kind."""
    name = name.lower().replace("_", "-")
    aliases = {"norquad": "reading-comprehension", "norec-sentence": "sentiment"}
    return aliases.get(name, name)


def find_tasks(names: Sequence[str]) -> list[Task]:
    """Return tasks by name, each once, in the order given.

    Raises:
        UsageError: A name is unknown.
    """
    tasks = load_tasks()
    found: dict[str, Task] = {}
    for given in names:
        name = canonical_name(given)
        if name not in tasks:
            close = difflib.get_close_matches(name, tasks, n=1)
            raise UsageError(
                f'unknown task "{given}"',
                hint=f"did you mean {close[0]}?" if close else "norcli eval tasks lists them",
            )
        found[name] = tasks[name]
    return list(found.values())
