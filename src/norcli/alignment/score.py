"""rlhf score: compare candidates with their reference, streamed. No torch with hashed-trigrams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from norcli.alignment.encoders import load_encoder
from norcli.alignment.options import ScoreOptions
from norcli.alignment.rewards import SimilarityReward
from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.documents import BadRecords, Place, read_records

BATCH_RECORDS = 64


def check_candidates(record: dict[str, Any], place: Place) -> None:
    """Check that a record has a reference and candidates.

    Raises:
        DataError: It has not.
    """
    completions = record.get("completions")
    hint = "make such records with norcli rlhf sample"
    if not isinstance(record.get("reference"), str):
        raise DataError(
            'record has no "reference" text', path=place.path, line=place.line, hint=hint
        )
    if not isinstance(completions, list) or not all(isinstance(c, str) for c in completions):
        raise DataError(
            'record has no "completions" list of texts',
            path=place.path,
            line=place.line,
            hint=hint,
        )


def scored_records(options: ScoreOptions, console: Console) -> Iterator[dict[str, Any]]:
    """Yield the records with `scores` (one per completion) and what made them, in order.

    Raises:
        DataError: A record without reference or completions.
        NorcliError: As `norcli.alignment.encoders.load_encoder`.
    """
    reward = SimilarityReward.from_options(load_encoder(options), options)
    bad = BadRecords(options, console)
    records = _checked(options, console, bad)
    while batch := list(islice(records, BATCH_RECORDS)):
        pairs = [(c, r["reference"]) for r in batch for c in r["completions"]]
        scores = iter(reward.score([c for c, _ in pairs], [r for _, r in pairs]))
        for record in batch:
            values = [round(next(scores), 6) for _ in record["completions"]]
            yield {**record, "scores": values, "encoder": reward.encoder.description["encoder"]}
    bad.report()


def _checked(options: ScoreOptions, console: Console, bad: BadRecords) -> Iterator[dict[str, Any]]:
    for place, record in read_records(options, console, bad):
        try:
            check_candidates(record, place)
        except DataError as error:
            bad.handle(error)
            continue
        yield record
