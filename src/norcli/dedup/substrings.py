"""Kernels of ``--method substring``: find windows of words that stand elsewhere before.

Words are what white space separates, byte for byte. Every span of N words holds the smallest of
its half-length windows' hashes, its anchor (winnowing: Schleimer, Wilkerson and Aiken 2003), so a
span can be repeated only where an anchor is; only there all windows are hashed, sorted, and
compared byte by byte. The steps are put together in `norcli.dedup.spans`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.shingles import mix

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


@kernel
def _is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13


@kernel
def _split_words(data: Any, offsets: Any, starts: Any, begins: Any, ends: Any, hashes: Any) -> None:
    """Find the words of texts and hash each.

    Args:
        data: uint8, the UTF-8 bytes of all texts.
        offsets: int64 [texts + 1], where each begins.
        starts: int64 [texts + 1], filled with where each text's words begin.
        begins: int64, filled with where each word begins in `data`.
        ends: int64, filled with where each word ends.
        hashes: uint64, filled with the hash of each word.
    """
    count = 0
    for text in range(offsets.size - 1):
        starts[text] = count
        position, stop = offsets[text], offsets[text + 1]
        while position < stop:
            if _is_space(data[position]):
                position += 1
                continue
            begins[count] = position
            value = _FNV_OFFSET
            while position < stop and not _is_space(data[position]):
                value = (value ^ np.uint64(data[position])) * _FNV_PRIME
                position += 1
            ends[count], hashes[count] = position, mix(value)
            count += 1
    starts[offsets.size - 1] = count


class Words(NamedTuple):
    """The words of some texts.

    Attributes:
        starts: int64 [texts + 1], where each text's words begin in the other arrays.
        begins: int64, where each word begins, from the first byte of the first text.
        ends: int64, where each word ends.
        hashes: uint64.
    """

    starts: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]

    @property
    def most(self) -> int:
        """Words in the longest text."""
        return int(np.diff(self.starts).max(initial=0))


def split_words(texts: list[bytes]) -> tuple[Words, npt.NDArray[np.int64]]:
    """Split texts into words; return these, and where each text begins, the last one's end too."""
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    room = data.size // 2 + len(texts)
    words = Words(
        np.empty(len(texts) + 1, np.int64), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty(room, np.uint64),
    )  # fmt: skip
    _split_words(data, offsets, *words)
    count = words.starts[-1]
    return Words(
        words.starts, words.begins[:count], words.ends[:count], words.hashes[:count]
    ), offsets  # fmt: skip


@kernel
def _roll_windows(words: Any, begin: int, end: int, width: int, out: Any) -> int:
    """Fill `out` with the hash of each window of `width` words in [begin, end); return how many."""
    gone = _ONE
    for _ in range(width):
        gone = gone * _ROLL
    rolling = _ZERO
    for index in range(begin, end):
        rolling = rolling * _ROLL + words[index]
        if index - begin >= width:
            rolling -= words[index - width] * gone
        if index - begin + 1 >= width:
            out[index - begin + 1 - width] = mix(rolling)
    return max(end - begin + 1 - width, 0)


@kernel
def find_anchors(
    words: Any, starts: Any, scopes: Any, span: int, width: int, windows: Any, anchors: Any,
    places: Any, bounds: Any,
) -> None:  # fmt: skip
    """Choose the anchors of every text: the smallest window hash in each span.

    Args:
        words: uint64, hash of each word.
        starts: int64 [texts + 1], where each text's words begin.
        scopes: uint64 [texts], mixed into the hashes.
        span: Words in a span.
        width: Words in a window, fewer than in a span.
        windows: uint64, room to work, as long as the longest text has words.
        anchors: uint64, filled with the anchors' hashes.
        places: int64, filled with the first word of each anchor's window, from the text's first.
        bounds: int64 [texts + 1], filled with where each text's anchors begin.
    """
    count = 0
    reach = span - width + 1
    for text in range(starts.size - 1):
        bounds[text] = count
        total = _roll_windows(words, starts[text], starts[text + 1], width, windows)
        best = -1
        for last in range(reach - 1, total):
            first = last - reach + 1
            if best >= first:
                if windows[last] > windows[best]:
                    continue
                best = last
            else:
                best = first
                for place in range(first + 1, last + 1):
                    if windows[place] <= windows[best]:
                        best = place
            anchors[count], places[count] = windows[best] ^ scopes[text], best
            count += 1
    bounds[starts.size - 1] = count


@kernel
def find_candidates(
    words: Any, starts: Any, scopes: Any, span: int, width: int, anchor_places: Any,
    bounds: Any, repeated: Any, windows: Any, marks: Any, hashes: Any, places: Any, ends: Any,
) -> None:  # fmt: skip
    """List every span around a repeated anchor.

    Args:
        words: As for `find_anchors`, and so on to `bounds`.
        starts: As above.
        scopes: As above.
        span: As above.
        width: As above.
        anchor_places: As above.
        bounds: As above.
        repeated: bool, whether each anchor occurs more than once.
        windows: uint64, room to work.
        marks: bool, room to work, as long as the longest text has words, all false.
        hashes: uint64, filled with the hash of each span listed.
        places: int64, filled with its first word, from the text's first.
        ends: int64 [texts], filled with where each text's spans end.
    """
    count = 0
    for text in range(starts.size - 1):
        total = starts[text + 1] - starts[text] - span + 1
        found = False
        for index in range(bounds[text], bounds[text + 1]):
            if repeated[index]:
                found = True
                place = anchor_places[index]
                low, high = max(place + width - span, 0), min(place + 1, total)
                marks[low:high] = True
        if found:
            _roll_windows(words, starts[text], starts[text + 1], span, windows)
            for place in range(total):
                if marks[place]:
                    hashes[count], places[count] = windows[place] ^ scopes[text], place
                    marks[place] = False
                    count += 1
        ends[text] = count


@kernel
def _common_bytes(texts: Any, first: int, second: int, span: int) -> int:
    """Return the length of two equal spans of words; 0 when they differ.

    Args:
        texts: uint8, words with one blank between and a newline after each text.
        first: Where one begins.
        second: Where the other begins.
        span: Words in a span.
    """
    words, length = 0, 0
    while True:
        byte, other = texts[first + length], texts[second + length]
        # A text's last word ends in a newline, every other one in a blank: both end a word.
        ends = _is_space(byte)
        if ends != _is_space(other):
            return 0
        if ends:
            words += 1
            if words == span:
                return length
        elif byte != other:
            return 0
        length += 1


@kernel
def mark_repeats(hashes: Any, places: Any, order: Any, texts: Any, span: int, repeats: Any) -> int:
    """Mark the spans that stand elsewhere before; return how many pairs were compared.

    Args:
        hashes: uint64, of each span.
        places: int64, where each begins in `texts`.
        order: int64, the spans by hash, those of one hash in the order of the input.
        texts: uint8, see `_common_bytes`.
        span: Words in a span.
        repeats: uint8, one bit for each byte of `texts`, set where a repeated span begins.
    """
    compared = 0
    begin = 0
    while begin < order.size:
        end = begin + 1
        while end < order.size and hashes[order[end]] == hashes[order[begin]]:
            end += 1
        for later in range(begin + 1, end):
            place = places[order[later]]
            # Equal hashes are equal spans but for a collision, so the first one decides.
            for earlier in range(begin, later):
                compared += 1
                length = _common_bytes(texts, places[order[earlier]], place, span)
                if length == 0:
                    continue
                # What overlaps its own first copy is that copy: "ja ja ja" keeps one.
                if places[order[earlier]] + length < place:
                    repeats[place >> 3] |= np.uint8(1 << (place & 7))
                break
        begin = end
    return compared


@kernel
def cut_spans(repeated: Any, words: int, span: int, begins: Any, text_end: int, cuts: Any) -> Any:
    """Join the repeated spans of a text to what has to be cut.

    Args:
        repeated: bool, for each word whether a repeated span begins there.
        words: Words in the text.
        span: Words in a span.
        begins: int64, where each word begins.
        text_end: Where the text ends.
        cuts: int64 [_, 2], filled with where each cut begins and ends.

    Returns:
        How many cuts there are, and how many words they hold.
    """
    count, gone, end = 0, 0, 0
    for word in range(words):
        if not repeated[word]:
            continue
        if count == 0 or word > end:
            cuts[count, 0] = begins[word]
            count += 1
            end = word
        gone += word + span - end
        end = word + span
        cuts[count - 1, 1] = begins[end] if end < words else text_end
    return count, gone
