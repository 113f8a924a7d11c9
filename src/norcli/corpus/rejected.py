"""`crawl-filter sample`: a look at what a rule throws away.

From a file of rejects, or straight from the input: whatever a first record with a ``dropped_by``
does not tell to be rejects is filtered here. Every rejected document is as likely to be shown as
any other, whatever their number (a reservoir, Vitter 1985), and the seed decides which.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from norcli.console import Console
from norcli.corpus.crawl import make_worker
from norcli.corpus.options import CrawlFilterOptions, SampleOptions
from norcli.corpus.sources.reader import read_units
from norcli.corpus.sources.units import Unit
from norcli.corpus.workers import map_in_order
from norcli.errors import DataError
from norcli.formats.bad_records import BadRecords, FaultList
from norcli.streams import write_text

Record = dict[str, Any]


def show_rejected(options: SampleOptions, console: Console) -> int:
    """Print rejected records, drawn from all of them, in their order; return how many.

    Raises:
        DataError: The rule dropped nothing, or a file of rejects holds another record.
    """
    reasons: Counter[str] = Counter()
    chosen = draw(rejected_records(options, console), options, reasons)
    if not chosen and options.reason is not None:
        known = ", ".join(f"{name} ({count})" for name, count in reasons.most_common())
        raise DataError(
            f'nothing was dropped by "{options.reason}"', hint=f"there are: {known or 'none'}"
        )
    for record in chosen:
        write_text(_as_json(record) if options.json else _as_text(record, options.characters))
    return len(chosen)


def draw(records: Iterator[Record], options: SampleOptions, reasons: Counter[str]) -> list[Record]:
    """Draw up to --limit of the records that --reason names, each as likely, in their order.

    Args:
        records: Rejected records.
        options: What to draw, and the seed.
        reasons: Counts what all records were dropped by.
    """
    limit = options.limit or 20
    generator = random.Random(options.seed)
    chosen: list[tuple[int, Record]] = []
    seen = 0
    for record in records:
        reasons[record["dropped_by"]] += 1
        if options.reason is not None and record["dropped_by"] != options.reason:
            continue
        if len(chosen) < limit:
            chosen.append((seen, record))
        elif (place := generator.randint(0, seen)) < limit:
            chosen[place] = (seen, record)
        seen += 1
    return [record for _, record in sorted(chosen, key=lambda item: item[0])]


def rejected_records(options: SampleOptions, console: Console) -> Iterator[Record]:
    """Yield the rejected records of a file of rejects, or those of the inputs filtered anew.

    Raises:
        DataError: A file of rejects holds a record that nothing dropped.
    """
    values = {
        item.name: getattr(options, item.name)
        for item in dataclasses.fields(CrawlFilterOptions)
        if hasattr(options, item.name)
    }
    # The limit is on what is shown, not on what is read; the rejects go nowhere but here.
    filtering = CrawlFilterOptions(**values | {"limit": None, "rejects": "-"})
    bad = BadRecords(filtering, console)
    units = read_units(filtering, console, bad)
    for unit in units:
        rest = chain([unit], units)
        documents = unit.documents(filtering, FaultList())
        if (first := next(documents, None)) is None:
            continue
        if isinstance(first.fields.get("dropped_by"), str):
            yield from _rejects_of(rest, filtering, bad)
        else:
            yield from _filter(rest, filtering, bad)
        return


def _rejects_of(
    units: Iterator[Unit], options: CrawlFilterOptions, bad: BadRecords
) -> Iterator[Record]:
    for unit in units:
        for document in unit.documents(options, bad):
            if not isinstance(document.fields.get("dropped_by"), str):
                raise DataError(
                    'record has no "dropped_by" field, unlike those before it',
                    path=document.place.path, line=document.place.line,
                    hint="give either files of rejects or files to filter",
                )  # fmt: skip
            yield {"text": document.text, **document.fields}


def _filter(
    units: Iterator[Unit], options: CrawlFilterOptions, bad: BadRecords
) -> Iterator[Record]:
    for result in map_in_order(functools.partial(make_worker, options), units, options.jobs or 1):
        bad.replay(result.faults)
        yield from map(orjson.loads, result.rejects)


def _as_json(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _as_text(record: Record, characters: int) -> str:
    value, threshold = record.get("dropped_value"), record.get("dropped_threshold")
    measured = f"  {value}" if value not in (None, "") else ""
    limit = f" (threshold {threshold})" if threshold not in (None, "") else ""
    where = record.get("url") or record.get("path") or record.get("id") or ""
    text = str(record.get("text") or "")
    shown = escaped(text[:characters]) + ("…" if len(text) > characters else "")
    head = f"{record['dropped_by']}{measured}{limit}  {record.get('lang', 'und')}  {where}"
    return f"{escaped(head)}\n" + textwrap.indent(shown, "    ", lambda line: True) + "\n\n"


def escaped(text: str) -> str:
    r"""Return a text that is safe to show: control and invisible characters as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character == "\n" or character.isprintable()
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
