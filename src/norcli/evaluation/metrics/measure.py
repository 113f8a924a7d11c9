"""What a metric is: sufficient statistics per record, summed, and a score of the sums.

Every metric here, corpus BLEU and macro-F1 included, is a function of sums over records. One
bootstrap therefore serves them all: resample the records, add up their statistics, score. The
metrics themselves stand in the other files of this folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Record = Mapping[str, Any]
FloatArray = npt.NDArray[np.float64]

PERCENT = "%"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        name: What ``--metrics`` takes.
        needs: Fields a record must have.
        statistics: From N records to an (N, K) array of additive statistics.
        score: From (..., K) sums to (...) scores; NaN where nothing was counted.
        unit: ``%`` for scores from 0 to 100, else a word.
        counted: Column whose sum is the number of records scored, None where all are.
    """

    name: str
    needs: tuple[str, ...]
    statistics: Callable[[Sequence[Record]], FloatArray]
    score: Callable[[FloatArray], FloatArray]
    unit: str = PERCENT
    counted: int | None = None


@dataclass(frozen=True)
class Measurement:
    """A metric's value on one set of records.

    Attributes:
        metric: The metric's name, with ``/group`` for a part of the records.
        value: The score; None where nothing could be scored.
        low: Lower end of the 95 % bootstrap interval, None for fewer than two records.
        high: Upper end.
        n: Records scored.
        unit: As `Metric.unit`.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str


def mean_percent(sums: FloatArray) -> FloatArray:
    """Score (total, count) statistics as the mean times 100."""
    return 100.0 * ratio(sums)


def ratio(sums: FloatArray) -> FloatArray:
    """Divide the first statistic by the second; NaN where the second is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: FloatArray = np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)
    return quotient


def per_record(value: Callable[[Record], float | None]) -> Callable[[Sequence[Record]], FloatArray]:
    """Turn a value per record into (total, count) statistics; None counts for nothing."""

    def statistics(records: Sequence[Record]) -> FloatArray:
        rows = np.zeros((len(records), 2))
        for row, record in zip(rows, records, strict=True):
            found = value(record)
            if found is not None:
                row[:] = found, 1.0
        return rows

    return statistics


def rows_apart(score: Callable[[FloatArray], float]) -> Callable[[FloatArray], FloatArray]:
    """Let a score of one (K,) row work on (..., K) arrays."""

    def scored(sums: FloatArray) -> FloatArray:
        flat = sums.reshape(-1, sums.shape[-1])
        return np.array([score(row) for row in flat]).reshape(sums.shape[:-1])

    return scored


def nfc(text: str) -> str:
    """Compose letters, so that å is one letter however it was typed."""
    return unicodedata.normalize("NFC", text)


def measure(
    metric: Metric, records: Sequence[Record], *, resamples: int = 1000, seed: int = 0
) -> Measurement:
    """Compute a metric and its 95 % percentile bootstrap interval over the records.

    Args:
        metric: The metric.
        records: The records, at least one.
        resamples: How many times the records are drawn anew; 0 for no interval.
        seed: Seed of the drawing; the same draws for every metric of a task.
    """
    statistics = metric.statistics(records)
    total = statistics.sum(axis=0)
    value = float(metric.score(total))
    n = len(records) if metric.counted is None else round(float(total[metric.counted]))
    low = high = None
    if resamples and n > 1:
        scores = bootstrap(statistics, metric.score, resamples, seed)
        scores = scores[~np.isnan(scores)]
        if len(scores):
            low, high = (float(bound) for bound in np.percentile(scores, [2.5, 97.5]))
    known = None if np.isnan(value) else value
    return Measurement(metric.name, known, low, high, n, metric.unit)


def bootstrap(
    statistics: FloatArray, score: Callable[[FloatArray], FloatArray], resamples: int, seed: int
) -> FloatArray:
    """Return the scores of records drawn with replacement, (resamples,)."""
    rng = np.random.default_rng(seed)
    n = len(statistics)
    scores = np.empty(resamples)
    # Bounded memory: at most about 4 million drawn counts at a time.
    step = max(1, min(resamples, 4_000_000 // n))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = rng.multinomial(n, np.full(n, 1.0 / n), size=size).astype(np.float64)
        scores[start : start + size] = score(weights @ statistics)
    return scores
