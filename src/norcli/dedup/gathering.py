"""Documents in small batches: enough at once for the kernels, none kept waiting for long."""

from __future__ import annotations

from collections.abc import Callable

from norcli.dedup.reading import Reading

DELAY_TEXTS = 256
DELAY_BYTES = 1 << 20
"""A document is decided after at most so many further ones, or bytes of text."""


class Gatherer:
    """Documents that wait to be decided about together.

    Args:
        decide: Called with them when there are enough, or no more for now.
    """

    def __init__(self, decide: Callable[[list[Reading]], None]) -> None:
        self._decide = decide
        self._waiting: list[Reading] = []
        self._bytes = 0

    def add(self, reading: Reading) -> None:
        """Take the next document."""
        self._waiting.append(reading)
        self._bytes += len(reading.text)
        if len(self._waiting) >= DELAY_TEXTS or self._bytes >= DELAY_BYTES:
            self.flush()

    def flush(self) -> None:
        """Have those decided that wait."""
        batch, self._waiting, self._bytes = self._waiting, [], 0
        if batch:
            self._decide(batch)
