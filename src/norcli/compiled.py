"""How kernels are compiled: one decorator for the functions that numba turns into machine code.

They are kept in numba's cache, run without Python's lock so that threads can work side by side,
and trust their callers with bounds. Importing this module is what loads numba.
"""

from __future__ import annotations

import sys
from typing import Any

_LEFT_OUT = ("scipy", "yaml")
"""What numba imports where it is installed: for linear algebra, and for a file of settings."""


def _load_numba() -> Any:
    """Import numba without what no kernel here needs and what takes 0.17 s.

    numba asks for scipy once, where its array functions are defined; without an answer `numpy.cov`
    cannot be compiled in this process, and all else can.
    """
    hidden = [name for name in _LEFT_OUT if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # to import it fails at once
    try:
        import numba
        import numba.np.arraymath
    finally:
        for name in hidden:
            del sys.modules[name]
    return numba


_njit: Any = _load_numba().njit

kernel: Any = _njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
"""Compiles a function on its first call, or takes it from the cache."""

inlined: Any = _njit(cache=True, inline="always", boundscheck=False, error_model="numpy")
"""Compiles a small function into each kernel that calls it."""
