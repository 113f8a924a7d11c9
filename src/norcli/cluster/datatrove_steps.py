"""datatrove's executors with norcli's tasks in them: the one place where datatrove is imported.

A task is one coarse step: a process of norcli's own that runs a stage's kernels on its part of the
input. datatrove brings the ranks to it, notes which are complete, and keeps their logs.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import orjson
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger

from norcli.cluster.runs import DIGITS, Run
from norcli.streams import Interruption

GRACE_SECONDS = 10
"""How long a task may take to tidy up when it is told to stop."""

_MESSAGE_LINES = 3


class NorcliStep(PipelineStep):
    """Run one task of a stage in a process of its own, and note why it failed if it did.

    A process, for then a task that the system kills ends with a signal in hand, while the pools
    of datatrove's executors would wait for it for ever; and its worker may not have children, so
    --jobs would be of no use within a task.
    """

    type = "norcli"

    def __init__(self, folder: str, stage: str, started_in: str, jobs: int) -> None:
        self.name = stage
        super().__init__()
        self.folder = folder
        self.stage = stage
        self.started_in = started_in
        self.jobs = jobs

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Run a task; yields nothing, for what it makes is on disk."""
        failure = failure_path(Path(self.folder), self.stage, rank)
        failure.unlink(missing_ok=True)
        words = [sys.executable, "-m", "norcli", "launch", "task", "-v", "-j", str(self.jobs),
                 self.folder, self.stage, str(rank)]  # fmt: skip
        last: list[str] = []
        process = subprocess.Popen(
            words, cwd=self.started_in, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        try:
            assert process.stderr is not None, "it is a pipe"
            for line in process.stderr:
                logger.info(line.rstrip())
                last = [*last[1 - _MESSAGE_LINES :], line.rstrip()]
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
        if code != 0:
            failure.parent.mkdir(exist_ok=True)
            failure.write_bytes(orjson.dumps({"code": code, "lines": last}))
            raise RuntimeError(f"task {rank} of stage {self.stage} ended with status {code}")
        yield from ()


def failure_path(folder: Path, stage: str, number: int) -> Path:
    """Return where a step notes how its task failed."""
    return folder / stage / "failures" / f"{number:0{DIGITS}}.json"


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class LocalTasks(LocalPipelineExecutor):
    """datatrove's local executor with a process for each task in place of a pool.

    Its pool never learns that a worker was killed. What a task says goes to its log only.
    """

    advance: Callable[[], None]

    def run(self) -> None:
        """Run the tasks that are not complete, so many at once."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        waiting = self.get_incomplete_ranks(range(self.world_size))
        running: dict[Any, Any] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    rank = waiting.pop(0)
                    target = (str(self.logging_dir.path), self.pipeline, self.tasks, rank)
                    process = context.Process(target=_run_rank, args=target)
                    process.start()
                    running[process.sentinel] = process
                for sentinel in wait(list(running)):
                    running.pop(sentinel).join()
                    self.advance()
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.join()


def _run_rank(logging_dir: str, pipeline: list[Any], tasks: int, rank: int) -> None:
    """Run one rank in a child; whatever it prints goes to a file beside its log."""
    import signal

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(signum, _interrupt)
    errors = Path(logging_dir) / f"errors-{rank:0{DIGITS}}.log"
    with open(errors, "wb") as stream:
        os.dup2(stream.fileno(), 2)
    executor = LocalPipelineExecutor(pipeline, tasks=tasks, logging_dir=logging_dir)
    try:
        executor._run_for_rank(rank, local_rank=1)  # the others than 0 print errors only
        errors.unlink()
    except (RuntimeError, Interruption) as error:
        raise SystemExit(1) from error


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise Interruption(signum)


class SlurmTasks(SlurmPipelineExecutor):
    """datatrove's SLURM executor without directives that have no value, and without extra jobs."""

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """Return the directives; a partition that is not given is SLURM's to choose."""
        found = super().get_sbatch_args(max_array)
        return {key: value for key, value in found.items() if value or key == "requeue"}

    def launch_merge_stats(self) -> None:
        """Submit nothing: the last stage sums up the counts of all tasks."""


def slurm_tasks(run: Run, stage: str, cpus: int, **settings: Any) -> SlurmTasks:
    """Return the executor of a stage on SLURM."""
    return SlurmTasks(
        pipeline=_pipeline(run, stage, cpus), tasks=run.stage(stage).tasks,
        logging_dir=_folder(run, stage), cpus_per_task=cpus, **settings,
    )  # fmt: skip


def local_tasks(run: Run, stage: str, workers: int, advance: Callable[[], None]) -> LocalTasks:
    """Return the executor of a stage on this machine."""
    executor = LocalTasks(_pipeline(run, stage, 1), tasks=run.stage(stage).tasks, workers=workers,
                          logging_dir=_folder(run, stage))  # fmt: skip
    executor.advance = advance
    return executor


def ray_tasks(run: Run, stage: str, cpus: int, memory_gb: float) -> RayPipelineExecutor:
    """Return the executor of a stage on Ray."""
    return RayPipelineExecutor(
        _pipeline(run, stage, cpus), tasks=run.stage(stage).tasks, logging_dir=_folder(run, stage),
        cpus_per_task=cpus, mem_per_cpu_gb=memory_gb,
    )  # fmt: skip


def _pipeline(run: Run, stage: str, jobs: int) -> list[PipelineStep]:
    return [NorcliStep(str(run.folder), stage, run.started_in, jobs)]


def _folder(run: Run, stage: str) -> str:
    return str(run.folder / stage)


def match_completions(run: Run, stage: str) -> None:
    """Let datatrove count as complete what norcli finds whole, and nothing else."""
    folder = run.folder / stage / "completions"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = set(run.unfinished(run.stage(stage)))
    for number in range(run.stage(stage).tasks):
        mark = folder / f"{number:0{DIGITS}}"
        if number in unfinished:
            mark.unlink(missing_ok=True)
        elif not mark.exists():
            mark.touch()


def quiet_datatrove() -> None:
    """Keep datatrove's own log lines off standard error; the console says what matters."""
    logger.disable("datatrove")


def connect_to_ray() -> None:
    """Connect to the Ray cluster the environment names, or start one on this machine."""
    import ray

    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
