"""The compiled half of language identification: text bytes to symbols, symbols to class scores.

One pass folds case and digits and cuts the text into words and pieces; a second hashes the
character 3- to 5-grams of each word (and the word itself) into a table of 8-bit weights and adds
the rows up. No n-gram crosses a word, so a word always adds the same, and frequent words are
remembered. Training (tools/train_langid.py) uses the same functions, so that what was learnt is
what is read. No decision is taken here: margins, calibration and names are in identifier.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel

MIN_ORDER, MAX_ORDER = 3, 5
LANES = 16  # columns of a row: up to 15 classes, and in the last the number of features
FEATURES = LANES - 1

BOUNDARY = 32  # between words, and at both ends of the text
DIGITS = 48  # any run of digits
FOREIGN = 0xFFFF  # any letter outside the Latin script
NOTHING = 0  # dropped: soft hyphen, zero-width and combining marks

NEWLINE, SPACE, SLASH, COLON, AT = 10, 32, 47, 58, 64  # in ASCII; what is below a space is white

# A line or sentence of fewer symbols is no piece of its own; it goes with the next.
SHORTEST_PIECE = 12

# Words are remembered by a 64-bit hash, one in each of so many places; the sums of longer words
# might not fit into 16 bits.
REMEMBERED = 1 << 16
LONGEST_REMEMBERED = 32

_FNV_OFFSET = np.uint32(0x811C9DC5)
_FNV_PRIME = np.uint32(0x01000193)
_WORD_SEED = np.uint32(0x5BD1E995)
_SPREAD = np.uint32(0x9E3779B1)
_KEY_SEED = np.uint64(0xCBF29CE484222325)
_KEY_PRIME = np.uint64(0x9E3779B97F4A7C15)

_NO_BUCKET = np.uint32(0xFFFFFFFF)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
# 16-bit sums of 8-bit values overflow after 257 additions.
_FLUSH_EVERY = 256


def _ascii_symbols() -> npt.NDArray[np.uint16]:
    """Return the symbols of ASCII: small letters, digits, boundary."""
    symbols = np.full(128, BOUNDARY, np.uint16)
    symbols[97:123] = symbols[65:91] = np.arange(97, 123)
    symbols[48:58] = DIGITS
    return symbols


_ASCII = _ascii_symbols()


# What `read_symbols` takes where pieces are not asked for.
NO_PIECES: npt.NDArray[np.int64] = np.empty((0, 4), np.int64)


def new_memory() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int16]]:
    """Return room to remember words in: keys, 0 where none is, and sums of their rows.

    It must only be used with one table of weights and by one thread at a time.
    """
    return np.zeros(REMEMBERED, np.uint64), np.zeros((REMEMBERED, LANES), np.int16)


@kernel
def fold_latin(code: int) -> int:
    """Return the lower-case form of a Latin letter U+00C0-U+024F or U+1E00-U+1EFF.

    The blocks alternate capital and small letters, but for the few exceptions named here.
    """
    if code < 0x100:
        return code + 32 if 0xC0 <= code <= 0xDE else code
    if code == 0x178:
        return 0xFF
    odd_capital = 0x139 <= code <= 0x148 or 0x179 <= code <= 0x17E or 0x1CD <= code <= 0x1DC
    if odd_capital:
        return code + (code & 1)
    alternating = (
        0x100 <= code <= 0x137
        or 0x14A <= code <= 0x177
        or 0x1DE <= code <= 0x1EF
        or 0x1F8 <= code <= 0x21F
        or 0x222 <= code <= 0x233
        or 0x1E00 <= code <= 0x1E95
        or 0x1EA0 <= code <= 0x1EFF
    )
    if alternating:
        return code | 1
    if code == 0x1B7:
        return 0x292
    return code


@kernel
def classify(code: int) -> int:
    """Return the symbol of a code point from U+0080 up: letter, boundary, foreign or nothing."""
    if code < 0x250:
        if code == 0xAD:
            return NOTHING
        if code < 0xC0 or code == 0xD7 or code == 0xF7:
            return BOUNDARY
        return fold_latin(code)
    if code < 0x2B0:
        return code  # IPA extensions: small ezh and the like, used in Skolt Sámi
    if code < 0x370:
        return BOUNDARY if code < 0x300 else NOTHING
    if 0x1E00 <= code <= 0x1EFF:
        return fold_latin(code)
    if 0x200B <= code <= 0x200F or code == 0x2060 or code == 0xFEFF or 0xFE00 <= code <= 0xFE0F:
        return NOTHING
    if 0x2000 <= code <= 0x2BFF or 0x2E00 <= code <= 0x2E7F or 0x3000 <= code <= 0x303F:
        return BOUNDARY
    if 0xFF00 <= code <= 0xFF0F or 0xFFF0 <= code <= 0xFFFF or 0x1F000 <= code <= 0x1FAFF:
        return BOUNDARY
    return FOREIGN


@kernel
def decode(buffer: Any, start: int, end: int) -> tuple[int, int]:
    """Return the code point of a multi-byte UTF-8 sequence and its width; -1 and 1 if malformed."""
    lead = int(buffer[start])
    extra = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
    if lead < 0xC2 or lead > 0xF4 or start + extra >= end:
        return -1, 1
    code = lead & (0x3F >> extra)
    for k in range(1, extra + 1):
        following = int(buffer[start + k])
        if (following & 0xC0) != 0x80:
            return -1, 1
        code = (code << 6) | (following & 0x3F)
    return code, extra + 1


@kernel
def starts_address(buffer: Any, i: int, end: int) -> bool:
    """Return whether an "@" or a "://" stands at byte i."""
    if buffer[i] == AT:
        return True
    return buffer[i] == COLON and i + 2 < end and buffer[i + 1] == SLASH and buffer[i + 2] == SLASH


@kernel
def ends_sentence(code: int, ended: bool) -> bool:
    """Return whether a sentence has ended after a mark: one of . ! ? … and then quotes, brackets.

    Args:
        code: The code point of the mark.
        ended: Whether one had before it.
    """
    if code == 46 or code == 33 or code == 63 or code == 0x2026:
        return True
    closing = code == 34 or code == 39 or code == 41 or code == 93
    return ended and (closing or code == 0xBB or code == 0x201D or code == 0x2019)


@kernel
def read_symbol(buffer: Any, start: int, end: int) -> tuple[int, int, int]:
    """Return a code point, its width in bytes and its symbol; -1, 1 and BOUNDARY if malformed."""
    byte = int(buffer[start])
    if byte < 0x80:
        return byte, 1, int(_ASCII[byte])
    code, width = decode(buffer, start, end)
    return code, width, BOUNDARY if code < 0 else classify(code)


@kernel
def skip_address(buffer: Any, start: int, end: int) -> tuple[int, int]:
    """Return where the next white space stands, and how many characters are before it."""
    i, characters = start, 0
    while i < end and buffer[i] > SPACE:
        characters += (buffer[i] & 0xC0) != 0x80
        i += 1
    return i, characters


@kernel
def write_piece(pieces: Any, k: int, count: int, first: int, stop: int, line: bool) -> None:
    """Fill in a row of `read_symbols`' pieces."""
    pieces[k, 0] = count
    pieces[k, 1] = first
    pieces[k, 2] = stop
    pieces[k, 3] = line


@kernel
def read_symbols(buffer: Any, start: int, end: int, symbols: Any, pieces: Any) -> tuple[int, int]:
    """Turn UTF-8 bytes into symbols: words between single boundaries, case and digits folded.

    Addresses, which speak for no language, are left out: whatever stands between two ASCII spaces
    and contains "@" or "://". A piece ends with a line or, before a space, with a sentence.

    Args:
        buffer: UTF-8 bytes, uint8 (N,).
        start: First byte of the text.
        end: One past its last byte.
        symbols: Output, uint16, room for ``end - start + 2``.
        pieces: Output, int64 (P, 4), room for ``(end - start) // SHORTEST_PIECE + 2``: of each
            piece one past its last symbol, its first character, one past its last character, and
            whether a line ends after it. NO_PIECES if nobody asks.

    Returns:
        The number of symbols and of pieces written. The first symbol and the last are BOUNDARY, so
        1 means no word. Malformed bytes count as boundaries.
    """
    symbols[0] = last = BOUNDARY
    count = token = 1  # symbols so far, and where those since the last space begin
    cuts, cut = 0, 1 if len(pieces) else len(symbols)  # pieces so far, where the next begins
    character, first, stop, ended = 0, -1, 0, False
    i = start
    while i < end:
        byte = int(buffer[i])
        code, width, symbol = read_symbol(buffer, i, end)
        i += width
        character += 1
        if byte > SPACE:
            first = character - 1 if first < 0 else first
            if symbol == BOUNDARY and byte < 0x80 and starts_address(buffer, i - 1, end):
                count, last, ended = token, BOUNDARY, False
                i, skipped = skip_address(buffer, i, end)
                character += skipped
                stop = character
                continue
            stop = character
            if symbol == NOTHING:
                continue
            ended = symbol == BOUNDARY and ends_sentence(code, ended)
        if symbol != last or (symbol != BOUNDARY and symbol != DIGITS):
            symbols[count] = last = symbol
            count += 1
        if byte <= SPACE:
            line = byte == NEWLINE
            if first >= 0 and (line or ended) and count - cut >= SHORTEST_PIECE:
                write_piece(pieces, cuts, count, first, stop, line)
                cuts, cut, first = cuts + 1, count, -1
            elif first < 0 and line and cuts > 0:
                pieces[cuts - 1, 3] = 1
            token, ended = count, False
    if last != BOUNDARY:
        symbols[count] = BOUNDARY
        count += 1
    if first >= 0 and len(pieces):
        write_piece(pieces, cuts, count, first, stop, True)
        cuts += 1
    return count, cuts


@kernel
def hash_word(symbols: Any, first: int, last: int, bits: int, buckets: Any) -> int:
    """Hash every 3- to 5-gram of a word with its two boundaries, and a longer word whole.

    Args:
        symbols: What `read_symbols` wrote, uint16.
        first: Index of the boundary before the word.
        last: Index of the boundary after it.
        bits: log2 of the number of buckets.
        buckets: Output, uint32, room for ``7 * (last - first)``.

    Returns:
        The number of buckets written.
    """
    shift = np.uint32(32 - bits)
    written = 0
    for i in range(first, last):
        value = _FNV_OFFSET
        for k in range(i, min(i + MAX_ORDER, last + 1)):
            value = np.uint32((value ^ np.uint32(symbols[k])) * _FNV_PRIME)
            if k - i >= MIN_ORDER - 1:
                buckets[written] = np.uint32(value * _SPREAD) >> shift
                written += 1
    # Shorter words, with their two boundaries, are one of the n-grams already.
    if last - first > MAX_ORDER - 1:
        word = _WORD_SEED
        for i in range(first + 1, last):
            word = np.uint32((word ^ np.uint32(symbols[i])) * _FNV_PRIME)
        buckets[written] = np.uint32(word * _SPREAD) >> shift
        written += 1
    return written


@kernel
def hash_features(symbols: Any, count: int, bits: int, buckets: Any) -> int:
    """Hash the words of a text, see `hash_word`.

    Args:
        symbols: What `read_symbols` wrote, uint16.
        count: How many of them.
        bits: log2 of the number of buckets.
        buckets: Output, uint32, room for ``7 * count``.

    Returns:
        The number of buckets written.
    """
    written = 0
    first = 0
    for i in range(1, count):
        if symbols[i] == BOUNDARY:
            written += hash_word(symbols, first, i, bits, buckets[written:])
            first = i
    return written


@kernel
def add_rows(rows: Any, buckets: Any, features: int, sums: Any) -> None:
    """Add the table rows of the buckets into the sums, and how many they are to the last lane.

    Two 64-bit words hold the 16 bytes of a row. Even and odd bytes are added apart, as four
    16-bit lanes of a word each, and emptied into the sums before a lane can overflow.

    Args:
        rows: The table, uint64 (buckets, 2): weights + 128, one byte a class, little-endian.
        buckets: Features, uint32.
        features: How many of them.
        sums: Output, (16,) integers; the 128 of each row is taken out again.
    """
    done = 0
    while done < features:
        stop = min(done + _FLUSH_EVERY, features)
        even0 = odd0 = even1 = odd1 = np.uint64(0)
        # A loop that may end early is not turned into gathers of several rows, which are slow.
        for i in range(done, stop):
            bucket = buckets[i]
            if bucket == _NO_BUCKET:
                break
            first = rows[bucket, 0]
            second = rows[bucket, 1]
            even0 += first & _EVEN_BYTES
            odd0 += (first >> np.uint64(8)) & _EVEN_BYTES
            even1 += second & _EVEN_BYTES
            odd1 += (second >> np.uint64(8)) & _EVEN_BYTES
        offset = 128 * (stop - done)
        for lane in range(4):
            shift = np.uint64(16 * lane)
            low = np.uint64(0xFFFF)
            sums[2 * lane] += np.int64((even0 >> shift) & low) - offset
            sums[2 * lane + 1] += np.int64((odd0 >> shift) & low) - offset
            sums[2 * lane + 8] += np.int64((even1 >> shift) & low) - offset
            sums[2 * lane + 9] += np.int64((odd1 >> shift) & low) - offset
        done = stop
    sums[FEATURES] += features


@kernel
def add_words(
    symbols: Any, first: int, last: int, rows: Any, bits: int, keys: Any, remembered: Any,
    buckets: Any, sums: Any,
) -> None:  # fmt: skip
    """Add the rows of all words between two boundaries.

    Args:
        symbols: What `read_symbols` wrote, uint16.
        first: Index of the first boundary.
        last: Index of the last boundary.
        rows: The table, see `add_rows`; its last lane is all 128.
        bits: log2 of its number of buckets.
        keys: Of the remembered words, see `new_memory`.
        remembered: Their sums.
        buckets: Scratch, uint32, room for ``7 * (last - first)``.
        sums: Output, int64 (16,), added to; the last lane counts features.
    """
    start = first
    key = _KEY_SEED
    for i in range(first + 1, last + 1):
        symbol = symbols[i]
        if symbol != BOUNDARY:
            key = (key ^ np.uint64(symbol)) * _KEY_PRIME
            continue
        if i - start > LONGEST_REMEMBERED:
            features = hash_word(symbols, start, i, bits, buckets)
            add_rows(rows, buckets, features, sums)
        else:
            key ^= key >> np.uint64(32)
            place = np.int64(key & np.uint64(REMEMBERED - 1))
            known = remembered[place]
            if keys[place] != key:
                keys[place] = key
                known[:] = 0
                features = hash_word(symbols, start, i, bits, buckets)
                add_rows(rows, buckets, features, known)
            for lane in range(LANES):
                sums[lane] += known[lane]
        start = i
        key = _KEY_SEED


@kernel
def sum_texts(
    buffer: Any, offsets: Any, rows: Any, bits: int, keys: Any, remembered: Any, sums: Any
) -> None:
    """Sum the weights of each text of a batch.

    Args:
        buffer: The texts' UTF-8 bytes one after the other, uint8.
        offsets: Where each text starts, and the end of the last, int64 (T + 1,).
        rows: The table, as `bits`, `keys` and `remembered` see `add_words`.
        bits: log2 of its number of buckets.
        keys: Of the remembered words.
        remembered: Their sums.
        sums: Output, int64 (T, 16); the last lane counts features.
    """
    longest = 0
    for t in range(len(offsets) - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    symbols = np.empty(longest + 2, np.uint16)
    buckets = np.empty(7 * (longest + 2), np.uint32)
    pieces = np.empty((0, 4), np.int64)
    sums[:] = 0
    for t in range(len(offsets) - 1):
        count, _ = read_symbols(buffer, offsets[t], offsets[t + 1], symbols, pieces)
        add_words(symbols, 0, count - 1, rows, bits, keys, remembered, buckets, sums[t])
