"""Clusters of duplicates as a forest in one integer array (union-find).

The root of a tree is its smallest document number. Used by the index while it joins; turned into
labels once at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.compiled import kernel


@kernel
def find_root(parents: Any, document: int) -> int:
    """Return the root of a document's tree, halving the path on the way."""
    while parents[document] != document:
        parents[document] = parents[parents[document]]
        document = parents[document]
    return document


@kernel
def join(parents: Any, first: int, second: int) -> None:
    """Make one tree of two documents' trees."""
    first, second = find_root(parents, first), find_root(parents, second)
    if first < second:
        parents[second] = first
    else:
        parents[first] = second


@kernel
def _roots(parents: Any, documents: Any, roots: Any) -> None:
    for row in range(documents.size):
        roots[row] = find_root(parents, documents[row])


def roots_among(
    parents: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the roots of some documents."""
    roots = np.empty_like(documents)
    _roots(parents, documents, roots)
    return roots


def roots_of(parents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the root of every document."""
    return roots_among(parents, np.arange(len(parents), dtype=np.int64))
