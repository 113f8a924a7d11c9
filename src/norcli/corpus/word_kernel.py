"""Words as hashes that never change: for word lists and for quality models kept in files.

A word is a run of letters and digits, each folded to a small letter as in language identification
(letters of other scripts are all alike). Its hash is FNV-1a, 64 bits, over the folded code points;
the hash of n words in a row is ((h1 * G) + h2) * G + ... + hn, modulo 2**64, where G is `GRAM`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.corpus.language.kernel import BOUNDARY, NOTHING, classify
from norcli.corpus.quality_kernel import decode

LONGEST = 4
"""So many words in a row at most."""

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
GRAM = np.uint64(0xD6E8FEB86659FD93)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def hash_words(buffer: Any, start: int, end: int, hashes: Any) -> Any:
    """Hash the words of bytes [start, end); `hashes` has room for one per two bytes and one more.

    Returns:
        The number of words.
    """
    count = 0
    value, inside = _OFFSET, False
    i = start
    while i < end:
        byte: Any = buffer[i]
        if byte < 0x80:
            letter = byte + 32 if 65 <= byte <= 90 else byte
            is_word = 97 <= letter <= 122 or 48 <= letter <= 57
            symbol: Any = np.uint64(letter)
            i += 1
        else:
            code, i = decode(buffer, i, end)
            folded = np.int64(classify(code))
            if folded == NOTHING:
                continue
            is_word = folded != BOUNDARY
            symbol = np.uint64(folded)
        if is_word:
            value = (value ^ symbol) * _PRIME
            inside = True
        elif inside:
            hashes[count] = value
            count += 1
            value, inside = _OFFSET, False
    if inside:
        hashes[count] = value
        count += 1
    return count


@kernel
def _contains(table: Any, key: int) -> bool:
    """Whether an open-addressing table holds a key; 0 is an empty slot."""
    mask = np.uint64(len(table) - 1)
    at = (key * _SPREAD) >> np.uint64(32) & mask
    while table[at] != 0:
        if table[at] == key:
            return True
        at = (at + np.uint64(1)) & mask
    return False


@kernel
def add_key(table: Any, key: int) -> None:
    """Put a key into an open-addressing table that has room for it."""
    mask = np.uint64(len(table) - 1)
    at = (key * _SPREAD) >> np.uint64(32) & mask
    while table[at] != 0 and table[at] != key:
        at = (at + np.uint64(1)) & mask
    table[at] = key


@kernel
def count_listed(hashes: Any, words: int, table: Any, longest: int) -> Any:
    """Count the words that belong to listed entries of at most `longest` words, each once."""
    listed = 0
    covered = 0  # words before this one are counted already
    for i in range(words):
        value = np.uint64(0)
        for n in range(min(longest, words - i)):
            value = value * GRAM + hashes[i + n]
            if _contains(table, value):
                listed += max(i + n + 1 - max(i, covered), 0)
                covered = max(covered, i + n + 1)
    return listed


@kernel
def listed_shares(
    buffer: Any, offsets: Any, chosen: Any, table: Any, longest: int, shares: Any
) -> None:
    """Set the share of listed words of some texts.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        chosen: Numbers of the texts to look at, int64 (C,).
        table: Hashes of the listed words and rows of words, open addressing, uint64.
        longest: Words of the longest entry.
        shares: Output, float64 (T,); only those of the chosen texts are set.
    """
    size = 0
    for t in chosen:
        size = max(size, offsets[t + 1] - offsets[t])
    hashes = np.empty(size // 2 + 2, np.uint64)
    for t in chosen:
        words = hash_words(buffer, offsets[t], offsets[t + 1], hashes)
        shares[t] = count_listed(hashes, words, table, longest) / max(words, 1)


@kernel
def mean_weights(buffer: Any, offsets: Any, weights: Any, orders: int, means: Any) -> None:
    """Set the mean weight of the 1- to `orders`-word grams of each text, 0 where there are none.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        weights: A weight for each bucket, float32 (2**bits,); the bucket of a gram is the highest
            bits of its hash times 0x9E3779B97F4A7C15.
        orders: Words of the longest gram.
        means: Output, float64 (T,).
    """
    size = 0
    for t in range(len(offsets) - 1):
        size = max(size, offsets[t + 1] - offsets[t])
    hashes = np.empty(size // 2 + 2, np.uint64)
    bits = 0
    while (1 << bits) < len(weights):
        bits += 1
    for t in range(len(offsets) - 1):
        words = hash_words(buffer, offsets[t], offsets[t + 1], hashes)
        total, count = 0.0, 0
        for i in range(words):
            value = np.uint64(0)
            for n in range(min(orders, words - i)):
                value = value * GRAM + hashes[i + n]
                total += weights[(value * _SPREAD) >> np.uint64(64 - bits)]
                count += 1
        means[t] = total / max(count, 1)
