"""The command ``norcli tokenize``."""

from __future__ import annotations

import time

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.tokens.options import TokenizeOptions


def run(options: TokenizeOptions, console: Console) -> Outcome:
    """Write documents as token shards."""
    from norcli.tokens.tokenize import plan_tokenize, tokenize_documents

    if options.dry_run:
        plan = plan_tokenize(options, console)
        write_plan(plan, as_json=options.json)
        return Outcome(plan)
    started = time.monotonic()
    result = tokenize_documents(options, console)
    stats = result.as_dict()
    if options.json:
        write_plan(stats, as_json=True)
    ratio = f", {result.bytes / result.tokens:.2f} bytes/token" if result.tokens else ""
    seconds = time.monotonic() - started
    return Outcome(
        stats,
        f"{result.documents} documents in, {result.tokens} tokens out{ratio}, {seconds:.1f} s",
    )


COMMANDS = {
    "tokenize": Command(
        options=TokenizeOptions,
        run=run,
        description=(
            "Encodes documents with a tokenizer and writes their ids end to end into a directory "
            "of memory-mapped shards, each document followed by </s>; see norcli-formats(5). The "
            "order is that of the input, and the bytes are the same for any --jobs. A copy of the "
            "tokenizer is kept in the directory.\n\n"
            "In an array job let each task write its own part with --shard; a directory of parts "
            "is read as one."
        ),
        examples=(
            (
                "a corpus to tokens, on 8 processes",
                "norcli tokenize corpus.jsonl.zst --tokenizer tokenizer -o tokens -j 8",
            ),
            (
                "one task of an array job",
                'norcli tokenize part*.jsonl --tokenizer tokenizer -o "tokens/$I" --shard "$I/64"',
            ),
        ),
    ),
}
