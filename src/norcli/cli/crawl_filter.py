"""`norcli crawl-filter` and `norcli crawl-filter sample`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions, SampleOptions

if TYPE_CHECKING:
    from norcli.corpus.funnel import Funnel

DESCRIPTION = """\
Read web pages and documents, and write clean Norwegian and Sámi text as JSONL. Inputs may be \
WARC (also WET), HTML, text, JSONL and Parquet, compressed with gzip or zstd, in any mix.

Each document is extracted, normalized, its language identified, its quality measured, and \
personal data masked. A document that breaks a rule is dropped; --rejects keeps it with the rule, \
the value and the threshold. Thresholds differ between languages and are tuned with --rules.

A page in several languages is dropped by min_main_language_share when less than 70 % of its \
characters are in the languages kept; the field lang_segments says what it holds. --mixed trim \
keeps those characters and drops the others instead.

--annotate writes what was measured and the decision beside every text, and drops none; \
--from-annotations decides anew from that, with other thresholds or rules.

The table of what each rule dropped, by language and source, is printed on standard error. It ends \
with the documents of Nynorsk and Sámi that only thresholds of their own have kept."""


def run(options: CrawlFilterOptions, console: Console) -> Outcome:
    """Filter, and tell what fell where."""
    from norcli.corpus.crawl import filter_crawl, plan

    options.check_executor()
    if options.executor is not None:
        return _run_in_tasks(options, console)
    if options.dry_run:
        outline = plan(options)
        write_plan(outline, as_json=options.json)
        return Outcome(outline)
    return _told(filter_crawl(options, console), console)


def _run_in_tasks(options: CrawlFilterOptions, console: Console) -> Outcome:
    """Filter through an executor."""
    from norcli.cluster.crawl_filter_stages import plan, run_in_tasks

    if options.dry_run:
        outline = plan(options)
        write_plan(outline, as_json=options.json)
        return Outcome(outline)
    funnel = run_in_tasks(options, console)
    if funnel is None:
        return Outcome(summary=f"{options.tasks} tasks are queued; run it again to see how far")
    return _told(funnel, console)


def _told(funnel: Funnel, console: Console) -> Outcome:
    """Print the table of the funnel."""
    if not funnel.documents:
        console.warn(
            "no record could be read; --on-bad-record stop says what to do about the first"
            if funnel.bad_records
            else "the input holds no documents"
        )
    elif funnel.dropped:
        for line in funnel.table():
            console.say(line)
    return Outcome(funnel.as_stats(), funnel.summary())


def run_sample(options: SampleOptions, console: Console) -> Outcome:
    """Show rejected documents."""
    from norcli.corpus.rejected import show_rejected

    if options.dry_run:
        from norcli.formats.documents import input_bytes, input_paths

        paths = input_paths(options)
        outline = {"inputs": len(paths), "input_bytes": input_bytes(paths)}
        write_plan(outline, as_json=options.json)
        return Outcome(outline)
    shown = show_rejected(options, console)
    return Outcome({"shown": shown}, f"{shown} shown")


COMMANDS: dict[str, Command] = {
    "crawl-filter": Command(
        options=CrawlFilterOptions,
        run=run,
        description=DESCRIPTION,
        examples=(
            ("Filter a crawl and keep what was dropped",
             "norcli crawl-filter web.warc.gz --rejects dropped.jsonl.gz -o clean.jsonl.zst"),
            ("Read a pipe, keep Nynorsk and Northern Sámi",
             "zstdcat crawl.jsonl.zst | norcli crawl-filter --languages nn,se > clean.jsonl"),
            ("Filter a folder of pages with four processes",
             "find site -name '*.html' | norcli crawl-filter --files-from - -j 4 > clean.jsonl"),
            ("Share a crawl out to 64 tasks on SLURM",
             "norcli crawl-filter crawl/*.warc.gz --executor slurm --tasks 64 --cluster-file "
             "my.toml -o clean.jsonl"),
            ("Write the measures of every document and drop none",
             "norcli crawl-filter --annotate crawl.jsonl.gz -o measured.jsonl.zst"),
            ("Try other thresholds on it in a fraction of the time",
             "norcli crawl-filter --from-annotations --rules my.toml measured.jsonl.zst > a.jsonl"),
            ("Filter for days, and go on after a kill by the same command",
             "norcli crawl-filter --resume crawl/*.jsonl.zst -o clean.jsonl.zst"),
        ),
    ),
    "crawl-filter sample": Command(
        options=SampleOptions,
        run=run_sample,
        description="Show documents that a rule drops: the rule, what was measured, the "
        "threshold, and the beginning of the text. They are drawn at random, by --seed, from "
        "what crawl-filter wrote to --rejects or, where the input holds no rejects, from "
        "documents filtered anew.",
        examples=(
            ("What does the stop-word rule throw away?",
             "norcli crawl-filter sample --reason min_stop_words --limit 5 dropped.jsonl.gz"),
            ("What would a stricter threshold throw away?",
             "norcli crawl-filter sample --rules my.toml --reason max_digit_ratio crawl.jsonl.gz"),
        ),
    ),
}  # fmt: skip
