"""Small steps that all layouts share: paths into nested records, flattening, dates, ids.

Records are flat and without dots (docs/concepts/records.md); what a source nests is flattened here.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import Any

import orjson

Record = dict[str, Any]

_OWN_NAMES = frozenset({"text", "lang_score", "lang_segments", "would_be_dropped_by", "sentences"})
_OWN_PREFIXES = ("quality_", "dedup_", "dropped_", "pii_")
_YEAR_FIRST = re.compile(r"\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_TWITTER_DATE = re.compile(r"\w{3} (\w{3}) (\d{1,2}) [\d:]{8} \+0000 (\d{4})")
_NO_NAME = re.compile(r"[.\-]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


Way = tuple[tuple[tuple[str, ...], str], ...]
"""A path taken apart: for each alternative the names on the way, and the last."""


@cache
def way_of(path: str) -> Way:
    """Take a dotted path apart; ``|`` stands between alternatives that are tried in turn."""
    alternatives = (one.split(".") for one in path.split("|"))
    return tuple((tuple(names[:-1]), names[-1]) for names in alternatives)


def look_up(record: Record, path: str) -> Any:
    """Return the value at a path, None where it does not lead anywhere."""
    for parents, name in way_of(path):
        holder: Any = record
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and (value := holder.get(name)) is not None:
            return value
    return None


def take_out(record: Record, path: str) -> Any:
    """Return the value at a path as `look_up` does, and remove it from the record."""
    for parents, name in way_of(path):
        holder: Any = record
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and (value := holder.get(name)) is not None:
            del holder[name]
            return value
    return None


def flatten(record: Record, prefix: str = "") -> Record:
    """Return a record without nesting: ``{"a": {"b-c": 1}}`` becomes ``{"a_b_c": 1}``.

    Lists of plain values become one text with commas, other lists JSON; empty values are left out.
    A name that norcli gives a meaning of its own gets ``source_`` in front.
    """
    flat: Record = {}
    for key, value in record.items():
        if value is None or value == "" or value == []:
            continue
        name = _flat_name(prefix + key)
        if isinstance(value, dict):
            flat.update(flatten(value, name + "_"))
        elif isinstance(value, list):
            plain = not any(isinstance(item, (dict, list)) for item in value)
            joined = ", ".join(map(str, value)) if plain else orjson.dumps(value).decode("utf-8")
            flat[name] = joined
        else:
            flat[name] = value
    return flat


@lru_cache(4096)
def _flat_name(name: str) -> str:
    name = _NO_NAME.sub("_", name)
    if name in _OWN_NAMES or name.startswith(_OWN_PREFIXES):
        return f"source_{name}"
    return name


def iso_date(value: Any) -> str | None:
    """Return a day as YYYY-MM-DD (or YYYY where only the year is known), None if it is no date.

    Understood: ISO 8601 and its look-alikes with slashes, seconds since 1970, the dates of mail
    headers and of Twitter ("Thu Jun 16 17:33:23 +0000 2016"), and date objects from Parquet.
    """
    if value is None:
        return None
    if isinstance(value, (datetime, date)):
        return value.isoformat()[:10]
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 1000 <= value <= 2100:
            return str(int(value))
        try:
            return datetime.fromtimestamp(value, UTC).date().isoformat() if value > 0 else None
        except (OverflowError, ValueError, OSError):
            return None
    if not isinstance(value, str):
        return None
    return _date_in_text(value)


def _date_in_text(value: str) -> str | None:
    try:
        if match := _YEAR_FIRST.match(value):
            year, month, day = map(int, match.groups())
            return date(year, month, day).isoformat()
        if match := _TWITTER_DATE.match(value):
            day_of_month, year = int(match[2]), int(match[3])
            return date(year, _MONTHS.index(match[1]) + 1, day_of_month).isoformat()
        return parsedate_to_datetime(value).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def made_id(*parts: object) -> str:
    """Return an id made of what tells a document from its copies: address, date, place in a file.

    Exact copies of a text at two addresses must not share an id, so the text alone is not enough.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"" if part is None else str(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\n")
    return f"sha256:{digest.hexdigest()[:32]}"


def shares(labels: Iterable[str | None]) -> str:
    """Return labels with their shares, the largest first: ``nob 0.92, eng 0.08``."""
    counts = Counter(label for label in labels if label)
    whole = counts.total()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{label} {count / whole:.2f}" for label, count in ordered)
