"""The text of a SLURM job script: one norcli command on some nodes, saved and queued again.

srun starts one process per GPU, so that each rank receives SLURM's signal itself. What users type
reaches the script in two ways only: as words quoted for the shell, and as directive values that
are checked character by character. Writing and submitting are the command line's part.
"""

from __future__ import annotations

import re
import shlex

from norcli.cluster.machines import Machine
from norcli.cluster.options import LaunchOptions
from norcli.errors import UsageError

# What sbatch directives may hold here: no white space, quotes, #, $ or control characters.
_DIRECTIVE = re.compile(r"[A-Za-z0-9_.,:@%+=/|&()\[\]*~-]+")
_TIME = re.compile(r"\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d\d?(:\d\d){0,2}|UNLIMITED", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# Commands whose processes share one training; the others run once, with all GPUs of the node.
PARALLEL_COMMANDS = frozenset({"pretrain", "sft"})

# Where a word of the command should hold the number of the array task.
TASK_MARK = "{task}"

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "TOKENIZERS_PARALLELISM": "false",
}
_GPU_ENVIRONMENT = {
    "NCCL_DEBUG": "WARN",
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
}


def job_script(options: LaunchOptions, machine: Machine) -> str:
    """Return the script for a command.

    Args:
        options: Resources, and the command to run.
        machine: The kind of node.

    Raises:
        UsageError: A value cannot stand in a directive, something required is missing, or the
            tasks of an array would write over each other.
    """
    _check(options, machine)
    sections = [
        "#!/bin/bash",
        *_directives(options, machine),
        "",
        "set -euo pipefail",
        "",
        *_setup(options, machine),
        *_environment(options, machine),
        *_run(options, machine),
    ]
    return "\n".join(sections) + "\n"


def gpus_per_node(options: LaunchOptions, machine: Machine) -> int:
    """Return how many GPUs of each node the job takes."""
    if options.gpus is not None:
        return options.gpus
    return 0 if options.array is not None else machine.gpus_per_node


def tasks_per_node(options: LaunchOptions, machine: Machine) -> int:
    """Return how many processes run on each node."""
    shares = options.command[0] in PARALLEL_COMMANDS
    return max(gpus_per_node(options, machine), 1) if shares else 1


def _check(options: LaunchOptions, machine: Machine) -> None:
    if not options.command:
        raise UsageError("no command to run", hint="norcli launch h100 -- pretrain shards/ …")
    if not _TIME.fullmatch(options.time):
        raise UsageError(f'--time: "{options.time}" is no time limit',
                         hint="minutes, HH:MM:SS or D-HH:MM:SS")  # fmt: skip
    gpus = gpus_per_node(options, machine)
    if gpus > machine.gpus_per_node:
        raise UsageError(f"--gpus: {machine.name} nodes have {machine.gpus_per_node}, not {gpus}",
                         hint="set gpus_per_node in --cluster FILE if yours have more")  # fmt: skip
    for name in machine.required:
        if not (getattr(options, name) or getattr(machine, name)):
            raise UsageError(f"{machine.name} needs --{name}", hint=machine.hint or None)
    if options.nodes > 1 and (not gpus or options.command[0] not in PARALLEL_COMMANDS):
        raise UsageError(
            f"{options.command[0]} on {options.nodes} nodes would run as that many copies",
            hint="only pretrain and sft share their work over nodes; data stages use --array",
        )
    if options.array is None:
        return
    if gpus:
        raise UsageError("--array is for data stages: no GPU per task")
    if "--shard" in options.command:
        raise UsageError("--array gives each task its --shard; leave it out of the command")
    if not any(TASK_MARK in word for word in options.command):
        raise UsageError(
            f"every task of the array would write the same output: no {TASK_MARK} in the command",
            hint=f"name the output by task, such as -o clean-{TASK_MARK}.jsonl.zst",
        )


def _directives(options: LaunchOptions, machine: Machine) -> list[str]:
    gpus = gpus_per_node(options, machine)
    tasks = tasks_per_node(options, machine)
    cpus = options.cpus or machine.cpus_per_gpu * max(gpus, 1) // tasks
    memory = options.mem
    if memory is None and gpus and machine.memory_per_gpu_gb:
        memory = f"{machine.memory_per_gpu_gb * gpus}G"
    kind = f"gpu:{machine.gpu}:{gpus}" if machine.gpu else f"gpu:{gpus}"
    values: list[tuple[str, str | int | None]] = [
        ("job-name", options.job_name or f"norcli-{options.command[0]}"),
        ("account", options.account or machine.account),
        ("partition", options.partition or machine.partition),
        ("qos", options.qos or machine.qos),
        ("constraint", options.constraint or (machine.constraint if gpus else "")),
        ("nodes", options.nodes),
        ("ntasks-per-node", tasks),
        ("cpus-per-task", cpus),
        ("gres", kind if gpus else None),
        ("mem", memory),
        ("time", options.time),
        ("array", None if options.array is None else f"0-{options.array - 1}"),
        ("output", "%x-%j.out" if options.array is None else "%x-%A_%a.out"),
        ("open-mode", "append"),
        ("signal", f"USR1@{options.signal_seconds}"),
    ]
    lines = [
        f"#SBATCH --{name}={directive_value(name, str(value))}"
        for name, value in values
        if value not in (None, "")
    ]
    return [*lines, "#SBATCH --requeue" if options.requeue else "#SBATCH --no-requeue"]


def directive_value(name: str, value: str) -> str:
    """Return a directive's value, refused when it could end the line or begin another word."""
    if not _DIRECTIVE.fullmatch(value):
        raise UsageError(f"--{name}: {value!r} cannot stand in a job script",
                         hint="letters, digits and _.,:@%+=/|&()[]*~- only")  # fmt: skip
    return value


def _setup(options: LaunchOptions, machine: Machine) -> list[str]:
    lines = []
    if machine.modules:
        lines += ["module purge", f"module load {shlex.join(machine.modules)}"]
    if options.venv:
        lines.append(f"source {shlex.quote(options.venv.rstrip('/') + '/bin/activate')}")
    lines += machine.setup
    return [*lines, ""] if lines else []


def _environment(options: LaunchOptions, machine: Machine) -> list[str]:
    variables = dict(_ENVIRONMENT)
    gpus = gpus_per_node(options, machine)
    if gpus:
        variables |= _GPU_ENVIRONMENT
    variables |= machine.environment
    lines = []
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f'environment: "{name}" is no name of a variable')
        lines.append(f"export {name}={shlex.quote(value)}")
    lines += [
        'export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"',
        "# Since SLURM 22.05 srun no longer takes this over from the job.",
        'export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
    ]
    if gpus:
        lines += [
            "# Kernels are compiled on the node itself; a shared folder leaves stale locks behind.",
            'export TRITON_CACHE_DIR="${TMPDIR:-/tmp}/norcli-triton-$SLURM_JOB_ID"',
            'export TORCH_EXTENSIONS_DIR="${TMPDIR:-/tmp}/norcli-extensions-$SLURM_JOB_ID"',
            "# Where the processes meet: the first node, on a port of this job's own.",
            'MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            "MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))",
            "export MASTER_ADDR MASTER_PORT",
        ]
    return [*lines, ""]


def _run(options: LaunchOptions, machine: Machine) -> list[str]:
    words = ["srun", "python", "-m", "norcli"]
    lines = []
    command = " ".join([*words, *(_quoted(word) for word in options.command)])
    if options.array is not None:
        lines.append("task=$(printf '%05d' \"$SLURM_ARRAY_TASK_ID\")")
        command += ' --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"'
    lines += ["status=0", f"{command} || status=$?"]
    if options.requeue:
        job = "$SLURM_JOB_ID"
        if options.array is not None:
            job = "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
        lines += [
            "# 75: stopped after a checkpoint; the same command goes on from there.",
            'if [ "$status" -eq 75 ]; then',
            f'  scontrol requeue "{job}"',
            "fi",
        ]
    return [*lines, 'exit "$status"']


def _quoted(word: str) -> str:
    """Quote a word for the shell; the task mark in it becomes the shell's variable."""
    if TASK_MARK not in word:
        return shlex.quote(word)
    return '"$task"'.join(shlex.quote(part) if part else "" for part in word.split(TASK_MARK))
