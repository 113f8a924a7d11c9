"""From an item to the text a model is asked with: templated or plain, with solved examples.

Between the items and the model. A tuned model is asked in the template stored with it
(`norcli.training.templates`), others in the task's plain words. Report, sections 3.3.1, 3.4.1.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from norcli.evaluation.items import Item
from norcli.evaluation.tasks import Task
from norcli.training.templates import has_input, render_messages

LANGUAGES = {"nob": "bokmål", "nno": "nynorsk", "nor": "norsk", "sme": "nordsamisk",
             "smj": "lulesamisk", "sma": "sørsamisk", "dan": "dansk", "swe": "svensk",
             "deu": "tysk", "eng": "engelsk", "nb": "bokmål", "nn": "nynorsk",
             "se": "nordsamisk", "da": "dansk", "sv": "svensk", "de": "tysk",
             "en": "engelsk"}  # fmt: skip


def gold_answer(task: Task, item: Item) -> str:
    """Return the answer a solved example shows."""
    if item.label is None:
        return str(item.fields["references"][0])
    return answer_words(task, item)[item.label]


def answer_words(task: Task, item: Item) -> list[str]:
    """Return what is scored for an item: the label words, or the item's own choices."""
    return list(task.labels) if task.labels else list(item.fields["choices"])


def build_prompt(task: Task, item: Item, template: str | None, shots: Sequence[Item] = ()) -> str:
    """Return the prompt of an item.

    Args:
        task: Its task.
        item: The item.
        template: A template's name, None for the task's plain words.
        shots: Solved examples, put in front.
    """
    if template is None or not task.templated:
        solved = [f"{_plain(task, shot)} {gold_answer(task, shot)}" for shot in shots]
        return "\n\n".join([*solved, _plain(task, item)])
    messages: list[dict[str, Any]] = []
    for shot in shots:
        messages += _messages(task, shot)
        messages.append({"role": "assistant", "content": gold_answer(task, shot)})
    messages += _messages(task, item)
    return render_messages(template, messages)


def _values(task: Task, item: Item) -> dict[str, Any]:
    values = {name: value for name, value in item.fields.items() if isinstance(value, str)}
    for name in task.languages:
        values[name] = LANGUAGES.get(values[name], values[name])
    if task.history:
        turns = item.fields[task.history]
        values[task.history] = "\n".join(f"{_speaker(turn)}{turn['content']}" for turn in turns)
    if "input" in values and not has_input(values["input"]):
        values["input"] = ""
    return values


def _speaker(turn: Mapping[str, Any]) -> str:
    return "Svar: " if turn["role"] == "assistant" else "Spørsmål: "


def _plain(task: Task, item: Item) -> str:
    text = task.plain.format_map(_values(task, item))
    # An empty optional field must not leave an empty line behind.
    return "\n".join(line for line in text.split("\n") if line.strip())


def _messages(task: Task, item: Item) -> list[dict[str, Any]]:
    values = _values(task, item)
    if task.history:
        system = values.get(task.system, "")
        first = [{"role": "system", "content": system}] if system else []
        return [*first, *item.fields[task.history]]
    message = {"role": "user", "content": task.instruction.format_map(values)}
    if task.input:
        message["input"] = task.input.format_map(values)
    return [message]


def choose_shots(items: Sequence[Item], index: int | None, count: int, seed: int) -> list[Item]:
    """Return solved examples for an item, never the item itself.

    Args:
        items: Where they are taken from.
        index: The item's own place among them; None when they are from another file.
        count: How many.
        seed: With the item's place it fixes the choice, whatever the order of work.
    """
    rng = random.Random(f"{seed}:{index}")
    others = [place for place in range(len(items)) if place != index]
    return [items[place] for place in rng.sample(others, min(count, len(others)))]
