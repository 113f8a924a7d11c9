"""Scoring predictions that exist already, from any program: the core of `norcli eval score`.

Reads records with ``prediction`` and ``reference``, ``references`` or ``label``, or those that
`norcli eval --predictions` wrote; groups them by task and measures. No model and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from norcli.console import Console
from norcli.errors import DataError
from norcli.evaluation.metrics.catalogue import make_metric, metric_names
from norcli.evaluation.options import ScoreOptions
from norcli.evaluation.report import TaskReport, measure_all
from norcli.evaluation.tasks import load_tasks
from norcli.formats.documents import BadRecords, Place, read_records

TEXT_METRICS = ("bleu", "chrf", "rouge-1", "rouge-2", "rouge-L", "dist-4", "exact-match", "f1")
LABEL_METRICS = ("accuracy", "macro-f1", "mcc")

Placed = tuple[Place, dict[str, Any]]


def score_predictions(options: ScoreOptions, console: Console) -> list[TaskReport]:
    """Measure the predictions of the inputs, one report for each task among them.

    Raises:
        UsageError: A metric is unknown.
        DataError: A record lacks a field its metrics need, or there are no records.
    """
    wanted = metric_names(options.metrics)
    bad = BadRecords(options, console)
    tasks: dict[str, list[Placed]] = {}
    for place, record in read_records(options, console, bad):
        tasks.setdefault(str(record.get("task", "")), []).append((place, record))
    if not any(tasks.values()):
        bad.report()
        raise DataError("no predictions to score")
    reports = []
    for task, placed in tasks.items():
        names = wanted or _default_metrics(task, placed[0][1], options)
        needs = _needs(names, options.compat)
        records = _usable(placed, needs, options, bad)
        if not records:
            raise DataError(f'no usable predictions for task "{task}"')
        measurements = measure_all(names, records, options, options.seed)
        reports.append(TaskReport(task, len(records), measurements))
    bad.report()
    return reports


def _default_metrics(task: str, record: Mapping[str, Any], options: ScoreOptions) -> Sequence[str]:
    """Return the task's metrics, or those that suit the fields of its first record."""
    known = load_tasks().get(task)
    if known is not None:
        return known.metrics
    if "label" in record and options.reference_key not in record and "references" not in record:
        return LABEL_METRICS
    return TEXT_METRICS


def _needs(names: Sequence[str], compat: str) -> dict[str, str]:
    """Return each needed field with the metric that needs it."""
    needs: dict[str, str] = {}
    for name in names:
        for need in make_metric(name, compat).needs:
            needs.setdefault(need, name)
    return needs


def _usable(
    placed: Sequence[Placed], needs: Mapping[str, str], options: ScoreOptions, bad: BadRecords
) -> list[dict[str, Any]]:
    records = []
    for place, record in placed:
        try:
            records.append(_canonical(record, needs, options, place))
        except DataError as error:
            bad.handle(error)
    return records


def _canonical(
    record: Mapping[str, Any], needs: Mapping[str, str], options: ScoreOptions, place: Place
) -> dict[str, Any]:
    """Return a record with the metrics' field names and types.

    Raises:
        DataError: A field is missing or of the wrong type.
    """
    result = dict(record)
    if options.prediction_key in record:
        result["prediction"] = record[options.prediction_key]
    if "references" in needs:
        _set_references(result, options.reference_key)
    if "label" in needs and "label" not in result and options.reference_key in record:
        result["label"] = record[options.reference_key]
    for name, metric in needs.items():
        if result.get(name) is None:
            key = {"prediction": options.prediction_key, "references": options.reference_key}
            raise DataError(
                f'record has no "{key.get(name, name)}" field, which {metric} needs',
                path=place.path, line=place.line,
                hint=f"name it with --prediction-key or --reference-key "
                f"(found: {', '.join(list(record)[:8])})",
            )  # fmt: skip
        if not _fits(name, result[name], "references" in needs):
            raise DataError(
                f'field "{name}" has the wrong type for {metric}', path=place.path, line=place.line
            )
    return result


def _set_references(record: dict[str, Any], key: str) -> None:
    """Put the right answers, found under the key or its plural, under ``references`` as a list."""
    found = record.get(key, record.get("references"))
    if found is not None:
        record["references"] = found if isinstance(found, list) else [found]


def _fits(name: str, value: Any, as_text: bool) -> bool:
    if name == "references":
        return bool(value) and all(isinstance(entry, str) for entry in value)
    if name == "prediction" and as_text:
        return isinstance(value, str)
    if name in ("prediction", "label"):
        return isinstance(value, (str, int))
    if name in ("log_probs", "choices"):
        return isinstance(value, list) and bool(value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)
