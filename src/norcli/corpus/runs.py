"""What crawl-filter and dedup told of their runs, added up: the funnel by rule, duplicates.

Read from the files of their ``--stats`` and ``--rejects``; shards and stages of one corpus are
given together.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from norcli.console import Console
from norcli.corpus.funnel import STAGES, stage_of
from norcli.corpus.source_pairs import SourcePairs
from norcli.corpus.statistics import NOT_STATED
from norcli.errors import DataError
from norcli.formats.documents import read_records
from norcli.options import RecordInputOptions
from norcli.streams import open_input

DEDUP_STAGE = "dedup"
ORDER = (*STAGES, DEDUP_STAGE)
_DROPPED = "dropped_"
# As --rejects calls it.
_METHOD_NAMES = {"contaminated": "decontaminate"}


@dataclass
class Runs:
    """Counts of runs.

    Attributes:
        documents_in: Documents the first stage read; None where no run tells.
        documents_out: Documents the last stage wrote.
        dropped: Documents by (stage, rule).
        dropped_bytes: UTF-8 bytes of text by (stage, rule), where known.
        rejected: Rejected records by (stage, rule, source).
        pairs: Duplicates between sources.
    """

    documents_in: int | None = None
    documents_out: int | None = None
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    pairs: SourcePairs = field(default_factory=SourcePairs)

    def rules(self) -> list[tuple[str, str, int]]:
        """Return (stage, rule, documents) in the order of the stages, the largest first.

        From the counts of the runs; from the rejects where there are none.
        """
        dropped = self.dropped
        if not dropped:
            dropped = Counter()
            for (stage, rule, _), count in self.rejected.items():
                dropped[stage, rule] += count
        ranked = sorted(dropped.items(), key=_by_stage)
        return [(stage, rule, count) for (stage, rule), count in ranked if count]


def _by_stage(item: tuple[tuple[str, str], int]) -> tuple[int, int, str]:
    (stage, rule), count = item
    return ORDER.index(stage) if stage in ORDER else len(ORDER), -count, rule


def read_runs(
    stats: Sequence[str], rejects: Sequence[str], console: Console, runs: Runs | None = None
) -> Runs:
    """Read the files of --stats and --rejects of any number of runs.

    Args:
        stats: Files of --stats of crawl-filter and dedup.
        rejects: Files of --rejects.
        console: Told of bad records.
        runs: Counts to add to.

    Raises:
        DataError: A file holds something else.
        InputMissingError: One is not there.
    """
    runs = Runs() if runs is None else runs
    filters, dedups = [], []
    for path in stats:
        data = _load(path)
        if "documents_in" in data and "dropped" in data:
            filters.append((path, data))
        elif "records_in" in data and "dropped_minhash" in data:
            dedups.append((path, data))
        else:
            raise DataError(
                "is not what crawl-filter or dedup writes with --stats", path=path,
                hint="norcli crawl-filter ... --stats filter.json",
            )  # fmt: skip
    for path, data in filters:
        _add_filter(runs, data, path)
    if dedups:
        # Dedup comes after the filter: what it wrote is what there is in the end.
        runs.documents_out = 0
    for path, data in dedups:
        _add_dedup(runs, data, path, is_first=not filters)
    for path in rejects:
        _add_rejects(runs, path, console)
    return runs


def _load(path: str) -> dict[str, Any]:
    with open_input(path) as stream:
        try:
            data = json.loads(stream.read())
        except ValueError as error:
            raise DataError("is not valid JSON", path=path) from error
    if not isinstance(data, dict):
        raise DataError("is not a JSON object", path=path)
    return data


def _add_filter(runs: Runs, data: dict[str, Any], path: str) -> None:
    try:
        runs.documents_in = (runs.documents_in or 0) + int(data["documents_in"])
        runs.documents_out = (runs.documents_out or 0) + int(data["documents_out"])
        for row in data["dropped"]:
            key = str(row["stage"]), str(row["reason"])
            runs.dropped[key] += int(row["documents"])
            runs.dropped_bytes[key] += int(row["bytes"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("holds damaged counts of crawl-filter", path=path) from error


def _add_dedup(runs: Runs, data: dict[str, Any], path: str, is_first: bool) -> None:
    try:
        if is_first:
            runs.documents_in = (runs.documents_in or 0) + int(data["records_in"])
        for name in [name for name in data if name.startswith(_DROPPED)]:
            method = name.removeprefix(_DROPPED)
            rule = _METHOD_NAMES.get(method, method)
            runs.dropped[DEDUP_STAGE, rule] += int(data[name])
        runs.pairs.add_pairs(data.get("source_pairs", ()))
        runs.documents_out = (runs.documents_out or 0) + int(data["records_out"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("holds damaged counts of dedup", path=path) from error


def _add_rejects(runs: Runs, path: str, console: Console) -> None:
    for place, record in read_records(RecordInputOptions(inputs=[path]), console):
        rule = record.get("dropped_by")
        if not isinstance(rule, str):
            raise DataError(
                'record has no "dropped_by" field', path=place.path, line=place.line,
                hint="name a file that crawl-filter or dedup wrote with --rejects",
            )  # fmt: skip
        stage = DEDUP_STAGE if "dedup_dup_of" in record else stage_of(rule)
        source = str(record.get("source") or NOT_STATED)
        runs.rejected[stage, rule, source] += 1
