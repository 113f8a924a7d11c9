"""Exact match and word F1 of short answers, as SQuAD defines them, for Norwegian.

SQuAD's normalization drops the English articles and ASCII punctuation; here the Norwegian
articles and all punctuation go. The English rule stays available for comparison with lm-eval.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter

from norcli.evaluation.metrics.measure import Metric, Record, mean_percent, nfc, per_record

# Indefinite articles of Bokmål and Nynorsk.
_NORWEGIAN = re.compile(r"\b(en|ei|et|ein|eit)\b")
_ENGLISH = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str, *, english: bool = False) -> str:
    """Return an answer without case, punctuation, articles and extra spaces."""
    if english:
        text = "".join(sign for sign in text.lower() if sign not in string.punctuation)
        return " ".join(_ENGLISH.sub(" ", text).split())
    text = nfc(text).lower()
    text = "".join(sign for sign in text if unicodedata.category(sign)[0] != "P")
    return " ".join(_NORWEGIAN.sub(" ", text).split())


def word_f1(prediction: str, reference: str, *, english: bool = False) -> float:
    """Return the F1 of the words two normalized answers share; two empty ones are equal."""
    predicted = normalize_answer(prediction, english=english).split()
    wanted = normalize_answer(reference, english=english).split()
    if not predicted or not wanted:
        return float(predicted == wanted)
    hits = (Counter(predicted) & Counter(wanted)).total()
    return 2 * hits / (len(predicted) + len(wanted))


def exact_match(*, english: bool = False) -> Metric:
    """Return the share of predictions that equal a reference after normalization."""

    def value(record: Record) -> float:
        prediction = normalize_answer(record["prediction"], english=english)
        return float(
            any(prediction == normalize_answer(r, english=english) for r in record["references"])
        )

    return Metric("exact-match", ("prediction", "references"), per_record(value), mean_percent)


def answer_f1(*, english: bool = False) -> Metric:
    """Return the mean word F1 against the best of the references."""

    def value(record: Record) -> float:
        prediction = record["prediction"]
        return max(word_f1(prediction, r, english=english) for r in record["references"])

    return Metric("f1", ("prediction", "references"), per_record(value), mean_percent)
