"""The command ``norcli tokenize-train``."""

from __future__ import annotations

import json
import time

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.streams import write_text
from norcli.tokens.options import TokenizeTrainOptions


def run(options: TokenizeTrainOptions, console: Console) -> Outcome:
    """Train a tokenizer; the measures go to stderr, or as JSON to standard output."""
    from norcli.tokens.train import plan_training, train_tokenizer

    if options.dry_run:
        plan = plan_training(options)
        write_plan(plan, as_json=options.json)
        return Outcome(plan)
    started = time.monotonic()
    trained = train_tokenizer(options, console)
    report = trained.as_dict()
    if options.json:
        write_text(json.dumps(report, ensure_ascii=False) + "\n")
    else:
        for line in trained.fit.table():
            console.say(line)
    seconds = time.monotonic() - started
    return Outcome(
        report,
        f"{trained.sample.documents} documents in, {trained.vocab_size} pieces out, "
        f"trained on {trained.sample.bytes} bytes, {seconds:.1f} s",
    )


COMMANDS = {
    "tokenize-train": Command(
        options=TokenizeTrainOptions,
        run=run,
        description=(
            "Trains a SentencePiece BPE tokenizer with byte fallback and identity normalization, "
            "so that every text comes back as it was, and writes tokenizer.model with the Hugging "
            "Face files beside it. Nothing is written unless both give the same ids on a check.\n\n"
            "The text is read once, and a random sample of at most --sample-bytes is kept, by "
            "language where --mix or --temperature says so. The measures are printed at the end: "
            "tokens per word, bytes per token, words that are one token, byte fallback, texts that "
            "do not come back unchanged, pieces that are never used."
        ),
        examples=(
            ("a tokenizer of 64 000 pieces", "norcli tokenize-train corpus.jsonl.zst -o tokenizer"),
            (
                "more room for the small languages",
                "norcli tokenize-train corpus.jsonl.zst --mix nob=70,nno=20,sme=10 -o tokenizer",
            ),
            (
                "at the end of a pipe",
                "norcli dedup corpus.jsonl | norcli tokenize-train --vocab-size 2048 -o tokenizer",
            ),
        ),
    ),
}
