"""CPU time of help: norcli and each of its commands, beside a peer's command line.

    python benchmarks/startup.py

The bound is 0.120 s of CPU for every command. The peer is `transformers --help`, which the
training extra installs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from recording import cpu_seconds, record

from norcli.cli.registry import REGISTRY

BOUND_SECONDS = 0.120


def main() -> int:
    norcli = [sys.executable, "-m", "norcli"]
    figures: dict[str, float] = {"--help": round(cpu_seconds([*norcli, "--help"]), 3)}
    for name in REGISTRY:
        figures[f"{name} --help"] = round(cpu_seconds([*norcli, *name.split(), "--help"]), 3)
    slowest = max(figures.values())
    peer = Path(sys.executable).with_name("transformers")
    if peer.exists():
        figures["peer: transformers --help"] = round(cpu_seconds([str(peer), "--help"], runs=2), 3)
        figures["ratio peer / slowest"] = round(figures["peer: transformers --help"] / slowest, 1)
    figures["slowest"] = slowest
    record("startup", figures)
    return 0 if slowest <= BOUND_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
