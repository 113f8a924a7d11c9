"""From the bytes of a text to its word n-grams, each as one 64-bit hash, in one compiled pass.

First step of dedup. Letters are lower-cased (the tables cover every script below U+3000, so Å, Đ
and Ŋ fold as well as A), punctuation, symbols and the U+2000 block separate words, and soft
hyphens and zero-width characters vanish. The same pass hashes the folded text with its white
space collapsed to 128 bits: equal hashes are exact duplicates. No accents are stripped: å and a
are different letters. Ideographs and kana are words of their own.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

TABLE_SIZE = 0x3000
SEPARATOR, WORD, SPACE, IGNORED, IDEOGRAPH = 0, 1, 2, 3, 4

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_TEXT_SEED = np.uint64(0x243F6A8885A308D3)
_TEXT_PRIME = np.uint64(0xD6E8FEB86659FD93)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_HALF, _LEFT, _RIGHT = np.uint64(33), np.uint64(27), np.uint64(37)
_BLANK = np.uint64(32)
_ONE = np.uint64(1)
_KIND, _KIND_BITS = np.uint64(7), np.uint64(3)

_njit: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


def classify(code: int) -> int:
    """Return the class of a code point below `TABLE_SIZE`."""
    letter = chr(code)
    category = unicodedata.category(letter)
    if letter.isspace() or category == "Cc":
        return SPACE
    if category == "Cf":
        return IGNORED
    return WORD if category[0] in "LMN" else SEPARATOR


def _folding_table() -> npt.NDArray[np.uint32]:
    """Return for each code point below `TABLE_SIZE` its small letter << 3 | its class."""
    entries = np.empty(TABLE_SIZE, np.uint32)
    for code in range(TABLE_SIZE):
        lowered = chr(code).lower()
        # Capital I with a dot is the one letter whose small form is two characters.
        symbol = ord(lowered) if len(lowered) == 1 else code
        entries[code] = symbol << 3 | classify(code)
    return entries


FOLDING = _folding_table()


@_njit
def classify_wide(code: int) -> int:
    """Return the class of a code point from `TABLE_SIZE` on, by block."""
    if code == 0x3000:
        return SPACE
    if code == 0xFEFF or 0xFE00 <= code <= 0xFE0F:
        return IGNORED
    if 0x3040 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF:
        return IDEOGRAPH
    if (
        code < 0x3040
        or 0xD800 <= code <= 0xF8FF  # surrogates and private use
        or 0xFE10 <= code <= 0xFE6F
        or 0xFF00 <= code <= 0xFF0F
        or 0xFFF0 <= code <= 0xFFFF
        or 0x1F000 <= code <= 0x1FAFF  # emoji
        or code >= 0xE0000
    ):
        return SEPARATOR
    return WORD


@_njit
def _wide_entry(code: int) -> Any:
    """Return what the table would hold for a code point from `TABLE_SIZE` on."""
    return np.uint64(code) << _KIND_BITS | np.uint64(classify_wide(code))


@_njit
def mix(value: Any) -> Any:
    """Return a uint64 with every bit depending on every other (MurmurHash3's finalizer)."""
    value = np.uint64(value)
    value = (value ^ (value >> _HALF)) * _MIX_1
    value = (value ^ (value >> _HALF)) * _MIX_2
    return value ^ (value >> _HALF)


@_njit
def _decode(data: Any, position: int) -> Any:
    """Return the code point that begins at a position of valid UTF-8, and its width in bytes."""
    first = np.int64(data[position])
    if first < 0x80:
        return first, 1
    second = np.int64(data[position + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = np.int64(data[position + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    fourth = np.int64(data[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4


@_njit
def _absorb(first: Any, second: Any, blank: bool, value: Any) -> Any:
    """Take a word's hash or a separator, and the blank before it, into the text's hash."""
    if blank:
        first = (first ^ _BLANK) * _FNV_PRIME
        second = (second + _BLANK) * _TEXT_PRIME
    first = (first ^ value) * _FNV_PRIME
    second = (second ^ (value * _ROLL)) * _TEXT_PRIME
    return first, (second << _LEFT) | (second >> _RIGHT)


@_njit
def _push_word(
    value: Any, words: int, rolling: Any, gone: Any, ring: Any, shingles: Any, out: int
) -> Any:
    """Roll a word into the n-gram; write the shingle it completes. Return the hash and `out`."""
    slot = words % ring.size
    rolling = rolling * _ROLL + value - ring[slot] * gone
    ring[slot] = value
    if words + 1 >= ring.size:
        shingles[out] = mix(rolling)
        out += 1
    return rolling, out


@_njit
def _shingle_text(
    data: Any, begin: int, end: int, ring: Any, gone: Any, folding: Any, shingles: Any,
    start: int, text_hash: Any,
) -> int:  # fmt: skip
    """Write the shingles of one text from `start` on; return how many there are."""
    ring[:] = np.uint64(0)
    rolling, words, out = np.uint64(0), 0, start
    word, in_word = _FNV_OFFSET, False
    first, second = _FNV_OFFSET, _TEXT_SEED
    blank, seen = False, False
    position = begin
    while position <= end:
        # One blank after the end closes the last word.
        code, width = np.int64(32), 1
        if position < end:
            code, width = _decode(data, position)
        position += width
        entry = np.uint64(folding[code]) if code < TABLE_SIZE else _wide_entry(code)
        kind, symbol = entry & _KIND, entry >> _KIND_BITS
        if kind == WORD:
            word, in_word = (word ^ symbol) * _FNV_PRIME, True
            continue
        if kind == IGNORED:
            continue
        if in_word:
            value = mix(word)
            rolling, out = _push_word(value, words, rolling, gone, ring, shingles, out)
            first, second = _absorb(first, second, blank, value)
            words, word, in_word, blank, seen = words + 1, _FNV_OFFSET, False, False, True
        if kind == SPACE:
            blank = seen
            continue
        if kind == IDEOGRAPH:
            rolling, out = _push_word(mix(symbol), words, rolling, gone, ring, shingles, out)
            words += 1
        first, second = _absorb(first, second, blank, symbol)
        blank, seen = False, True
    text_hash[0], text_hash[1] = mix(first), mix(second)
    if words < 2:
        return 0  # nothing to compare but the text itself
    if words < ring.size:
        shingles[start] = mix(rolling)
        return 1
    return out - start


@_njit
def shingle_batch(
    data: Any, offsets: Any, ngram: int, folding: Any, shingles: Any, starts: Any,
    text_hashes: Any,
) -> None:  # fmt: skip
    """Shingle the texts of a batch, one after another.

    Args:
        data: uint8, the UTF-8 bytes of all texts.
        offsets: int64 [texts + 1], where each begins; the last is the end.
        ngram: Words in a shingle.
        folding: uint32 [TABLE_SIZE], `FOLDING`.
        shingles: uint64, filled; room for half as many as there are bytes plus one per text.
        starts: int64 [texts + 1], filled with where each text's shingles begin.
        text_hashes: uint64 [texts, 2], filled with the 128-bit hash of each folded text.
    """
    ring = np.zeros(ngram, np.uint64)
    gone = _ONE
    for _ in range(ngram):
        gone = gone * _ROLL
    starts[0] = 0
    for text in range(offsets.size - 1):
        count = _shingle_text(
            data, offsets[text], offsets[text + 1], ring, gone, folding, shingles,
            starts[text], text_hashes[text],
        )  # fmt: skip
        starts[text + 1] = starts[text] + count


def shingle_texts(
    texts: list[bytes], ngram: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return the shingles of texts, where each text's begin, and the texts' 128-bit hashes.

    Args:
        texts: Valid UTF-8.
        ngram: Words in a shingle; a text of two or more but fewer words has one shingle.
    """
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    shingles = np.empty(data.size + len(texts), np.uint64)
    starts = np.empty(len(texts) + 1, np.int64)
    hashes = np.empty((len(texts), 2), np.uint64)
    shingle_batch(data, offsets, ngram, FOLDING, shingles, starts, hashes)
    return shingles[: starts[-1]], starts, hashes


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    shingle_texts([b"en to tre"], 2)
