"""How the C library hands out memory that is given back and taken anew many times.

A block of a mebibyte that is taken from the system for each one read costs more, in pages that the
system has to clear, than copying it; so do the logits of each training step. So freed memory is
kept at hand. For glibc; others go on as they are.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
"""Names of settings in glibc's malloc.h; see mallopt(3)."""
_AT_HAND_BYTES = 1 << 23
_PIECE_BYTES = 1 << 22
"""What is larger is a mapping of its own, which can grow without being copied."""
_NEVER = (1 << 31) - 1


def keep_blocks_at_hand() -> None:
    """Have up to 8 MiB (of each thread) kept instead of given back to the system."""
    _set_options({_TRIM_THRESHOLD: _AT_HAND_BYTES, _TOP_PAD: _PIECE_BYTES,
                  _MMAP_THRESHOLD: _PIECE_BYTES})  # fmt: skip


def keep_tensors_at_hand() -> None:
    """Have all freed memory kept: training takes as much again in the next step.

    A third of the CPU time of norllama-micro was the system clearing pages; the peak grows by a
    fifth (2.1 to 2.5 GB).
    """
    _set_options({_TRIM_THRESHOLD: _NEVER, _MMAP_MAX: 0})


def _set_options(values: dict[int, int]) -> None:
    with suppress(OSError, AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        for name, value in values.items():
            set_option(name, value)
