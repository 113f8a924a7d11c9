"""Clusters, and which member of one survives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup.clusters import join, roots_of
from norcli.dedup.ids import IdStore
from norcli.dedup.options import parse_policy
from norcli.dedup.survivors import Policy, choose_survivors, moment_of
from norcli.errors import UsageError


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_union_find_equals_a_walk_over_the_graph(edges: list[tuple[int, int]]) -> None:
    parents = np.arange(20)
    for first, second in edges:
        join(parents, first, second)
    labels = roots_of(parents)
    neighbours: dict[int, set[int]] = {n: {n} for n in range(20)}
    for first, second in edges:
        neighbours[first].add(second)
        neighbours[second].add(first)
    for start in range(20):
        reached, todo = set(), [start]
        while todo:
            node = todo.pop()
            if node not in reached:
                reached.add(node)
                todo += neighbours[node]
        assert labels[start] == min(reached)
        assert set(np.flatnonzero(labels == labels[start])) == reached


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from("abc"), st.integers(0, 2)),
        max_size=25,
    ),
    st.integers(0, 6),
    st.sampled_from(["first", "best:score"]),
)
def test_survivors_are_the_best_of_each_cluster(
    documents: list[tuple[int, int, str, int]], known: int, keep: str
) -> None:
    known = min(known, len(documents))
    policy, ids = Policy(keep, known), IdStore()
    for _, _, name, _ in documents:
        ids.append(name)
    policy.note([score for _, score, _, _ in documents[known:]], np.zeros(0, np.int64))
    first: dict[int, int] = {}
    labels = np.array([first.setdefault(d[0], n) for n, d in enumerate(documents)], np.int64)
    hashes = np.array([[d[3], 0] for d in documents], np.uint64).reshape(-1, 2)
    survivors, sizes = choose_survivors(labels, policy, ids, hashes)
    for number, document in enumerate(documents):
        members = [n for n, other in enumerate(documents) if other[0] == document[0]]
        best = members[0]
        if keep != "first" and best >= known:
            best = min(members, key=lambda n: (-documents[n][1], *documents[n][2:]))
        assert survivors[number] == best
        assert sizes[number] == len(members)


RECORDS = [
    {"id": "c", "text": "kort", "date": "2020-05-01", "score": 3, "source": "hplt"},
    {"id": "b", "text": "den lengste", "date": "2019", "score": 9.5, "source": "ncc"},
    {"id": "a", "text": "en annen så", "date": "2021-01-01T10:00:00Z", "source": "mc4"},
]


def survivor(keep: str, records: list[dict[str, object]]) -> str:
    policy, ids = Policy(keep), IdStore()
    for record in records:
        ids.append(str(record["id"]))
        values = [record.get(policy.field)] if policy.field else []
        policy.note(values, np.array([len(str(record["text"]))]))
    hashes = np.zeros((len(records), 2), np.uint64)
    survivors, sizes = choose_survivors(np.zeros(len(records), np.int64), policy, ids, hashes)
    assert len(set(survivors.tolist())) == 1
    assert sizes.tolist() == [len(records)] * len(records)
    return ids[int(survivors[0])]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("longest", "a"), ("newest", "a"), ("best:score", "b"), ("source-order:ncc,mc4", "b"),
     ("source-order:mc4", "a"), ("best:nothing", "a")],
)  # fmt: skip
def test_policies_do_not_depend_on_order(keep: str, expected: str) -> None:
    assert survivor(keep, RECORDS) == expected
    assert survivor(keep, RECORDS[::-1]) == expected
    assert survivor(keep, [RECORDS[1], RECORDS[0], RECORDS[2]]) == expected


def test_first_follows_the_order() -> None:
    assert survivor("first", RECORDS) == "c"
    assert survivor("first", RECORDS[::-1]) == "a"


@pytest.mark.parametrize(
    "keep", ["shortest", "first:x", "best", "best:", "best:a,b", "source-order:", "newest:date"]
)
def test_unknown_policies_are_refused(keep: str) -> None:
    with pytest.raises(UsageError, match="is not one of"):
        parse_policy(keep)


def test_moments_are_ordered() -> None:
    dates = ["1899", "2001-02", "2001-02-03", "2001-02-03T04:05:06", "2001-02-03T05:05:07+01:00",
             "2022-02-02T06:27:00Z"]  # fmt: skip
    moments = [moment_of(date) for date in dates]
    assert moments == sorted(moments)
    assert moment_of(2020) == moment_of("2020-01-01")
    assert moment_of(None) == moment_of("i går") == -math.inf
