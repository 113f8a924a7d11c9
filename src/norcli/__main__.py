"""Entry point of ``norcli`` and ``python -m norcli`` (what srun and torchrun start)."""

from __future__ import annotations

import signal
import sys

# Until the program takes signals itself, Ctrl-C ends it without a word, whatever is being imported.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from norcli.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
