"""Answers that come from another thread, so that Ctrl-C is seen while nothing comes.

`read_in_background` turns a function that puts things into a generator; `answer_together` runs
several such generators at once. The engines for GGUF files and for servers share both.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from norcli.chat.engines import GenerationCounts, Sampling

POLL_SECONDS = 0.05

T = TypeVar("T")


@dataclass(slots=True)
class _End:
    error: Exception | None


class Producer:
    """A thread that makes things until it is told that nobody wants more.

    Args:
        produce: Called in the thread with a function that takes each thing, and an event that is
            set when it should end.
    """

    def __init__(self, produce: Callable[[Callable[[Any], None], threading.Event], None]) -> None:
        self._made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._produce = produce
        self.cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._produce(self._made.put, self.cancelled)
        except Exception as error:
            self._made.put(_End(error))
        else:
            self._made.put(_End(None))

    def read(self, stopped: Callable[[], bool]) -> Generator[Any]:
        """Yield what is made until the end, or until ``stopped`` says so.

        An error of the thread is raised here.
        """
        try:
            while not stopped():
                try:
                    thing = self._made.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(thing, _End):
                    if thing.error is not None:
                        raise thing.error
                    return
                yield thing
        finally:
            self.cancelled.set()

    def join(self) -> None:
        """Tell the thread to end, and wait until it has."""
        self.cancelled.set()
        self._thread.join()


class Stream(Protocol):
    """How an engine streams one of several answers at a time."""

    def __call__(
        self, ids: Sequence[Any], sampling: Sampling, stopped: Callable[[], bool],
        counts: GenerationCounts,
    ) -> Generator[str]:  # fmt: skip
        """Yield an answer, filling its own counts."""
        ...


def answer_together(
    stream: Stream,
    requests: Sequence[tuple[Sequence[Any], Sampling]],
    on_text: Callable[[int, str], bool],
) -> list[GenerationCounts]:
    """Answer several prompts at once, each in a thread.

    Args:
        stream: Of the engine.
        requests: Prompts and how their tokens are chosen.
        on_text: Called with a request's position and each piece of its answer, from its thread;
            True ends that answer.
    """
    counts = [GenerationCounts() for _ in requests]
    enough = threading.Event()

    def answer(position: int) -> None:
        ids, sampling = requests[position]
        pieces = stream(ids, sampling, enough.is_set, counts[position])
        try:
            for piece in pieces:
                if on_text(position, piece):
                    break
        finally:
            pieces.close()

    with ThreadPoolExecutor(len(requests) or 1) as pool:
        futures = [pool.submit(answer, position) for position in range(len(requests))]
        try:
            for future in futures:
                future.result()
        finally:
            enough.set()
    return counts
