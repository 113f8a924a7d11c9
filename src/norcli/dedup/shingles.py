"""From the bytes of a text to its word n-grams, each as one 64-bit hash, in one compiled pass.

First step of dedup. Letters are lower-cased (the tables cover every script below U+3000, so Å, Đ
and Ŋ fold as well as A), punctuation, symbols and the U+2000 block separate words, and soft
hyphens and zero-width characters vanish. The same pass hashes the folded text with its white
space collapsed to 128 bits: equal hashes are exact duplicates. No accents are stripped: å and a
are different letters. Ideographs and kana are words of their own. A text may stand inside a line
of JSON as it is: escapes are decoded on the way.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel

TABLE_SIZE = 0x3000
SEPARATOR, WORD, SPACE, IGNORED, IDEOGRAPH = 0, 1, 2, 3, 4
_ESCAPE, _MULTIBYTE = 5, 6
STATE_SIZE, SURPLUS = 5, 4
CHUNK_WORDS = 2048
"""Words hashed before their shingles are made, so that both stay in the nearest cache."""

_TEXT_SEED_1 = np.uint64(0xCBF29CE484222325)
_TEXT_SEED_2 = np.uint64(0x243F6A8885A308D3)
_TEXT_PRIME_1 = np.uint64(0x100000001B3)
_TEXT_PRIME_2 = np.uint64(0xD6E8FEB86659FD93)
_BLANK = np.uint64(0x9FB21C651E98DF25)
_WORD_SEED = np.uint64(0xA0761D6478BD642F)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_HALF, _FOLD = np.uint64(33), np.uint64(29)
_TURN, _TURN_BACK = np.uint64(9), np.uint64(55)
_ONE = np.uint64(1)
_NONE = np.uint64(0)
_KIND = np.uint64(7)
_SPACE = np.uint64(SPACE)
_SYMBOL = np.uint64(0xFFFFFFFFFFFFFFF8)


def classify(code: int) -> int:
    """Return the class of a code point below `TABLE_SIZE`."""
    letter = chr(code)
    category = unicodedata.category(letter)
    if letter.isspace() or category == "Cc":
        return SPACE
    if category == "Cf":
        return IGNORED
    return WORD if category[0] in "LMN" else SEPARATOR


def _code_entries() -> npt.NDArray[np.uint64]:
    """Return for each code point below `TABLE_SIZE` the hash of its small letter | its class."""
    # Capital I with a dot is the one letter whose small form is two characters.
    lowered = [chr(code).lower() for code in range(TABLE_SIZE)]
    small = [ord(one) if len(one) == 1 else code for code, one in enumerate(lowered)]
    hashes = np.array(small, np.uint64)
    for factor in (_MIX_1, _MIX_2):  # as `mix`
        hashes = (hashes ^ (hashes >> _HALF)) * factor
    hashes ^= hashes >> _HALF
    kinds = np.fromiter(map(classify, range(TABLE_SIZE)), np.uint64, TABLE_SIZE)
    return (hashes & _SYMBOL) | kinds


def _byte_entries(escapes: bool) -> npt.NDArray[np.uint64]:
    """Return for each first byte the entry of its character, or how to find its code point."""
    entries = np.full(256, _MULTIBYTE, np.uint64)
    entries[:128] = CODES[:128]
    if escapes:
        entries[ord("\\")] = _ESCAPE
    return entries


CODES = _code_entries()
PLAIN_BYTES = _byte_entries(escapes=False)
JSON_BYTES = _byte_entries(escapes=True)


@kernel
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


@kernel
def mix(value: Any) -> Any:
    """Return a uint64 with every bit depending on every other (MurmurHash3's finalizer)."""
    value = np.uint64(value)
    value = (value ^ (value >> _HALF)) * _MIX_1
    value = (value ^ (value >> _HALF)) * _MIX_2
    return value ^ (value >> _HALF)


@kernel
def hex_value(digit: int) -> int:
    """Return the number that a hexadecimal digit, as ASCII, stands for."""
    return digit - 48 if digit < 58 else (digit | 32) - 87


@kernel
def _code_unit(data: Any, position: int) -> int:
    """Return the code unit that four hexadecimal digits stand for."""
    unit = 0
    for index in range(position, position + 4):
        unit = unit << 4 | hex_value(np.int64(data[index]))
    return unit


@kernel
def _unescape(data: Any, position: int) -> Any:
    """Return the code point that a valid JSON escape stands for, and its width in bytes."""
    letter = np.int64(data[position + 1])
    if letter == 117:  # u
        unit = _code_unit(data, position + 2)
        if 0xD800 <= unit < 0xDC00:
            low = _code_unit(data, position + 8)
            return 0x10000 + ((unit & 0x3FF) << 10 | low & 0x3FF), 12
        return unit, 6
    if letter == 110:  # n
        return 10, 2
    if letter == 116 or letter == 114 or letter == 98 or letter == 102:  # t r b f
        return 32, 2  # white space each, and white space is all alike
    return letter, 2


@kernel
def _decode(data: Any, position: int) -> Any:
    """Return the code point at a byte above 127 of valid UTF-8, and its width in bytes."""
    first = np.int64(data[position])
    second = np.int64(data[position + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = np.int64(data[position + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    fourth = np.int64(data[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4


@kernel
def _rare_entry(data: Any, position: int, kind: Any, codes: Any) -> Any:
    """Return the entry of a character that is not one byte, and its width in bytes."""
    if kind == _ESCAPE:
        code, width = _unescape(data, position)
    else:
        code, width = _decode(data, position)
    if code < TABLE_SIZE:
        return codes[code], width
    return (mix(code) & _SYMBOL) | np.uint64(classify_wide(code)), width


@kernel
def begin_text(state: Any) -> None:
    """Set the state of a text.

    uint64 [5]: two hashes, the blank before the next token, the blank there would be (none before
    the first token), and how many bytes there are beyond one per character.
    """
    state[:] = _NONE
    state[0], state[1] = _TEXT_SEED_1, _TEXT_SEED_2


@kernel
def next_words(
    data: Any, position: int, end: int, table: Any, codes: Any, state: Any, words: Any, count: int
) -> Any:
    """Hash words of a text until `words` is full; return where it stopped, and the count.

    Args:
        data: uint8, UTF-8 or, with `JSON_BYTES`, the inside of a JSON string.
        position: Where to go on.
        end: Where the text ends.
        table: uint64 [256], `PLAIN_BYTES` or `JSON_BYTES`.
        codes: uint64 [TABLE_SIZE], `CODES`.
        state: From `begin_text`, changed.
        words: uint64, filled from `count` on.
        count: Words that are there already.
    """
    first, second, blank, between, surplus = state[0], state[1], state[2], state[3], state[4]
    word, in_word = _WORD_SEED, False
    while count + 1 < words.size and (position < end or in_word):
        # One blank after the end closes the last word.
        entry, width = _SPACE, 1
        if position < end:
            entry = table[data[position]]
            if entry & _KIND >= _ESCAPE:
                entry, width = _rare_entry(data, position, entry & _KIND, codes)
                surplus += np.uint64(width - 1)
        kind = entry & _KIND
        position += width
        if kind == WORD:
            word, in_word = (word << _TURN | word >> _TURN_BACK) + entry, True
            continue
        if kind == IGNORED:
            continue
        if in_word:
            value = mix(word)
            words[count] = value
            count += 1
            first = (first ^ value ^ blank) * _TEXT_PRIME_1
            second = (second ^ (value + blank)) * _TEXT_PRIME_2
            second ^= second >> _FOLD
            word, in_word, blank, between = _WORD_SEED, False, _NONE, _BLANK
        if kind == SPACE:
            blank = between
            continue
        if kind == IDEOGRAPH:
            words[count] = mix(entry)
            count += 1
        first = (first ^ entry ^ blank) * _TEXT_PRIME_1
        second = (second ^ (entry + blank)) * _TEXT_PRIME_2
        second ^= second >> _FOLD
        blank, between = _NONE, _BLANK
    state[0], state[1], state[2], state[3], state[4] = first, second, blank, between, surplus
    return min(position, end), count


@kernel
def next_shingles(
    data: Any, position: int, end: int, table: Any, codes: Any, ngram: int, state: Any,
    words: Any, count: int, shingles: Any,
) -> Any:  # fmt: skip
    """Make the next shingles of a text.

    Args:
        data: As `next_words` takes it.
        position: As there.
        end: As there.
        table: As there.
        codes: As there.
        state: As there.
        ngram: Words in a shingle.
        words: uint64, the words kept from the last call, then new ones.
        count: How many are kept.
        shingles: uint64 [words.size], filled from the beginning.

    Returns:
        Where it stopped, the words kept for the next call, and the shingles made. At the end of a
        text of fewer words than `ngram` all of them are kept and none is made.
    """
    position, count = next_words(data, position, end, table, codes, state, words, count)
    made = max(count - ngram + 1, 0)
    if made == 0:
        return position, count, 0
    rolling, gone = _NONE, _ONE
    for index in range(ngram):
        rolling, gone = rolling * _ROLL + words[index], gone * _ROLL
    shingles[0] = mix(rolling)
    for index in range(1, made):
        rolling = rolling * _ROLL + words[index + ngram - 1] - words[index - 1] * gone
        shingles[index] = mix(rolling)
    for index in range(ngram - 1):
        words[index] = words[made + index]
    return position, ngram - 1, made


@kernel
def short_shingle(words: Any, count: int) -> Any:
    """Return the one shingle of a text of fewer words than an n-gram has."""
    rolling = _NONE
    for index in range(count):
        rolling = rolling * _ROLL + words[index]
    return mix(rolling)


@kernel
def end_text(state: Any, text_hash: Any) -> None:
    """Write the 128-bit hash of a text that was read to its end."""
    text_hash[0], text_hash[1] = mix(state[0]), mix(state[1])


@kernel
def shingle_batch(
    data: Any, offsets: Any, ngram: int, table: Any, codes: Any, shingles: Any, starts: Any,
    text_hashes: Any,
) -> None:  # fmt: skip
    """Shingle the texts of a batch, one after another.

    Args:
        data: uint8, the UTF-8 bytes of all texts.
        offsets: int64 [texts + 1], where each begins; the last is the end.
        ngram: Words in a shingle.
        table: uint64 [256], `PLAIN_BYTES`.
        codes: uint64 [TABLE_SIZE], `CODES`.
        shingles: uint64, filled; room for one per byte and text.
        starts: int64 [texts + 1], filled with where each text's shingles begin.
        text_hashes: uint64 [texts, 2], filled with the 128-bit hash of each folded text.
    """
    words = np.empty(ngram + CHUNK_WORDS, np.uint64)
    state = np.empty(STATE_SIZE, np.uint64)
    starts[0] = 0
    for text in range(offsets.size - 1):
        position, count, out = offsets[text], 0, starts[text]
        begin_text(state)
        while position < offsets[text + 1]:
            position, count, made = next_shingles(
                data, position, offsets[text + 1], table, codes, ngram, state, words, count,
                shingles[out:],
            )  # fmt: skip
            out += made
        if out == starts[text] and count > 1:
            shingles[out] = short_shingle(words, count)
            out += 1
        starts[text + 1] = out
        end_text(state, text_hashes[text])


def shingle_texts(
    texts: list[bytes], ngram: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return the shingles of texts, where each text's begin, and the texts' 128-bit hashes.

    Args:
        texts: Valid UTF-8.
        ngram: Words in a shingle; a text of two or more but fewer words has one shingle.
    """
    data, offsets = joined(texts)
    shingles = np.empty(data.size + len(texts), np.uint64)
    starts = np.empty(len(texts) + 1, np.int64)
    hashes = np.empty((len(texts), 2), np.uint64)
    shingle_batch(data, offsets, ngram, PLAIN_BYTES, CODES, shingles, starts, hashes)
    return shingles[: starts[-1]], starts, hashes


def joined(texts: list[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return texts end to end (uint8), and where each begins (int64 [texts + 1])."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return np.frombuffer(b"".join(texts), np.uint8), offsets


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    shingle_texts([b"en to tre"], 2)
