"""The numbers behind the quality rules, in one compiled pass over a batch of texts.

Words, lines, symbols, stop words and repetitions as Gopher (Rae et al. 2021, appendix A1.1), C4
(Raffel et al. 2020) and FineWeb (Penedo et al. 2024) define them, per text one row of `MEASURES`;
repeated n-grams are counted in `norcli.corpus.repetition`. What is too much or too little is
decided in `norcli.corpus.quality`, from data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import inlined, kernel
from norcli.corpus.language.kernel import BOUNDARY, NOTHING, classify
from norcli.corpus.repetition import (
    DUPLICATE_ORDERS,
    TOP_ORDERS,
    find_slot,
    make_scratch,
    measure_repetition,
    power_of_two,
)

MEASURES: tuple[str, ...] = (
    "words",
    "characters",
    "mean_word_length",
    "longest_word",
    "symbol_ratio",
    "alphabetic_ratio",
    "stop_words",
    "sentence_ends",
    "replacement_ratio",
    "brace_ratio",
    "digit_ratio",
    "lines",
    "bullet_line_ratio",
    "ellipsis_line_ratio",
    "terminal_line_ratio",
    "short_line_ratio",
    "line_break_ratio",
    "duplicate_line_ratio",
    "duplicate_line_character_ratio",
    "duplicate_paragraph_ratio",
    "duplicate_paragraph_character_ratio",
    *(f"top_{n}gram_ratio" for n in TOP_ORDERS),
    *(f"duplicate_{n}gram_ratio" for n in DUPLICATE_ORDERS),
)
STOP_SLOTS = 256
TERMINAL, BULLET = 1, 2  # bits of the table of marks
MARKS = 0x10000  # its length: one byte for each character of the basic plane

_FIRST_LINE = MEASURES.index("lines")
_FIRST_DUPLICATE = MEASURES.index("duplicate_line_ratio")
_FIRST_NGRAM = MEASURES.index(f"top_{TOP_ORDERS[0]}gram_ratio")

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)


# The folded letter or digit of an ASCII byte, 0 for the others.
_FOLDED = np.zeros(256, np.uint8)
_FOLDED[48:58] = range(48, 58)
_FOLDED[65:91] = _FOLDED[97:123] = range(97, 123)


@kernel
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


@kernel
def count_characters(buffer: Any, start: int, end: int) -> Any:
    """Return how many characters begin in [start, end)."""
    count = 0
    for byte in buffer[start:end]:
        count += (byte & np.uint8(0xC0)) != np.uint8(0x80)
    return count


@kernel
def letter_of(code: int) -> Any:
    """Return the folded letter of a character from U+0080 up, 0 for anything else."""
    symbol = np.int64(classify(code))
    if symbol == BOUNDARY or symbol == NOTHING:  # noqa: SIM109 -- faster than a tuple
        return 0
    return symbol


@kernel
def _is_quote(code: int) -> bool:
    """Whether a character may close a sentence behind its full stop: quotes and brackets."""
    if code < 0x80:
        return code in (34, 39, 41, 93)
    return code in (0xBB, 0x2018, 0x2019, 0x201C, 0x201D)


@inlined
def _read_token(text: Any, i: int, counts: Any) -> tuple[int, Any, int, int, bool, int]:
    """Read from a byte to the next white space, counting signs.

    Returns:
        Where it ends, the hash of its letters and digits, how many they are and how many of them
        digits, whether a sentence ends with it, and its number signs.
    """
    size = len(text)
    value, length, figures, ends, signs, dots = _OFFSET, 0, 0, False, 0, 0
    while i < size:
        run = i
        while i < size and _FOLDED[text[i]] > 57:
            value = (value ^ np.uint64(_FOLDED[text[i]])) * _PRIME
            i += 1
        if i > run:
            length += i - run
            ends, dots = False, 0
            if i == size:
                break
        code: Any = np.int64(text[i])
        symbol: Any = np.int64(_FOLDED[text[i]])
        if code == 32 or code == 10:
            break
        if code < 0x80:
            i += 1
        else:
            code, i = decode(text, i, size)
            symbol = letter_of(code)
        if symbol:
            value = (value ^ np.uint64(symbol)) * _PRIME
            length += 1
            figures += symbol <= 57
            ends, dots = False, 0
            continue
        dots = dots + 1 if code == 46 else 0
        # The dots of a table of contents, however many, are one ellipsis.
        counts[3] += code == 0x2026 or dots == 3
        ends = code in (33, 46, 63, 0x2026) or (ends and _is_quote(code))
        signs += code == 35
        counts[4] += code == 0xFFFD
        counts[5] += code == 123 or code == 125
    return i, value, length, figures, ends, signs


@kernel
def read_words(buffer: Any, start: int, end: int, hashes: Any, before: Any, counts: Any) -> int:
    """Cut a text at white space and hash the letters and digits of each word, case folded.

    Args:
        buffer: UTF-8 bytes, uint8; the text is its part from start to before end.
        start: First byte of the text.
        end: One past its last byte.
        hashes: Output, uint64, room for one word per two bytes.
        before: Output, int64, one more: letters and digits in the words before each.
        counts: Output, int64 (8,): tokens, tokens with a letter, number signs, ellipses,
            replacement characters, braces, digits, tokens that end a sentence.

    Returns:
        The number of words: tokens with a letter or digit.
    """
    counts[:] = 0
    words = tokens = lettered = numbers = digits = sentences = 0
    letters: Any = 0
    before[0] = 0
    text = buffer[start:end]
    i, size = 0, len(text)
    while i < size:
        if text[i] == 32 or text[i] == 10:
            i += 1
            continue
        i, value, length, figures, ends, signs = _read_token(text, i, counts)
        tokens += 1
        digits += figures
        lettered += length > figures
        sentences += ends
        if length:
            hashes[words] = value
            words += 1
            letters += length
            before[words] = letters
            numbers += signs  # a lone "##" is a Markdown heading, "#tag" is a symbol
    counts[0], counts[1], counts[2] = tokens, lettered, numbers
    counts[6], counts[7] = digits, sentences
    return words


@kernel
def _last_character(buffer: Any, start: int, end: int) -> tuple[Any, int]:
    """Return the last character of [start, end), which is not empty, and where it begins."""
    at = end - 1
    while at > start and (buffer[at] & 0xC0) == 0x80:
        at -= 1
    return decode(buffer, at, end)[0], at


@kernel
def _is_ellipsis(buffer: Any, start: int, end: int) -> bool:
    """Whether a line that is not empty ends in an ellipsis."""
    if buffer[end - 1] == 46:
        return end - start >= 3 and buffer[end - 2] == 46 and buffer[end - 3] == 46
    return _last_character(buffer, start, end)[0] == 0x2026


@kernel
def _hash_bytes(buffer: Any, start: int, end: int) -> Any:
    """Hash bytes, eight at a step."""
    value: Any = _OFFSET ^ np.uint64(end - start)
    i = start
    while i + 8 <= end:
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(buffer[i + k]) << np.uint64(8 * k)
        value = (value ^ word) * _SPREAD
        value ^= value >> np.uint64(29)
        i += 8
    while i < end:
        value = (value ^ np.uint64(buffer[i])) * _PRIME
        i += 1
    return value ^ (value >> np.uint64(32))


@kernel
def measure_lines(
    buffer: Any, start: int, end: int, words: int, marks: Any, short: int, table: Any, row: Any
) -> None:
    """Fill the measures of lines and paragraphs of one text, repetitions included.

    Args:
        buffer: UTF-8 bytes, uint8; the text is its part from start to before end.
        start: First byte of the text.
        end: One past its last byte.
        words: Its number of words.
        marks: Bits TERMINAL and BULLET for each character, uint8 (MARKS,).
        short: Up to so many characters a line is short.
        table: Zeroed room for the keys of all lines and paragraphs, a power of two, uint64 (S, 2).
        row: Output: the measures of the text.
    """
    lines = bullets = ellipses = terminals = shorts = breaks = paragraphs = 0
    characters: Any = 0
    # Repetitions: how many, and their characters; lines in [0], paragraphs in [1].
    repeated = np.zeros((2, 2), np.int64)
    paragraph_hash: Any = _OFFSET
    paragraph_length: Any = 0
    i = start
    while i <= end:
        stop = i
        while stop < end and buffer[stop] != 10:
            stop += 1
        breaks += stop < end
        length: Any = 0
        if stop > i:
            length = count_characters(buffer, i, stop)
            line_hash = _hash_bytes(buffer, i, stop)
            lines += 1
            characters += length
            first = decode(buffer, i, stop)[0]
            last = _last_character(buffer, i, stop)[0]
            bullets += first < MARKS and (marks[first] & BULLET) != 0
            terminals += last < MARKS and (marks[last] & TERMINAL) != 0
            ellipses += _is_ellipsis(buffer, i, stop)
            shorts += length <= short
            if _seen_before(table, line_hash):
                repeated[0, 0] += 1
                repeated[0, 1] += length
            paragraph_hash = (paragraph_hash ^ line_hash) * _SPREAD
            paragraph_length += length
        # An empty line, or the end, closes a paragraph.
        if paragraph_length and (length == 0 or stop >= end):
            paragraphs += 1
            if _seen_before(table, paragraph_hash ^ _SPREAD):
                repeated[1, 0] += 1
                repeated[1, 1] += paragraph_length
            paragraph_hash, paragraph_length = _OFFSET, 0
        i = stop + 1
    shares = row[_FIRST_LINE:]
    shares[0] = lines
    shares[1], shares[2] = bullets / max(lines, 1), ellipses / max(lines, 1)
    shares[3], shares[4] = terminals / max(lines, 1), shorts / max(lines, 1)
    shares[5] = breaks / max(words, 1)
    shares = row[_FIRST_DUPLICATE:]
    shares[0], shares[1] = repeated[0, 0] / max(lines, 1), repeated[0, 1] / max(characters, 1)
    shares[2], shares[3] = repeated[1, 0] / max(paragraphs, 1), repeated[1, 1] / max(characters, 1)


@kernel
def _seen_before(table: Any, key: Any) -> bool:
    at = find_slot(table[:, 0], key)
    table[at, 1] += _ONE
    return table[at, 1] > 1


@kernel
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


@kernel
def measure_texts(
    buffer: Any, offsets: Any, languages: Any, keys: Any, numbers: Any, marks: Any, short: int,
    rows: Any,
) -> None:  # fmt: skip
    """Measure each text of a batch.

    Args:
        buffer: UTF-8 bytes of the texts end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        languages: Row of the stop-word tables for each text, int64 (T,).
        keys: Hashes of the stop words, open addressing, 0 empty, uint64 (L, STOP_SLOTS).
        numbers: The stop words' bits, 0 to 63, uint8 (L, STOP_SLOTS).
        marks: Bits TERMINAL and BULLET for each character, uint8 (MARKS,).
        short: Up to so many characters a line is short.
        rows: Output, float64 (T, measures).
    """
    longest = 0
    for t in range(len(offsets) - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    hashes = np.empty(longest // 2 + 2, np.uint64)
    before = np.empty(longest // 2 + 3, np.int64)
    scratch = make_scratch(longest // 2 + 2)
    # Lines and paragraphs together are never more than bytes + 1.
    table = np.empty((power_of_two(2 * longest + 4), 2), np.uint64)
    counts = np.empty(8, np.int64)
    for t in range(len(offsets) - 1):
        start, end, row = offsets[t], offsets[t + 1], rows[t]
        words = read_words(buffer, start, end, hashes, before, counts)
        row[0] = words
        row[1] = count_characters(buffer, start, end)
        row[2] = before[words] / max(words, 1)
        row[3] = 0
        for k in range(words):
            row[3] = max(row[3], before[k + 1] - before[k])
        row[4] = max(counts[2], counts[3]) / max(words, 1)
        row[5] = counts[1] / max(counts[0], 1)
        row[6] = count_stop_words(hashes, words, keys[languages[t]], numbers[languages[t]])
        row[7] = counts[7]
        row[8], row[9] = counts[4] / max(row[1], 1), counts[5] / max(row[1], 1)
        row[10] = counts[6] / max(before[words], 1)
        newlines = 0
        for byte in buffer[start:end]:
            newlines += byte == np.uint8(10)
        size = power_of_two(4 * newlines + 8)
        table[:size] = 0
        measure_lines(buffer, start, end, words, marks, short, table[:size], row)
        shares = row[_FIRST_NGRAM:]
        measure_repetition(hashes, before, words, scratch, shares)
        shares /= max(row[1], 1)
