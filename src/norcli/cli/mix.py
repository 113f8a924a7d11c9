"""``norcli mix``: build a corpus from parts by shares, weights, epochs, or a recipe."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from norcli.cli.command import Command, Outcome
from norcli.console import Console
from norcli.corpus.report_options import MixOptions
from norcli.errors import ExitCode
from norcli.streams import write_text

if TYPE_CHECKING:
    from norcli.corpus.mixing import MixResult

DESCRIPTION = """\
Builds one corpus from documents of several parts: sources, source groups, languages, whatever \
field --by names. How much of each is given by --shares of the output, --weights, --epochs (how \
often a part is read), or a recipe. The recipes v1, v2 and v3 are shipped and hold the amounts of \
the NorwAI report's Table 2 by source group, in tokens; --total scales them.

Two passes are made over the files: one to measure, one to write. A part that is wanted more than \
once is read again, up to --max-epochs (default 4: repeating up to four times costs little, \
Muennighoff et al. 2023); of a last, partial epoch, documents are drawn by --seed. Each document \
carries the number of its epoch in the field mix_epoch, and with its id tells copies apart. Other \
fields pass through as they are. Amounts are met to within one document of each part.

The output is the same for any --jobs. --dry-run measures and prints the plan: how many epochs of \
each part, and which part is missing or too small; it exits with 1 if the plan cannot be done.

A recipe is a TOML file: name, by, unit, total, and for each part a table [[part]] with its name \
and one of amount, weight, share and epochs."""


def run(options: MixOptions, console: Console) -> Outcome:
    """Mix, or print the plan."""
    from norcli.corpus.mixing import MixResult, load_parts, make_plan, mix

    begin = time.perf_counter()
    if options.dry_run:
        recipe = load_parts(options)
        plan, _ = make_plan(options, recipe, console)
        result = MixResult(plan)
        data = result.as_dict()
        text = json.dumps(data, ensure_ascii=False) + "\n" if options.json else _table(result)
        write_text(text)
        fails = any(part.problem for part in plan.parts)
        return Outcome(data, exit_code=ExitCode.FAILED if fails else ExitCode.OK)
    result = mix(options, console)
    return Outcome(result.as_dict(), _summary(result, time.perf_counter() - begin))


def _table(result: MixResult) -> str:
    """Return the plan as aligned lines."""
    from norcli.corpus.layout import number, percent

    plan = result.plan
    whole = max(plan.total, 1)
    rows = [("part", "documents", plan.unit, "share", "to write", "epochs", "")]
    for part in plan.parts:
        epochs = "–" if part.problem in ("missing", "empty") else f"{part.epochs:.2f}"
        rows.append((
            part.size.name, number(part.size.count), number(part.size.amount),
            percent(part.target / whole), number(part.target), epochs, part.problem,
        ))  # fmt: skip
    rows.append(("total", "", "", percent(1.0 if plan.total else 0.0), number(plan.total), "", ""))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if k in (0, 6) else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if any(part.problem == "too small" for part in plan.parts):
        lines.append(f"the largest --total that fits is {plan.largest_total}")
    if plan.left_out:
        lines.append(f"{number(plan.left_out)} documents are of no part and left out")
    return "\n".join(lines) + "\n"


def _summary(result: MixResult, seconds: float) -> str:
    from norcli.corpus.layout import number

    whole = max(sum(result.amounts), 1)
    parts = ", ".join(
        f"{part.size.name} {100 * amount / whole:.1f} % ({part.epochs:.2f} epochs)"
        for part, amount in zip(result.plan.parts, result.amounts, strict=True)
    )
    return (
        f"{number(sum(result.documents))} documents, {number(sum(result.amounts))} "
        f"{result.plan.unit}: {parts}, {seconds:.1f} s"
    )


COMMANDS: dict[str, Command] = {
    "mix": Command(
        options=MixOptions,
        run=run,
        description=DESCRIPTION,
        examples=(
            ("Upsample Nynorsk and Sámi",
             "norcli mix corpus.jsonl.zst --by lang --shares nob=0.7,nno=0.25,sme=0.05 "
             "-o mixed.jsonl.zst"),
            ("Read the library's part twice, and all else once",
             "norcli mix *.jsonl.zst --by source --epochs ncc=2 -o mixed.jsonl.zst"),
            ("What would the report's third corpus need of each part, at a billion tokens?",
             "norcli mix corpus.jsonl.zst --recipe v3 --total 1B --tokenizer tokenizer --dry-run"),
        ),
    ),
}  # fmt: skip
