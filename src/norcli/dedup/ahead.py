"""A function over items in threads, with results in order: how dedup uses several cores.

Its kernels run without Python's lock, so that threads are enough: nothing is pickled, and what
starting costs, numba's most of all, is paid once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[Result]:
    """Yield what a function makes of items, in order, while threads work on the next ones.

    Args:
        function: Called in `jobs` threads; in the caller's own with one job.
        items: Taken in the caller's thread, at most twice as many as jobs ahead of what is yielded.
        jobs: How many may work at once.
    """
    if jobs <= 1:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
