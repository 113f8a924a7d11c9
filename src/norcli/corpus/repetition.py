"""Repeated n-grams of words: the repetition measures of Gopher (Rae et al. 2021, table A1).

Part of the quality kernel of `crawl-filter`. An n-gram can only come twice where both of its
(n-1)-grams do, so each order looks at what the one before left over: after the 2-grams that is a
few per cent of a text, and nothing of most texts after the 5-grams.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel

TOP_ORDERS = (2, 3, 4)  # the commonest n-gram
DUPLICATE_ORDERS = (5, 6, 7, 8, 9, 10)  # every n-gram that comes again

_LAST_TOP = TOP_ORDERS[-1]
_LAST = DUPLICATE_ORDERS[-1]
_GRAM = np.uint64(0xD6E8FEB86659FD93)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_SEEN = np.uint32(1 << 31)


@kernel
def power_of_two(least: int) -> int:
    """Return the smallest power of two from 16 up that is not below a number."""
    size = 16
    while size < least:
        size *= 2
    return size


@kernel
def find_slot(keys: Any, key: Any) -> Any:
    """Return the slot of a key in an open-addressing table, taking a free one; 0 is free.

    Args:
        keys: uint64, its length a power of two.
        key: Any number; 0 is taken for 1.
    """
    mask = np.uint64(len(keys) - 1)
    key = key if key else _ONE
    at = (key * _SPREAD) >> np.uint64(32) & mask
    while keys[at] != 0 and keys[at] != key:
        at = (at + _ONE) & mask
    keys[at] = key
    return at


@kernel
def _count(values: Any, found: int, keys: Any, counts: Any, slots: Any) -> None:
    """Count equal values; slots tells where each is counted."""
    keys[:] = 0
    counts[:] = 0
    for k in range(found):
        at = find_slot(keys, values[k])
        slots[k] = at
        counts[at] += np.uint32(1)


@kernel
def _top_characters(n: int, ends: Any, found: int, counts: Any, slots: Any, before: Any) -> Any:
    """Return the characters in the commonest n-gram, its words joined by spaces; 0 if none is."""
    most: Any = 1
    best: Any = 0
    for k in range(found):
        # Of several that come as often the first counts, as in datatrove.
        if np.int64(counts[slots[k]]) > most:
            most = np.int64(counts[slots[k]])
            best = most * (before[ends[k] + 1] - before[ends[k] + 1 - n] + n - 1)
    return best


@kernel
def _duplicate_characters(
    n: int, ends: Any, found: int, counts: Any, slots: Any, before: Any
) -> Any:
    """Return the letters in n-grams that came before; reading goes on behind each of them."""
    duplicated: Any = 0
    free: Any = 0
    for k in range(found):
        at = slots[k]
        if counts[at] == np.uint32(1) or ends[k] + 1 - n < free:
            continue
        if counts[at] & _SEEN:
            duplicated += before[ends[k] + 1] - before[ends[k] + 1 - n]
            free = ends[k] + 1
        else:
            counts[at] |= _SEEN
    return duplicated


@kernel
def _grow(ends: Any, values: Any, found: int, counts: Any, slots: Any, hashes: Any) -> int:
    """Turn the n-grams that come more than once into the (n+1)-grams that may; return how many."""
    grown = 0
    last, value = -2, np.uint64(0)
    for k in range(found):
        if counts[slots[k]] & ~_SEEN == np.uint32(1):
            continue
        end, own = ends[k], values[k]
        if end == last + 1:
            ends[grown] = end
            values[grown] = value * _GRAM + hashes[end]
            grown += 1
        last, value = end, own
    return grown


@kernel
def measure_repetition(hashes: Any, before: Any, words: int, scratch: Any, shares: Any) -> None:
    """Fill in how many characters stand in repeated n-grams, for each order from 2 to 10.

    Args:
        hashes: Hash of each word, uint64.
        before: Letters in the words before each word, int64 (words + 1,).
        words: Number of words.
        scratch: What `make_scratch` made for as many words or more.
        shares: Output, float64 (9,): characters of the commonest 2-, 3- and 4-gram, counted as
            often as it comes, then those of repeated 5- to 10-grams.
    """
    ends, values, slots, all_keys, all_counts = scratch
    shares[:] = 0.0
    found = max(words - 1, 0)
    for k in range(found):
        ends[k] = k + 1
        values[k] = hashes[k] * _GRAM + hashes[k + 1]
    for n in range(2, _LAST + 1):
        if found < 2:
            return
        size = power_of_two(2 * found)
        keys, counts = all_keys[:size], all_counts[:size]
        _count(values, found, keys, counts, slots)
        if n <= _LAST_TOP:
            shares[n - 2] = _top_characters(n, ends, found, counts, slots, before)
        else:
            shares[n - 2] = _duplicate_characters(n, ends, found, counts, slots, before)
        found = _grow(ends, values, found, counts, slots, hashes)


@kernel
def make_scratch(words: int) -> Any:
    """Return working memory for texts of at most so many words."""
    size = power_of_two(2 * words)
    return (
        np.empty(words + 1, np.int64), np.empty(words + 1, np.uint64),
        np.empty(words + 1, np.int64), np.empty(size, np.uint64), np.empty(size, np.uint32),
    )  # fmt: skip
