"""`norcli stats`."""

from __future__ import annotations

import json

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.corpus.options import StatsOptions

DESCRIPTION = """\
Read records and print what the corpus holds: documents, words, bytes and, with --tokenizer, \
tokens, by language, source, source group and licence; a histogram of lengths; and the shares \
the report gives: Nynorsk and Sámi of the Norwegian portion, copyrighted text.

Groups come from the fields lang, source, source_group, license and copyrighted, as crawl-filter \
writes them. A table is left out where no record has its field."""


def run(options: StatsOptions, console: Console) -> Outcome:
    """Count and print the report."""
    from norcli.formats.documents import input_bytes, input_paths
    from norcli.streams import atomic_file, check_output

    paths = input_paths(options)
    check_output(options.output, options.overwrite)
    if options.dry_run:
        outline = {"inputs": len(paths), "input_bytes": input_bytes(paths),
                   "tokenizer": options.tokenizer}  # fmt: skip
        write_plan(outline, as_json=options.json)
        return Outcome(outline)
    from norcli.corpus.report import format_statistics
    from norcli.corpus.statistics import collect_statistics

    statistics = collect_statistics(options, console)
    if not statistics.total.documents:
        console.warn("the input holds no documents")
    form = "json" if options.json else options.format
    if form == "json":
        report = json.dumps(statistics.as_dict(), ensure_ascii=False, indent=2) + "\n"
    else:
        report = format_statistics(statistics, form)
    with atomic_file(options.output, overwrite=options.overwrite) as stream:
        stream.write(report.encode("utf-8"))
    return Outcome(statistics.as_dict())


COMMANDS: dict[str, Command] = {
    "stats": Command(
        options=StatsOptions,
        run=run,
        description=DESCRIPTION,
        examples=(
            ("What does the corpus hold?", "norcli stats corpus.jsonl.zst"),
            ("A Markdown report with token counts",
             "norcli stats corpus.jsonl.zst --tokenizer tokenizer --format markdown -o corpus.md"),
            ("The share of Nynorsk, for a script",
             "norcli stats corpus.jsonl.gz --json | jq .shares.nynorsk_of_norwegian"),
        ),
    ),
}  # fmt: skip
