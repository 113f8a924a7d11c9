"""BLEU and chrF, through sacrebleu: the library is right for Norwegian.

Corpus scores by default, their intervals by resampling the library's own statistics of each
sentence. NLEBench's BLEU is the mean of sentence scores, another number altogether.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from norcli.evaluation.metrics.measure import (
    FloatArray,
    Metric,
    Record,
    nfc,
    per_record,
    ratio,
    rows_apart,
)

# sacrebleu warns on every sentence score without effective order; NLEBench ran it so on purpose.
logging.getLogger("sacrebleu").setLevel(logging.ERROR)


def bleu() -> Metric:
    """Return corpus BLEU: 13a tokens, exponential smoothing, several references where given."""
    from sacrebleu.metrics import BLEU

    scorer = BLEU(force=True)

    def score(row: FloatArray) -> float:
        counts = [round(value) for value in row]
        return float(
            BLEU.compute_bleu(
                correct=counts[2:6], total=counts[6:10], sys_len=counts[0], ref_len=counts[1],
                smooth_method=scorer.smooth_method, effective_order=scorer.effective_order,
            ).score
        )  # fmt: skip

    return Metric("bleu", ("prediction", "references"), _corpus_statistics(scorer),
                  rows_apart(score))  # fmt: skip


def sentence_bleu() -> Metric:
    """Return NLEBench's BLEU: the mean of sentence scores against the first reference."""
    from sacrebleu.metrics import BLEU

    scorer = BLEU()

    def value(record: Record) -> float:
        return float(scorer.sentence_score(record["prediction"], [record["references"][0]]).score)

    return Metric("bleu", ("prediction", "references"), per_record(value), ratio)


def chrf() -> Metric:
    """Return corpus chrF with character 6-grams and beta 2 (chrF2)."""
    from sacrebleu.metrics import CHRF

    scorer = CHRF()

    def score(row: FloatArray) -> float:
        counts = [round(value) for value in row]
        return float(scorer._compute_score_from_stats(counts).score)

    return Metric("chrf", ("prediction", "references"), _corpus_statistics(scorer),
                  rows_apart(score))  # fmt: skip


def _corpus_statistics(scorer: Any) -> Callable[[Sequence[Record]], FloatArray]:
    """Return sacrebleu's statistics of each sentence; a later score of their sum is exact."""

    def statistics(records: Sequence[Record]) -> FloatArray:
        most = max(len(record["references"]) for record in records)
        # One stream per reference position; None where a record has fewer.
        streams = [
            [
                nfc(record["references"][place]) if place < len(record["references"]) else None
                for record in records
            ]
            for place in range(most)
        ]
        predictions = [nfc(record["prediction"]) for record in records]
        rows = scorer._extract_corpus_statistics(predictions, streams)
        return np.array(rows, dtype=np.float64)

    return statistics
