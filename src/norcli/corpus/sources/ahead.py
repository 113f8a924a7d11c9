"""An iterator run ahead in a thread: reading and unpacking go on while results are written."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")
_WAIT_SECONDS = 0.2


class _End:
    """The last thing from the thread, with the error it ended with, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """Yield what an iterator yields, in order; a thread gets up to so many items ahead.

    The thread ends when the caller stops asking; whatever the iterator raises is raised here.
    """
    ready: queue.Queue[T | _End] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: T | _End) -> bool:
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
