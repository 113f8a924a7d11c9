"""Train the language identifier that norcli ships: `train_langid.py SENTENCES.jsonl.gz OUTPUT`.

A softmax-linear model over hashed character n-grams, by plain stochastic gradient descent in one
compiled loop. The same input and seed give the same bytes. Two folds of the sentences, chosen by
the hash of their letters, are never trained on: one calibrates (temperature, margin), the other
only measures. src/norcli/corpus/language/README.md says what the shipped weights came from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from langid_sentences import (
    CALIBRATION_FOLD,
    TEST_FOLD,
    Sentence,
    find_dutch,
    fold_of,
    is_mislabelled,
    letters_of,
    read_sentences,
    swap_names,
    truncate,
)
from norcli.corpus.language import kernel
from norcli.corpus.language.identifier import LanguageIdentifier, pack
from norcli.corpus.language.model import CLASSES, Calibration, Model, save_model

# Characters of the short parts that are learnt from beside whole texts.
SHORTEST, LONGEST = 8, 60


@dataclass(frozen=True)
class Options:
    """What a run is made of; stored beside the weights."""

    bits: int = 17
    epochs: int = 12
    learning_rate: float = 1.5
    length_exponent: float = 0.5
    short_share: float = 0.95
    dropped_words: float = 0.5
    swapped_names: float = 0.5
    cipher_share: float = 0.05
    mixed_share: float = 0.05
    foreign_texts: int = 1500
    other_log_odds: float = -0.5
    unnamed_share: float = 0.0001
    seed: int = 20


class Corpus(NamedTuple):
    """Texts as symbols, end to end."""

    symbols: Any  # uint16
    starts: Any  # int64 (T + 1,)
    labels: Any  # int64 (T,)


def encode_corpus(sentences: list[Sentence]) -> Corpus:
    """Fold every text into the symbols that the identifier sees."""
    pieces, starts = [], [0]
    for sentence in sentences:
        data = np.frombuffer(sentence.text.encode(), np.uint8)
        symbols = np.empty(len(data) + 2, np.uint16)
        count, _ = kernel.read_symbols(data, 0, len(data), symbols, kernel.NO_PIECES)
        pieces.append(symbols[:count])
        starts.append(starts[-1] + count)
    labels = np.array([CLASSES.index(sentence.language) for sentence in sentences], np.int64)
    return Corpus(np.concatenate(pieces), np.array(starts, np.int64), labels)


def make_foreign(texts: int, random: random.Random) -> Corpus:
    """Return made-up texts in other scripts, as class other.

    All letters of other scripts are one symbol, so only word lengths matter.
    """
    pieces, starts = [np.empty(0, np.uint16)], [0]
    for _ in range(texts):
        words = []
        for _ in range(random.randint(1, 19)):
            words += [kernel.FOREIGN] * random.randint(1, 11) + [kernel.BOUNDARY]
        pieces.append(np.array([kernel.BOUNDARY, *words], np.uint16))
        starts.append(starts[-1] + len(pieces[-1]))
    labels = np.full(texts, CLASSES.index("other"), np.int64)
    return Corpus(np.concatenate(pieces), np.array(starts, np.int64), labels)


def join(*parts: Corpus) -> Corpus:
    """Return the texts of several corpora as one."""
    starts, end = [np.zeros(1, np.int64)], 0
    for part in parts:
        starts.append(part.starts[1:] + end)
        end += part.starts[-1]
    return Corpus(
        np.concatenate([part.symbols for part in parts]),
        np.concatenate(starts),
        np.concatenate([part.labels for part in parts]),
    )


@numba.njit
def next_random(state: Any) -> float:
    """Return a number in [0, 1) of splitmix64, the same on every machine and numpy version."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) / 9007199254740992.0


@numba.njit
def take_span(symbols: Any, start: int, end: int, wanted: int, state: Any) -> tuple[int, int]:
    """Return a random stretch of whole words of at most about `wanted` symbols."""
    if end - start <= wanted:
        return start, end
    first = start + np.int64(next_random(state) * (end - start - wanted // 2))
    while symbols[first] != kernel.BOUNDARY:
        first -= 1
    last = min(first + wanted, end - 1)
    while last > first and symbols[last] != kernel.BOUNDARY:
        last -= 1
    if last == first:  # one word longer than wanted
        last = first + 1
        while symbols[last] != kernel.BOUNDARY:
            last += 1
    return first, last + 1


@numba.njit
def copy_words(
    symbols: Any, first: int, last: int, dropped: float, cipher: Any, enciphered: bool,
    state: Any, out: Any,
) -> int:  # fmt: skip
    """Copy a span, leaving out some words, its letters exchanged if told; return its length."""
    out[0] = kernel.BOUNDARY
    count = 1
    i = first + 1
    while i < last:
        keep = next_random(state) >= dropped
        while i < last:
            symbol = symbols[i]
            i += 1
            if keep:
                if enciphered and symbol < len(cipher):
                    symbol = cipher[symbol]
                out[count] = symbol
                count += 1
            if symbol == kernel.BOUNDARY:
                break
    return count


@numba.njit
def invent_language(cipher: Any, state: Any) -> None:
    """Fill in a letter exchange that makes a made-up language of a real one.

    Two to twelve letters are replaced, vowels by vowels and consonants by consonants. A language
    that was never seen mostly looks like one that was, with the wrong endings and function words.
    """
    vowels = np.array([97, 101, 105, 111, 117, 121, 228, 229, 230, 246, 248], np.uint16)
    consonants = np.array(
        [98, 99, 100, 102, 103, 104, 106, 107, 108, 109, 110, 112, 113, 114, 115, 116, 118, 119,
         120, 122], np.uint16)  # fmt: skip
    for symbol in range(len(cipher)):
        cipher[symbol] = symbol
    for _ in range(2 + np.int64(next_random(state) * 11)):
        group = vowels if next_random(state) < 0.4 else consonants
        old = group[np.int64(next_random(state) * len(group))]
        cipher[old] = group[np.int64(next_random(state) * len(group))]


@numba.njit
def draw_example(
    symbols: Any, starts: Any, text: int, variants: int, shares: Any, cipher: Any, state: Any,
    span: Any,
) -> tuple[int, bool]:  # fmt: skip
    """Write what one step learns from into `span`: a text, or a part, or a change of it.

    A text may be followed by a shorter part of another one: without such examples a page in two
    languages looks like a third.

    Args:
        symbols: The corpus.
        starts: Of its texts.
        text: Which one.
        variants: So many texts on stands each of the first texts with its names exchanged.
        shares: How often a part is taken, a word left out, a language invented, a text added, and
            names are exchanged.
        cipher: Room for an invented language.
        state: Of the random numbers.
        span: Output.

    Returns:
        The number of symbols, and whether the language is invented.
    """
    if text < variants and next_random(state) < shares[4]:
        text += variants
    first, last = starts[text], starts[text + 1]
    if next_random(state) < shares[0]:
        wanted = np.int64(SHORTEST + (LONGEST - SHORTEST) * next_random(state))
        first, last = take_span(symbols, first, last, wanted, state)
    invented = next_random(state) < shares[2]
    if invented:
        invent_language(cipher, state)
    count = copy_words(symbols, first, last, shares[1], cipher, invented, state, span)
    if next_random(state) < shares[3] and not invented and count > 2 * SHORTEST:
        other = np.int64(next_random(state) * (len(starts) - 1))
        wanted = max(SHORTEST, np.int64(count * 0.8 * next_random(state)))
        first, last = take_span(symbols, starts[other], starts[other + 1], wanted, state)
        if last - first < count:
            added = span[count - 1 :]
            count += copy_words(symbols, first, last, 0.0, cipher, False, state, added) - 1
    return count, invented


@numba.njit
def descend(
    weights: Any, bias: Any, buckets: Any, label: int, classes: int, rate: Any, scale: Any
) -> float:
    """Take one step down the cross-entropy of a text; return what it was before.

    Args:
        weights: float32 (buckets, 16).
        bias: float32 (16,).
        buckets: The features of the text, uint32.
        label: Its class.
        classes: How many columns are in use.
        rate: The learning rate, float32.
        scale: What the sum of the weights is multiplied by, float32.
    """
    scores = np.zeros(16, np.float32)
    for bucket in buckets:
        for c in range(16):
            scores[c] += weights[bucket, c]
    top = np.float32(-1e30)
    for c in range(classes):
        scores[c] = scores[c] * scale + bias[c]
        top = max(top, scores[c])
    norm = np.float32(0)
    for c in range(classes):
        scores[c] = math.exp(scores[c] - top)
        norm += scores[c]
    loss = -math.log(scores[label] / norm + 1e-12)
    for c in range(classes):
        target = np.float32(1.0 if c == label else 0.0)
        step = rate * (target - scores[c] / norm)
        bias[c] += np.float32(0.01) * step
        scores[c] = step * scale
    for bucket in buckets:
        for c in range(16):
            weights[bucket, c] += scores[c]
    return loss


@numba.njit
def train_weights(
    symbols: Any, starts: Any, labels: Any, variants: int, other: int, bits: int, epochs: int,
    rate: float, length_exponent: float, shares: Any, seed: int, weights: Any, bias: Any,
) -> float:  # fmt: skip
    """Go through the corpus `epochs` times in random order, the learning rate falling to 0.

    Args:
        symbols: See `Corpus`, as `starts` and `labels`.
        starts: Of the texts.
        labels: Of the texts.
        variants: See `draw_example`; the variants are not drawn for themselves.
        other: The last class, which invented languages belong to.
        bits: log2 of the number of buckets.
        epochs: How often each text is drawn from.
        rate: The first learning rate.
        length_exponent: See `Calibration`.
        shares: See `draw_example`.
        seed: Of the random numbers.
        weights: Output, float32 (2**bits, 16), zero at first.
        bias: Output, float32 (16,), zero at first.

    Returns:
        The mean loss of the last epoch.
    """
    state = np.array([seed], np.uint64)
    longest = 0
    for t in range(len(labels)):
        longest = max(longest, starts[t + 1] - starts[t])
    span = np.empty(2 * longest + 2, np.uint16)
    buckets = np.empty(7 * len(span), np.uint32)
    cipher = np.empty(0x250, np.uint16)
    order = np.arange(len(labels) - variants)
    order[variants:] += variants
    total = np.int64(epochs) * len(order)
    done = 0
    loss = 0.0
    for _ in range(epochs):
        loss = 0.0
        for i in range(len(order) - 1, 0, -1):
            j = np.int64(next_random(state) * (i + 1))
            order[i], order[j] = order[j], order[i]
        for t in order:
            step = np.float32(rate * (1.0 - done / total))
            done += 1
            count, invented = draw_example(
                symbols, starts, t, variants, shares, cipher, state, span
            )
            features = kernel.hash_features(span, count, bits, buckets)
            if features:
                label = other if invented else labels[t]
                scale = np.float32(features**-length_exponent)
                loss += descend(weights, bias, buckets[:features], label, other + 1, step, scale)
    return loss / len(order)


def quantize(weights: Any, classes: int) -> tuple[Any, Any]:
    """Round float weights to 8 bits, one scale a class.

    Returns:
        int8 (buckets, classes) and float32 (classes,).
    """
    used = weights[:, :classes].astype(np.float64)
    limits = np.abs(used).max(axis=0)
    scales = (limits / 127.0).astype(np.float32)
    return np.rint(used / scales).astype(np.int8), scales


def calibrate(model: Model, sentences: list[Sentence], target: float) -> Model:
    """Fit the temperature and the margin on held-out sentences, whole and cut to 50 characters.

    The temperature makes probabilities equal the share of right answers; cross-entropy would rather
    hedge against the few wrong labels. The margin is the highest at which no more than the share
    `target` of texts in the nine languages that would be right are left unnamed.
    """
    texts = [s.text for s in sentences] + [truncate(s.text) for s in sentences]
    labels = np.array([CLASSES.index(s.language) for s in sentences] * 2)
    scores = LanguageIdentifier(model).log_probabilities(*pack(texts))
    rows = np.arange(len(labels))
    top = scores.argmax(axis=1)

    def highest(temperature: float) -> Any:
        scaled = np.exp((scores - scores[rows, top][:, None]) / temperature)
        return 1 / scaled.sum(axis=1)

    def calibration_error(temperature: float) -> float:
        said = highest(temperature)
        surplus = np.bincount((said * 20).astype(np.int64), said - (top == labels))
        return float(np.abs(surplus).sum() / len(labels))

    temperature = min((round(0.3 + 0.01 * k, 2) for k in range(271)), key=calibration_error)
    right = (top == labels) & (labels != CLASSES.index("other"))
    margin = math.floor(100 * np.quantile(highest(temperature)[right], target)) / 100
    return with_calibration(model, temperature, margin)


def with_calibration(model: Model, temperature: float, margin: float) -> Model:
    """Return the model with another temperature and margin."""
    calibration = Calibration(model.calibration.length_exponent, temperature, margin)
    return replace(model, calibration=calibration)


def measure(model: Model, sentences: list[Sentence]) -> dict[str, dict[str, float]]:
    """Return the share of decisions that are right, per language, whole and cut; und is wrong."""
    identifier = LanguageIdentifier(model)
    figures: dict[str, dict[str, float]] = {}
    for name, cut in (("sentences", False), ("50_characters", True)):
        texts = [truncate(s.text) if cut else s.text for s in sentences]
        found = identifier.identify_batch(texts)
        hits: Counter[str] = Counter()
        totals: Counter[str] = Counter(s.language for s in sentences)
        for sentence, answer in zip(sentences, found, strict=True):
            expected = "und" if sentence.language == "other" else sentence.language
            hits[sentence.language] += answer.lang == expected
        shares = {c: round(hits[c] / totals[c], 4) for c in CLASSES if totals[c]}
        named = [share for c, share in shares.items() if c != "other"]
        figures[name] = {"macro": round(sum(named) / len(named), 4), **shares}
    return figures


def share_refused(model: Model, texts: list[str]) -> float:
    """Return the share of texts that are given no language."""
    found = LanguageIdentifier(model).identify_batch(texts)
    return round(sum(answer.lang == "und" for answer in found) / max(len(found), 1), 4)


def train(
    path: Path, options: Options, without: Path | None = None
) -> tuple[Model, dict[str, Any]]:
    """Train, quantize, calibrate and measure a model.

    Args:
        path: The sentences.
        options: How.
        without: Texts to leave out, one a line, so that they can be measured on.

    Returns:
        The model and its figures.
    """
    sentences = read_sentences(path)
    if without is not None:
        unwanted = {letters_of(line) for line in without.read_text("utf-8").splitlines()}
        sentences = [s for s in sentences if letters_of(s.text) not in unwanted]
    dutch = find_dutch(sentences)
    folds: dict[int, list[Sentence]] = {CALIBRATION_FOLD: [], TEST_FOLD: [], -1: []}
    for i, sentence in enumerate(sentences):
        if i not in dutch:
            fold = fold_of(sentence.text)
            if fold == TEST_FOLD or not is_mislabelled(sentence):
                folds[fold if fold in folds else -1].append(sentence)
    random_numbers = random.Random(options.seed)
    corpus = join(
        encode_corpus(folds[-1]),
        encode_corpus(swap_names(folds[-1], random_numbers)),
        make_foreign(options.foreign_texts, random_numbers),
    )
    weights = np.zeros((1 << options.bits, kernel.LANES), np.float32)
    bias = np.zeros(kernel.LANES, np.float32)
    changes = (options.short_share, options.dropped_words, options.cipher_share)
    shares = np.array([*changes, options.mixed_share, options.swapped_names])
    loss = train_weights(
        corpus.symbols, corpus.starts, corpus.labels, len(folds[-1]), len(CLASSES) - 1,
        options.bits, options.epochs, options.learning_rate, options.length_exponent, shares,
        options.seed, weights, bias,
    )  # fmt: skip
    # Training sees as much of other languages as of each of the nine; what is read holds less.
    bias[CLASSES.index("other")] += np.float32(options.other_log_odds)
    table, scales = quantize(weights, len(CLASSES))
    provenance = {
        "input_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "options": asdict(options),
        "training_texts": len(folds[-1]),
    }
    calibration = Calibration(options.length_exponent, 1.0, 0.0)
    model = Model(table, scales, bias[: len(CLASSES)], calibration, CLASSES, provenance)
    model = calibrate(model, folds[CALIBRATION_FOLD], options.unnamed_share)
    figures = {
        "training_loss": round(loss, 4),
        "temperature": model.calibration.temperature,
        "margin": model.calibration.margin,
        "test": measure(model, folds[TEST_FOLD]),
        "dutch_refused": share_refused(model, [sentences[i].text for i in sorted(dutch)]),
    }
    return model, figures


def main() -> None:
    """Parse the command line, train, write the model, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path, help="sentences, JSON lines with lang and text, gzip")
    parser.add_argument("output", type=Path, help="the model to write, .safetensors")
    for field in fields(Options):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=type(field.default), default=field.default)
    parser.add_argument("--without", type=Path, help="texts to leave out, one a line")
    arguments = vars(parser.parse_args())
    source, output, without = (arguments.pop(key) for key in ("input", "output", "without"))
    model, figures = train(source, Options(**arguments), without)
    save_model(model, output)
    figures["output_sha256"] = hashlib.sha256(output.read_bytes()).hexdigest()
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
