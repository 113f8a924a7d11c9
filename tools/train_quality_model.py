"""Train a linear quality model for `crawl-filter --quality-model`.

    python tools/train_quality_model.py GOOD.jsonl BAD.jsonl MODEL.safetensors [--bits 18]

GOOD and BAD hold records with a text, one a line, plain or compressed. Logistic regression over
hashed word grams (`norcli.corpus.word_kernel`), by stochastic gradient descent in a seeded order;
every tenth document of each file is held out to measure. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from norcli.corpus.classifier import LinearModel
from norcli.corpus.language.identifier import pack
from norcli.corpus.word_kernel import GRAM, hash_words
from norcli.formats.compression import decompressed
from norcli.streams import open_input

_SPREAD = 0x9E3779B97F4A7C15


def read_texts(path: Path) -> list[str]:
    with decompressed(open_input(str(path))) as stream:
        return [orjson.loads(line)["text"] for line in stream if line.strip()]


def buckets_of(text: str, bits: int, orders: int) -> npt.NDArray[np.int64]:
    """Return the bucket of each gram of a text; as in `word_kernel.mean_weights`."""
    buffer, _ = pack([text])
    hashes = np.empty(len(buffer) // 2 + 2, np.uint64)
    words = hashes[: hash_words(buffer, 0, len(buffer), hashes)]
    grams, value = [], np.zeros(len(words), np.uint64)
    for n in range(orders):
        value = value[: len(words) - n] * GRAM + words[n:]
        grams.append(value)
    found = np.concatenate(grams) * np.uint64(_SPREAD) >> np.uint64(64 - bits)
    return found.astype(np.int64)


def train(
    documents: list[npt.NDArray[np.int64]], labels: npt.NDArray[np.float64], bits: int,
    epochs: int, rate: float, seed: int,
) -> tuple[npt.NDArray[np.float32], float]:  # fmt: skip
    weights, bias = np.zeros(1 << bits), 0.0
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        for i in order.permutation(len(documents)):
            grams = documents[i]
            score = 1 / (1 + np.exp(-(bias + weights[grams].mean())))
            step = rate * (labels[i] - score)
            bias += step / 10
            # The mean is over all grams; a larger step makes up for its smallness.
            np.add.at(weights, grams, step)
    return weights.astype(np.float32), float(bias)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("good", type=Path)
    parser.add_argument("bad", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--bits", type=int, default=18)
    parser.add_argument("--orders", type=int, default=2, choices=(1, 2, 3, 4))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows: list[tuple[Any, float, bool]] = []
    for path, label in ((arguments.good, 1.0), (arguments.bad, 0.0)):
        for number, text in enumerate(read_texts(path)):
            grams = buckets_of(text, arguments.bits, arguments.orders)
            if len(grams):
                rows.append((grams, label, number % 10 == 9))
    learnt = [row for row in rows if not row[2]]
    labels = np.array([label for _, label, _ in learnt])
    weights, bias = train(
        [grams for grams, _, _ in learnt], labels, arguments.bits, arguments.epochs,
        arguments.rate, arguments.seed,
    )  # fmt: skip
    model = LinearModel(weights, bias, arguments.orders)
    model.save(arguments.model, {"documents": len(learnt), "epochs": arguments.epochs,
                                 "rate": arguments.rate, "seed": arguments.seed})  # fmt: skip
    right = [(bias + weights[grams].mean() > 0) == (label > 0.5) for grams, label, held in rows
             if held]  # fmt: skip
    share = f"{sum(right)} of {len(right)} held-out documents right" if right else "none held out"
    print(f"{arguments.model}: {share}")


if __name__ == "__main__":
    main()
