"""Items of a task read from local files: JSONL, Parquet, JSON lists, SQuAD JSON and CSV.

Second step of `norcli eval`, after `norcli.evaluation.tasks`: finds the task's file, reads it,
and gives each record the task's own field names, with file and line in every complaint.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli.console import Console
from norcli.errors import DataError, InputMissingError
from norcli.evaluation.tasks import Task
from norcli.formats.compression import decompressed
from norcli.formats.documents import Place, read_records
from norcli.options import RecordInputOptions
from norcli.streams import open_input

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".csv", ".csv.gz",
            ".parquet", ".txt")  # fmt: skip

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Item:
    """One item of a task: its fields under the task's names.

    Attributes:
        id: The record's id, or its line number.
        fields: Texts, lists of texts (``references``, ``choices``), turns (``history``).
        label: Index of the right label or choice; None where the task has none.
    """

    id: str
    fields: Mapping[str, Any]
    label: int | None = None


def task_file(task: Task, data: str, part: str = "") -> Path | None:
    """Return the file of a task in a folder, or the file itself; None when there is none.

    Args:
        task: The task.
        data: Folder or file.
        part: Suffix of the name before the file suffix, ``.train`` for few-shot examples.
    """
    place = Path(data)
    if place.is_file():
        if not part:
            return place
        stem, dot, rest = place.name.partition(".")
        beside = place.with_name(f"{stem}{part}{dot}{rest}")
        return beside if beside.is_file() else None
    for name in task.data:
        for spelling in (name, name.replace("-", "_")):
            for suffix in SUFFIXES:
                candidate = place / f"{spelling}{part}{suffix}"
                if candidate.is_file():
                    return candidate
    return None


def require_file(task: Task, data: str) -> Path:
    """Return the file of a task.

    Raises:
        InputMissingError: There is no such file or folder.
    """
    if not Path(data).exists():
        raise InputMissingError("no such file or directory", path=data)
    found = task_file(task, data)
    if found is None:
        raise InputMissingError(
            f"holds no file for task {task.name}", path=data,
            hint=f"expected {task.data[0]}.jsonl with the fields {task.expected()}",
        )  # fmt: skip
    return found


def read_items(task: Task, path: Path, console: Console, limit: int | None = None) -> list[Item]:
    """Read the items of a task.

    Args:
        task: The task.
        path: Its file.
        console: For warnings of the reader.
        limit: Most items to return.

    Raises:
        DataError: The file is damaged or empty, or a record lacks a field of the task.
    """
    items: list[Item] = []
    for place, record in _records(path, console):
        for name, expanded in _expanded(task, place, record):
            items.append(_item(task, place, name, expanded))
            if limit is not None and len(items) >= limit:
                return items
    if not items:
        raise DataError(f"holds no items for task {task.name}", path=path)
    return items


def _records(path: Path, console: Console) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    if name.endswith(".json"):
        yield from _json_records(path)
    elif name.endswith(".csv"):
        yield from _csv_records(path)
    else:
        options = RecordInputOptions(inputs=[str(path)])
        try:
            yield from read_records(options, console)
        except DataError as error:
            # The reader's hint names a flag that eval does not have.
            error.hint = None
            raise


def _text(path: Path) -> str:
    with open_input(str(path)) as stream:
        data = decompressed(stream).read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError("not UTF-8", path=path, line=line) from error


def _json_records(path: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Yield the members of a JSON list, or the questions of a SQuAD file, numbered from 1."""
    try:
        content = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"not valid JSON: {error.msg}", path=path, line=error.lineno) from error
    records = content
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        records = list(_squad_records(content["data"], path))
    if not isinstance(records, list):
        raise DataError('neither a list nor SQuAD data under "data"', path=path)
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise DataError(f"record {number} is not an object", path=path)
        yield Place(str(path), number), record


def _squad_records(articles: list[Any], path: Path) -> Iterator[dict[str, Any]]:
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield {**question, "context": paragraph["context"]}
    except (KeyError, TypeError) as error:
        raise DataError(f"not SQuAD data: lacks {error}", path=path) from error


def _csv_records(path: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        for record in reader:
            record.pop("", None)
            yield Place(str(path), reader.line_num), record
    except csv.Error as error:
        raise DataError(f"not valid CSV: {error}", path=path, line=reader.line_num) from error


def _expanded(
    task: Task, place: Place, record: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the record with its id, or one record for each member of the list it holds."""
    name = str(record.get("id") or record.get("sent_id") or f"line-{place.line}")
    if not task.expand:
        yield name, record
        return
    parts = record.get(task.expand)
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise DataError(
            f'field "{task.expand}" is not a list of objects', path=place.path, line=place.line,
            hint=f"task {task.name} expects {task.expand} with {task.expected()}",
        )  # fmt: skip
    for number, part in enumerate(parts, start=1):
        yield f"{name}/{number}", {**record, **part}


def _item(task: Task, place: Place, name: str, record: Mapping[str, Any]) -> Item:
    fields: dict[str, Any] = {}
    label: int | None = None
    for wanted, accepted in task.fields.items():
        if wanted == "choices" and "option_a" in record:
            value: Any = [record[k] for k in sorted(record) if k.startswith("option_")]
        else:
            found = next((key for key in accepted if record.get(key) is not None), None)
            if found is None and wanted not in task.optional:
                raise DataError(
                    f'record has no "{accepted[0]}" field', path=place.path, line=place.line,
                    hint=f"task {task.name} expects {task.expected()} "
                    f"(found: {', '.join(list(record)[:8])})",
                )  # fmt: skip
            value = task.optional[wanted] if found is None else record[found]
        if wanted == "label":
            label = _label(task, value, fields.get("choices", []), place)
        else:
            fields[wanted] = _field(wanted, value, place)
    return Item(name, fields, label)


def _field(name: str, value: Any, place: Place) -> Any:
    """Bring one value into the task's form: a text, or a list where the task wants one."""
    if name in ("references", "choices"):
        values = value if isinstance(value, list) else [value]
        if isinstance(value, dict):  # {"A": …} of choices, {"text": […]} of flattened SQuAD
            values = value.get("text", list(value.values()))
        texts = [_reference(entry) for entry in values]
        if texts and all(isinstance(text, str) for text in texts):
            return texts
    elif name == "history":
        if isinstance(value, str):
            return [{"role": "user", "content": value}]
        if isinstance(value, list) and value and all(_is_turn(turn) for turn in value):
            return value
    elif isinstance(value, str):
        return value
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise DataError(
        f'field for "{name}" has the wrong form: {json.dumps(value, ensure_ascii=False)[:60]}',
        path=place.path, line=place.line,
    )  # fmt: skip


def _reference(entry: Any) -> Any:
    """Return the text of a reference: itself, or that of ``{"text": …}``, ``{"summary1": …}``."""
    if isinstance(entry, dict):
        return entry.get("text", next(iter(entry.values()), None))
    return entry


def _is_turn(turn: Any) -> bool:
    return (
        isinstance(turn, dict)
        and turn.get("role") in ("system", "user", "assistant")
        and isinstance(turn.get("content"), str)
    )


def _label(task: Task, value: Any, choices: list[str], place: Place) -> int:
    """Return the index of the right label word or choice."""
    text = str(value).strip().lower()
    for index, accepted in enumerate(task.labels.values()):
        if text in accepted:
            return index
    if task.kind == "choose":
        if isinstance(value, int) and 0 <= value < len(choices):
            return value
        if str(value) in choices:
            return choices.index(str(value))
        if len(text) == 1 and text.upper() in LETTERS[: len(choices)]:
            return LETTERS.index(text.upper())
    known = [word for words in task.labels.values() for word in words]
    expected = ", ".join(known) or "the index, letter or text of a choice"
    raise DataError(
        f'"{value}" is no label of task {task.name}', path=place.path, line=place.line,
        hint=f"expected {expected}",
    )  # fmt: skip
