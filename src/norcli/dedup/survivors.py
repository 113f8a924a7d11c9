"""Which document of a cluster survives: first, longest, newest, best by a field, or by source.

Every policy but `first` depends only on what the documents hold: ties go to the smallest id, then
to the smallest content hash. `first` follows the order of the arguments.
"""

from __future__ import annotations

import math
from array import array
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.dedup.ids import IdStore
from norcli.dedup.options import parse_policy


def moment_of(value: object) -> float:
    """Return a date as seconds since 1970, -inf when it is none.

    Understands ISO 8601, also shortened to a month or a year, and a bare year as a number.
    """
    text = str(value).strip()
    if text.isdigit() and len(text) == 4:
        text += "-01-01"
    elif len(text) == 7 and text[4:5] == "-":
        text += "-01"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return -math.inf
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


class Policy:
    """A survivor policy, and what it has noted of each document.

    Args:
        keep: ``first``, ``longest``, ``newest``, ``best:FIELD`` or ``source-order:A,B,C``.
        known: Documents of earlier indexes, numbered before all others; they always survive.

    Raises:
        UsageError: There is no such policy.
    """

    def __init__(self, keep: str, known: int = 0) -> None:
        self.name, self.arguments = parse_policy(keep)
        self._known = known
        self._merits = array("d")
        if not self.by_order:
            self._merits.extend([math.inf] * known)

    @property
    def by_order(self) -> bool:
        """Whether the order of the input decides."""
        return self.name == "first"

    @property
    def field(self) -> str | None:
        """The field of a record that decides; None when the text or the order does."""
        if self.name == "best":
            return self.arguments[0]
        return {"newest": "date", "source-order": "source"}.get(self.name)

    def note(self, values: list[Any], letters: npt.NDArray[np.int64]) -> None:
        """Note the next documents.

        Args:
            values: What each has in `field`; empty when there is no such field.
            letters: int64, how many characters the text of each has.
        """
        if self.name == "longest":
            self._merits.extend(letters.tolist())
        elif not self.by_order:
            self._merits.extend(map(self._merit, values))

    def _merit(self, value: Any) -> float:
        if self.name == "newest":
            return moment_of(value)
        if self.name == "best":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return -math.inf
            return -math.inf if math.isnan(value) else float(value)
        ranks = {name: -float(rank) for rank, name in enumerate(self.arguments)}
        return ranks.get(str(value), -math.inf)

    def merits(self) -> npt.NDArray[np.float64]:
        """Return the worth of each document, the largest the best; none of it under `first`."""
        return np.frombuffer(self._merits, np.float64)

    def best(
        self, members: npt.NDArray[np.int64], ids: IdStore, hashes: npt.NDArray[np.uint64]
    ) -> int:
        """Return the survivor among documents of equal merit, in the order of the input."""
        if members[0] < self._known:
            return int(members[0])

        def rank(document: int) -> tuple[bytes, int, int]:
            return ids.raw(document), int(hashes[document, 0]), int(hashes[document, 1])

        return min(members.tolist(), key=rank)

    def ranked(self, ids: IdStore, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return all documents, the most worth keeping first."""
        if self.by_order:
            return np.arange(len(hashes), dtype=np.int64)
        key = [
            (-self._merits[index], ids.raw(index), int(hashes[index, 0]), int(hashes[index, 1]))
            for index in range(len(hashes))
        ]
        return np.array(sorted(range(len(hashes)), key=key.__getitem__), np.int64)


def choose_survivors(
    labels: npt.NDArray[np.int64], policy: Policy, ids: IdStore, hashes: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each document's survivor (itself, if it stays) and the size of its cluster.

    Args:
        labels: int64 [documents], equal within a cluster.
        policy: Which member survives.
        ids: Of the documents, for ties.
        hashes: uint64 [documents, 2], for ties between equal ids.
    """
    size = len(labels)
    sizes = np.bincount(labels, minlength=size)[labels] if size else np.empty(0, np.int64)
    # Of several documents with one label the last is written, hence the first of the input.
    chosen = np.empty(size, np.int64)
    chosen[labels[::-1]] = np.arange(size - 1, -1, -1)
    if not policy.by_order:
        _choose_by_merit(chosen, labels, np.flatnonzero(sizes > 1), policy, ids, hashes)
    return chosen[labels], sizes


def _choose_by_merit(
    chosen: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], grouped: npt.NDArray[np.int64],
    policy: Policy, ids: IdStore, hashes: npt.NDArray[np.uint64],
) -> None:  # fmt: skip
    """Fill the best document of each cluster, by its label."""
    if not len(grouped):
        return
    merits = policy.merits()
    order = grouped[np.lexsort((-merits[grouped], labels[grouped]))]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = labels[order[1:]] != labels[order[:-1]]
    heads = order[begins]
    chosen[labels[heads]] = heads
    # Which of those as good as the best is told by their ids.
    cluster = np.cumsum(begins) - 1
    equal = order[merits[order] == merits[heads[cluster]]]
    starts = np.flatnonzero(np.append(True, labels[equal[1:]] != labels[equal[:-1]]))
    lengths = np.diff(np.append(starts, len(equal)))
    for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True):
        tied = equal[start : start + length]
        chosen[labels[tied[0]]] = policy.best(tied, ids, hashes)
