"""norcli pretrain: train a language model on token shards."""

from __future__ import annotations

import os

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.training.options import PretrainOptions


def run(options: PretrainOptions, console: Console) -> Outcome:
    """Train, or print the plan."""
    from norcli.cluster.placement import find_placement
    from norcli.training.pretrain import plan_pretrain

    placement = find_placement(os.environ)
    if not placement.is_first:
        console.level = 0
        console.shows_progress = False
    if options.dry_run:
        from norcli.training.plan import describe_pretrain

        described = describe_pretrain(plan_pretrain(options, placement), options, placement)
        write_plan(described, options.json)
        return Outcome(described)
    from norcli.training.pretrain import pretrain

    result = pretrain(options, console, placement)
    return Outcome(result.stats(), f"{options.output}: {result.summary()}")


COMMANDS = {
    "pretrain": Command(
        options=PretrainOptions,
        run=run,
        description=(
            "Train a model of the family from scratch (--preset) or go on from another model "
            "(--base-model) on token shards made by norcli tokenize. The output directory holds "
            "the checkpoints and, when done, a Hugging Face model with its tokenizer.\n\n"
            "The run can be stopped at any time with Ctrl-C, SIGTERM or SIGUSR1: it saves a "
            "checkpoint, and the same command goes on from there, bit for bit. In a SLURM job it "
            "also stops in time before the job ends.\n\n"
            "Numbers that no flag gives come from the preset. --dry-run prints the plan, without "
            "torch or GPU. Under srun or torchrun all processes share the work (--distributed)."
        ),
        examples=(
            (
                "Train the smallest model on a laptop",
                "norcli pretrain shards/ --preset norgpt-nano --tokenizer tok/ -o model/",
            ),
            (
                "Show what a large run needs, on a login node",
                "norcli pretrain shards/ --preset norgpt-3b --tokenizer tok/ -o model/ --dry-run",
            ),
            (
                "Continue a model on new text, measuring on held-out documents",
                "norcli pretrain shards/ --base-model base/ -o model/ --held-out 0.01 "
                "--eval-every 500",
            ),
            (
                "Write a job script for two H100 nodes",
                "norcli launch h100 --nodes 2 --gpus 4 -- pretrain shards/ --preset "
                "norwai-mistral-7b-pretrain --tokenizer tok/ -o model/",
            ),
        ),
    )
}
