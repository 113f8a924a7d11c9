"""Options of `launch`, and of data commands that run as many tasks. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from norcli.errors import UsageError
from norcli.options import INPUT, OUTPUT, GeneralOptions, OutputOptions, option

RESOURCES = "Resources"
JOB = "Job"
TASKS = "Many tasks"


@dataclass(kw_only=True)
class LaunchOptions(OutputOptions, GeneralOptions):
    """Options of ``norcli launch``."""

    machine: str = option(
        help="Kind of node: a100, h100, idun, or a name of your own with --cluster", group=INPUT,
        positional=True,
    )  # fmt: skip
    command: list[str] = option(
        help="The norcli command to run, after --", group=INPUT, positional=True,
        default_factory=list,
    )  # fmt: skip
    cluster: str | None = option(
        None, help="TOML file with your account, partition, modules and the like", group=INPUT,
        metavar="FILE", complete="file:.toml",
    )  # fmt: skip
    nodes: int = option(1, help="Nodes of the job", group=RESOURCES, minimum=1)
    gpus: int | None = option(
        None, help="GPUs per node, 0 for a data stage", group=RESOURCES, minimum=0,
        default_text="all of a node; 0 with --array",
    )  # fmt: skip
    cpus: int | None = option(
        None, help="Cores per process", group=RESOURCES, minimum=1,
        default_text="the machine's",
    )  # fmt: skip
    mem: str | None = option(
        None, help="Memory per node, such as 320G", group=RESOURCES, metavar="SIZE",
        default_text="the GPUs' share of the machine's",
    )  # fmt: skip
    time: str = option(
        "24:00:00", help="Time limit: minutes, HH:MM:SS or D-HH:MM:SS", group=RESOURCES,
        metavar="TIME",
    )  # fmt: skip
    array: int | None = option(
        None, help="Run as an array of this many tasks, each with its own --shard; {task} in the "
        "command becomes the task's number", group=RESOURCES, metavar="N", minimum=1,
    )  # fmt: skip
    account: str | None = option(None, help="SLURM account to charge", group=JOB, metavar="NAME")
    partition: str | None = option(None, help="SLURM partition", group=JOB, metavar="NAME")
    qos: str | None = option(None, help="SLURM quality of service", group=JOB, metavar="NAME")
    constraint: str | None = option(
        None, help="Features the nodes must have", group=JOB, metavar="TEXT"
    )
    job_name: str | None = option(
        None, help="Name of the job", group=JOB, metavar="NAME", default_text="norcli-COMMAND"
    )
    venv: str | None = option(
        None, help="Virtual environment to activate on the nodes", group=JOB, metavar="DIR",
        complete="dir",
    )  # fmt: skip
    requeue: bool = option(
        True, help="Queue the job again when it stopped after a checkpoint", group=JOB
    )
    signal_seconds: int = option(
        300, help="Seconds before the time limit at which the job is told to save", group=JOB,
        minimum=30,
    )  # fmt: skip
    submit: bool = option(
        False, help="Hand the script to sbatch instead of printing it", group=OUTPUT,
        in_config=False,
    )  # fmt: skip


@dataclass(kw_only=True)
class TaskOptions(GeneralOptions):
    """Options of ``norcli launch task``."""

    folder: str = option(
        help="Folder of the run (--work-dir)", group=INPUT, positional=True, complete="dir",
        metavar="FOLDER", in_config=False,
    )  # fmt: skip
    stage: str = option(
        help="Stage the task belongs to", group=INPUT, positional=True, metavar="STAGE",
        in_config=False,
    )  # fmt: skip
    number: int = option(
        help="Number of the task, from 0", group=INPUT, positional=True, metavar="I", minimum=0,
        in_config=False,
    )  # fmt: skip


@dataclass(kw_only=True)
class ExecutorOptions:
    """How a data command is spread over processes or nodes."""

    executor: str | None = option(
        None, help="Run as many tasks: on this machine, as SLURM arrays, or on a Ray cluster",
        group=TASKS, choices=("local", "slurm", "ray"), default_text="one process",
    )  # fmt: skip
    tasks: int | None = option(
        None, help="Number of tasks that share the input", group=TASKS, metavar="N", minimum=1
    )
    work_dir: str | None = option(
        None, help="Folder for the tasks' parts, checks and logs, seen by all nodes", group=TASKS,
        metavar="DIR", complete="dir", default_text="OUTPUT.work",
    )  # fmt: skip
    cluster_file: str | None = option(
        None, help="TOML file with account, partition, modules and the like, for slurm",
        group=TASKS, metavar="FILE", complete="file:.toml",
    )  # fmt: skip

    def check_executor(self) -> None:
        """Check that the options for many tasks are given together.

        Raises:
            UsageError: --tasks without --executor, or the other way round.
        """
        if self.executor is None:
            for name in ("tasks", "work_dir", "cluster_file"):
                if getattr(self, name) is not None:
                    flag = name.replace("_", "-")
                    raise UsageError(f"--{flag} needs --executor", hint="local, slurm or ray")
        elif self.tasks is None:
            raise UsageError(f"--executor {self.executor} needs --tasks N")
        elif self.cluster_file is not None and self.executor != "slurm":
            raise UsageError(f"--cluster-file is for slurm, not for {self.executor}")
