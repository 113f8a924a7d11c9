"""MinHash signatures: for every permutation, the smallest hash among a text's shingles.

Second step of dedup (Broder 1997): two texts agree in a value with probability equal to the
Jaccard similarity of their shingle sets. A permutation is x -> a * low(x) + high(x) mod 2^32 over
the halves of the 64-bit shingle hash, one multiplication per value, with an odd a each. What is
kept of a signature is 8 bits of each value, to verify candidates, and a 64-bit key per band, to
find them; see `norcli.dedup.banding`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.shingles import (
    CHUNK_WORDS,
    STATE_SIZE,
    SURPLUS,
    begin_text,
    end_text,
    mix,
    next_shingles,
    short_shingle,
)

_LARGEST = np.uint32(0xFFFFFFFF)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_BYTE = np.uint32(0xFF)
_KEY_SEED = np.uint64(0x452821E638D01377)
_KEY_PRIME = np.uint64(0x100000001B3)


def multipliers(num_perm: int, seed: int) -> npt.NDArray[np.uint32]:
    """Return the odd multiplier of each permutation, by SplitMix64 from a seed.

    Written out here because indexes on disk depend on it, and numpy's generators may change.
    """
    state, mask = seed & (1 << 64) - 1, (1 << 64) - 1
    values = []
    for _ in range(num_perm):
        state = (state + 0x9E3779B97F4A7C15) & mask
        value = state
        value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ value >> 27) * 0x94D049BB133111EB) & mask
        values.append((value ^ value >> 31) >> 32 | 1)
    return np.array(values, np.uint32)


@kernel
def minimum_hashes(shingles: Any, begin: int, end: int, factors: Any, signature: Any) -> None:
    """Lower a signature (uint32) to the smallest permuted hash of shingles [begin, end)."""
    for index in range(begin, end):
        low = np.uint32(shingles[index] & _LOW_HALF)
        high = np.uint32(shingles[index] >> _SHIFT)
        for lane in range(factors.size):
            value = np.uint32(np.uint32(factors[lane] * low) + high)
            signature[lane] = min(signature[lane], value)


@kernel
def cut_signature(signature: Any, rows: int, lanes: Any, keys: Any) -> None:
    """Fill the low byte of each value (uint8) and the hash of each band's values (uint64)."""
    for lane in range(signature.size):
        lanes[lane] = np.uint8(signature[lane] & _BYTE)
    for band in range(keys.size):
        key = _KEY_SEED + np.uint64(band)
        for row in range(band * rows, (band + 1) * rows):
            key = mix((key ^ np.uint64(signature[row])) * _KEY_PRIME)
        keys[band] = key


@kernel
def sign_texts(
    data: Any, begins: Any, ends: Any, table: Any, codes: Any, ngram: int, factors: Any, rows: int,
    text_hashes: Any, letters: Any, counts: Any, lanes: Any, keys: Any,
) -> None:  # fmt: skip
    """Shingle and sign texts.

    Args:
        data: uint8, UTF-8 or, with `JSON_BYTES`, the inside of JSON strings.
        begins: int64 [texts], where each begins.
        ends: int64 [texts], where each ends.
        table: uint64 [256], `PLAIN_BYTES` or `JSON_BYTES`.
        codes: uint64 [TABLE_SIZE], `CODES`.
        ngram: Words in a shingle.
        factors: uint32 [num_perm]; none makes no MinHash.
        rows: Values per band.
        text_hashes: uint64 [texts, 2], filled with the 128-bit hash of each folded text.
        letters: int64 [texts], filled with how many characters each has.
        counts: int32 [texts], filled with how many shingles each has.
        lanes: uint8 [texts, num_perm], filled with the low byte of each value.
        keys: uint64 [texts, bands], filled with the hash of each band's values.
    """
    words = np.empty(ngram + CHUNK_WORDS, np.uint64)
    shingles = np.empty(ngram + CHUNK_WORDS, np.uint64)
    state = np.empty(STATE_SIZE, np.uint64)
    signature = np.empty(factors.size, np.uint32)
    for text in range(begins.size):
        position, end, count, total = begins[text], ends[text], 0, 0
        begin_text(state)
        signature[:] = _LARGEST
        while position < end:
            position, count, made = next_shingles(
                data, position, end, table, codes, ngram, state, words, count, shingles
            )
            minimum_hashes(shingles, 0, made, factors, signature)
            total += made
        if total == 0 and count > 1:
            shingles[0] = short_shingle(words, count)
            minimum_hashes(shingles, 0, 1, factors, signature)
            total = 1
        end_text(state, text_hashes[text])
        counts[text] = total
        letters[text] = end - begins[text] - np.int64(state[SURPLUS])
        cut_signature(signature, rows, lanes[text], keys[text])


@kernel
def agreeing_lanes(lanes: Any, first: int, second: int) -> int:
    """Return in how many 8-bit lanes two documents agree."""
    count = 0
    for lane in range(lanes.shape[1]):
        count += lanes[first, lane] == lanes[second, lane]
    return count


@kernel
def _agreements(firsts: Any, seconds: Any, counts: Any) -> None:
    for pair in range(counts.size):
        count = 0
        for lane in range(firsts.shape[1]):
            count += firsts[pair, lane] == seconds[pair, lane]
        counts[pair] = count


def jaccard_of_lanes(agreeing: Any, num_perm: int) -> Any:
    """Return the Jaccard similarity that a number of agreeing 8-bit lanes stands for."""
    share = agreeing / num_perm
    return np.clip((share - 1 / 256) / (1 - 1 / 256), 0.0, 1.0)


def estimate_jaccard(
    firsts: npt.NDArray[np.uint8], seconds: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Return the estimated similarity of pairs of documents, from the lanes of both.

    Args:
        firsts: uint8 [pairs, num_perm].
        seconds: uint8 [pairs, num_perm].
    """
    counts = np.empty(len(firsts), np.int64)
    _agreements(firsts, seconds, counts)
    similarity: npt.NDArray[np.float64] = jaccard_of_lanes(counts, firsts.shape[1])
    return similarity


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    estimate_jaccard(np.zeros((1, 16), np.uint8), np.zeros((1, 16), np.uint8))
