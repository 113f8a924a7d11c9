"""Ctrl-C while the program is still importing ends it by the signal, without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "norcli.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
import norcli.__main__
"""


def test_an_interrupt_during_imports_leaves_no_traceback() -> None:
    result = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True)
    assert (result.returncode, result.stderr) == (-signal.SIGINT, b"")
