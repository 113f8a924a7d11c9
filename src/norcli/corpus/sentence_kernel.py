"""Sentence boundaries in one compiled pass over the bytes of a batch of texts.

Where a full stop, a question mark, an exclamation mark, an ellipsis, a smiley or an emoji is
followed by space, the word before it and the word after it decide; rules and words are told in
`norcli.corpus.sentences` and its TOML file. The same rules stand as plain Python in
tests/corpus/reference_sentences.py, and a property test holds this kernel to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from norcli.compiled import kernel
from norcli.corpus.quality_kernel import decode

# What a character is; a character may be several of these.
SPACE, LOWER, UPPER, DIGIT, ALPHA, MARK, QUOTE, DASH, VOWEL = (1 << k for k in range(9))
ALNUM = ALPHA | DIGIT
TABLE_SIZE = 0x3000
"""Characters from here on are letters without case, those beyond U+FFFF are pictures."""

# What a word is.
JOINING, UNIT, ENDING, NUMBERED, STARTER, ORDINAL, ARTICLE, SPEECH = (1 << k for k in range(8))
ABBREVIATION = JOINING | UNIT | ENDING | NUMBERED
MAX_WORD = 24  # characters; longer ones are in no list

# What stands behind a full stop: a quote; a bracket or a quote that is no apostrophe.
SPOKEN, CLOSED = 1, 2

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_PICTURE = 0x1F000  # what `decode` returns for any character beyond U+FFFF


@kernel
def _kind(kinds: Any, code: int) -> Any:
    if code < TABLE_SIZE:
        return np.int64(kinds[code])
    return ALPHA if code < _PICTURE else 0


@kernel
def _previous(buffer: Any, i: int) -> Any:
    """Return where the character before byte i begins."""
    i -= 1
    while buffer[i] & 0xC0 == 0x80:
        i -= 1
    return i


@kernel
def hash_word(buffer: Any, start: int, end: int, lowers: Any) -> Any:
    """Return the hash of the characters of bytes [start, end) in lower case."""
    value = _OFFSET
    i = start
    while i < end:
        code, i = decode(buffer, i, end)
        code = np.int64(lowers[code]) if code < TABLE_SIZE else code
        value = (value ^ np.uint64(code)) * _PRIME
    return value


@kernel
def look_up(keys: Any, flags: Any, value: int) -> Any:
    """Return the flags of a hashed word, 0 for an unknown one; key 0 is an empty slot."""
    mask = np.uint64(len(keys) - 1)
    at = value & mask
    while keys[at] != 0:
        if keys[at] == value:
            return np.int64(flags[at])
        at = (at + np.uint64(1)) & mask
    return 0


@kernel
def _smiley(buffer: Any, i: int, begin: int, end: int, kinds: Any) -> tuple[Any, int]:
    """Return where a smiley or a run of pictures at byte i ends, and its characters, 0 for none.

    ``:-)`` and the like stand by themselves, or behind a letter with a round mouth: "takk:)".
    """
    if buffer[i] >= 0xF0:
        start, count = i, 0
        while i < end:
            code, after = decode(buffer, i, end)
            # The variation selector and the joiner make one picture of several characters.
            if code != _PICTURE and code != 0xFE0F and code != 0x200D:
                break
            i = after
            count += 1
        return (i, count) if i > start else (i, 0)
    j = i + 1
    if j < end and (buffer[j] == 45 or buffer[j] == 39):
        j += 1
    if j >= end:
        return i, 0
    mouth = buffer[j]
    if mouth != 41 and mouth != 40 and mouth != 68 and mouth != 80:
        return i, 0
    if i > begin:
        code, _ = decode(buffer, _previous(buffer, i), end)
        before = _kind(kinds, code)
        if before & DIGIT or (before & ALPHA and mouth != 41):
            return i, 0
    while j < end and buffer[j] == mouth:
        j += 1
    if j < end:
        code, _ = decode(buffer, j, end)
        if _kind(kinds, code) & ALNUM:
            return i, 0
    return j, j - i


@kernel
def _first_letter(buffer: Any, i: int, end: int, kinds: Any) -> Any:
    """Return the byte of the first letter or digit from i on, `end` if there is none."""
    while i < end:
        code, after = decode(buffer, i, end)
        if _kind(kinds, code) & ALNUM:
            return i
        i = after
    return end


@kernel
def _word_start(buffer: Any, start: int, end: int, kinds: Any) -> Any:
    """Return where the word that ends at byte `end` begins, not before `start`.

    A word is letters, digits and any of . - & / : ' ’ between them, at most `MAX_WORD` characters.
    """
    i, first = end, end
    for _ in range(MAX_WORD):
        if i <= start:
            break
        j = _previous(buffer, i)
        code, _after = decode(buffer, j, end)
        if _kind(kinds, code) & ALNUM:
            first = j
        elif code not in (46, 45, 38, 47, 58, 39, 0x2019):
            break
        i = j
    return first


@kernel
def _digits(buffer: Any, i: int, end: int) -> Any:
    """Return where the ASCII digits from byte i on end."""
    while i < end and 48 <= buffer[i] <= 57:
        i += 1
    return i


@kernel
def _letters_end(buffer: Any, i: int, end: int, kinds: Any) -> Any:
    """Return where the letters from byte i on end, or `MAX_WORD` of them."""
    for _ in range(MAX_WORD):
        if i >= end:
            break
        code, after = decode(buffer, i, end)
        if not _kind(kinds, code) & ALPHA:
            break
        i = after
    return i


@kernel
def _shape(buffer: Any, start: int, end: int, kinds: Any) -> tuple[int, int, int, int, int]:
    """Return what all characters of a word are and what any is, and three numbers.

    Returns:
        Bits that all have, bits that some have, the number of characters, of those behind the
        last full stop, and the bits of the last character.
    """
    every, some, count, tail, last = 0xFFFF, 0, 0, 0, 0
    i = start
    while i < end:
        code, i = decode(buffer, i, end)
        last = _kind(kinds, code)
        every &= last
        some |= last
        count += 1
        tail = 0 if code == 46 else tail + 1
    return every, some, count, tail, last


@kernel
def _is_address(buffer: Any, i: int, end: int) -> bool:
    """Whether http://, https:// or www. stands at byte i."""
    if end - i < 8:
        return False
    if buffer[i] == 119:
        return buffer[i + 1] == 119 and buffer[i + 2] == 119 and buffer[i + 3] == 46
    if buffer[i] != 104 or buffer[i + 1] != 116 or buffer[i + 2] != 116 or buffer[i + 3] != 112:
        return False
    j = i + 5 if buffer[i + 4] == 115 else i + 4
    return buffer[j] == 58 and buffer[j + 1] == 47 and buffer[j + 2] == 47


@kernel
def _after_number(
    buffer: Any, start: int, word: int, length: int, after: int, end: int, follows: int, tables: Any
) -> bool:
    """Whether a number at byte `word` and its full stop end a sentence; else it is an ordinal."""
    kinds, lowers, keys, flags = tables
    if length <= 3 and _first_letter(buffer, start, end, kinds) == word:
        return False  # "1. Kongen ...", "§ 3. ..."
    if follows & ORDINAL:
        return False
    if 48 <= buffer[after] <= 57:
        # The two stops of "17. 5. 2020".
        stop = _digits(buffer, after, end)
        day = stop - after <= 2 and stop < end and buffer[stop] == 46
        month = stop - after == 4 and word - start >= 3 and buffer[word - 1] == 32
        month = month and buffer[word - 2] == 46 and 48 <= buffer[word - 3] <= 57
        return not (length <= 2 and (day or month))
    if length <= 3 and not follows & STARTER:
        j = word
        while j > start and buffer[j - 1] == 32:
            j -= 1
        i = j
        while i > start and buffer[i - 1] != 32:
            i -= 1
        return not look_up(keys, flags, hash_word(buffer, i, j, lowers)) & ARTICLE
    return True


@kernel
def _after_stop(
    buffer: Any, start: int, mark: int, after: int, end: int, shut: bool, opened: bool,
    lower: bool, follows: int, tables: Any,
) -> bool:  # fmt: skip
    """Whether a single full stop at byte `mark` ends the sentence that begins at `start`."""
    kinds, lowers, keys, flags = tables
    word = _word_start(buffer, start, mark, kinds)
    every, some, length, tail, last = _shape(buffer, word, mark, kinds)
    known = look_up(keys, flags, hash_word(buffer, word, mark, lowers))
    if lower:
        if opened or known & ABBREVIATION or length < 2 or not every & ALPHA:
            return False
        first, _ = decode(buffer, _first_letter(buffer, start, end, kinds), end)
        # Who begins sentences with small letters does so again; others forget it now and then.
        return bool(_kind(kinds, first) & LOWER) or (length >= 4 and bool(some & VOWEL))
    if shut:
        return True
    starter = bool(follows & STARTER)
    if length and every & DIGIT:
        return _after_number(buffer, start, word, length, after, end, follows, tables)
    if known & NUMBERED and 48 <= buffer[after] <= 57:
        return False
    if length > 1 and every & UPPER:
        return True  # "NRK", "SV": no abbreviation has a full stop and capitals only
    if known & JOINING:
        return False
    if known & UNIT:
        return starter
    if known & ENDING:
        return True
    # "A. Hansen", "H.C. Andersen", "s. 12", but "Det var det han tenkte på i. Så"
    if tail == 1 and last & ALPHA and (last & UPPER or length > 1 or not last & VOWEL):
        return starter
    return True


@kernel
def cut_texts(
    buffer: Any, offsets: Any, kinds: Any, lowers: Any, keys: Any, flags: Any, spans: Any,
    counts: Any,
) -> None:  # fmt: skip
    """Find the sentences of each text of a batch.

    Args:
        buffer: The texts' UTF-8 bytes end to end, uint8.
        offsets: Start of each text and the end of the last, int64 (T + 1,).
        kinds: What each character is, uint16 (TABLE_SIZE,).
        lowers: The lower-case form of each character, uint16 (TABLE_SIZE,).
        keys: Hashes of the known words, open addressing, 0 empty, uint64.
        flags: What each known word is, uint8, as long as `keys`.
        spans: Output, int32 (S, 2): first character and one past the last, within the text; there
            is room for a sentence per two bytes and text.
        counts: Output, int64 (T,): sentences of each text.
    """
    tables = (kinds, lowers, keys, flags)
    written = 0
    for t in range(len(offsets) - 1):
        first = written
        i = line = offsets[t]
        characters = 0
        while line <= offsets[t + 1]:
            while i < offsets[t + 1] and buffer[i] != 10:
                i += 1
            written, characters = _cut_line(buffer, line, i, characters, tables, spans, written)
            characters += 1  # the newline
            i += 1
            line = i
        counts[t] = written - first


@kernel
def _cut_line(
    buffer: Any, begin: int, end: int, characters: int, tables: Any, spans: Any, written: int
) -> tuple[Any, Any]:
    """Write the spans of a line; return how many there are now, and the characters so far."""
    kinds = tables[0]
    i, at = _skip_space(buffer, begin, end, characters, kinds)
    start, start_at = i, at
    last, last_at = i, at  # one past the last character that is no space
    talk = False
    while i < end:
        byte = buffer[i]
        stop, length = i, 0
        is_smiley = False
        if byte in (58, 59, 61) or byte >= 0xF0:
            stop, length = _smiley(buffer, i, begin, end, kinds)
            is_smiley = length > 0
        elif byte in (33, 46, 63) or byte == 0xE2:
            stop, length = _marks(buffer, i, end, kinds)
        if length == 0:
            code, i = decode(buffer, i, end)
            at += 1
            if not _kind(kinds, code) & SPACE:
                last, last_at = i, at
            continue
        mark = i
        i, at, closed = _skip_closers(buffer, stop, end, at + length, kinds)
        last, last_at = i, at
        after, after_at = _skip_space(buffer, i, end, at, kinds)
        if after == i or after >= end:
            continue
        code, _ = decode(buffer, start, end)
        talk = talk or bool(_kind(kinds, code) & (QUOTE | DASH))
        if _ends_sentence(
            buffer, start, mark, stop, length, after, begin, end, closed, talk, is_smiley, tables
        ):
            spans[written, 0], spans[written, 1] = start_at, at
            written += 1
            start, start_at = after, after_at
        i, at = after, after_at
    if last > start:
        spans[written, 0], spans[written, 1] = start_at, last_at
        written += 1
    return written, at


@kernel
def _skip_space(buffer: Any, i: int, end: int, at: int, kinds: Any) -> tuple[Any, Any]:
    while i < end:
        code, after = decode(buffer, i, end)
        if not _kind(kinds, code) & SPACE:
            break
        i = after
        at += 1
    return i, at


@kernel
def _skip_closers(buffer: Any, i: int, end: int, at: int, kinds: Any) -> tuple[Any, Any, int]:
    """Skip quotes and brackets behind a mark; also return what they are together."""
    closed = 0
    while i < end:
        code, after = decode(buffer, i, end)
        if _kind(kinds, code) & QUOTE:
            closed |= SPOKEN if code == 39 or code == 0x2019 else SPOKEN | CLOSED
        elif code == 41 or code == 93:
            closed |= CLOSED
        else:
            break
        i = after
        at += 1
    return i, at, closed


@kernel
def _marks(buffer: Any, i: int, end: int, kinds: Any) -> tuple[Any, int]:
    """Return where a run of . ! ? … ends, and its length in characters."""
    count = 0
    while i < end:
        code, after = decode(buffer, i, end)
        if not _kind(kinds, code) & MARK:
            break
        i = after
        count += 1
    return i, count


@kernel
def _ends_sentence(
    buffer: Any, start: int, mark: int, stop: int, length: int, after: int, begin: int, end: int,
    closed: int, talk: bool, is_smiley: bool, tables: Any,
) -> bool:  # fmt: skip
    """Decide over the marks in bytes [mark, stop), where something comes after the space."""
    kinds, lowers, keys, flags = tables
    if buffer[after] in (58, 59, 61) or buffer[after] >= 0xF0:
        _, smiley = _smiley(buffer, after, begin, end, kinds)
        if smiley:
            return False  # the smiley belongs to this sentence, and ends it
    i, dashed, kind = after, False, 0
    while i < end:
        code, behind = decode(buffer, i, end)
        kind = _kind(kinds, code)
        if kind & (ALNUM | MARK):
            break
        dashed = dashed or bool(kind & DASH)
        i = behind
    if i >= end or kind & MARK:
        return False
    lower = bool(kind & LOWER) and not _is_address(buffer, i, end)
    letters = _letters_end(buffer, i, end, kinds)
    follows = look_up(keys, flags, hash_word(buffer, i, letters, lowers))
    if letters < end and (buffer[letters] == 46 or buffer[letters] == 45):
        follows &= ~STARTER  # the "I." of "A. I. Rabin", "In-ho"
    first, _ = decode(buffer, _first_letter(buffer, start, end, kinds), end)
    if is_smiley:
        return not lower or bool(_kind(kinds, first) & LOWER)
    strong = False
    for k in range(mark, stop):
        strong = strong or buffer[k] == 33 or buffer[k] == 63
    if strong:
        # "Hva?" spurte hun, – Nei! ropte han: speech goes on where a small letter follows.
        return not lower or not (closed & SPOKEN or talk or dashed or follows & SPEECH)
    if length > 1 or buffer[mark] == 0xE2:
        return not lower
    opened = closed != 0 or i > after
    shut = bool(closed & CLOSED)
    return _after_stop(buffer, start, mark, i, end, shut, opened, lower, follows, tables)
