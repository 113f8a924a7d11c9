"""norcli sft: fine-tune a model on instructions."""

from __future__ import annotations

import os

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.training.options import SftOptions


def run(options: SftOptions, console: Console) -> Outcome:
    """Fine-tune, or print the plan."""
    from norcli.cluster.placement import find_placement
    from norcli.training.sft import plan_sft

    placement = find_placement(os.environ)
    if not placement.is_first:
        console.level = 0
        console.shows_progress = False
    if options.dry_run:
        from norcli.training.plan import describe_sft

        described = describe_sft(plan_sft(options, console, placement), options)
        write_plan(described, options.json)
        return Outcome(described)
    from norcli.training.sft import sft

    result = sft(options, console, placement)
    return Outcome(result.stats(), f"{options.output}: {result.summary()}")


COMMANDS = {
    "sft": Command(
        options=SftOptions,
        run=run,
        description=(
            "Fine-tune a model on instruction records: the report's Instruksjon, Input and "
            "Output, or instruction, input and output, prompt and completion, or messages. Only "
            "the answers are learnt. Several records share a row, and none sees another.\n\n"
            "The prompt template is stored with the model; chat, eval, serve and GGUF files use "
            "it from there. norwai asks with Svar:, norwai-en with Answer:.\n\n"
            "With --lora only an adapter is trained and saved; --merge also writes the merged "
            "model. The run can be stopped and repeated like norcli pretrain."
        ),
        examples=(
            (
                "Fine-tune all weights",
                "norcli sft instructions.jsonl --model base/ -o tuned/ --epochs 3",
            ),
            (
                "Train a LoRA adapter and merge it",
                "norcli sft instructions.jsonl --model base/ -o tuned/ --lora --rank 16 --merge",
            ),
            (
                "Take what another program writes",
                "zcat instructions.jsonl.gz | norcli sft --model base/ -o tuned/",
            ),
        ),
    )
}
