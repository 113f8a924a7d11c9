"""Work done ahead in threads keeps its order, stays near its reader, and ends with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from norcli.ahead import map_ahead, read_ahead


def test_results_keep_their_order_and_few_are_made_ahead() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    for place, result in enumerate(map_ahead(lambda number: number * number, numbers(), 3)):
        assert result == place * place
        assert len(taken) <= place + 1 + 2 * 3


def test_reading_ahead_keeps_order_and_errors_and_ends_with_its_reader() -> None:
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for k in range(100):
            asked.append(k)
            yield k
        raise ValueError("end")

    ahead = read_ahead(numbers(), 4)
    with pytest.raises(ValueError, match="end"):
        assert list(ahead) == []
    ahead = read_ahead(iter(range(50)), 4)
    assert list(ahead) == list(range(50))
    asked.clear()
    ahead = read_ahead(numbers(), 4)
    assert next(ahead) == 0
    ahead.close()
    assert len(asked) <= 7
