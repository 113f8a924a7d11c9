"""Carry out a run of many tasks: stage after stage on this machine or Ray, or all queued on SLURM.

datatrove starts the tasks (see `norcli.cluster.datatrove_steps`); this module decides which have
to run, waits or submits, and tells which failed and how to go on. The same command again runs
what is missing and nothing else.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from norcli.cluster.machines import Machine, find_data_machine
from norcli.cluster.options import ExecutorOptions
from norcli.cluster.runs import Run, Stage
from norcli.cluster.scripts import directive_value
from norcli.console import Console
from norcli.errors import (
    CannotCreateError,
    ExitCode,
    NorcliError,
    ResumableStopError,
    UnavailableError,
    UsageError,
    missing_extra,
)
from norcli.streams import Interruption, atomic_file

_KILLED = "was killed by signal"
_STOPPED = (ExitCode.RESUMABLE, ExitCode.SIGTERM, ExitCode.SIGINT)


def carry_out(
    run: Run, options: ExecutorOptions, jobs: int, overwrite: bool, console: Console
) -> bool:
    """Run what is missing of a run.

    Args:
        run: What to do.
        options: By which executor.
        jobs: Cores of each task; on this machine, tasks at a time.
        overwrite: Discard a complete run, or one of another configuration, in the same folder.
        console: Told what is submitted, and how far it is.

    Returns:
        Whether the run is complete; False where it was handed to SLURM.

    Raises:
        UnavailableError: datatrove, Ray or sbatch is not there.
        NorcliError: A task failed, with the exit code of its failure.
    """
    try:
        from norcli.cluster import datatrove_steps as datatrove
    except ModuleNotFoundError as error:
        raise missing_extra((error.name or "datatrove").partition(".")[0], "cluster") from error
    try:
        run.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise CannotCreateError(f"cannot be made: {(error.strerror or '').lower()}",
                                path=run.folder) from error  # fmt: skip
    lock = run.lock()
    try:
        run.prepare(overwrite)
        datatrove.quiet_datatrove()
        if options.executor == "slurm":
            _submit(run, find_data_machine(options.cluster_file), jobs, console)
            return False
        if options.executor == "ray":
            _connect_to_ray(datatrove)
        for stage in run.stages:
            datatrove.match_completions(run, stage.name)
            with console.progress(stage.name, stage.tasks, "tasks") as progress:
                if options.executor == "ray":
                    datatrove.ray_tasks(run, stage.name, jobs, memory_gb=0).run()
                else:
                    tasks = datatrove.local_tasks(run, stage.name, jobs, progress.advance)
                    tasks.run()
            check_stage(run, stage)
        run.tidy()
    except Interruption as error:
        raise ResumableStopError(
            "stopped; tasks that are done stay done", hint="run the same command again to go on"
        ) from error
    finally:
        if run.is_planned:
            lock.release()
        else:
            lock.remove()
    return True


def _connect_to_ray(datatrove: Any) -> None:
    try:
        datatrove.connect_to_ray()
    except ModuleNotFoundError:
        raise missing_extra("ray", "ray") from None


def plan(run: Run, options: ExecutorOptions) -> dict[str, Any]:
    """Return how a run would be carried out, for --dry-run.

    Raises:
        ConfigError: The file with the cluster's settings is wrong.
    """
    found: dict[str, Any] = {
        "executor": options.executor,
        "work_dir": str(run.folder),
        "stages": ", ".join(f"{stage.name} ({stage.tasks})" for stage in run.stages),
    }
    if options.executor == "slurm":
        settings = _settings(find_data_machine(options.cluster_file))
        found |= {"time": settings["time"], "memory_gb_per_core": settings["mem_per_cpu_gb"]}
        named = {"partition": settings["partition"], "qos": settings["qos"],
                 **settings["sbatch_args"]}  # fmt: skip
        found |= {key: named[key] for key in ("account", "partition", "qos") if named[key]}
    return found


def warn_of_bad_records(count: int, run: Run, console: Console) -> None:
    """Say how many bad records the tasks passed over, and where they are named."""
    if count:
        console.warn(f"skipped {count} bad records; the logs in {run.folder} name them")


def check_stage(run: Run, stage: Stage) -> None:
    """Check that all tasks of a stage are done.

    Raises:
        NorcliError: Some are not; tells of the first what went wrong, with its exit code.
    """
    missing = run.unfinished(stage)
    if not missing:
        return
    number = missing[0]
    reason, hint, code = _failure(run, stage, number)
    others = f" (and {len(missing) - 1} more of {stage.tasks})" if len(missing) > 1 else ""
    raise NorcliError(
        f"task {number} of stage {stage.name}{others}: {reason}",
        hint=f"{hint}run the same command again, or only this task: "
        f"{run.rerun(stage.name, number)}", code=code,
    )  # fmt: skip


def _failure(run: Run, stage: Stage, number: int) -> tuple[str, str, ExitCode]:
    """Return why a task is not done, what to do first, and an exit code."""
    from norcli.cluster.datatrove_steps import failure_path

    try:
        noted = orjson.loads(failure_path(run.folder, stage.name, number).read_bytes())
    except FileNotFoundError:
        log = run.folder / stage.name / "logs" / f"task_{number:05}.log"
        return f"did not end; its log is {log}", "", ExitCode.RESUMABLE
    code, lines = noted["code"], [line for line in noted["lines"] if line.strip()]
    if code < 0:
        reason = f"{_KILLED} {-code}"
        return reason, "give it more memory if that was too little; then ", ExitCode.RESUMABLE
    said = [line for line in lines if not line.startswith("hint: ")]
    hints = [line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")]
    reason = (said[-1].partition(": ")[2] or said[-1]) if said else f"ended with status {code}"
    known = ExitCode(code) if code in set(ExitCode) else ExitCode.FAILED
    if known in _STOPPED:
        return reason, "", ExitCode.RESUMABLE
    return reason, f"{hints[0]}; then " if hints else "", known


def _submit(run: Run, machine: Machine, jobs: int, console: Console) -> None:
    """Queue all stages, each behind the one before."""
    from norcli.cluster.datatrove_steps import SlurmTasks, match_completions, slurm_tasks

    jobs_file = run.folder / "jobs.json"
    _check_queue(run, jobs_file)
    executor: SlurmTasks | None = None
    executors = []
    for stage in run.stages:
        match_completions(run, stage.name)
        executor = slurm_tasks(
            run, stage.name, jobs, depends=executor,
            job_name=f"norcli-{run.command}-{stage.name}", **_settings(machine),
        )  # fmt: skip
        executors.append(executor)
    assert executor is not None, "a run has stages"
    try:
        executor.launch_job()
    except FileNotFoundError:
        raise UnavailableError(
            "needs sbatch, which is not on this machine",
            hint="run it on a login node of the cluster, or give --executor local",
        ) from None
    except subprocess.CalledProcessError as error:
        raise CannotCreateError(
            f"sbatch refused the job (status {error.returncode})",
            hint="what it said stands above; account and partition come from --cluster-file",
        ) from None
    submitted = {
        stage.name: one.job_id
        for stage, one in zip(run.stages, executors, strict=True)
        if one.job_id not in (None, -1)
    }
    with atomic_file(str(jobs_file), overwrite=True) as stream:
        stream.write(orjson.dumps(submitted))
    for name, job in submitted.items():
        console.say(f"stage {name}: job {job}")


def _check_queue(run: Run, jobs_file: Path) -> None:
    """Refuse to submit a second time what is still queued or running.

    Raises:
        ResumableStopError: It is; tells how far it has come.
    """
    try:
        submitted: dict[str, str] = orjson.loads(jobs_file.read_bytes())
        ids = ",".join(submitted.values())
        asked = subprocess.run(["squeue", "-h", "-o", "%i", "-j", ids], capture_output=True,
                               text=True, check=False)  # fmt: skip
    except FileNotFoundError:  # nothing submitted so far, or no squeue to ask
        return
    if asked.stdout.strip():
        done = ", ".join(
            f"{stage.name} {stage.tasks - len(run.unfinished(stage))}/{stage.tasks}"
            for stage in run.stages
        )
        raise ResumableStopError(
            f"its jobs are still queued or running ({done} tasks done)",
            hint=f"squeue -j {ids}; or end them with scancel {ids.replace(',', ' ')}",
        )


def _settings(machine: Machine) -> dict[str, Any]:
    """Return what SLURM is asked for; nothing is asked for that the user did not name.

    Raises:
        UsageError: The user's file says that more has to be named.
    """
    for name in machine.required:
        if not getattr(machine, name):
            raise UsageError(f'--cluster-file has no "{name}"', hint=machine.hint or None)
    for name in ("account", "partition", "qos", "constraint", "task_time"):
        if value := getattr(machine, name):
            directive_value(name, value)
    # The nodes run the Python and the packages that this process runs.
    setup = ["set -e", f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"]
    if machine.modules:
        setup[1:1] = ["module purge", f"module load {shlex.join(machine.modules)}"]
    setup += machine.setup
    setup += [f"export {key}={shlex.quote(value)}" for key, value in machine.environment.items()]
    extra = {"account": machine.account, "constraint": machine.constraint,
             "kill-on-invalid-dep": "yes", "open-mode": "append"}  # fmt: skip
    return {
        "time": machine.task_time,
        "partition": machine.partition,
        "qos": machine.qos,
        "mem_per_cpu_gb": machine.memory_per_cpu_gb,
        "max_array_size": machine.max_array_size,
        "env_command": "\n".join(setup),
        "sbatch_args": extra,
    }
