"""How far a quantized model's predictions are from the source's, token by token.

Both models read the same chunks side by side, so that no logits are stored. As llama.cpp's
perplexity tool does, the second half of each chunk is judged: every judged token has at least
half a chunk before it. Perplexity, Kullback-Leibler divergence KL(source || quantized) in nats,
agreement on the most probable token, and the change of the right token's probability; each mean
with its standard error. Facts: tools/perplexity/perplexity.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.console import Console
from norcli.quantize.llama_library import LlamaModel

Doubles = npt.NDArray[np.float64]
FIELDS = ("source_nll", "nll", "divergence", "same_top", "probability_change")


@kernel
def compare_rows(source: Any, other: Any, targets: Any, out: Any) -> None:
    """Compare two models' logits row by row.

    Args:
        source: float32 [T, V].
        other: float32 [T, V].
        targets: int64 [T], the token that came next.
        out: float64 [T, 5], see `FIELDS`.
    """
    for t in range(targets.size):
        top, other_top = 0, 0
        for v in range(source.shape[1]):
            top = v if source[t, v] > source[t, top] else top
            other_top = v if other[t, v] > other[t, other_top] else other_top
        total, other_total, spread = 0.0, 0.0, 0.0
        highest, other_highest = np.float64(source[t, top]), np.float64(other[t, other_top])
        for v in range(source.shape[1]):
            a = np.float64(source[t, v]) - highest
            b = np.float64(other[t, v]) - other_highest
            weight = math.exp(a)
            total += weight
            other_total += math.exp(b)
            spread += weight * (a - b)
        log_total, other_log_total = math.log(total), math.log(other_total)
        target = targets[t]
        log_p = np.float64(source[t, target]) - highest - log_total
        log_q = np.float64(other[t, target]) - other_highest - other_log_total
        out[t, 0], out[t, 1] = -log_p, -log_q
        out[t, 2] = spread / total - log_total + other_log_total
        out[t, 3] = 1.0 if top == other_top else 0.0
        out[t, 4] = math.exp(log_q) - math.exp(log_p)


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, values: Doubles) -> Mean:
        """Return mean and standard error of independent values."""
        spread = float(values.std(ddof=1)) if values.size > 1 else math.nan
        return cls(float(values.mean()), spread / math.sqrt(max(values.size, 1)))


@dataclass(frozen=True)
class Divergence:
    """What a text says about a quantized model.

    Attributes:
        tokens: Judged tokens.
        source_perplexity: Of the source.
        perplexity: Of the quantized model.
        log_ratio: ln(perplexity / source_perplexity), with its standard error.
        mean: KL divergence per token, nats.
        quantiles: Of the divergence, by percent.
        same_top: Share of tokens where both find the same token most probable.
        rms_change: Root mean square of the change of the right token's probability.
    """

    tokens: int
    source_perplexity: float
    perplexity: float
    log_ratio: Mean
    mean: Mean
    quantiles: dict[str, float]
    same_top: Mean
    rms_change: float

    @classmethod
    def of(cls, rows: Doubles) -> Divergence:
        """Summarize rows of `FIELDS`, float64 [T, 5]."""
        points = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
        values = np.percentile(rows[:, 2], points)
        return cls(
            tokens=len(rows),
            source_perplexity=math.exp(rows[:, 0].mean()),
            perplexity=math.exp(rows[:, 1].mean()),
            log_ratio=Mean.of(rows[:, 1] - rows[:, 0]),
            mean=Mean.of(rows[:, 2]),
            quantiles={f"{point:g}": float(v) for point, v in zip(points, values, strict=True)},
            same_top=Mean.of(rows[:, 3]),
            rms_change=float(np.sqrt(np.mean(rows[:, 4] ** 2))),
        )


def measure_divergence(
    source: str, files: Sequence[str], chunks: Sequence[Sequence[int]], threads: int,
    console: Console,
) -> list[Doubles]:  # fmt: skip
    """Let the source and the quantized files read the same chunks.

    Args:
        source: GGUF file of the source's own precision.
        files: Quantized GGUF files of the same model.
        chunks: Token ids, all of one length.
        threads: Threads of the arithmetic.
        console: Shows progress.

    Returns:
        For each file the rows of `FIELDS` of all judged tokens, float64 [T, 5].

    Raises:
        DataError: llama.cpp cannot load a file.
        UnavailableError: xllamacpp is not installed.
    """
    length = len(chunks[0])
    first = length // 2
    found: list[list[Doubles]] = [[] for _ in files]
    with ExitStack() as stack:
        base = stack.enter_context(LlamaModel(source, length, threads))
        others = [stack.enter_context(LlamaModel(path, length, threads)) for path in files]
        progress = stack.enter_context(console.progress("measuring", len(chunks), "chunks"))
        for chunk in chunks:
            targets = np.array(chunk[first + 1 :], np.int64)
            logits = base.logits(chunk)[first:-1]
            for rows, other in zip(found, others, strict=True):
                out = np.empty((targets.size, len(FIELDS)))
                compare_rows(logits, other.logits(chunk)[first:-1], targets, out)
                rows.append(out)
            progress.advance()
    return [np.concatenate(rows) for rows in found]


def warm_up() -> None:
    """Compile the kernel, or load it from the cache."""
    row = np.zeros((1, 1), np.float32)
    compare_rows(row, row, np.zeros(1, np.int64), np.empty((1, len(FIELDS))))
