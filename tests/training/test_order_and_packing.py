"""Data order is a permutation and a pure function; packing loses and repeats no target."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.training.order import row_order
from norcli.training.packing import cut_documents, pack_rows, single_rows


@pytest.mark.parametrize("rows", [1, 2, 3, 16, 17, 1000])
def test_every_epoch_holds_every_row_once(rows: int) -> None:
    order = row_order(np.arange(3 * rows), rows, seed=5)
    for epoch in range(3):
        assert sorted(order[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


def test_order_is_a_function_of_seed_and_position() -> None:
    whole = row_order(np.arange(500), 100, seed=1)
    assert (row_order(np.arange(250, 260), 100, seed=1) == whole[250:260]).all()
    assert (whole[:100] != whole[100:200]).any()
    assert (row_order(np.arange(100), 100, seed=2) != whole[:100]).any()
    # The same numbers on every machine: a change here breaks the resuming of older runs.
    assert row_order(np.arange(8), 8, seed=0).tolist() == [6, 7, 4, 0, 3, 2, 1, 5]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=40),
    seq_len=st.integers(4, 40),
)
def test_packing_teaches_every_token_but_the_first_of_a_document_once(
    lengths: list[int], seq_len: int
) -> None:
    ends = np.cumsum(lengths)
    bounds = np.stack([ends - lengths, ends], axis=1)
    table = pack_rows(*cut_documents(bounds, seq_len), seq_len)
    taught: list[int] = []
    for row in range(table.rows):
        pieces = table.pieces(row)
        assert sum(length for _, length in pieces) <= seq_len
        for start, length in pieces:
            taught += range(start + 1, start + length + 1)
    firsts = set(bounds[:, 0].tolist())
    assert sorted(taught) == [t for t in range(int(ends[-1])) if t not in firsts]
    assert table.targets == len(taught)


def test_short_documents_share_rows_and_long_ones_are_cut() -> None:
    bounds = np.array([[0, 5], [5, 30], [30, 34]])
    table = pack_rows(*cut_documents(bounds, 10), 10)
    assert [table.pieces(row) for row in range(table.rows)] == [
        [(5, 10)], [(15, 10)], [(0, 4), (25, 4)], [(30, 3)],
    ]  # fmt: skip
    assert single_rows(*cut_documents(bounds, 10), 10).rows == 5
