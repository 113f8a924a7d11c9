"""norcli launch: write a SLURM job script for any command."""

from __future__ import annotations

from norcli.cli.command import Command, Outcome, write_plan
from norcli.cluster.options import LaunchOptions, TaskOptions
from norcli.console import Console
from norcli.errors import CannotCreateError, UnavailableError, UsageError


def run(options: LaunchOptions, console: Console) -> Outcome:
    """Write the script, or hand it to sbatch."""
    from norcli.cluster.machines import find_machine
    from norcli.cluster.scripts import TASK_MARK, gpus_per_node, job_script, tasks_per_node
    from norcli.streams import atomic_file

    if options.submit and options.output != "-":
        raise UsageError("give one of --submit and --output")
    machine = find_machine(options.machine, options.cluster)
    script = job_script(options, machine)
    _check_command([word.replace(TASK_MARK, "00000") for word in options.command])
    gpus = gpus_per_node(options, machine)
    facts = {
        "machine": machine.name, "nodes": options.nodes, "gpus_per_node": gpus,
        "processes": options.nodes * tasks_per_node(options, machine), "time": options.time,
        "array_tasks": options.array or 0,
    }  # fmt: skip
    if options.dry_run:
        write_plan(facts, options.json)
        return Outcome(facts)
    if options.submit:
        return Outcome(facts, _submitted(script))
    with atomic_file(options.output, overwrite=options.overwrite) as stream:
        stream.write(script.encode("utf-8"))
    return Outcome(facts)


def _check_command(words: list[str]) -> None:
    """Check the command that will run, so that a typing error does not wait in a queue."""
    from norcli.cli.arguments import parse_arguments
    from norcli.cli.registry import REGISTRY, load
    from norcli.options import option_fields

    name, rest = words[0], words[1:]
    if rest and f"{name} {rest[0]}" in REGISTRY:
        name, rest = f"{name} {rest[0]}", rest[1:]
    if name not in REGISTRY or name == "launch":
        raise UsageError(f'no command "{name}" to launch', hint="norcli --help lists the commands")
    fields = option_fields(load(name).options)
    given = parse_arguments(name, fields, rest)
    for field in fields:
        if field.name in given:
            field.check(given[field.name])
        elif field.required and "config" not in given:
            raise UsageError(f"{name}: missing {field.label}", hint=f"see norcli {name} --help")


def _submitted(script: str) -> str:
    """Hand the script to sbatch and return what it says."""
    import subprocess

    try:
        done = subprocess.run(["sbatch"], input=script, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError(
            "needs sbatch, which is not on this machine",
            hint="write the script with -o job.sh and submit it on a login node",
        ) from None
    if done.returncode:
        raise CannotCreateError(f"sbatch refused the job: {done.stderr.strip()}")
    return done.stdout.strip().lower()


def run_task(options: TaskOptions, console: Console) -> Outcome:
    """Run one task of a run that --executor has planned."""
    import os
    from pathlib import Path

    from norcli.cluster.runs import Run
    from norcli.cluster.tasks import run_task

    run = Run.load(Path(options.folder))
    count = run.stage(options.stage).tasks
    if options.number >= count:
        raise UsageError(f"stage {options.stage} has {count} tasks, numbered from 0")
    facts = {"command": run.command, "stage": options.stage, "task": options.number,
             "tasks": count, "done": run.is_done(options.stage, options.number)}  # fmt: skip
    if options.dry_run:
        write_plan(facts, options.json)
        return Outcome(facts)
    os.chdir(run.started_in)
    ran = run_task(run, options.stage, options.number, options.jobs or 1, console)
    return Outcome(
        facts, f"task {options.number} of {count} {'done' if ran else 'was done already'}"
    )


COMMANDS = {
    "launch task": Command(
        options=TaskOptions,
        run=run_task,
        description="Run one task of a run that crawl-filter or dedup --executor has planned in "
        "FOLDER: what the executors call on the nodes, and the way to repeat a task that failed. "
        "A task that is done is not run again.",
        examples=(("Run the fourth part again", "norcli launch task corpus.jsonl.work filter 3"),),
    ),
    "launch": Command(
        options=LaunchOptions,
        run=run,
        description=(
            "Write an sbatch script that runs a norcli command on GPU nodes, one process per GPU, "
            "or as an array of data tasks. The script goes to standard output; nothing is "
            "submitted without --submit.\n\n"
            "Before the time limit SLURM signals the job, the command saves and ends with status "
            "75, and the script queues itself again.\n\n"
            "Account, partition, modules and setup lines come from flags or from a TOML file of "
            "yours (--cluster), with keys for all machines and a table for each."
        ),
        examples=(
            (
                "Train on four H100 nodes",
                "norcli launch h100 --nodes 4 --gpus 4 --account NAME -- pretrain shards/ "
                "--preset norwai-mistral-7b-pretrain --tokenizer tok/ -o model/ | sbatch",
            ),
            (
                "Filter a crawl with 64 tasks",
                "norcli launch a100 --array 64 --cluster my.toml -- crawl-filter crawl/*.warc.gz "
                "-o clean-{task}.jsonl.zst | sbatch",
            ),
        ),
    ),
}
