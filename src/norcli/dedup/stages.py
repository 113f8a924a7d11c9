"""A run of several methods: which go together in one stage, and how stages follow each other.

Methods that compare whole documents share a stage; each method that cuts passages is a stage of
its own, since it changes the texts that later ones see. Between stages documents are kept in
$TMPDIR as lines of JSON; the last stage alone writes the output.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from norcli.console import Console
from norcli.dedup.options import PASSAGES_OF, DedupOptions
from norcli.dedup.statistics import DedupResult
from norcli.dedup.writing import side_file

Stage = Callable[[DedupOptions, Console], DedupResult]


def stages_of(methods: list[str]) -> list[list[str]]:
    """Return the methods of each stage, in order."""
    stages: list[list[str]] = []
    for method in methods:
        if stages and method not in PASSAGES_OF and stages[-1][-1] not in PASSAGES_OF:
            stages[-1].append(method)
        else:
            stages.append([method])
    return stages


def run_stages(options: DedupOptions, console: Console, run: Stage) -> DedupResult:
    """Run one stage after the other.

    Args:
        options: With more than one stage.
        console: For all of them.
        run: Runs a single stage.
    """
    stages = stages_of(options.method)
    total: DedupResult | None = None
    with ExitStack() as stack:
        rejects = side_file(stack, options.rejects, options)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="norcli-dedup-")))
        before: Path | None = None
        for number, methods in enumerate(stages):
            console.info(f"stage {number + 1} of {len(stages)}: {', '.join(methods)}")
            dropped, last = folder / "dropped", number + 1 == len(stages)
            after = folder / f"stage-{number}"
            one = replace(
                options, method=methods, rejects=str(dropped) if rejects else None,
                sweep=[], overwrite=options.overwrite or not last,
            )  # fmt: skip
            if not last:
                one = replace(one, output=str(after), output_format="jsonl", save_index=None)
            if before is not None:
                one = replace(one, inputs=[str(before)], files_from=None, input_format="jsonl",
                              limit=None, decontaminate=[])  # fmt: skip
            result = run(one, console)
            if before is not None:
                before.unlink()
            before = after
            if total is None:
                total = result
            else:
                total.add_stage(result)
            if rejects is not None:
                with dropped.open("rb") as lines:
                    for line in lines:
                        rejects.write_line(line)
                dropped.unlink()
    assert total is not None, "there is at least one method"
    return total
