"""``norcli dedup``: drop exact and near duplicates, or mark them."""

from __future__ import annotations

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.dedup.options import DedupOptions


def run(options: DedupOptions, console: Console) -> Outcome:
    """Deduplicate the inputs."""
    import time

    from norcli.dedup.pipeline import plan, run_dedup

    if options.dry_run:
        planned = plan(options)
        write_plan(planned, as_json=options.json)
        return Outcome(planned)
    begin = time.perf_counter()
    result = run_dedup(options, console)
    seconds = time.perf_counter() - begin
    share = 100 * result.records_out / max(result.records_in, 1)
    done = "marked" if options.mark else "dropped"
    summary = (
        f"{_spaced(result.records_in)} in, {_spaced(result.records_out)} out ({share:.1f} %), "
        f"{done} {_spaced(result.dropped_exact)} exact and "
        f"{_spaced(result.dropped_minhash)} near duplicates, {seconds:.1f} s"
    )
    return Outcome({**result.as_dict(), "seconds": round(seconds, 3)}, summary)


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


COMMANDS = {
    "dedup": Command(
        options=DedupOptions,
        run=run,
        description="Reads documents and writes those that repeat no other, in the order they "
        "came and byte for byte as they were. Exact copies are those whose text is the same apart "
        "from case and white space; near duplicates are those whose sets of word n-grams have at "
        "least --threshold of their union in common, estimated by MinHash and verified.\n\n"
        "Two passes are made: standard input is kept in $TMPDIR in between. With --online one "
        "pass is made and each document compared with those before it only. The result does not "
        "depend on --jobs, and with any policy but first not on the order of the input.\n\n"
        "Policies for --keep: first (in the order of the arguments), longest, newest (by date), "
        "best:FIELD (the largest number), source-order:A,B,C (by source). Ties go to the smallest "
        "id.",
        examples=(
            ("Drop duplicates, and keep what was dropped for inspection",
             "norcli dedup corpus.jsonl.zst -o clean.jsonl.zst --rejects dropped.jsonl"),
            ("In a pipe, handing documents on as they come",
             "norcli crawl-filter crawl.warc.gz | norcli dedup --online | zstd > corpus.jsonl.zst"),
            ("Prefer the newest copy; only exact ones count",
             "norcli dedup a.jsonl b.jsonl --method exact --keep newest -o clean.jsonl"),
            ("Drop nothing, but say in each record what it repeats",
             "norcli dedup --mark corpus.jsonl > marked.jsonl"),
        ),
    )
}  # fmt: skip
