"""How the C library hands out memory to commands that read their input in blocks.

A block of a mebibyte given back and taken anew for each one read costs more, in pages that the
system has to clear, than copying it. So some is kept at hand. For glibc; others go on as they are.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of settings in glibc's malloc.h; see mallopt(3)."""
_AT_HAND_BYTES = 1 << 23
_PIECE_BYTES = 1 << 22
"""What is larger is a mapping of its own, which can grow without being copied."""


def keep_blocks_at_hand() -> None:
    """Have up to 8 MiB (of each thread) kept instead of given back to the system."""
    with suppress(OSError, AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_TRIM_THRESHOLD, _AT_HAND_BYTES)
        set_option(_TOP_PAD, _PIECE_BYTES)
        set_option(_MMAP_THRESHOLD, _PIECE_BYTES)
