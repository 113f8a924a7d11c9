"""Other identifiers than norcli's own, behind the same interface: fastText files, heliport.

`crawl-filter --lid-model` chooses. They name a language for a text, and that is all that is asked
of them: lines and sentences are cut, and stretches joined, as for norcli's own model. Their labels
become norcli's codes; a language that norcli does not tell apart is `und`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from norcli.corpus.language.codes import LANGUAGES, NORWEGIAN, UNDETERMINED, normalize_code
from norcli.corpus.language.identifier import SHIPPED_MODEL, LanguageIdentifier
from norcli.corpus.language.segments import (
    CHANGE_AT_LINE,
    CHANGE_IN_LINE,
    Segment,
    SegmentedText,
    best_path,
    find_pieces,
)
from norcli.errors import DataError, InputMissingError, UsageError, missing_extra

BUILTIN = "builtin"
HELIPORT = "heliport"
FASTTEXT_SUFFIXES = (".bin", ".ftz")

_CLASSES = (*LANGUAGES, NORWEGIAN, UNDETERMINED)
# No model is taken to be surer than this of one line.
_SUREST = 0.9999

Predict = Callable[[Sequence[str]], list[tuple[str, float]]]


class Identifier(Protocol):
    """What identifies languages."""

    def label_batch(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return `lang` and `score` of each text."""

    def segment_batch(self, texts: Sequence[str]) -> list[SegmentedText]:
        """Identify texts and cut them into stretches of one language."""


def load_identifier(model: str = BUILTIN) -> Identifier:
    """Load what identifies languages.

    Args:
        model: ``builtin``, ``heliport``, a fastText file (.bin, .ftz) or one that
            tools/train_langid.py wrote (.safetensors).

    Raises:
        UsageError: It is none of these.
        InputMissingError: There is no such file.
        DataError: The file is no model.
        UnavailableError: The package it needs is not installed.
    """
    if model == BUILTIN:
        return LanguageIdentifier.load(SHIPPED_MODEL)
    if model == HELIPORT:
        return PredictedLanguages(heliport_predictor())
    path = Path(model)
    if path.suffix not in (*FASTTEXT_SUFFIXES, ".safetensors"):
        raise UsageError(
            f'--lid-model: "{model}" is neither {BUILTIN}, {HELIPORT}, nor a .bin, .ftz or '
            ".safetensors file"
        )
    if not path.is_file():
        raise InputMissingError("no such language model", path=path)
    if path.suffix in FASTTEXT_SUFFIXES:
        return PredictedLanguages(fasttext_predictor(path))
    try:
        return LanguageIdentifier.load(path)
    except ValueError as error:
        raise DataError(str(error)) from error


def language_of_label(label: str) -> str:
    """Return norcli's code for a model's label.

    ``__label__nob_Latn``, ``nb`` and ``nob`` are all ``nob``; ``no`` is ``nor``, Norwegian of which
    the model does not say more; whatever norcli does not tell apart is ``und``.
    """
    try:
        return normalize_code(label.removeprefix("__label__"))
    except ValueError:
        return UNDETERMINED


def fasttext_predictor(path: Path) -> Predict:
    """Load a fastText model; the probabilities of labels for one language are added up.

    Raises:
        UnavailableError: No fastText package is installed.
        DataError: The file is no fastText model.
    """
    try:
        import fasttext
    except ImportError as error:
        raise missing_extra("fasttext", "fasttext") from error
    try:
        model: Any = fasttext.load_model(str(path))
    except ValueError as error:
        raise DataError("no fastText model", path=path) from error

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        found = []
        for text in texts:
            # A line is all that fastText takes; lone surrogates it cannot encode.
            line = " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
            shares: dict[str, float] = {}
            for label, share in zip(*model.predict(line, k=5), strict=True):
                lang = language_of_label(label)
                shares[lang] = shares.get(lang, 0.0) + float(share)
            lang = max(shares, key=lambda lang: shares[lang], default=UNDETERMINED)
            found.append((lang, min(shares.get(lang, 0.0), 1.0)))
        return found

    return predict


def heliport_predictor() -> Predict:
    """Load heliport; a score is made of its confidence, the log-odds per word over the second.

    Raises:
        UnavailableError: heliport is not installed.
    """
    try:
        from heliport import Identifier as Heliport
    except ImportError as error:
        raise missing_extra("heliport", HELIPORT) from error
    model: Any = Heliport()

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        found = []
        for text in texts:
            line = " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
            label, confidence = model.identify_with_score(line)
            found.append((language_of_label(str(label)), 1 / (1 + 10.0**-confidence)))
        return found

    return predict


class PredictedLanguages:
    """Languages as another model names them.

    Args:
        predict: Gives language and probability of each text.
    """

    def __init__(self, predict: Predict) -> None:
        self._predict = predict

    def label_batch(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return `lang` and `score` of each text."""
        found = self._predict(texts)
        return [lang for lang, _ in found], [score for _, score in found]

    def segment_batch(self, texts: Sequence[str]) -> list[SegmentedText]:
        """Identify texts and cut them into stretches of one language."""
        wholes = zip(texts, *self.label_batch(texts), strict=True)
        return [SegmentedText(lang, score, self._segments(text)) for text, lang, score in wholes]

    def _segments(self, text: str) -> list[Segment]:
        pieces = find_pieces(text)
        if not pieces:
            return []
        likelihoods = np.array(
            [_likelihoods(*found) for found in self._predict([text[a:b] for a, b, _ in pieces])]
        )
        costs = np.array([CHANGE_AT_LINE if line else CHANGE_IN_LINE for _, _, line in pieces])
        path = np.empty(len(pieces), np.int64)
        best_path(likelihoods, costs, len(pieces), np.empty(likelihoods.shape, np.int8), path)
        starts = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(pieces)]
        spans = [(pieces[a][0], pieces[b - 1][1]) for a, b in pairwise(starts)]
        labels = self._predict([text[start:end] for start, end in spans])
        return [Segment(*span, *label) for span, label in zip(spans, labels, strict=True)]


def _likelihoods(lang: str, score: float) -> list[float]:
    """Return log-probabilities of all classes, what is left over shared among the others."""
    score = min(max(score, 1 / len(_CLASSES)), _SUREST)
    rest = log((1 - score) / (len(_CLASSES) - 1))
    return [log(score) if name == lang else rest for name in _CLASSES]
