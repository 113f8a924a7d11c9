"""The compiled half of language identification: text bytes to symbols, symbols to class scores.

One pass folds case and digits and cuts the text into words; a second hashes the character 1- to
6-grams of each word (and the word itself) into a table of 8-bit weights and adds the rows up.
Training (tools/train_langid.py) uses the same two functions, so that what was learnt is what is
read. No decision is taken here: margins, calibration and names are in identifier.py.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

MAX_ORDER = 6
LANES = 16  # classes a row of the table has room for: two 64-bit words

BOUNDARY = 32  # between words, and at both ends of the text
DIGITS = 48  # any run of digits
FOREIGN = 0xFFFF  # any letter outside the Latin script
NOTHING = 0  # dropped: soft hyphen, zero-width and combining marks

SPACE, SLASH, COLON, AT = 32, 47, 58, 64  # in ASCII; what is below a space is white too

_FNV_OFFSET = np.uint32(0x811C9DC5)
_FNV_PRIME = np.uint32(0x01000193)
_WORD_SEED = np.uint32(0x5BD1E995)
_SPREAD = np.uint32(0x9E3779B1)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
# 16-bit sums of 8-bit values overflow after 257 additions.
_FLUSH_EVERY = 256

_njit: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_njit
def fold_ascii(byte: int) -> int:
    """Return the symbol of an ASCII character: small letter, digits or boundary."""
    if 97 <= byte <= 122:
        return byte
    if 65 <= byte <= 90:
        return byte + 32
    return DIGITS if 48 <= byte <= 57 else BOUNDARY


@_njit
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


@_njit
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


@_njit
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


@_njit
def starts_address(buffer: Any, i: int, end: int) -> bool:
    """Return whether an "@" or a "://" stands at byte i."""
    if buffer[i] == AT:
        return True
    return buffer[i] == COLON and i + 2 < end and buffer[i + 1] == SLASH and buffer[i + 2] == SLASH


@_njit
def read_symbols(buffer: Any, start: int, end: int, symbols: Any) -> int:
    """Turn UTF-8 bytes into symbols: words between single boundaries, case and digits folded.

    Addresses, which speak for no language, are left out: whatever stands between two ASCII spaces
    and contains "@" or "://".

    Args:
        buffer: UTF-8 bytes, uint8 (N,).
        start: First byte of the text.
        end: One past its last byte.
        symbols: Output, uint16, room for ``end - start + 2``.

    Returns:
        The number of symbols written; the first and the last are BOUNDARY, so 1 means no word.
        Malformed bytes count as boundaries.
    """
    symbols[0] = BOUNDARY
    count = 1
    last = BOUNDARY
    token = 1  # where the symbols since the last space begin
    i = start
    while i < end:
        byte = int(buffer[i])
        i += 1
        if byte < 0x80:
            symbol = fold_ascii(byte)
            if symbol == BOUNDARY and starts_address(buffer, i - 1, end):
                count = token
                last = BOUNDARY
                while i < end and buffer[i] > SPACE:
                    i += 1
                continue
        else:
            code, width = decode(buffer, i - 1, end)
            i += width - 1
            symbol = BOUNDARY if code < 0 else classify(code)
            if symbol == NOTHING:
                continue
        repeated = symbol == last and symbol in (BOUNDARY, DIGITS)
        if not repeated:
            last = symbol
            symbols[count] = last
            count += 1
        if byte <= SPACE:
            token = count
    if last != BOUNDARY:
        symbols[count] = BOUNDARY
        count += 1
    return count


@_njit
def hash_features(symbols: Any, count: int, bits: int, buckets: Any) -> int:
    """Hash every 1- to 6-gram of every word, boundaries included, and every longer word whole.

    Args:
        symbols: What `read_symbols` wrote, uint16.
        count: How many of them.
        bits: log2 of the number of buckets.
        buckets: Output, uint32, room for ``7 * count``.

    Returns:
        The number of buckets written.
    """
    shift = np.uint32(32 - bits)
    written = 0
    word = _WORD_SEED
    length = 0
    for i in range(count):
        if i > 0 and symbols[i] != BOUNDARY:
            word = np.uint32((word ^ np.uint32(symbols[i])) * _FNV_PRIME)
            length += 1
        elif i > 0:
            # Shorter words, with their two boundaries, are one of the n-grams already.
            if length > MAX_ORDER - 2:
                buckets[written] = np.uint32(word * _SPREAD) >> shift
                written += 1
            word = _WORD_SEED
            length = 0
        if i == count - 1:
            break
        value = np.uint32((_FNV_OFFSET ^ np.uint32(symbols[i])) * _FNV_PRIME)
        if symbols[i] != BOUNDARY:
            buckets[written] = np.uint32(value * _SPREAD) >> shift
            written += 1
        for k in range(i + 1, min(i + MAX_ORDER, count)):
            value = np.uint32((value ^ np.uint32(symbols[k])) * _FNV_PRIME)
            buckets[written] = np.uint32(value * _SPREAD) >> shift
            written += 1
            if symbols[k] == BOUNDARY:
                break
    return written


@_njit
def add_rows(rows: Any, buckets: Any, count: int, sums: Any) -> None:
    """Add the table rows of the buckets into the sums, 16 classes at a time.

    Two 64-bit words hold the 16 bytes of a row. Even and odd bytes are added apart, as four
    16-bit lanes of a word each, and emptied into the sums before a lane can overflow.

    Args:
        rows: The table, uint64 (buckets, 2): weights + 128, one byte a class, little-endian.
        buckets: Features, uint32.
        count: How many of them.
        sums: Output, int64 (16,); the 128 of each row is taken out again.
    """
    done = 0
    sums[:] = -128 * count
    while done < count:
        stop = min(done + _FLUSH_EVERY, count)
        even0 = odd0 = even1 = odd1 = np.uint64(0)
        for i in range(done, stop):
            first = rows[buckets[i], 0]
            second = rows[buckets[i], 1]
            even0 += first & _EVEN_BYTES
            odd0 += (first >> np.uint64(8)) & _EVEN_BYTES
            even1 += second & _EVEN_BYTES
            odd1 += (second >> np.uint64(8)) & _EVEN_BYTES
        for lane in range(4):
            shift = np.uint64(16 * lane)
            low = np.uint64(0xFFFF)
            sums[2 * lane] += np.int64((even0 >> shift) & low)
            sums[2 * lane + 1] += np.int64((odd0 >> shift) & low)
            sums[2 * lane + 8] += np.int64((even1 >> shift) & low)
            sums[2 * lane + 9] += np.int64((odd1 >> shift) & low)
        done = stop


@_njit
def sum_texts(buffer: Any, offsets: Any, rows: Any, bits: int, sums: Any, features: Any) -> None:
    """Sum the weights of each text of a batch.

    Args:
        buffer: The texts' UTF-8 bytes one after the other, uint8.
        offsets: Where each text starts, and the end of the last, int64 (T + 1,).
        rows: The table, see `add_rows`.
        bits: log2 of its number of buckets.
        sums: Output, int64 (T, 16).
        features: Output, int64 (T,): how many rows went into each sum.
    """
    longest = 0
    for t in range(len(offsets) - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    symbols = np.empty(longest + 2, np.uint16)
    buckets = np.empty(7 * (longest + 2), np.uint32)
    for t in range(len(offsets) - 1):
        count = read_symbols(buffer, offsets[t], offsets[t + 1], symbols)
        features[t] = hash_features(symbols, count, bits, buckets)
        add_rows(rows, buckets, features[t], sums[t])
