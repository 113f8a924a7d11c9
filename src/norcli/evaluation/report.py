"""From prediction records to the report: measurements with intervals, as table and as JSON.

The last step of `norcli eval` and of `norcli eval score`. The report names what a reader needs to
repeat it, and no dates, so that the same run gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from norcli import __version__
from norcli.evaluation.metrics.catalogue import make_metric
from norcli.evaluation.metrics.measure import PERCENT, Measurement, Record, measure
from norcli.evaluation.models import LanguageModel
from norcli.evaluation.options import EvalOptions, ReportOptions
from norcli.evaluation.scoring import TaskRun
from norcli.streams import file_sha256

# How many records a part needs before its own line says more than noise.
SMALLEST_GROUP = 2


@dataclass(frozen=True)
class TaskReport:
    """The measurements of one task.

    Attributes:
        task: Its name; empty for predictions without one.
        n: Records.
        measurements: One per metric, then one per group.
        details: How the predictions were made.
    """

    task: str
    n: int
    measurements: list[Measurement]
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the task's part of the report."""
        return {
            "task": self.task, "n": self.n, **self.details,
            "metrics": [asdict(measurement) for measurement in self.measurements],
        }  # fmt: skip


def measure_all(
    names: Sequence[str], records: Sequence[Record], options: ReportOptions, seed: int
) -> list[Measurement]:
    """Compute metrics over records, and those of each ``group`` where the records have one.

    Args:
        names: Keys of the metric catalogue.
        records: At least one record, with the fields the metrics need.
        options: Compatibility and resamples.
        seed: Seed of the bootstrap.
    """
    measurements = []
    groups: dict[str, list[Record]] = {}
    for record in records:
        if "group" in record:
            groups.setdefault(str(record["group"]), []).append(record)
    for name in names:
        metric = make_metric(name, options.compat)
        whole = measure(metric, records, resamples=options.resamples, seed=seed)
        measurements.append(whole)
        for group, members in sorted(groups.items()):
            if len(groups) > 1 and len(members) >= SMALLEST_GROUP:
                part = measure(metric, members, resamples=options.resamples, seed=seed)
                values = asdict(part) | {"metric": f"{part.metric}/{group}"}
                measurements.append(Measurement(**values))
    return measurements


def report_task(run: TaskRun, options: EvalOptions) -> TaskReport:
    """Measure the predictions of one task."""
    data = run.data
    details: dict[str, Any] = {
        "kind": data.task.kind, "data": data.path.name, "data_sha256": file_sha256(data.path),
        "template": run.template, "truncated": run.truncated,
    }  # fmt: skip
    if data.shots_path is not None:
        details["few_shot"] = options.few_shot
        details["few_shot_from"] = data.shots_path.name
    measurements = measure_all(data.task.metrics, run.records, options, options.seed)
    return TaskReport(data.task.name, len(run.records), measurements, details)


def model_details(model: LanguageModel, options: EvalOptions) -> dict[str, Any]:
    """Return what the report says of the model and the run."""
    return {
        "model": options.model, "engine": model.engine, "context": model.context,
        "template": model.template, "limit": options.limit, "seed": options.seed,
        "compat": options.compat,
    }  # fmt: skip


def as_json(reports: Sequence[TaskReport], details: Mapping[str, Any]) -> str:
    """Return the report as JSON text."""
    content = {
        "norcli": __version__, **details, "tasks": [report.as_json() for report in reports],
    }  # fmt: skip
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def as_table(reports: Sequence[TaskReport], form: str = "text") -> str:
    """Return the report as a table: one line for each measurement.

    Args:
        reports: The tasks.
        form: ``text`` or ``markdown``.
    """
    header = ["task", "metric", "n", "value", "95 % interval"]
    rows = [header, *_rows(reports)]
    if form == "markdown":
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|---|---|---:|---:|---|")
        return "\n".join(lines) + "\n"
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _rows(reports: Sequence[TaskReport]) -> Iterator[list[str]]:
    for report in reports:
        for found in report.measurements:
            interval = ""
            if found.low is not None and found.high is not None:
                interval = f"{_number(found.low, found.unit)} to {_number(found.high, found.unit)}"
            value = "-" if found.value is None else _number(found.value, found.unit)
            yield [report.task or "-", found.metric, str(found.n), value, interval]


def _number(value: float, unit: str) -> str:
    if unit == PERCENT:
        return f"{value:.1f}"
    return f"{value:.3f}" if value < 100 else f"{value:.0f}"
