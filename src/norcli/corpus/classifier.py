"""The quality-model hook of `crawl-filter`: a score from 0 to 1 for each text, from a user's model.

Three kinds: a linear model over hashed word grams in safetensors (format below, trained by
tools/train_quality_model.py), a fastText model (``.bin``, ``.ftz``) through the package fasttext,
and a Python function ``module:function`` that turns a list of texts into a list of scores.

A linear model has a tensor ``weights``, float32 (2**bits,), and the metadata key ``norcli``, JSON:
``{"format": "norcli-linear-1", "orders": 1 to 4, "bias": number}``. The score is the logistic
function of the bias and the mean weight of the text's grams (`word_kernel.mean_weights`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.corpus.language.identifier import pack
from norcli.corpus.word_kernel import LONGEST, mean_weights
from norcli.errors import ConfigError, DataError, InputMissingError, UnavailableError, UsageError

FORMAT = "norcli-linear-1"
MAX_BITS = 28
# A fastText model of two classes names the good one so.
GOOD_LABELS = ("__label__good", "__label__hq", "__label__keep", "__label__1", "__label__pos")

Scorer = Callable[[Sequence[str]], Sequence[float]]


def load_scorer(specification: str) -> Scorer:
    """Return what scores texts.

    Args:
        specification: A ``.safetensors``, ``.bin`` or ``.ftz`` file, or ``module:function``.

    Raises:
        UsageError: It is none of these.
        InputMissingError: The file cannot be read.
        DataError: The file is no such model.
        ConfigError: There is no such module or function.
        UnavailableError: fasttext is not installed.
    """
    if specification.endswith(".safetensors"):
        return LinearModel.load(specification)
    if specification.endswith((".bin", ".ftz")):
        return _fasttext_scorer(specification)
    module, colon, function = specification.partition(":")
    if colon and module and function:
        return _python_scorer(module, function)
    raise UsageError(
        f'--quality-model: "{specification}" is no kind of model known',
        hint="give a .safetensors file, a fastText .bin or .ftz file, or module:function",
    )


def score_texts(scorer: Scorer, texts: Sequence[str]) -> list[float]:
    """Return the scores of texts, rounded as they are compared and written.

    Raises:
        DataError: The model returned anything but one number from 0 to 1 for each text.
    """
    scores = [round(float(score), 4) for score in scorer(texts)]
    if len(scores) != len(texts) or not all(0.0 <= score <= 1.0 for score in scores):
        raise DataError(
            f"--quality-model gave {len(scores)} scores for {len(texts)} texts, or not 0 to 1"
        )
    return scores


class LinearModel:
    """A linear model over hashed word grams."""

    def __init__(self, weights: npt.NDArray[np.float32], bias: float, orders: int) -> None:
        self.weights, self.bias, self.orders = weights, bias, orders

    @classmethod
    def load(cls, path: str) -> LinearModel:
        """Read a model.

        Raises:
            InputMissingError: There is no such file.
            DataError: It is no model of this format.
        """
        from safetensors import SafetensorError, safe_open

        if not Path(path).is_file():
            raise InputMissingError("no such file", path=path)
        try:
            with safe_open(path, framework="numpy") as file:
                description = json.loads((file.metadata() or {}).get("norcli", "{}"))
                if description.get("format") != FORMAT:
                    raise DataError(f"is no quality model of format {FORMAT}", path=path)
                weights = file.get_tensor("weights")
                bias, orders = float(description["bias"]), int(description["orders"])
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"cannot be read as a quality model: {error}", path=path) from error
        buckets = len(weights) if weights.ndim == 1 else 0
        if weights.dtype != np.float32 or buckets < 2 or buckets & (buckets - 1):
            raise DataError(f"weights are {weights.dtype} {weights.shape}, not F32 (2**bits,)",
                            path=path)  # fmt: skip
        if not 1 <= orders <= LONGEST or not np.isfinite(weights).all() or not np.isfinite(bias):
            raise DataError("has orders, weights or a bias out of range", path=path)
        return cls(weights, bias, orders)

    def save(self, path: Path, provenance: dict[str, Any]) -> None:
        """Write the model; equal models give equal bytes."""
        from safetensors.numpy import save

        description = {"format": FORMAT, "bias": self.bias, "orders": self.orders,
                       "provenance": provenance}  # fmt: skip
        metadata = {"norcli": json.dumps(description, sort_keys=True, ensure_ascii=False)}
        path.write_bytes(save({"weights": self.weights}, metadata))

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """Return the score of each text."""
        buffer, offsets = pack(texts)
        means = np.empty(len(texts))
        mean_weights(buffer, offsets, self.weights, self.orders, means)
        scores: list[float] = (1.0 / (1.0 + np.exp(-np.clip(self.bias + means, -50, 50)))).tolist()
        return scores


def _fasttext_scorer(path: str) -> Scorer:
    try:
        import fasttext
    except ImportError:
        raise UnavailableError(
            "needs fasttext to read this model", path=path, hint="pip install 'norcli[fasttext]'"
        ) from None
    if not Path(path).is_file():
        raise InputMissingError("no such file", path=path)
    try:
        model = fasttext.load_model(path)
    except ValueError as error:
        raise DataError(f"cannot be read as a fastText model: {error}", path=path) from error
    labels = list(model.predict("a", k=-1, threshold=0.0)[0])
    good = next((label for label in GOOD_LABELS if label in labels), None)
    if good is None:
        raise DataError(
            f"has no label for good text, but {', '.join(labels[:5])}", path=path,
            hint=f"name it {GOOD_LABELS[0]}",
        )  # fmt: skip

    def score(texts: Sequence[str]) -> list[float]:
        # Labels are predicted for a line.
        found = (model.predict(" ".join(text.split()), k=-1, threshold=0.0) for text in texts)
        # Float errors may take a probability a little above 1.
        return [min(float(dict(zip(*pair, strict=True)).get(good, 0.0)), 1.0) for pair in found]

    return score


def _python_scorer(module: str, function: str) -> Scorer:
    import importlib

    try:
        scorer = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"--quality-model: {error}", hint="is the module on PYTHONPATH?"
        ) from error
    if not callable(scorer):
        raise ConfigError(f"--quality-model: {module}:{function} cannot be called")

    def score(texts: Sequence[str]) -> list[float]:
        try:
            return [float(value) for value in scorer(texts)]
        except Exception as error:  # whatever the user's code raises is told as that code's
            raise ConfigError(
                f"--quality-model: {module}:{function} failed: {type(error).__name__}: {error}",
                hint="it is called with a list of texts and returns a number from 0 to 1 for each",
            ) from error

    return score


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    LinearModel(np.zeros(2, np.float32), 0.0, LONGEST)(["Hei på deg."])
