"""The list of tasks and metrics that `norcli eval tasks` prints."""

from __future__ import annotations

import json

from norcli.evaluation.metrics.catalogue import METRICS
from norcli.evaluation.tasks import load_tasks


def listing_text() -> str:
    """Return summary, data file with fields, and metrics of each task; then the metrics."""
    lines = ["Tasks, with the file looked for, its fields and the metrics", ""]
    for task in load_tasks().values():
        lines.append(f"{task.name:<22} {task.summary}")
        lines.append(f"{'':<22} {task.data[0].replace('-', '_')}.jsonl: {task.expected()}")
        lines.append(f"{'':<22} {', '.join(task.metrics)}")
    lines += ["", "Metrics", ""]
    lines += [f"{name:<22} {text}" for name, text in METRICS.items()]
    return "\n".join(lines) + "\n"


def listing_json() -> str:
    """Return the same as one JSON object."""
    tasks = [
        {
            "task": task.name, "kind": task.kind, "summary": task.summary,
            "data": list(task.data), "fields": task.expected(), "metrics": list(task.metrics),
        }
        for task in load_tasks().values()
    ]  # fmt: skip
    return json.dumps({"tasks": tasks, "metrics": METRICS}, ensure_ascii=False) + "\n"
