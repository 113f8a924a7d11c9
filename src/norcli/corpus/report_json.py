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
            {"stage": stage, "rule": rule, "documents": count}
            for stage, rule, count in runs.rules()
        ],
    }


def _pairs(pairs: SourcePairs) -> list[dict[str, Any]]:
    ranked = sorted(pairs.documents.items(), key=lambda item: (-item[1], item[0]))
    return [{"a": a, "b": b, "documents": count} for (a, b), count in ranked]


def load_counts(paths: Sequence[str]) -> tuple[CorpusStatistics, SourcePairs]:
    """Add up files of `report_data`.

    Raises:
        DataError: One is something else, or they did not count the same.
        InputMissingError: One is not there.
    """
    whole: CorpusStatistics | None = None
    pairs = SourcePairs()
    for path in paths:
        with open_input(path) as stream:
            try:
                data = json.loads(stream.read())
            except ValueError as error:
                raise DataError("is not valid JSON", path=path) from error
        statistics = CorpusStatistics.from_dict(data, path)
        try:
            pairs.add_pairs(data.get("source_pairs", ()))
            if whole is None:
                whole = statistics
            else:
                whole.merge(statistics)
        except DataError as error:
            error.path = path
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("holds damaged counts", path=path, hint="count again") from error
    return whole or CorpusStatistics(), pairs
