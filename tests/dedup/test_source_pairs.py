"""The matrix of duplicates between sources, against a plain count."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from norcli.dedup import statistics
from norcli.dedup.statistics import DedupResult, source_pairs, source_table

DOCUMENTS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), max_size=30)


@given(DOCUMENTS, st.sampled_from([2, 64]))
def test_pairs_are_counted_as_by_hand(documents: list[tuple[int, int]], at_once: int) -> None:
    names = ["mC4", "OSCAR", "CulturaX", "HPLT", "NCC", ""]
    first: dict[int, int] = {}
    survivors = [first.setdefault(cluster, n) for n, (cluster, _) in enumerate(documents)]
    expected: dict[tuple[str, str], int] = {}
    for n, (cluster, source) in enumerate(documents):
        others = {s for m, (c, s) in enumerate(documents) if c == cluster and m != n}
        for other in others:
            key = names[source], names[other]
            expected[key] = expected.get(key, 0) + 1
    before = statistics.SOURCES_AT_ONCE
    statistics.SOURCES_AT_ONCE = at_once
    try:
        rows = source_pairs(
            np.array(survivors, np.int64), np.array([s for _, s in documents], np.int32), names
        )
    finally:
        statistics.SOURCES_AT_ONCE = before
    assert {(row["a"], row["b"]): row["documents"] for row in rows} == expected


def test_the_table_is_aligned_and_left_out_for_one_source() -> None:
    rows = [
        {"a": "mC4", "b": "OSCAR", "documents": 1200},
        {"a": "OSCAR", "b": "mC4", "documents": 7},
    ]
    assert source_table(rows) == [
        "documents of  OSCAR  mC4",
        "OSCAR             0    7",
        "mC4           1 200    0",
    ]
    assert source_table([{"a": "x", "b": "x", "documents": 3}]) == []


def test_stages_add_up() -> None:
    first = DedupResult(records_in=10, records_out=8, dropped_exact=2, cut={"lines": 3},
                        source_pairs=[{"a": "x", "b": "y", "documents": 2}])  # fmt: skip
    first.add_stage(DedupResult(records_in=8, records_out=5, dropped_short=3, cut={"spans": 1},
                                source_pairs=[{"a": "x", "b": "y", "documents": 1},
                                              {"a": "a", "b": "y", "documents": 4}]))  # fmt: skip
    assert [row["documents"] for row in first.source_pairs] == [4, 3]
    assert (first.records_in, first.records_out, first.dropped_exact) == (10, 5, 2)
    assert (first.dropped_short, first.cut) == (3, {"lines": 3, "spans": 1})


def test_contaminated_documents_are_counted_by_file() -> None:
    result = DedupResult()
    for place in ("norquad.json#/data/3/context", "a.jsonl:4", "a.jsonl:9"):
        result.count_contaminated(place)
    assert result.contaminated_by == {"norquad.json": 1, "a.jsonl": 2}
    assert result.dropped_contaminated == 3
