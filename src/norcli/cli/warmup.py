"""``norcli warmup``: compile every numba kernel once and leave it in the cache.

Each stage that has kernels offers a `warm_up()` which runs them on a few bytes; the first use of
a command does the same by itself and only takes longer.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass

from norcli.cli.command import Command, Outcome
from norcli.console import Console
from norcli.options import GeneralOptions

KERNEL_MODULES = (
    "norcli.formats.json_values",
    "norcli.corpus.quality",
    "norcli.corpus.boilerplate",
    "norcli.corpus.sentences",
    "norcli.corpus.word_list",
    "norcli.corpus.classifier",
    "norcli.corpus.sources.removal",
    "norcli.dedup.scanning",
    "norcli.dedup.shingles",
    "norcli.dedup.sorting",
    "norcli.dedup.minhash",
    "norcli.dedup.index",
    "norcli.dedup.kept",
    "norcli.dedup.parts",
    "norcli.dedup.stars",
    "norcli.dedup.contamination",
    "norcli.dedup.lines",
    "norcli.dedup.spans",
    "norcli.dedup.repeated_ids",
    "norcli.quantize.kernels",
    "norcli.quantize.divergence",
)


@dataclass(kw_only=True)
class WarmupOptions(GeneralOptions):
    """Options of ``norcli warmup``."""


def run(options: WarmupOptions, console: Console) -> Outcome:
    """Compile the kernels of every stage."""
    seconds: dict[str, float] = {}
    if options.dry_run:
        console.say("would compile: " + ", ".join(KERNEL_MODULES))
        return Outcome()
    with console.progress("compiling kernels", len(KERNEL_MODULES), "modules") as progress:
        for name in KERNEL_MODULES:
            begin = time.perf_counter()
            importlib.import_module(name).warm_up()
            seconds[name] = round(time.perf_counter() - begin, 2)
            console.info(f"{name}: {seconds[name]} s")
            progress.advance()
    return Outcome(seconds, f"kernels ready in {sum(seconds.values()):.1f} s")


COMMANDS = {
    "warmup": Command(
        options=WarmupOptions,
        run=run,
        description="Compiles the numba kernels into numba's cache: beside the package, or in "
        "NUMBA_CACHE_DIR where the package's folder is read-only. Run it once after an install, "
        "on the kind of node that will do the work, since the cache is made for its processor.",
        examples=(
            ("Compile into a folder on the node's own disk",
             'NUMBA_CACHE_DIR="$TMPDIR/kernels" norcli warmup'),
        ),
    )
}  # fmt: skip
