"""The numbers behind the quality rules, in one compiled pass over a batch of texts.

Words, lines, symbols, stop words and repeated n-grams as Gopher (Rae et al. 2021, appendix A1.1),
C4 (Raffel et al. 2020) and FineWeb (Penedo et al. 2024) define them, per text one row of
`MEASURES`. What is too much or too little is decided in `norcli.corpus.quality`, from data.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from norcli.corpus.language.kernel import BOUNDARY, NOTHING, classify

MEASURES: tuple[str, ...] = (
    "words",
    "characters",
    "mean_word_length",
    "symbol_ratio",
    "alphabetic_ratio",
    "stop_words",
    "lines",
    "bullet_line_ratio",
    "ellipsis_line_ratio",
    "terminal_line_ratio",
    "short_line_ratio",
    "line_break_ratio",
    "replacement_ratio",
    "brace_ratio",
    "digit_ratio",
    "duplicate_line_ratio",
    "duplicate_line_character_ratio",
    "duplicate_paragraph_ratio",
    "duplicate_paragraph_character_ratio",
    "top_2gram_ratio",
    "top_3gram_ratio",
    "top_4gram_ratio",
    "duplicate_5gram_ratio",
    "duplicate_6gram_ratio",
    "duplicate_7gram_ratio",
    "duplicate_8gram_ratio",
    "duplicate_9gram_ratio",
    "duplicate_10gram_ratio",
)
SHORT_LINE = 30  # characters; FineWeb's value
STOP_SLOTS = 256

_FIRST_LINE_MEASURE = MEASURES.index("lines")
_FIRST_DUPLICATE = MEASURES.index("duplicate_line_ratio")
_FIRST_TOP = MEASURES.index("top_2gram_ratio")
_FIRST_NGRAM = MEASURES.index("duplicate_5gram_ratio")

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_GRAM = np.uint64(0xD6E8FEB86659FD93)
_ONE = np.uint64(1)

_njit: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_njit
def decode(buffer: Any, i: int, end: int) -> tuple[Any, int]:
    """Return the character at a byte and where the next begins; the text is valid UTF-8."""
    byte: Any = np.int64(buffer[i])
    if byte < 0x80:
        return byte, i + 1
    if byte < 0xE0 and i + 1 < end:
        return ((byte & 0x1F) << 6) | (np.int64(buffer[i + 1]) & 0x3F), i + 2
    if byte < 0xF0 and i + 2 < end:
        second: Any = np.int64(buffer[i + 1]) & 0x3F
        third: Any = np.int64(buffer[i + 2]) & 0x3F
        return ((byte & 0x0F) << 12) | (second << 6) | third, i + 3
    # Beyond the basic plane: pictures and rare scripts; which one does not matter here.
    return 0x1F000, min(i + 4, end)


@_njit
def letter_of(code: int) -> Any:
    """Return the folded letter of a character, 0 for anything else; digits are 48 to 57."""
    if code < 0x80:
        if 97 <= code <= 122 or 48 <= code <= 57:
            return code
        return code + 32 if 65 <= code <= 90 else 0
    symbol = np.int64(classify(code))
    if symbol == BOUNDARY or symbol == NOTHING:  # noqa: SIM109 -- faster than a tuple
        return 0
    return symbol


@_njit
def read_words(buffer: Any, start: int, end: int, hashes: Any, lengths: Any, counts: Any) -> int:
    """Cut a text at white space and hash the letters and digits of each word, case folded.

    Args:
        buffer: UTF-8 bytes, uint8; the text is its part from start to before end.
        start: First byte of the text.
        end: One past its last byte.
        hashes: Output, uint64, room for one word per two bytes.
        lengths: Output, int32: letters and digits of each word.
        counts: Output, int64 (8,): characters, tokens, tokens with a letter, symbols (# and
            ellipses), replacement characters, braces, digits, letters and digits.

    Returns:
        The number of words: tokens with a letter or digit.
    """
    counts[:] = 0
    words, i = 0, start
    value, length, has_letter, in_token, dots, signs = _OFFSET, 0, False, False, 0, 0
    while i <= end:
        code = 32
        if i < end:
            code, i = decode(buffer, i, end)
            counts[0] += 1
        else:
            i += 1
        if code in (32, 10):
            if in_token:
                counts[1] += 1
                counts[2] += has_letter
                if length:
                    hashes[words] = value
                    lengths[words] = length
                    counts[7] += length
                    counts[3] += signs  # a lone "##" is a Markdown heading, "#tag" is a symbol
                    words += 1
                signs = 0
                value, length, has_letter, in_token = _OFFSET, 0, False, False
            dots = 0
            continue
        in_token = True
        letter = letter_of(code)
        if letter:
            value = (value ^ np.uint64(letter)) * _PRIME
            length += 1
            dots = 0
            if 48 <= letter <= 57:
                counts[6] += 1
            else:
                has_letter = True
            continue
        dots = dots + 1 if code == 46 else 0
        if code == 35:
            signs += 1
        elif dots == 3 or code == 0x2026:
            counts[3] += 1
        elif code == 0xFFFD:
            counts[4] += 1
        elif code == 123 or code == 125:
            counts[5] += 1
    return words


@_njit
def _is_terminal(code: int) -> bool:
    """Whether a line that ends so is likely running text: . ! ? : ; … and closing quotes."""
    if code < 0x80:
        return code in (33, 34, 39, 46, 58, 59, 63)
    return code in (0xBB, 0x2019, 0x201C, 0x201D, 0x2026)


@_njit
def measure_lines(buffer: Any, start: int, end: int, table: Any, row: Any) -> None:
    """Fill the measures of lines and paragraphs of one text, repetitions included."""
    lines = bullets = ellipses = terminals = shorts = breaks = 0
    # Repetitions: how many, and their characters; lines in [0], paragraphs in [1].
    repeated = np.zeros((2, 2), np.int64)
    paragraphs = characters = 0
    line_hash = paragraph_hash = _OFFSET
    line_length = paragraph_length = 0
    first = last = before = earlier = 0
    i = start
    while i <= end:
        code = 10
        if i < end:
            code, i = decode(buffer, i, end)
            breaks += code == 10
        else:
            i += 1
        if code != 10:
            if line_length == 0:
                first = code
            earlier, before, last = before, last, code
            line_hash = (line_hash ^ np.uint64(code)) * _PRIME
            line_length += 1
            continue
        if line_length:
            lines += 1
            characters += line_length
            bullets += first in (42, 45, 0x2022, 0x2023, 0x25AA, 0x25CF)
            ellipses += last == 0x2026 or (last == 46 and before == 46 and earlier == 46)
            terminals += _is_terminal(last)
            shorts += line_length <= SHORT_LINE
            if _seen_before(table, line_hash):
                repeated[0, 0] += 1
                repeated[0, 1] += line_length
            paragraph_hash = (paragraph_hash ^ line_hash) * _GRAM
            paragraph_length += line_length
        # An empty line, or the end, closes a paragraph.
        if paragraph_length and (line_length == 0 or i > end):
            paragraphs += 1
            if _seen_before(table, paragraph_hash ^ _SPREAD):
                repeated[1, 0] += 1
                repeated[1, 1] += paragraph_length
            paragraph_hash, paragraph_length = _OFFSET, 0
        line_hash, line_length, last, before = _OFFSET, 0, 0, 0
    first_measure = _FIRST_LINE_MEASURE
    row[first_measure] = lines
    row[first_measure + 1] = bullets / max(lines, 1)
    row[first_measure + 2] = ellipses / max(lines, 1)
    row[first_measure + 3] = terminals / max(lines, 1)
    row[first_measure + 4] = shorts / max(lines, 1)
    row[first_measure + 5] = breaks / max(row[0], 1)
    row[_FIRST_DUPLICATE] = repeated[0, 0] / max(lines, 1)
    row[_FIRST_DUPLICATE + 1] = repeated[0, 1] / max(characters, 1)
    row[_FIRST_DUPLICATE + 2] = repeated[1, 0] / max(paragraphs, 1)
    row[_FIRST_DUPLICATE + 3] = repeated[1, 1] / max(characters, 1)


@_njit
def _slot(table: Any, key: Any) -> Any:
    """Return the slot of a key in an open-addressing table of (key, count); key 0 is empty."""
    mask = np.uint64(len(table) - 1)
    key = key if key else _ONE
    at = (key * _SPREAD) >> np.uint64(32) & mask
    while table[at, 0] != 0 and table[at, 0] != key:
        at = (at + _ONE) & mask
    table[at, 0] = key
    return at


@_njit
def _seen_before(table: Any, key: int) -> bool:
    at = _slot(table, key)
    table[at, 1] += _ONE
    return table[at, 1] > 1


@_njit
def _power_of_two(least: int) -> int:
    size = 16
    while size < least:
        size *= 2
    return size


@_njit
def measure_ngrams(hashes: Any, lengths: Any, words: int, table: Any, row: Any) -> None:
    """Fill the shares of characters in the commonest 2- to 4-gram and in repeated 5- to 10-grams.

    As in Gopher: a repeated n-gram is counted once where it comes again, and reading goes on
    behind it, so that no character counts twice.
    """
    total = 0
    for i in range(words):
        total += lengths[i]
    total += max(words - 1, 0)
    size = _power_of_two(2 * words + 2)
    for n in range(2, 11):
        if words < n or (n > 5 and row[_FIRST_NGRAM] == 0.0):
            # Without a repeated 5-gram there is no longer one.
            continue
        table[:size] = 0
        power = _ONE
        for _ in range(n):
            power *= _GRAM
        value = np.uint64(0)
        characters = 0
        best: Any = 0
        most: Any = 0
        duplicated = 0
        skip_until = n - 1
        for i in range(words):
            value = value * _GRAM + hashes[i]
            characters += lengths[i] + 1
            if i >= n:
                value -= hashes[i - n] * power
                characters -= lengths[i - n] + 1
            if i < n - 1:
                continue
            if n <= 4:
                at = _slot(table[:size], value)
                table[at, 1] += _ONE
                count = np.int64(table[at, 1])
                if count > most or (count == most and count * (characters - 1) > best):
                    most = count
                    best = count * (characters - 1)
            elif i >= skip_until and _seen_before(table[:size], value):
                duplicated += characters - 1
                skip_until = i + n
        if n <= 4:
            row[_FIRST_TOP + n - 2] = best / max(total, 1) if most > 1 else 0.0
        else:
            row[_FIRST_NGRAM + n - 5] = duplicated / max(total, 1)


@_njit
def count_stop_words(hashes: Any, words: int, keys: Any, numbers: Any) -> int:
    """Count the different stop words among the first words of a text; stops at eight."""
    found = np.uint64(0)
    distinct = 0
    for i in range(words):
        at = np.int64(hashes[i] & np.uint64(STOP_SLOTS - 1))
        while keys[at] != 0:
            if keys[at] == hashes[i]:
                bit = _ONE << np.uint64(numbers[at])
                if not found & bit:
                    found |= bit
                    distinct += 1
                break
            at = (at + 1) % STOP_SLOTS
        if distinct >= 8:
            break
    return distinct


@_njit
def measure_texts(
    buffer: Any, offsets: Any, languages: Any, keys: Any, numbers: Any, rows: Any
) -> None:
    """Measure each text of a batch.

    Args:
        buffer: UTF-8 bytes of the texts end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        languages: Row of the stop-word tables for each text, int64 (T,).
        keys: Hashes of the stop words, open addressing, 0 empty, uint64 (L, STOP_SLOTS).
        numbers: The stop words' bits, 0 to 63, uint8 (L, STOP_SLOTS).
        rows: Output, float64 (T, measures).
    """
    longest = 0
    for t in range(len(offsets) - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    hashes = np.empty(longest // 2 + 2, np.uint64)
    lengths = np.empty(longest // 2 + 2, np.int32)
    # Lines and paragraphs together are never more than bytes + 1, n-grams not more than words.
    table = np.zeros((_power_of_two(2 * longest + 4), 2), np.uint64)
    counts = np.empty(8, np.int64)
    for t in range(len(offsets) - 1):
        start, end = offsets[t], offsets[t + 1]
        row = rows[t]
        row[:] = 0.0
        words = read_words(buffer, start, end, hashes, lengths, counts)
        row[0] = words
        row[1] = counts[0]
        row[2] = counts[7] / max(words, 1)
        row[3] = counts[3] / max(words, 1)
        row[4] = counts[2] / max(counts[1], 1)
        row[5] = count_stop_words(hashes, words, keys[languages[t]], numbers[languages[t]])
        row[12] = counts[4] / max(counts[0], 1)
        row[13] = counts[5] / max(counts[0], 1)
        row[14] = counts[6] / max(counts[7], 1)
        newlines = 0
        for i in range(start, end):
            newlines += buffer[i] == 10
        size = _power_of_two(4 * newlines + 8)
        table[:size] = 0
        measure_lines(buffer, start, end, table[:size], row)
        measure_ngrams(hashes, lengths, words, table, row)
