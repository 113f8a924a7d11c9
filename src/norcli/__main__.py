"""Entry point of ``norcli`` and ``python -m norcli`` (what srun and torchrun start)."""

from __future__ import annotations

import sys

from norcli.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
