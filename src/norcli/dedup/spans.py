"""Long spans of words that several documents share: all copies but the first are found.

``--method substring``, three passes over the same texts in the same order: anchors, spans around
repeated anchors, cuts. Hashes go to files by their leading bits and are sorted a file at a time;
texts with a repeated anchor are kept in a file to compare bytes; so memory is bounded however
large the corpus. After Lee et al. 2022 (https://arxiv.org/abs/2107.06499), who use suffix arrays.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.dedup.cuts import Cuts
from norcli.dedup.hash_set import HashSet
from norcli.dedup.substrings import (
    cut_spans,
    find_anchors,
    find_candidates,
    mark_repeats,
    split_words,
)

PARTITION_BITS = 6
MEMORY_BYTES = 1 << 26
"""Hashes up to 64 MiB stay in memory; beyond, they go to 64 files."""

Scopes = npt.NDArray[np.uint64] | None


class HashSpool:
    """Rows whose first column is a hash, kept in files by its leading bits.

    Args:
        folder: Where the files go.
        name: What they are called.
        columns: Of uint64.
    """

    def __init__(self, folder: Path, name: str, columns: int) -> None:
        self._folder = folder
        self._name = name
        self._columns = columns
        self._waiting: list[npt.NDArray[np.uint64]] = []
        self._waiting_bytes = 0
        self._files: list[BinaryIO] = []
        self._stack = ExitStack()

    def append(self, rows: npt.NDArray[np.uint64]) -> None:
        """Add rows, uint64 [_, columns]."""
        self._waiting.append(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= MEMORY_BYTES:
            self._spill()

    def _spill(self) -> None:
        if not self._files:
            for number in range(1 << PARTITION_BITS):
                path = self._folder / f"{self._name}-{number:02}"
                self._files.append(self._stack.enter_context(path.open("w+b")))
        rows = np.concatenate(self._waiting)
        part = (rows[:, 0] >> np.uint64(64 - PARTITION_BITS)).astype(np.uint8)
        rows = rows[np.argsort(part, kind="stable")]
        ends = np.cumsum(np.bincount(part, minlength=1 << PARTITION_BITS))
        for file, piece in zip(self._files, np.split(rows, ends[:-1]), strict=True):
            file.write(piece.tobytes())
        self._waiting, self._waiting_bytes = [], 0

    def partitions(self) -> Iterator[npt.NDArray[np.uint64]]:
        """Yield the rows in parts, equal hashes together in one, in the order they came; once."""
        if not self._files:
            waiting, self._waiting = self._waiting, []
            if waiting:
                yield np.concatenate(waiting)
            return
        if self._waiting:
            self._spill()
        for file in self._files:
            file.flush()
            file.seek(0)
            rows = np.fromfile(file, np.uint64).reshape(-1, self._columns)
            file.truncate(0)
            yield rows

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


class SpanFinder:
    """Find repeated spans; used in a ``with`` block, each of its three steps over all texts.

    Args:
        span: Words in a span at least, 2 or more.
    """

    def __init__(self, span: int) -> None:
        self.span = span
        self._width = (span + 1) // 2
        self._stack = ExitStack()
        self.compared = 0

    def __enter__(self) -> SpanFinder:
        folder = tempfile.TemporaryDirectory(prefix="norcli-dedup-")
        self._folder = Path(self._stack.enter_context(folder))
        self._anchors = HashSpool(self._folder, "anchors", 1)
        self._stack.callback(self._anchors.close)
        self._spans = HashSpool(self._folder, "spans", 2)
        self._stack.callback(self._spans.close)
        self._repeated = HashSet()
        self._texts: BinaryIO = self._stack.enter_context((self._folder / "texts").open("w+b"))
        # Where each text begins in the file of texts, -1 where it is not there.
        self._bases = array("q")
        self._repeats: Any = None
        self._cut = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._repeats = None
        self._stack.close()

    def note_anchors(self, texts: list[bytes], scopes: Scopes) -> None:
        """Take texts in the first step."""
        words, _ = split_words(texts)
        anchors, _, _ = self._find_anchors(words, _scopes_of(texts, scopes))
        self._anchors.append(anchors[:, None])

    def end_anchors(self) -> None:
        """End the first step: learn which anchors are repeated."""
        for rows in self._anchors.partitions():
            hashes = np.sort(rows[:, 0])
            again = hashes[1:][hashes[1:] == hashes[:-1]]
            self._repeated.update(np.unique(again))

    def note_spans(self, texts: list[bytes], scopes: Scopes) -> None:
        """Take the same texts in the second step."""
        words, _ = split_words(texts)
        mixed = _scopes_of(texts, scopes)
        anchors, places, bounds = self._find_anchors(words, mixed)
        repeated = self._repeated.contains(anchors)
        most = words.most
        hashes, firsts = np.empty(len(words.hashes), np.uint64), np.empty(len(words.hashes), int)
        ends = np.empty(len(texts), np.int64)
        find_candidates(
            words.hashes, words.starts, mixed, self.span, self._width, places, bounds, repeated,
            np.empty(most, np.uint64), np.zeros(most, np.bool_), hashes, firsts, ends,
        )  # fmt: skip
        begin = 0
        rows = np.empty((ends[-1] if len(ends) else 0, 2), np.uint64)
        rows[:, 0] = hashes[: len(rows)]
        for text, end in enumerate(ends.tolist()):
            self._bases.append(self._texts.tell() if end > begin else -1)
            if end > begin:
                starts = _word_places(words.begins, words.ends, words.starts, text)
                rows[begin:end, 1] = self._bases[-1] + starts[firsts[begin:end]]
                self._texts.write(b" ".join(texts[text].split()) + b"\n")
            begin = end
        self._spans.append(rows)

    def end_spans(self) -> None:
        """End the second step: learn which spans stand elsewhere before."""
        self._texts.flush()
        size = self._texts.tell()
        if size == 0:
            return
        texts = np.memmap(self._texts, np.uint8, "r", shape=(size,))
        repeats = self._stack.enter_context((self._folder / "repeats").open("w+b"))
        # Reserved at once: a full disk would end a write through memory without an error.
        os.posix_fallocate(repeats.fileno(), 0, size // 8 + 1)
        self._repeats = np.memmap(repeats, np.uint8, "r+", shape=(size // 8 + 1,))
        for rows in self._spans.partitions():
            order = np.argsort(rows[:, 0], kind="stable")
            places = rows[:, 1].astype(np.int64)
            self.compared += mark_repeats(
                rows[:, 0].copy(), places, order, texts, self.span, self._repeats
            )

    def cut(self, text: bytes) -> Cuts | None:
        """Take the next text in the third step; return its cuts, None for none."""
        base = self._bases[self._cut]
        self._cut += 1
        if base < 0:
            return None
        words, offsets = split_words([text])
        places = base + _word_places(words.begins, words.ends, words.starts, 0)
        repeated = (self._repeats[places >> 3] >> (places & 7).astype(np.uint8)) & 1 == 1
        cuts = np.empty((len(places) // self.span + 1, 2), np.int64)
        count, gone = cut_spans(repeated, len(places), self.span, words.begins, offsets[-1], cuts)
        return Cuts(cuts[:count], count, len(places) - gone) if count else None

    def _find_anchors(
        self, words: Any, scopes: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        anchors = np.empty(len(words.hashes), np.uint64)
        places = np.empty(len(words.hashes), np.int64)
        bounds = np.empty(len(words.starts), np.int64)
        find_anchors(
            words.hashes, words.starts, scopes, self.span, self._width,
            np.empty(words.most, np.uint64), anchors, places, bounds,
        )  # fmt: skip
        return anchors[: bounds[-1]], places[: bounds[-1]], bounds


def _scopes_of(texts: list[bytes], scopes: Scopes) -> npt.NDArray[np.uint64]:
    return np.zeros(len(texts), np.uint64) if scopes is None else scopes


def _word_places(
    begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], starts: npt.NDArray[np.int64],
    text: int,
) -> npt.NDArray[np.int64]:  # fmt: skip
    """Return where each word of a text begins once there is one blank between words."""
    chosen = slice(starts[text], starts[text + 1])
    places = np.zeros(starts[text + 1] - starts[text], np.int64)
    np.cumsum(ends[chosen][:-1] - begins[chosen][:-1] + 1, out=places[1:])
    return places


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    texts = [b"en to tre fire"] * 2
    with SpanFinder(2) as finder:
        finder.note_anchors(texts, None)
        finder.end_anchors()
        finder.note_spans(texts, None)
        finder.end_spans()
        for text in texts:
            finder.cut(text)
