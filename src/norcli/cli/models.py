"""The command ``norcli models`` with ``show`` and ``advise``."""

from __future__ import annotations

import json

from norcli.cli.command import Command, Outcome
from norcli.console import Console
from norcli.model.options import ModelsAdviseOptions, ModelsOptions, ModelsShowOptions
from norcli.streams import write_text


def run(options: ModelsOptions, console: Console) -> Outcome:
    """List the family."""
    from norcli.model.catalogue import family, family_table

    if options.json:
        lines = [json.dumps(row, ensure_ascii=False) for row in family()]
        write_text("\n".join(lines) + "\n")
    else:
        write_text(family_table())
    return Outcome({"models": len(family())})


def run_show(options: ModelsShowOptions, console: Console) -> Outcome:
    """Show one model."""
    from norcli.model.catalogue import describe, to_toml

    described = describe(options)
    if options.json:
        write_text(json.dumps(described, ensure_ascii=False) + "\n")
    else:
        write_text(to_toml(described))
    return Outcome(described)


def run_advise(options: ModelsAdviseOptions, console: Console) -> Outcome:
    """Say which model suits."""
    from norcli.model.catalogue import advice_text, advise

    advice = advise(options)
    if options.json:
        write_text("\n".join(json.dumps(entry, ensure_ascii=False) for entry in advice) + "\n")
    else:
        write_text(advice_text(advice, options.memory))
    return Outcome({"advice": advice})


COMMANDS = {
    "models": Command(
        options=ModelsOptions,
        run=run,
        description=(
            "Lists the models of the report's Table 1 and the small test models: parameters as "
            "counted and as printed, architecture, context, widths, vocabulary, how they came to "
            "be, GPU hours. With --json one object a line."
        ),
        examples=(
            ("the whole family", "norcli models"),
            ("names only", "norcli models --json | jq -r .name"),
        ),
    ),
    "models show": Command(
        options=ModelsShowOptions,
        run=run_show,
        description=(
            "Prints a preset as TOML: the report's row, the configuration in Hugging Face's "
            "names, how it was trained, exact parameters, memory for inference by GGUF type and "
            "for training, GPU hours by 6ND, advice, and notes on where the numbers disagree. A "
            "directory with a config.json is counted in the same way."
        ),
        examples=(
            ("all about one model", "norcli models show norwai-mistral-7b"),
            (
                "its size with another vocabulary",
                "norcli models show norgpt-nano --vocab-size 8000",
            ),
        ),
    ),
    "models advise": Command(
        options=ModelsAdviseOptions,
        run=run_advise,
        description=(
            "Gives the recommendations of the report's sections 2 and 5, by use; with --memory "
            "only what fits, and as which GGUF type."
        ),
        examples=(
            (
                "an assistant on a laptop of 16 GB",
                "norcli models advise --use assistant --memory 16",
            ),
        ),
    ),
}
