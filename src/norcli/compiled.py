"""How kernels are compiled: one decorator for the functions that numba turns into machine code.

They are kept in numba's cache, run without Python's lock so that threads can work side by side,
and trust their callers with bounds. Importing this module is what loads numba.
"""

from __future__ import annotations

import sys
from typing import Any

_BLAS = "scipy.linalg.cython_blas"


def _load_numba() -> Any:
    """Import numba so that it does not look for scipy's BLAS, 0.15 s that no kernel here needs.

    numba asks once, where its array functions are defined; without an answer `numpy.cov` cannot
    be compiled in this process, and all else can.
    """
    import numba

    if _BLAS not in sys.modules:
        sys.modules[_BLAS] = None  # type: ignore[assignment]  # to import it fails at once
        try:
            import numba.np.arraymath
        finally:
            del sys.modules[_BLAS]
    return numba


kernel: Any = _load_numba().njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
"""Compiles a function on its first call, or takes it from the cache."""
