"""Perplexity by token and word, bits per byte, and the preference for stereotypes.

All from the negative log-likelihoods a model gave. Bits per byte compares models with different
tokenizers; perplexity by token does not. Report, Table 3: NO-CrowS-Pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from norcli.evaluation.metrics.measure import (
    FloatArray,
    Metric,
    Record,
    mean_percent,
    per_record,
    ratio,
)


def perplexity() -> Metric:
    """Return exp of the mean negative log-likelihood of a token."""
    return Metric("perplexity", ("nll", "tokens"), _sums("tokens"), _exponential, unit="per token")


def word_perplexity() -> Metric:
    """Return exp of the mean negative log-likelihood of a word between spaces."""
    return Metric("word-perplexity", ("nll", "words"), _sums("words"), _exponential,
                  unit="per word")  # fmt: skip


def bits_per_byte() -> Metric:
    """Return the negative log-likelihood in bits for each byte of UTF-8."""
    return Metric("bits-per-byte", ("nll", "bytes"), _sums("bytes"),
                  lambda sums: ratio(sums) / math.log(2), unit="bits")  # fmt: skip


def stereotype_preferred(*, nlebench: bool = False) -> Metric:
    """Return the share of pairs whose sentence nearer the stereotype has the lower perplexity.

    50 % is no preference. NLEBench's code counts the opposite direction. Equal perplexities count
    in neither.
    """

    def value(record: Record) -> float:
        more, less = record["perplexity_more"], record["perplexity_less"]
        return float(more > less if nlebench else more < less)

    return Metric("stereotype-preferred", ("perplexity_more", "perplexity_less"),
                  per_record(value), mean_percent)  # fmt: skip


def _sums(unit: str) -> Callable[[Sequence[Record]], FloatArray]:
    def statistics(records: Sequence[Record]) -> FloatArray:
        return np.array([[record["nll"], record[unit]] for record in records], dtype=np.float64)

    return statistics


def _exponential(sums: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        result: FloatArray = np.exp(ratio(sums))
    return result
