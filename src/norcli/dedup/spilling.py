"""Signatures on disk where memory is bounded (``--memory``): written once, read band by band.

Text hashes stay in memory. Lanes and band keys go to two files without a name in $TMPDIR, which
vanish with the process however it ends. Keys are written in runs, each band's together, so that
one band can be read without the others; a band too large for the memory allowed is sorted in
ranges of keys, one after another. Lanes are read only of documents that share a key.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.dedup.signatures import RUN_DOCUMENTS, Signatures
from norcli.dedup.sorting import sort_hashes
from norcli.errors import IOFailureError

WINDOW_DOCUMENTS = 1 << 17
"""Lanes are looked up in windows of so many documents, mapped one at a time."""
KEY_BYTES = 8


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        raise IOFailureError(
            f"signatures cannot be written: {os.strerror(error.errno).lower()}",
            path=tempfile.gettempdir(), hint="point TMPDIR to a larger disk, or give more --memory",
        ) from error  # fmt: skip


class SpilledSignatures:
    """Signatures whose lanes and keys are on disk; takes the place of `Signatures` in matching.

    Args:
        num_perm: Lanes of a document.
        bands: Band keys of a document.
        memory_bytes: What looking up may take.

    Attributes:
        text_hashes: uint64 [documents, 2].
        shingles: int32 [documents].
    """

    def __init__(self, num_perm: int, bands: int, memory_bytes: int) -> None:
        self.num_perm, self.bands = num_perm, bands
        self.text_hashes = np.empty((0, 2), np.uint64)
        self.shingles = np.empty(0, np.int32)
        self.disk_bytes = 0
        self._memory_bytes = memory_bytes
        self._runs: list[
            tuple[int, int]
        ] = []  # first document of each run, and one behind its last
        self._lanes, self._keys = self._open(), self._open()

    @staticmethod
    def _open() -> BinaryIO:
        with _disk_errors():
            return tempfile.TemporaryFile(buffering=0)

    def __len__(self) -> int:
        return len(self.shingles)

    @property
    def batch_rows(self) -> int:
        """Documents whose lanes may be held in memory at once."""
        # Their places and trees, while they are joined, take about as much as the lanes.
        return max(self._memory_bytes // max(2 * self.num_perm, 1), 1)

    def append(self, run: Signatures) -> None:
        """Write the signatures of the next documents.

        Raises:
            IOFailureError: The disk is full.
        """
        begin = self._runs[-1][1] if self._runs else 0
        stop = begin + len(run)
        self._runs.append((begin, stop))
        with _disk_errors():
            _write(self._lanes, np.ascontiguousarray(run.lanes))
            _write(self._keys, np.ascontiguousarray(run.keys.T))
        self.disk_bytes += run.lanes.nbytes + run.keys.nbytes

    def hold(self, text_hashes: npt.NDArray[np.uint64], shingles: npt.NDArray[Any]) -> None:
        """Take what stays in memory of all documents."""
        self.text_hashes, self.shingles = text_hashes, shingles

    def band_keys(
        self, band: int, documents: npt.NDArray[np.int64]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]]:
        """Yield documents with their keys of a band, sorted by key, range of keys by range.

        Args:
            band: Which band.
            documents: int64, those wanted; equal keys keep their order.
        """
        # A key, its place and its document are held, and again sorted.
        needed = 5 * KEY_BYTES * len(documents)
        parts = max(-(-needed // self._memory_bytes), 1)
        place = np.full(len(self), -1, np.int32)
        place[documents] = np.arange(len(documents), dtype=np.int32)
        keys = np.empty(len(documents), np.uint64)
        for begin, stop in self._runs:
            places = place[begin:stop]
            wanted = places >= 0
            keys[places[wanted]] = self._run_keys(band, begin, stop)[wanted]
        del place
        if parts == 1:
            order, keys = sort_hashes(keys)
            documents = documents[order]
            del order
            yield documents, keys
            return
        for part in range(parts):
            low, high = part * 2**64 // parts, (part + 1) * 2**64 // parts - 1
            inside = np.flatnonzero((keys >= low) & (keys <= high))
            order, found = sort_hashes(keys[inside])
            yield documents[inside[order]], found

    def _run_keys(self, band: int, begin: int, stop: int) -> npt.NDArray[np.uint64]:
        offset = (begin * self.bands + band * (stop - begin)) * KEY_BYTES
        data = os.pread(self._keys.fileno(), (stop - begin) * KEY_BYTES, offset)
        return np.frombuffer(data, np.uint64)

    def gather(self, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the lanes of documents, uint8 [documents, num_perm]."""
        lanes = np.empty((len(documents), self.num_perm), np.uint8)
        order = np.argsort(documents, kind="stable")
        wanted = documents[order]
        edges = np.arange(0, len(self) + WINDOW_DOCUMENTS, WINDOW_DOCUMENTS)
        cuts = np.searchsorted(wanted, edges)
        for window in np.flatnonzero(np.diff(cuts)).tolist():
            first = int(edges[window])
            shape = (min(WINDOW_DOCUMENTS, len(self) - first), self.num_perm)
            mapped = np.memmap(
                self._lanes, np.uint8, "r", offset=first * self.num_perm, shape=shape
            )
            rows = slice(int(cuts[window]), int(cuts[window + 1]))
            lanes[order[rows]] = mapped[wanted[rows] - first]
        return lanes

    def take(self, rows: npt.NDArray[np.int64]) -> Signatures:
        """Return the signatures of some of the documents, in memory."""
        keys = np.empty((len(rows), self.bands), np.uint64)
        for begin, stop in self._runs:
            inside = np.flatnonzero((rows >= begin) & (rows < stop))
            if len(inside):
                for band in range(self.bands):
                    keys[inside, band] = self._run_keys(band, begin, stop)[rows[inside] - begin]
        return Signatures(self.text_hashes[rows], self.shingles[rows], self.gather(rows), keys)


def _write(file: BinaryIO, array: npt.NDArray[Any]) -> None:
    data = array.data.cast("B")
    while data:
        data = data[file.write(data) :]


class SignatureStore:
    """Signatures of a whole run: in arrays that grow in place, and on disk beyond a bound.

    Args:
        num_perm: Lanes of a document.
        bands: Band keys of a document.
        memory_bytes: What the signatures may take; None for no bound.
    """

    def __init__(self, num_perm: int, bands: int, memory_bytes: int | None = None) -> None:
        self._memory_bytes = memory_bytes
        self._row_bytes = num_perm + KEY_BYTES * bands
        self._size = 0
        self._written = 0
        self._text_hashes = np.empty((0, 2), np.uint64)
        self._shingles = np.empty(0, np.int32)
        self._lanes = np.empty((0, num_perm), np.uint8)
        self._keys = np.empty((0, bands), np.uint64)
        self._spilled: SpilledSignatures | None = None

    def append(self, batch: Signatures) -> None:
        """Add the signatures of the next documents.

        Raises:
            IOFailureError: The disk is full.
        """
        for begin in range(0, len(batch), RUN_DOCUMENTS):
            rows = slice(begin, begin + RUN_DOCUMENTS)
            self._append(batch.text_hashes[rows], batch.shingles[rows], batch.lanes[rows],
                         batch.keys[rows])  # fmt: skip

    def _append(
        self, hashes: npt.NDArray[Any], shingles: npt.NDArray[Any], lanes: npt.NDArray[Any],
        keys: npt.NDArray[Any],
    ) -> None:  # fmt: skip
        begin, stop = self._size, self._size + len(shingles)
        _put(self._text_hashes, hashes, begin)
        _put(self._shingles, shingles, begin)
        _put(self._lanes, lanes, begin - self._written)
        _put(self._keys, keys, begin - self._written)
        self._size = stop
        if self._memory_bytes is None or not self._row_bytes:
            return
        held = stop - self._written
        if self._spilled is None and held * self._row_bytes > self._memory_bytes:
            self._spilled = SpilledSignatures(lanes.shape[1], keys.shape[1], self._memory_bytes)
            self._spill(self._spilled)
            # From here on only the next run is held.
            self._lanes.resize((RUN_DOCUMENTS, lanes.shape[1]), refcheck=False)
            self._keys.resize((RUN_DOCUMENTS, keys.shape[1]), refcheck=False)
        elif self._spilled is not None and held >= RUN_DOCUMENTS:
            self._spill(self._spilled)

    def _spill(self, spilled: SpilledSignatures) -> None:
        """Write what is held of lanes and keys, in runs."""
        held = self._size - self._written
        for begin in range(0, held, RUN_DOCUMENTS):
            rows = slice(begin, min(begin + RUN_DOCUMENTS, held))
            numbers = slice(self._written + rows.start, self._written + rows.stop)
            run = Signatures(
                self._text_hashes[numbers], self._shingles[numbers], self._lanes[rows],
                self._keys[rows],
            )  # fmt: skip
            spilled.append(run)
        self._written = self._size

    def close(self) -> Signatures | SpilledSignatures:
        """Return the signatures of all documents."""
        self._text_hashes.resize((self._size, 2), refcheck=False)
        self._shingles.resize(self._size, refcheck=False)
        if self._spilled is not None:
            self._spill(self._spilled)
            self._spilled.hold(self._text_hashes, self._shingles)
            return self._spilled
        self._lanes.resize((self._size, self._lanes.shape[1]), refcheck=False)
        self._keys.resize((self._size, self._keys.shape[1]), refcheck=False)
        return Signatures(self._text_hashes, self._shingles, self._lanes, self._keys)


def _put(array: npt.NDArray[Any], rows: npt.NDArray[Any], begin: int) -> None:
    """Write rows into an array; it grows in place, since realloc moves pages without copying."""
    stop = begin + len(rows)
    if stop > len(array):
        array.resize((max(stop, len(array) * 3 // 2, 4096), *array.shape[1:]), refcheck=False)
    array[begin:stop] = rows
