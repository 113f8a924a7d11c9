"""Documents that hold passages of evaluation sets, found by long word n-grams.

``--decontaminate FILE``: every text of the evaluation files is cut into n-grams (13 words, as in
Brown et al. 2020, appendix C); a document that contains one of them is dropped before duplicates
are sought, so that no contaminated copy can survive. A text of fewer words counts as one n-gram
of its own and is found only in a document that holds nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel
from norcli.console import Console
from norcli.dedup.shingles import shingle_texts
from norcli.errors import DataError
from norcli.formats.compression import decompressed
from norcli.formats.documents import input_paths, read_records
from norcli.options import RecordInputOptions
from norcli.streams import open_input

BATCH_TEXTS = 4096


@kernel
def _count_hits(
    shingles: Any, starts: Any, known: Any, owners: Any, buckets: Any, shift: Any, hits: Any,
    first_owners: Any,
) -> None:  # fmt: skip
    """Count each document's n-grams that are known; note the owner of the first.

    Args:
        shingles: uint64, of all documents.
        starts: int64 [documents + 1].
        known: uint64, the n-grams of the evaluation sets, sorted.
        owners: int32, the text each belongs to.
        buckets: int64, where in `known` the values with the same leading bits begin.
        shift: uint64, how far to shift a value to get its leading bits.
        hits: int64 [documents], filled.
        first_owners: int64 [documents], filled; -1 without hits.
    """
    for document in range(starts.size - 1):
        hits[document], first_owners[document] = 0, -1
        for index in range(starts[document], starts[document + 1]):
            value = shingles[index]
            bucket = np.int64(value >> shift)
            for place in range(buckets[bucket], buckets[bucket + 1]):
                if known[place] == value:
                    hits[document] += 1
                    if first_owners[document] < 0:
                        first_owners[document] = owners[place]
                    break


@dataclass(slots=True)
class EvaluationTexts:
    """The n-grams of evaluation sets.

    Attributes:
        ngram: Words in each.
        places: Where each text stands, ``file:line`` or ``file.json#/pointer``.
        known: uint64, the distinct n-grams, sorted.
        owners: int32, the text each belongs to.
        buckets: int64, index into `known` by leading bits.
        shift: Bits behind the leading ones.
    """

    ngram: int
    places: list[str]
    known: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.int32]
    buckets: npt.NDArray[np.int64]
    shift: int

    def count(self, texts: list[bytes]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return how many known n-grams each text holds, and the evaluation text of the first."""
        shingles, starts, _ = shingle_texts(texts, self.ngram)
        hits, owners = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64)
        _count_hits(
            shingles, starts, self.known, self.owners, self.buckets, np.uint64(self.shift), hits,
            owners,
        )  # fmt: skip
        return hits, owners


def _strings(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield all strings in a JSON value, however deep, each with its JSON pointer (RFC 6901)."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            step = str(key).replace("~", "~0").replace("/", "~1")
            yield from _strings(inner, f"{pointer}/{step}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _strings(inner, f"{pointer}/{place}")


def _evaluation_strings(path: str, console: Console) -> Iterator[tuple[str, str]]:
    """Yield ``(place, text)`` for all strings in an evaluation file.

    Raises:
        DataError: The file is not JSONL, JSON, text or Parquet.
    """
    if path.removesuffix(".gz").removesuffix(".zst").endswith(".json"):
        with open_input(path) as raw:
            try:
                value = json.loads(decompressed(raw).read())
            except (ValueError, UnicodeDecodeError) as error:
                raise DataError(f"not valid JSON: {error}", path=path) from error
        for pointer, text in _strings(value):
            yield f"{path}#{pointer}", text
        return
    for place, record in read_records(RecordInputOptions(inputs=[path]), console):
        for _, text in _strings(record):
            yield f"{place.path}:{place.line}", text


def read_evaluation_texts(paths: list[str], ngram: int, console: Console) -> EvaluationTexts:
    """Read evaluation sets: every string of one word and more in JSONL, JSON, text or Parquet.

    Raises:
        InputMissingError: A file is not there.
        DataError: A file cannot be read, or holds no text at all.
    """
    places: list[str] = []
    hashes: list[npt.NDArray[np.uint64]] = []
    owners: list[npt.NDArray[np.int32]] = []
    texts: list[bytes] = []

    def flush() -> None:
        shingles, starts, _ = shingle_texts(texts, ngram)
        first = len(places) - len(texts)
        numbers = np.arange(first, len(places), dtype=np.int32)
        hashes.append(shingles.copy())
        owners.append(np.repeat(numbers, np.diff(starts)))
        texts.clear()

    for path in input_paths(RecordInputOptions(inputs=paths)):
        before = len(places)
        for place, text in _evaluation_strings(path, console):
            places.append(place)
            texts.append(text.encode("utf-8", "surrogatepass"))
            if len(texts) >= BATCH_TEXTS:
                flush()
        flush()
        if len(places) == before:
            raise DataError("holds no text to compare with", path=path)
    known, first = np.unique(np.concatenate(hashes), return_index=True)
    bits = max(len(known).bit_length(), 1)
    shift = 64 - bits
    edges = np.arange(1 << bits, dtype=np.uint64) << np.uint64(shift)
    buckets = np.append(np.searchsorted(known, edges), len(known)).astype(np.int64)
    console.info(f"{len(places)} evaluation texts, {len(known)} n-grams of {ngram} words")
    return EvaluationTexts(ngram, places, known, np.concatenate(owners)[first], buckets, shift)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    known = np.array([1], np.uint64)
    one = EvaluationTexts(2, ["-"], known, np.zeros(1, np.int32), np.array([0, 1, 1]), 63)
    one.count([b"en to tre"])
