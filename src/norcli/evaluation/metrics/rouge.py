"""ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum in three tokenizations.

``unicode`` is the right one for Norwegian: words are runs of letters and digits of any script.
``google`` repeats rouge-score, whose ASCII words lose æ, ø and å ("får" and "før" are equal to
it); ``pltrdy`` repeats the package rouge that NLEBench used: words between spaces, n-grams as
sets, case kept. The last two are for comparing with published numbers only. Lin (2004).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from norcli.evaluation.metrics.measure import Metric, Record, mean_percent, nfc, per_record

MEASURES = ("rouge-1", "rouge-2", "rouge-L", "rouge-Lsum")

_ASCII = re.compile(r"[a-z0-9]+")
_UNICODE = re.compile(r"\w+")

Tokenize = Callable[[str], list[str]]


def unicode_words(text: str) -> list[str]:
    """Return lower-case words of letters and digits in any script."""
    return _UNICODE.findall(nfc(text).lower())


def ascii_words(text: str) -> list[str]:
    """Return the words as rouge-score sees them: runs of a to z and digits."""
    return _ASCII.findall(text.lower())


def rouge(name: str, variant: str = "unicode") -> Metric:
    """Return a ROUGE metric: the F-measure, the best over references, averaged over records.

    Args:
        name: One of `MEASURES`.
        variant: ``unicode``, ``google`` or ``pltrdy``.
    """
    if variant == "pltrdy":
        # Its users could not score an empty prediction; such records were left out.
        return Metric(
            name, ("prediction", "references"), per_record(lambda r: _pltrdy_value(name, r)),
            mean_percent, counted=1,
        )  # fmt: skip
    tokenize = unicode_words if variant == "unicode" else ascii_words

    def value(record: Record) -> float:
        return max(
            f_measure(name, record["prediction"], reference, tokenize)
            for reference in record["references"]
        )

    return Metric(name, ("prediction", "references"), per_record(value), mean_percent)


def f_measure(name: str, prediction: str, reference: str, tokenize: Tokenize) -> float:
    """Return one ROUGE F-measure of a prediction, from 0 to 1."""
    precision, recall = precision_and_recall(name, prediction, reference, tokenize)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def precision_and_recall(
    name: str, prediction: str, reference: str, tokenize: Tokenize
) -> tuple[float, float]:
    """Return the precision and recall of one ROUGE measure, each from 0 to 1."""
    if name == "rouge-Lsum":
        hits, predicted, wanted = _summary_level(
            [tokenize(line) for line in prediction.split("\n")],
            [tokenize(line) for line in reference.split("\n")],
        )
    else:
        predicted_words, wanted_words = tokenize(prediction), tokenize(reference)
        if name == "rouge-L":
            hits = lcs_length(predicted_words, wanted_words)
            predicted, wanted = len(predicted_words), len(wanted_words)
        else:
            n = int(name[-1])
            predicted_grams = Counter(_ngrams(predicted_words, n))
            wanted_grams = Counter(_ngrams(wanted_words, n))
            hits = (predicted_grams & wanted_grams).total()
            predicted, wanted = predicted_grams.total(), wanted_grams.total()
    return hits / max(predicted, 1), hits / max(wanted, 1)


def _ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def lcs_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel (Hyyrö 2004): one integer holds a row of the table, so a step costs one addition.
    """
    if not first or not second:
        return 0
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(first) - row.bit_count()


def _lcs_table(first: Sequence[str], second: Sequence[str]) -> list[list[int]]:
    table = [[0] * (len(second) + 1)]
    for word in first:
        above, row = table[-1], [0]
        for j, other in enumerate(second):
            row.append(above[j] + 1 if word == other else max(above[j + 1], row[j]))
        table.append(row)
    return table


def _lcs_indices(reference: Sequence[str], candidate: Sequence[str], left_on_tie: bool) -> set[int]:
    """Return which words of the reference one longest common subsequence uses.

    There can be several; which one a program finds depends on where it goes on a tie.
    """
    table = _lcs_table(reference, candidate)
    i, j = len(reference), len(candidate)
    found = set()
    while i and j:
        if reference[i - 1] == candidate[j - 1]:
            i, j = i - 1, j - 1
            found.add(i)
        elif table[i][j - 1] > table[i - 1][j] or (
            left_on_tie and table[i][j - 1] == table[i - 1][j]
        ):
            j -= 1
        else:
            i -= 1
    return found


def _summary_level(candidate: list[list[str]], reference: list[list[str]]) -> tuple[int, int, int]:
    """Return hits, candidate words and reference words of ROUGE-Lsum, lines as sentences."""
    left_candidate = Counter(word for sentence in candidate for word in sentence)
    left_reference = Counter(word for sentence in reference for word in sentence)
    sizes = left_candidate.total(), left_reference.total()
    hits = 0
    for sentence in reference:
        union: set[int] = set()
        for other in candidate:
            union |= _lcs_indices(sentence, other, left_on_tie=False)
        for index in sorted(union):
            word = sentence[index]
            if left_candidate[word] > 0 and left_reference[word] > 0:
                hits += 1
                left_candidate[word] -= 1
                left_reference[word] -= 1
    return hits, *sizes


def _pltrdy_value(name: str, record: Record) -> float | None:
    values = [
        value for reference in record["references"]
        if (value := pltrdy_f(name, record["prediction"], reference)) is not None
    ]  # fmt: skip
    return max(values, default=None)


def pltrdy_f(name: str, prediction: str, reference: str) -> float | None:
    """Return the F-measure of the package rouge 1.0.1; None where it refuses an empty text.

    ROUGE-L is at summary level over sentences cut at full stops, and counts distinct words.
    """
    candidate = [" ".join(part.split()) for part in prediction.split(".") if part]
    wanted = [" ".join(part.split()) for part in reference.split(".") if part]
    if not candidate or not wanted:
        return None
    candidate_words = [word for part in candidate for word in part.split(" ")]
    wanted_words = [word for part in wanted for word in part.split(" ")]
    if name in ("rouge-1", "rouge-2"):
        n = int(name[-1])
        first, second = set(_ngrams(candidate_words, n)), set(_ngrams(wanted_words, n))
        hits, predicted, total = len(first & second), len(first), len(second)
    else:
        common: set[str] = set()
        for part in wanted:
            words = part.split(" ")
            for other in candidate:
                indices = _lcs_indices(words, other.split(" "), left_on_tie=True)
                common |= {words[index] for index in indices}
        hits, predicted, total = len(common), len(set(candidate_words)), len(set(wanted_words))
    precision = hits / predicted if predicted else 0.0
    recall = hits / total if total else 0.0
    return 2.0 * ((precision * recall) / (precision + recall + 1e-8))
