"""The counts of a corpus as JSON, and back: for scripts, and for `stats merge`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from norcli.corpus.figures import amounts_by_group
from norcli.corpus.report import ReportInputs
from norcli.corpus.runs import Runs
from norcli.corpus.source_pairs import SourcePairs
from norcli.corpus.statistics import CorpusStatistics
from norcli.errors import DataError
from norcli.streams import open_input


def report_data(inputs: ReportInputs) -> dict[str, Any]:
    """Return everything a report is made of as plain data."""
    statistics = inputs.statistics
    figure_1 = {
        corpus: {k: None if v is None else round(v, 6) for k, v in
                 statistics.shares(corpus={corpus}).items()}
        for corpus in statistics.corpora
    }  # fmt: skip
    counts = statistics.as_dict()
    cells = counts.pop("cells")
    return {
        **counts,
        "table_2": amounts_by_group(statistics),
        "figure_1": figure_1,
        "funnel": _funnel(inputs.runs),
        "source_pairs": _pairs(inputs.runs.pairs),
        "cells": cells,
    }


def _funnel(runs: Runs) -> dict[str, Any]:
    return {
        "documents_in": runs.documents_in,
        "documents_out": runs.documents_out,
        "dropped": [
            {"stage": stage, "rule": rule, "documents": count,
             "bytes": runs.dropped_bytes.get((stage, rule))}
            for (stage, rule), count in runs.dropped.items()
        ],
        "rejected": [
            {"stage": stage, "rule": rule, "source": source, "documents": count}
            for (stage, rule, source), count in runs.rejected.items()
        ],
    }  # fmt: skip


def _add_funnel(runs: Runs, data: dict[str, Any]) -> None:
    """Add the funnel that `_funnel` wrote."""
    for name in ("documents_in", "documents_out"):
        if data[name] is not None:
            setattr(runs, name, (getattr(runs, name) or 0) + int(data[name]))
    for row in data["dropped"]:
        key = str(row["stage"]), str(row["rule"])
        runs.dropped[key] += int(row["documents"])
        if row["bytes"] is not None:
            runs.dropped_bytes[key] += int(row["bytes"])
    for row in data["rejected"]:
        place = str(row["stage"]), str(row["rule"]), str(row["source"])
        runs.rejected[place] += int(row["documents"])


def _pairs(pairs: SourcePairs) -> list[dict[str, Any]]:
    ranked = sorted(pairs.documents.items(), key=lambda item: (-item[1], item[0]))
    return [{"a": a, "b": b, "documents": count} for (a, b), count in ranked]


def load_counts(paths: Sequence[str]) -> tuple[CorpusStatistics, Runs]:
    """Add up files of `report_data`.

    Returns:
        The counts, and the funnel and duplicates between sources where the files tell them.

    Raises:
        DataError: One is something else, or they did not count the same.
        InputMissingError: One is not there.
    """
    whole: CorpusStatistics | None = None
    runs = Runs()
    for path in paths:
        with open_input(path) as stream:
            try:
                data = json.loads(stream.read())
            except ValueError as error:
                raise DataError("is not valid JSON", path=path) from error
        statistics = CorpusStatistics.from_dict(data, path)
        try:
            runs.pairs.add_pairs(data.get("source_pairs", ()))
            if "funnel" in data:
                _add_funnel(runs, data["funnel"])
            if whole is None:
                whole = statistics
            else:
                whole.merge(statistics)
        except DataError as error:
            error.path = path
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("holds damaged counts", path=path, hint="count again") from error
    return whole or CorpusStatistics(), runs
