"""`crawl-filter` as many tasks: each filters one contiguous part, then the parts are joined.

The parts are those of ``--shard I/N``, so that one after another they are what one process would
write. An output with {task} in its name is left in parts, one from each task.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from norcli.cluster.executors import carry_out, warn_of_bad_records
from norcli.cluster.outputs import join, places
from norcli.cluster.planning import check_sharing, in_one_process, shared_run, write_counts
from norcli.cluster.runs import Made, Run, Stage
from norcli.cluster.tasks import Task
from norcli.console import Console
from norcli.corpus.crawl import check_run, filter_crawl
from norcli.corpus.crawl import plan as plan_of_one_process
from norcli.corpus.funnel import Funnel
from norcli.corpus.options import CrawlFilterOptions
from norcli.errors import DataError
from norcli.formats.documents import input_bytes

FILTER, FINISH = "filter", "finish"


def plan_run(options: CrawlFilterOptions) -> Run:
    """Return the run that some options ask for.

    Raises:
        NorcliError: An input, an output or an option is wrong.
    """
    outputs = _outputs(options)
    check_sharing(options, outputs)
    paths = check_run(in_one_process(options))
    stages = Stage(FILTER, options.tasks or 1), Stage(FINISH, 1)
    return shared_run("crawl-filter", options, outputs, paths, stages)


def run_in_tasks(options: CrawlFilterOptions, console: Console) -> Funnel | None:
    """Filter through an executor.

    Returns:
        The counts of the whole run; None where it was handed to SLURM.

    Raises:
        NorcliError: What is wrong, or which task failed and how.
    """
    run = plan_run(options)
    if not carry_out(run, options, options.jobs or 1, options.overwrite, console):
        return None
    funnel = Funnel.of_state(run.manifest(FINISH, 0)["stats"])
    funnel.input_bytes = input_bytes(run.options["inputs"])
    warn_of_bad_records(funnel.bad_records, run, console)
    return funnel


def plan(options: CrawlFilterOptions) -> dict[str, Any]:
    """Return what a run through an executor would do, for --dry-run.

    Raises:
        NorcliError: An input, an output or an option is wrong.
    """
    from norcli.cluster.executors import plan as plan_of_executor

    run = plan_run(options)
    return plan_of_one_process(in_one_process(options)) | plan_of_executor(run, options)


def _outputs(options: CrawlFilterOptions) -> dict[str, str]:
    rejects = {} if options.rejects is None else {"rejects": options.rejects}
    return {"output": options.output, **rejects}


def _filter(task: Task) -> Made:
    """Filter the task's part."""
    options = CrawlFilterOptions(**task.run.options)
    files = places(task, _outputs(options))
    own = dataclasses.replace(
        in_one_process(options), shard=f"{task.number}/{task.count}", jobs=task.jobs,
        output=str(files["output"]),
        rejects=str(files["rejects"]) if "rejects" in files else None,
    )  # fmt: skip
    funnel = filter_crawl(own, task.console)
    return Made(files, funnel.as_state())


def _finish(task: Task) -> Made:
    """Join the parts, and sum up the counts."""
    run, options = task.run, CrawlFilterOptions(**task.run.options)
    total = Funnel()
    for number in range(run.stage(FILTER).tasks):
        part = Funnel.of_state(run.manifest(FILTER, number)["stats"])
        total.merge(part)
        total.bad_records += part.bad_records
        total.damaged_files += part.damaged_files
        total.seconds += part.seconds
    if options.max_bad is not None and total.bad_records > options.max_bad:
        raise DataError(
            f"more than {options.max_bad} bad records: {total.bad_records} in all tasks"
        )
    files = join(run, [FILTER], _outputs(options))
    write_counts(run, options.stats, total.as_stats())
    return Made(files, total.as_state())


STAGES: dict[str, Callable[[Task], Made]] = {FILTER: _filter, FINISH: _finish}
