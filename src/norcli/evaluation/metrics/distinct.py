"""Dist-n: how varied a text is, as NLEBench computed it and as it should be.

Distinct n-grams over all n-grams of each text, averaged over texts. NLEBench's code divides the
number of all n-grams by the number of tokens, which for n = 4 is (N-3)/N: a measure of length.
"""

from __future__ import annotations

from norcli.evaluation.metrics.measure import (
    Metric,
    Record,
    mean_percent,
    nfc,
    per_record,
)


def distinct(n: int = 4, *, nlebench: bool = False) -> Metric:
    """Return Dist-n.

    Texts shorter than n words hold no n-gram and are not counted; NLEBench counts them as 0.

    Args:
        n: Words of an n-gram.
        nlebench: Compute the length proxy of the published tables.
    """

    def value(record: Record) -> float | None:
        words = nfc(record["prediction"]).split()
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        if nlebench:
            return len(grams) / len(words) if words else None
        return len(set(grams)) / len(grams) if grams else None

    return Metric(f"dist-{n}", ("prediction",), per_record(value), mean_percent, counted=1)
