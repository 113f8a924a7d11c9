"""`norcli stats` and `norcli stats merge`."""

from __future__ import annotations

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.corpus.report_options import LayoutOptions, MergeOptions, StatsOptions
from norcli.errors import UsageError

DESCRIPTION = """\
Reads records and prints what the corpus holds: documents, words, bytes and, with --tokenizer, \
tokens, by source group, source, language, licence, document type and year; a histogram of \
lengths; the layout of the NorwAI report's Table 2 (corpora by source groups) and Figure 1 \
(totals and copyrighted text, Nynorsk and Sámi of the Norwegian portion).

Groups come from the fields corpus, source, source_group, lang, license, copyrighted, doc_type and \
date, as crawl-filter writes them. A table is left out where no record has its field. Several \
corpora side by side: give each a name with --corpus, write --json, and join them with stats merge.

--runs adds the funnel by rule and the duplicates between sources from what crawl-filter and dedup \
wrote with --stats; records that dedup --mark marked tell their duplicates themselves.

The HTML page is one file without scripts that loads nothing; it follows light and dark settings."""

MERGE = """\
Adds up counts that norcli stats --json wrote, of shards or of whole corpora, and lays out the \
same report without reading a text again. Corpora of different names become the rows of Table 2.

Words or tokens: all files must have counted the same."""


def run(options: StatsOptions, console: Console) -> Outcome:
    """Count and print the report."""
    from norcli.formats.documents import input_bytes, input_paths

    paths = input_paths(options)
    _check_outputs(options)
    if options.dry_run:
        outline = {"inputs": len(paths), "input_bytes": input_bytes(paths),
                   "tokenizer": options.tokenizer, "jobs": options.jobs or 1}  # fmt: skip
        write_plan(outline, as_json=options.json)
        return Outcome(outline)
    from norcli.cli.report_forms import write_report
    from norcli.corpus.counting import count_corpus
    from norcli.corpus.runs import Runs

    statistics, marked = count_corpus(options, console)
    if not statistics.total.documents:
        console.warn("the input holds no documents")
    return Outcome(
        write_report(statistics, Runs(pairs=marked.pairs()), options, options.json, console)
    )


def run_merge(options: MergeOptions, console: Console) -> Outcome:
    """Add up counts and print the report."""
    if not options.inputs:
        raise UsageError("no counts given", hint="norcli stats merge v1.json v2.json")
    _check_outputs(options)
    from norcli.cli.report_forms import write_report
    from norcli.corpus.report_json import load_counts

    statistics, runs = load_counts(options.inputs)
    if options.dry_run:
        outline = {"inputs": len(options.inputs), "corpora": statistics.corpora}
        write_plan(outline, as_json=options.json)
        return Outcome(outline)
    return Outcome(write_report(statistics, runs, options, options.json, console))


def _check_outputs(options: LayoutOptions) -> None:
    from norcli.streams import check_output

    for path in (options.output, options.plots):
        if path is not None:
            check_output(path, options.overwrite)


COMMANDS: dict[str, Command] = {
    "stats": Command(
        options=StatsOptions,
        run=run,
        description=DESCRIPTION,
        examples=(
            ("What does the corpus hold?", "norcli stats corpus.jsonl.zst"),
            ("One HTML page with the funnel and the duplicates between sources",
             "norcli stats corpus.jsonl.zst --tokenizer tokenizer --runs filter.json,dedup.json "
             "-o corpus.html"),
            ("Figures for a paper, and the numbers as Markdown",
             "norcli stats corpus.jsonl.zst --plots figures -o corpus.md"),
            ("The share of Nynorsk, for a script",
             "norcli stats corpus.jsonl.gz --json | jq .shares.nynorsk_of_norwegian"),
        ),
    ),
    "stats merge": Command(
        options=MergeOptions,
        run=run_merge,
        description=MERGE,
        examples=(
            ("Three corpora as rows of one table",
             "norcli stats v1/*.zst --corpus V1 --json -o v1.json\n"
             "norcli stats merge v1.json v2.json v3.json -o corpora.html"),
            ("The shards of a SLURM array", "norcli stats merge counts-*.json --beside-report"),
        ),
    ),
}  # fmt: skip
