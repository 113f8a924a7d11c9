"""Choose the next token from its logits: penalty, top-k, top-p, min-p, temperature, in numpy.

The Hugging Face engine's twin of llama.cpp's sampler chain: the same filters in the same order,
so that both engines choose among the same tokens. The random streams differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from norcli.chat.engines import REPEAT_WINDOW, Sampling


def choose_token(
    logits: np.ndarray[Any, np.dtype[np.float32]],
    previous: Sequence[int],
    sampling: Sampling,
    generator: np.random.Generator,
) -> int:
    """Return the id of the next token.

    Args:
        logits: [V], left unchanged.
        previous: All ids so far, prompt included; the last `REPEAT_WINDOW` are penalized.
        sampling: The filters.
        generator: Source of randomness; not drawn from at temperature 0.
    """
    scores = logits.astype(np.float64)  # [V]
    if sampling.repeat_penalty != 1.0 and previous:
        seen = np.unique(np.asarray(previous[-REPEAT_WINDOW:], dtype=np.int64))
        held = scores[seen]
        factor = sampling.repeat_penalty
        scores[seen] = np.where(held > 0, held / factor, held * factor)
    if sampling.temperature == 0.0:
        return int(np.argmax(scores))
    # A stable sort of the negated scores: equal scores keep the order of their ids.
    ids = np.argsort(-scores, kind="stable")[: sampling.top_k]
    probabilities = softmax(scores[ids])
    if sampling.top_p < 1.0:
        keep = int(np.searchsorted(np.cumsum(probabilities), sampling.top_p)) + 1
        ids, probabilities = ids[:keep], probabilities[:keep]
    if sampling.min_p > 0.0:
        likely = probabilities >= sampling.min_p * probabilities[0]
        ids = ids[likely]
    probabilities = softmax(scores[ids] / sampling.temperature)
    drawn = np.searchsorted(np.cumsum(probabilities), generator.random(), side="right")
    return int(ids[min(int(drawn), len(ids) - 1)])


def softmax(
    scores: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return probabilities of scores; the largest score may be anything finite."""
    powers = np.exp(scores - scores.max())
    shares: np.ndarray[Any, np.dtype[np.float64]] = powers / powers.sum()
    return shares
