"""`crawl-filter sample`: a look at what a rule threw away."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from typing import Any

from norcli.console import Console
from norcli.corpus.options import SampleOptions
from norcli.errors import DataError
from norcli.formats.documents import read_records
from norcli.streams import write_text


def show_rejected(options: SampleOptions, console: Console) -> int:
    """Print rejected records, chosen evenly over the input; return how many.

    Raises:
        DataError: A record was not dropped by anything, or the rule dropped nothing.
    """
    limit = options.limit or 20
    # The limit is on what is shown, not on what is read.
    options.limit = None
    chosen: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    step = 1
    for place, record in read_records(options, console):
        reason = record.get("dropped_by")
        if not isinstance(reason, str):
            raise DataError(
                'record has no "dropped_by" field', path=place.path, line=place.line,
                hint="give the file that crawl-filter wrote with --rejects",
            )  # fmt: skip
        reasons[reason] += 1
        if options.reason is not None and reason != options.reason:
            continue
        seen = reasons.total() if options.reason is None else reasons[reason]
        if (seen - 1) % step == 0:
            chosen.append(record)
            if len(chosen) >= 2 * limit:
                # Every second one goes; from here on only every (2 * step)-th is taken.
                chosen, step = chosen[::2], 2 * step
    options.limit = limit
    if not chosen and options.reason is not None:
        known = ", ".join(f"{name} ({count})" for name, count in reasons.most_common())
        raise DataError(
            f'nothing was dropped by "{options.reason}"', hint=f"there are: {known or 'none'}"
        )
    chosen = chosen[:limit]
    for record in chosen:
        write_text(_as_json(record) if options.json else _as_text(record, options.characters))
    return len(chosen)


def _as_json(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _as_text(record: dict[str, Any], characters: int) -> str:
    value, threshold = record.get("dropped_value"), record.get("dropped_threshold")
    measured = f"  {value}" if value not in (None, "") else ""
    limit = f" (threshold {threshold})" if threshold not in (None, "") else ""
    where = record.get("url") or record.get("path") or record.get("id") or ""
    text = str(record.get("text", ""))
    shown = text[:characters] + ("…" if len(text) > characters else "")
    head = f"{record['dropped_by']}{measured}{limit}  {record.get('lang', 'und')}  {where}\n"
    return head + textwrap.indent(shown, "    ") + "\n\n"
