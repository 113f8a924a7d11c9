"""``norcli dedup``: drop exact and near duplicates, or mark them; ``dedup explain``: say why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.dedup.options import DedupOptions, ExplainOptions
from norcli.streams import stdout_is_terminal, write_text

if TYPE_CHECKING:
    from norcli.dedup.statistics import DedupResult


def run(options: DedupOptions, console: Console) -> Outcome:
    """Deduplicate the inputs."""
    import time

    from norcli.dedup.pipeline import plan, run_dedup
    from norcli.dedup.recall import for_people
    from norcli.dedup.statistics import source_table
    from norcli.memory import keep_blocks_at_hand

    keep_blocks_at_hand()
    options.check_executor()
    if options.executor is not None:
        from norcli.cluster.dedup_stages import plan, run_in_tasks
    if options.dry_run:
        planned = plan(options)
        write_plan(planned if options.json else for_people(planned), as_json=options.json)
        return Outcome(planned)
    begin = time.perf_counter()
    if options.executor is None:
        result = run_dedup(options, console)
    elif (finished := run_in_tasks(options, console)) is not None:
        result = finished
    else:
        return Outcome(summary=f"{options.tasks} tasks are queued; run it again to see how far")
    seconds = time.perf_counter() - begin
    stats = {**result.as_dict(), "seconds": round(seconds, 3)}
    if options.sweep:
        write_text(_sweep_table(result, options.json))
        return Outcome(stats)
    for line in source_table(result.source_pairs):
        console.say(line)
    return Outcome(stats, _summary(result, "marked" if options.mark else "dropped", seconds))


def _summary(result: DedupResult, done: str, seconds: float) -> str:
    share = 100 * result.records_out / max(result.records_in, 1)
    counts = [
        (result.dropped_url, "of the same address"), (result.dropped_exact, "exact"),
        (result.dropped_minhash, "near duplicates"),
        (result.dropped_contaminated, "contaminated"), (result.dropped_short, "left too short"),
    ]  # fmt: skip
    told = [f"{count:,} {what}" for count, what in counts if count]
    if told or not result.cut:
        told = [f"{done} {' and '.join(told) or 'none'}"]
    told += [f"cut {count:,} {what}" for what, count in result.cut.items()]
    text = f"{result.records_in:,} in; {result.records_out:,} out ({share:.1f} %); "
    return f"{text}{'; '.join(told)}; {seconds:.1f} s".replace(",", " ").replace(";", ",")


def _sweep_table(result: DedupResult, as_json: bool) -> str:
    if as_json:
        return json.dumps(result.sweep) + "\n"
    names = list(result.sweep[0])
    rows = [names, *([str(row[name]) for name in names] for row in result.sweep)]
    return "".join("  ".join(f"{cell:>12}" for cell in row).rstrip() + "\n" for row in rows)


def run_explain(options: ExplainOptions, console: Console) -> Outcome:
    """Explain what happens to one document."""
    from norcli.dedup.explain import explain
    from norcli.dedup.pipeline import plan

    if options.dry_run:
        planned = plan(options.as_dedup())
        write_plan(planned, as_json=options.json)
        return Outcome(planned)
    explanation = explain(options, console)
    text = json.dumps(explanation.as_dict(), ensure_ascii=False) + "\n"
    colored = console.color == "always" or (console.uses_color and stdout_is_terminal())
    write_text(text if options.json else explanation.as_text(colored))
    return Outcome(explanation.as_dict())


COMMANDS = {
    "dedup": Command(
        options=DedupOptions,
        run=run,
        description="Reads documents and writes those that repeat no other, in the order they "
        "came and byte for byte as they were. Exact copies are those whose text is the same apart "
        "from case and white space; near duplicates are those whose sets of word n-grams have at "
        "least --threshold of their union in common, estimated by MinHash and verified.\n\n"
        "--method url takes documents of one address for the same; lines, paragraphs and substring "
        "cut out passages that stood in the corpus before, keep the first copy, and drop documents "
        "of which fewer than --min-words words are left. Several methods run in the order given, "
        "each on what the ones before left.\n\n"
        "Two passes are made: standard input is kept in $TMPDIR in between. With --online one "
        "pass is made and each document compared with those before it only. The result does not "
        "depend on --jobs, and with any policy but first not on the order of the input.\n\n"
        "Policies for --keep: first (in the order of the arguments), longest, newest (by date), "
        "best:FIELD (the largest number), source-order:A,B,C (by source). Ties go to the smallest "
        "id.",
        examples=(
            ("Drop duplicates, and keep what was dropped for inspection",
             "norcli dedup corpus.jsonl.zst -o clean.jsonl.zst --rejects dropped.jsonl"),
            ("One copy of each address, without menus and notices, then near duplicates",
             "norcli dedup crawl.jsonl --method url,lines,minhash --rejects dropped.jsonl -o clean"
             ".jsonl"),
            ("In a pipe, handing documents on as they come",
             "norcli crawl-filter crawl.warc.gz | norcli dedup --online | zstd > corpus.jsonl.zst"),
            ("Drop what this year's crawl repeats of last year's, and what tests are made of",
             "norcli dedup new.jsonl --against last-year --decontaminate norquad.json -o new-only"
             ".jsonl"),
            ("Share a corpus out to 64 tasks on SLURM",
             "norcli dedup corpus/*.jsonl.zst --keep longest --executor slurm --tasks 64 "
             "--cluster-file my.toml -o clean.jsonl"),
            ("See what other thresholds would drop", "norcli dedup corpus.jsonl --sweep "
             "0.6,0.7,0.8,0.9"),
        ),
    ),
    "dedup explain": Command(
        options=ExplainOptions,
        run=run_explain,
        description="Runs the decision of norcli dedup with the same options and shows, for one "
        "document, which one stays for it, their estimated and exact similarity, the other members "
        "of its cluster, and the words that differ.",
        examples=(
            ("Why did this page go?", "norcli dedup explain news-0019 corpus.jsonl"),
        ),
    ),
}  # fmt: skip
