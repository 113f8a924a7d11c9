"""Numba starts without packages that no kernel needs, and leaves them to whoever wants them."""

from __future__ import annotations

import subprocess
import sys

RUN = """
import importlib.util, sys
from norcli.dedup import sorting

sorting.warm_up()
assert not {"scipy", "yaml"} & set(sys.modules), "loaded, or left behind as missing"
for name in ("scipy.linalg", "yaml"):
    if importlib.util.find_spec(name.partition(".")[0]):
        __import__(name)
"""


def test_numba_starts_without_scipy_and_yaml_and_hides_them_from_nobody() -> None:
    result = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True,
                            check=False)  # fmt: skip
    assert result.returncode == 0, result.stderr
