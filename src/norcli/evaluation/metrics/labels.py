"""Accuracy, macro-F1 and Matthews' correlation of labels, and accuracy of normalized choices.

Statistics are the cells of the confusion matrix, so the scores of resampled records need no
second look at them. Report, Table 6: its F1 differs from accuracy where classes are uneven, as
macro-F1 does; the averaging itself is not stated there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from norcli.evaluation.metrics.measure import FloatArray, Metric, Record, mean_percent, per_record

NEEDS = ("prediction", "label")


def accuracy() -> Metric:
    """Return the share of right labels."""

    def value(record: Record) -> float:
        return float(str(record["prediction"]) == str(record["label"]))

    return Metric("accuracy", NEEDS, per_record(value), mean_percent)


def accuracy_norm() -> Metric:
    """Return the share of right choices when log-probabilities are divided by characters.

    Without it, short answers win; with it, long ones may. lm-eval calls it acc_norm.
    """

    def value(record: Record) -> float:
        scores = [
            log_prob / max(len(choice), 1)
            for log_prob, choice in zip(record["log_probs"], record["choices"], strict=True)
        ]
        return float(str(int(np.argmax(scores))) == str(record["label"]))

    needs = ("log_probs", "choices", "label")
    return Metric("accuracy-norm", needs, per_record(value), mean_percent)


def macro_f1() -> Metric:
    """Return the mean of the labels' F1, over the labels that occur."""
    return Metric("macro-f1", NEEDS, confusion_statistics, macro_f1_score)


def matthews() -> Metric:
    """Return Matthews' correlation coefficient for any number of labels (Gorodkin 2004)."""
    return Metric("mcc", NEEDS, confusion_statistics, matthews_score)


def confusion_statistics(records: Sequence[Record]) -> FloatArray:
    """Return one-hot confusion matrices, (N, L * L), rows the right labels."""
    pairs = [(str(record["label"]), str(record["prediction"])) for record in records]
    names = {name: i for i, name in enumerate(sorted({x for pair in pairs for x in pair}))}
    cells = np.zeros((len(records), len(names) ** 2))
    for row, (label, prediction) in zip(cells, pairs, strict=True):
        row[names[label] * len(names) + names[prediction]] = 1.0
    return cells


def _matrix(sums: FloatArray) -> FloatArray:
    size = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], size, size)


def macro_f1_score(sums: FloatArray) -> FloatArray:
    """Score (..., L * L) confusion sums as macro-F1 in percent."""
    matrix = _matrix(sums)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    weight = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        f1 = np.where(weight > 0, 2 * hits / weight, 0.0)
    occurring = (weight > 0).sum(axis=-1)
    result: FloatArray = 100.0 * f1.sum(axis=-1) / occurring
    return result


def matthews_score(sums: FloatArray) -> FloatArray:
    """Score (..., L * L) confusion sums as the correlation in percent; 0 where undefined."""
    matrix = _matrix(sums)
    total = matrix.sum(axis=(-2, -1))
    hits = np.trace(matrix, axis1=-2, axis2=-1)
    wanted, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    covariance = hits * total - (wanted * predicted).sum(axis=-1)
    spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (wanted**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        result: FloatArray = 100.0 * np.where(spread > 0, covariance / np.sqrt(spread), 0.0)
    return result
