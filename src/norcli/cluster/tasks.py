"""One task of a run: the stage's function on its part, and the record of what came out.

What ``norcli launch task`` does; datatrove's executors call nothing else. A stage's function takes
a `Task` and returns what it `Made`; it stands in the module of its command, in `STAGES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from norcli.cluster.runs import Made, Run
from norcli.console import Console

_MODULES = {
    "crawl-filter": "norcli.cluster.crawl_filter_stages",
    "dedup": "norcli.cluster.dedup_stages",
}


@dataclass(frozen=True)
class Task:
    """One task while it runs.

    Attributes:
        run: The run it belongs to.
        stage: The name of its stage.
        number: Which of the stage's tasks it is.
        count: How many the stage has.
        folder: Where it writes; what it made is moved from there.
        jobs: Cores it may use.
        console: What it says goes to its log.
    """

    run: Run
    stage: str
    number: int
    count: int
    folder: Path
    jobs: int
    console: Console


def run_task(run: Run, stage: str, number: int, jobs: int, console: Console) -> bool:
    """Run one task, unless it is done.

    Args:
        run: The run it belongs to.
        stage: The name of its stage.
        number: Which of the stage's tasks.
        jobs: Cores it may use.
        console: For progress and warnings.

    Returns:
        Whether there was anything to do.

    Raises:
        NorcliError: Whatever the stage finds wrong; nothing is recorded then.
    """
    count = run.stage(stage).tasks
    if run.is_done(stage, number):
        run.tidy()
        return False
    run.check_inputs()
    module = importlib.import_module(_MODULES[run.command])
    function: Callable[[Task], Made] = module.STAGES[run.stage(stage).kind]
    with run.working_folder(stage, number) as folder:
        made = function(Task(run, stage, number, count, folder, jobs, console))
        run.record(stage, number, made)
    run.tidy()
    return True
