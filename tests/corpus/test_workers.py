"""Blocks come back in order from any number of processes, and a killed process is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from norcli.corpus.workers import map_in_order
from norcli.errors import ExitCode, NorcliError


def doubled() -> Callable[[int], int]:
    return (2).__mul__


def killed_at_three() -> Callable[[int], int]:
    return _die_at_three


def _die_at_three(block: int) -> int:
    if block == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_keep_the_order(jobs: int) -> None:
    assert list(map_in_order(doubled, range(20), jobs)) == [2 * k for k in range(20)]


def test_a_killed_process_is_told_with_what_to_do() -> None:
    with pytest.raises(NorcliError, match="was killed") as caught:
        list(map_in_order(killed_at_three, range(20), 2))
    assert caught.value.code == ExitCode.FAILED
    assert "--jobs" in (caught.value.hint or "")
