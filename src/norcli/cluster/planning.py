"""Plan a run of many tasks: what all commands that share their input out have in common.

Which outputs can be made in parts, where the run is kept, what makes it the same run again, and
where its counts go.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from norcli.cluster.options import ExecutorOptions
from norcli.cluster.outputs import TASK_MARK, numbered
from norcli.cluster.runs import Run, Stage, option_values
from norcli.errors import UsageError
from norcli.resume import effective_config, run_header, watched_files
from norcli.streams import atomic_file, check_output

Options = TypeVar("Options", bound=ExecutorOptions)


def in_one_process(options: Options) -> Options:
    """Return options for a part of the work that is done in one process."""
    shared: Any = options
    own: Options = dataclasses.replace(shared, executor=None, tasks=None, overwrite=True)
    return own


def check_sharing(options: Any, outputs: Mapping[str, str]) -> None:
    """Check that what is asked for can be done in parts.

    Args:
        options: Of crawl-filter or dedup.
        outputs: Name and path of each output.

    Raises:
        UsageError: It cannot.
    """
    options.check_executor()
    if "-" in outputs.values():
        raise UsageError("--executor needs an output file", hint="name it with -o FILE")
    for flag in ("shard", "limit"):
        if getattr(options, flag) is not None:
            raise UsageError(f"--executor shares out the whole input; leave --{flag} out")
    if getattr(options, "resume", False):
        raise UsageError("--executor goes on by itself; leave --resume out",
                         hint="run the same command again to run what is missing")  # fmt: skip
    for path in outputs.values():
        if path.endswith(".parquet") and TASK_MARK not in path:
            raise UsageError(
                f"parts of Parquet cannot be joined: {path}",
                hint=f"name it by task, such as {path[:-8]}-{TASK_MARK}.parquet",
            )


def shared_run(
    command: str, options: Any, outputs: Mapping[str, str], inputs: Sequence[str],
    stages: Sequence[Stage],
) -> Run:  # fmt: skip
    """Return the run that some options ask for.

    Args:
        command: Of norcli.
        options: Its options.
        outputs: Name and path of each output.
        inputs: The files to read, one by one.
        stages: In their order.

    Raises:
        CannotCreateError: An output exists.
    """
    settings = dataclasses.replace(options, inputs=list(inputs), files_from=None)
    watched = watched_files(options, inputs, outputs.values())
    run = Run(
        folder=work_folder(options.work_dir, options.output),
        command=command,
        options=option_values(settings),
        header=run_header(effective_config(settings), watched, outputs),
        stages=tuple(stages),
        started_in=os.getcwd(),
    )
    if not options.dry_run and run.is_planned and run.is_complete:
        Run.load(run.folder).tidy()  # what a kill after its last manifest left
    check_new(run, outputs, options.tasks or 1, options.overwrite)
    return run


def work_folder(work_dir: str | None, output: str) -> Path:
    """Return the folder of a run: --work-dir, or one named after the output."""
    return Path(work_dir or f"{output.replace(TASK_MARK, 'N')}.work").absolute()


def check_new(run: Run, outputs: Mapping[str, str], tasks: int, overwrite: bool) -> None:
    """Check that the outputs of a run that is to begin do not exist.

    Of one that has begun they were checked at its start, and some may be its own by now.

    Raises:
        CannotCreateError: One exists.
    """
    if run.has_begun:
        return
    for path in outputs.values():
        for number in range(tasks if TASK_MARK in path else 1):
            check_output(numbered(path, number), overwrite)


def write_counts(run: Run, stats: str | None, counts: Mapping[str, Any]) -> None:
    """Write the counts of a whole run to --stats, or to its folder."""
    with atomic_file(stats or str(run.folder / "stats.json"), overwrite=True) as stream:
        stream.write(orjson.dumps(counts, option=orjson.OPT_INDENT_2))
