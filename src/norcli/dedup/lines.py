"""Lines and paragraphs that stood in the corpus before: which of them to cut out of each text.

``--method lines`` and ``paragraphs``, in one pass: the first copy stays. Lines are the same when
they are apart from case, white space and invisible marks, by 64 bits of the hash that exact
duplicates are found with. Short ones are never cut: they repeat by chance. When a text is dropped
for what is left of it, its lines count as never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.dedup.cuts import Cuts
from norcli.dedup.hash_set import HashSet, add
from norcli.dedup.shingles import PLAIN_BYTES, joined
from norcli.dedup.signatures import Signer


@kernel
def _trimmed(data: Any, begin: int, end: int) -> int:
    """Return where a line ends without the white space at its end; `begin` for a blank one."""
    while end > begin and (data[end - 1] == 32 or 9 <= data[end - 1] <= 13):
        end -= 1
    return end


@kernel
def split_units(
    data: Any, offsets: Any, paragraphs: bool, begins: Any, ends: Any, nexts: Any, bounds: Any
) -> None:
    """Find the lines or paragraphs of texts.

    Args:
        data: uint8, the bytes of all texts.
        offsets: int64 [texts + 1], where each begins.
        paragraphs: Whether only blank lines end a unit, which then belong to it.
        begins: int64, filled with where each unit begins.
        ends: int64, filled with where its last line ends, white space left out.
        nexts: int64, filled with where the next unit begins.
        bounds: int64 [texts + 1], filled with where each text's units begin in these.
    """
    count = 0
    for text in range(offsets.size - 1):
        bounds[text] = count
        position, stop = offsets[text], offsets[text + 1]
        goes_on, was_blank = False, False
        while position < stop:
            end = position
            while end < stop and data[end] != 10:
                end += 1
            after = min(end + 1, stop)
            end = _trimmed(data, position, end)
            blank = end == position
            if paragraphs and goes_on and (blank or not was_blank):
                if not blank:
                    ends[count - 1] = end
                nexts[count - 1] = after
            else:
                begins[count], ends[count], nexts[count] = position, end, after
                count += 1
            goes_on, was_blank = True, blank
            position = after
    bounds[offsets.size - 1] = count


@kernel
def settle_text(letters: Any, words: Any, begin: int, end: int, gone: Any) -> Any:
    """Let blank lines go where they would add up around what goes of a text.

    Args:
        letters: int64, characters in each unit.
        words: int64, words in each.
        begin: The text's first unit.
        end: Where its units end.
        gone: bool, whether to cut each unit; filled for blank ones.

    Returns:
        How many units are cut that are not blank, and how many words stay.
    """
    cut, left = 0, 0
    after_cut, at_blank = False, True
    for unit in range(begin, end):
        if letters[unit] == 0:
            gone[unit] = after_cut and at_blank
            at_blank = True
            continue
        after_cut = gone[unit]
        if after_cut:
            cut += 1
        else:
            left += words[unit]
            at_blank = False
    return cut, left


@kernel
def settle_texts(letters: Any, words: Any, bounds: Any, gone: Any, cut: Any, left: Any) -> None:
    """Settle texts one by one; fills what `choose_units` fills for units that are decided."""
    for text in range(bounds.size - 1):
        cut[text], left[text] = settle_text(letters, words, bounds[text], bounds[text + 1], gone)


@kernel
def choose_units(
    hashes: Any, letters: Any, words: Any, bounds: Any, min_chars: int, min_words: int, table: Any,
    gone: Any, cut: Any, left: Any, slots: Any,
) -> int:  # fmt: skip
    """Decide which units to cut, text by text, and take the others into the set.

    Args:
        hashes: uint64, of each unit.
        letters: int64, characters in each.
        words: int64, words in each.
        bounds: int64 [texts + 1], where each text's units begin.
        min_chars: Shorter units stay.
        min_words: With fewer words left a text goes, and its units do not count as seen.
        table: uint64, a `HashSet`'s, with room for all units.
        gone: bool, filled: whether to cut each unit.
        cut: int64 [texts], filled with how many repeated units each text has.
        left: int64 [texts], filled with the words that stay of each.
        slots: int64, room to work, as long as there are units.

    Returns:
        How many units were taken into the set.
    """
    taken = 0
    for text in range(bounds.size - 1):
        fresh = 0
        for unit in range(bounds[text], bounds[text + 1]):
            gone[unit] = False
            if letters[unit] >= min_chars and letters[unit] > 0:
                slot = add(table, hashes[unit])
                gone[unit] = slot < 0
                if slot >= 0:
                    slots[fresh] = slot
                    fresh += 1
        cut[text], left[text] = settle_text(letters, words, bounds[text], bounds[text + 1], gone)
        if cut[text] > 0 and left[text] < min_words:
            for index in range(fresh - 1, -1, -1):
                table[slots[index]] = 0
        else:
            taken += fresh
    return taken


class Units(NamedTuple):
    """The lines or paragraphs of some texts.

    Attributes:
        ranges: int64 [units, 2], where each begins in its text, and where the next one does.
        hashes: uint64 [units].
        letters: int64 [units], characters in each.
        words: int64 [units], words in each.
        bounds: int64 [texts + 1], where each text's units begin in these.
    """

    ranges: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    letters: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]

    def long(self, min_chars: int) -> npt.NDArray[np.bool_]:
        """Return which are long enough to be cut."""
        return self.letters >= max(min_chars, 1)

    def cuts(
        self, gone: npt.NDArray[np.bool_], cut: npt.NDArray[np.int64], left: npt.NDArray[np.int64]
    ) -> list[Cuts | None]:
        """Return for each text what to cut, None for nothing; the arguments of `settle_texts`."""
        found: list[Cuts | None] = [None] * len(cut)
        for text in np.flatnonzero(cut).tolist():
            begin, end = self.bounds[text], self.bounds[text + 1]
            ranges = self.ranges[begin:end][gone[begin:end]]
            found[text] = Cuts(ranges, int(cut[text]), int(left[text]))
        return found


class UnitSplitter:
    """Splits texts into lines or paragraphs and hashes them."""

    def __init__(self, paragraphs: bool) -> None:
        self._paragraphs = paragraphs
        # With n-grams of one word the number of shingles is the number of words.
        self._signer = Signer(1, None, 0)

    def split(self, texts: list[bytes], scopes: npt.NDArray[np.uint64] | None) -> Units:
        """Return the units of texts; those of other scopes have other hashes."""
        data, offsets = joined(texts)
        room = int(np.count_nonzero(data == 10)) + len(texts)
        begins, ends, nexts = (np.empty(room, np.int64) for _ in range(3))
        bounds = np.empty(len(texts) + 1, np.int64)
        split_units(data, offsets, self._paragraphs, begins, ends, nexts, bounds)
        total, counts = int(bounds[-1]), np.diff(bounds)
        signatures, letters = self._signer.sign_ranges(
            data, begins[:total], ends[:total], PLAIN_BYTES
        )
        hashes = signatures.text_hashes[:, 0].copy()
        if scopes is not None:
            hashes ^= np.repeat(scopes, counts)
        ranges = np.stack([begins[:total], nexts[:total]], axis=1)
        ranges -= np.repeat(offsets[:-1], counts)[:, None]
        return Units(ranges, hashes, letters, signatures.shingles, bounds)


class LineFinder:
    """Find lines or paragraphs that stood in the corpus before.

    Args:
        paragraphs: Paragraphs, or lines.
        min_chars: Shorter ones stay.
        min_words: Texts of which fewer words stay go, and count as never seen.
        note: Told the hashes that are seen for the first time.
    """

    def __init__(
        self, paragraphs: bool, min_chars: int, min_words: int,
        note: Callable[[npt.NDArray[np.uint64]], None] | None = None,
    ) -> None:  # fmt: skip
        self._splitter = UnitSplitter(paragraphs)
        self._min_chars = min_chars
        self._min_words = min_words
        self._note = note
        self._seen = HashSet()

    def know(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Take what an earlier run noted as seen."""
        self._seen.update(hashes)

    def cut(self, texts: list[bytes], scopes: npt.NDArray[np.uint64] | None) -> list[Cuts | None]:
        """Return for each text what to cut, None for nothing."""
        units = self._splitter.split(texts, scopes)
        total = len(units.hashes)
        self._seen.reserve(total)
        gone, slots = np.empty(total, np.bool_), np.empty(total, np.int64)
        cut, left = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64)
        self._seen.size += choose_units(
            units.hashes, units.letters, units.words, units.bounds, self._min_chars,
            self._min_words, self._seen.table, gone, cut, left, slots,
        )  # fmt: skip
        if self._note is not None:
            stays = np.repeat((cut == 0) | (left >= self._min_words), np.diff(units.bounds))
            self._note(units.hashes[units.long(self._min_chars) & ~gone & stays])
        return units.cuts(gone, cut, left)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    finder = LineFinder(False, 1, 1)
    finder.cut([b"en\nto\nen"], None)
    one = np.ones(1, np.int64)
    settle_texts(one, one.astype(np.int32), np.arange(2), np.zeros(1, np.bool_), one.copy(), one)
