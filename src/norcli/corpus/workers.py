"""One function over many blocks of input, in this process or in several, results in order.

The results are the same for any number of jobs, and only a few blocks are in memory at a time.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from norcli.errors import ExitCode, NorcliError

Block = TypeVar("Block")
Result = TypeVar("Result")

_work: Callable[[Any], Any] | None = None


def map_in_order(
    make: Callable[[], Callable[[Block], Result]], blocks: Iterable[Block], jobs: int
) -> Iterator[Result]:
    """Yield the result for each block.

    Args:
        make: Makes the function once in each process; can be pickled.
        blocks: What it is called with; can be pickled.
        jobs: Number of processes; 1 works in this one.

    Raises:
        NorcliError: One of the processes was killed, as for want of memory.
    """
    if jobs == 1:
        yield from map(make(), blocks)
        return
    # forkserver: a fork of this process would copy its threads' locks and signal handlers.
    context = multiprocessing.get_context("forkserver")
    executor = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(make,))
    waiting: deque[Future[Result]] = deque()
    try:
        for block in blocks:
            waiting.append(executor.submit(_run, block))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise NorcliError(
            "a process of --jobs was killed from outside", code=ExitCode.FAILED,
            hint="if memory ran out, give fewer --jobs or ask for more of it",
        ) from error  # fmt: skip
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _work
    # Ctrl-C goes to the whole group; the parent alone decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work = make()


def _run(block: Any) -> Any:
    assert _work is not None, "the initializer runs first"
    return _work(block)
