"""Shingling in slow and plain Python, to hold the kernel against."""

from __future__ import annotations

import unicodedata

MASK = (1 << 64) - 1
SEED_1, PRIME_1 = 0xCBF29CE484222325, 0x100000001B3
SEED_2, PRIME_2 = 0x243F6A8885A308D3, 0xD6E8FEB86659FD93
ROLL, BLANK, WORD_SEED = 0x9E3779B97F4A7C15, 0x9FB21C651E98DF25, 0xA0761D6478BD642F
KINDS = {"separator": 0, "word": 1, "ideograph": 4}


def reference_mix(value: int) -> int:
    value = ((value ^ value >> 33) * 0xFF51AFD7ED558CCD) & MASK
    value = ((value ^ value >> 33) * 0xC4CEB9FE1A85EC53) & MASK
    return value ^ value >> 33


def kind_of(letter: str) -> str:
    code = ord(letter)
    if code >= 0x3000:
        if code == 0x3000:
            return "space"
        if code == 0xFEFF or 0xFE00 <= code <= 0xFE0F:
            return "ignored"
        if 0x3040 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF:
            return "ideograph"
        parts = ((0x3001, 0x303F), (0xD800, 0xF8FF), (0xFE10, 0xFE6F), (0xFF00, 0xFF0F),
                 (0xFFF0, 0xFFFF), (0x1F000, 0x1FAFF), (0xE0000, 0x10FFFF))  # fmt: skip
        return "separator" if any(low <= code <= high for low, high in parts) else "word"
    category = unicodedata.category(letter)
    if letter.isspace() or category == "Cc":
        return "space"
    if category == "Cf":
        return "ignored"
    return "word" if category[0] in "LMN" else "separator"


def fold(letter: str) -> str:
    return letter.lower() if ord(letter) < 0x3000 and len(letter.lower()) == 1 else letter


def tokens_of(text: str) -> list[tuple[str, str]]:
    """Words, ideographs, separators and single blanks between them."""
    tokens: list[tuple[str, str]] = []
    word, blank = "", False

    def add(kind: str, value: str) -> None:
        nonlocal blank
        if blank and tokens:
            tokens.append(("blank", " "))
        tokens.append((kind, value))
        blank = False

    for letter in text + " ":
        kind = kind_of(letter)
        if kind == "word":
            word += fold(letter)
            continue
        if kind == "ignored":
            continue
        if word:
            add("word", word)
            word = ""
        if kind == "space":
            blank = True
        else:
            add(kind, letter)
    return tokens


def entry(kind: str, letter: str) -> int:
    return reference_mix(ord(letter)) & ~7 | KINDS[kind]


def word_hash(word: str) -> int:
    value = WORD_SEED
    for letter in word:
        value = ((value << 9 | value >> 55) + entry("word", letter)) & MASK
    return reference_mix(value)


def reference(text: str, ngram: int) -> tuple[list[int], tuple[int, int]]:
    first, second, words, blank = SEED_1, SEED_2, [], 0
    for kind, token in tokens_of(text):
        if kind == "blank":
            blank = BLANK
            continue
        value = word_hash(token) if kind == "word" else entry(kind, token)
        if kind == "word":
            words.append(value)
        elif kind == "ideograph":
            words.append(reference_mix(value))
        first = ((first ^ value ^ blank) * PRIME_1) & MASK
        second = ((second ^ (value + blank & MASK)) * PRIME_2) & MASK
        second ^= second >> 29
        blank = 0
    grams = [words[i : i + ngram] for i in range(len(words) - ngram + 1)]
    if 2 <= len(words) < ngram:
        grams = [words]
    shingles = []
    for gram in grams:
        value = 0
        for word in gram:
            value = (value * ROLL + word) & MASK
        shingles.append(reference_mix(value))
    return shingles, (reference_mix(first), reference_mix(second))
