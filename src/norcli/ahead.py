"""Work done ahead in threads, its results in order: by an iterator, or by a function over items.

What takes the time (reading, unpacking, compiled kernels) runs without Python's lock, so threads
are enough: nothing is pickled, and what starting costs is paid once.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_WAIT_SECONDS = 0.2


class _End:
    """The last thing from the thread, with the error it ended with, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Yield what an iterator yields, in order; a thread gets up to so many items ahead.

    The thread ends when the caller stops asking; whatever the iterator raises is raised here.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Item | _End) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=_WAIT_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as caught:
            error = caught
        put(_End(error))

    # A daemon, since it may wait for a pipe that never ends.
    threading.Thread(target=run, name="read ahead", daemon=True).start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()


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
