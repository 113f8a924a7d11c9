"""The four source groups of the report's Table 2, and the names they go by in records."""

from __future__ import annotations

import re
from collections.abc import Iterable

GROUPS = ("Nasjonalbiblioteket", "Industry Partners", "Common Crawl", "Others")
_NAMES = {
    "nasjonalbiblioteket": 0, "nationallibrary": 0, "nationallibraryofnorway": 0,
    "industrypartners": 1, "industrypartner": 1, "industry": 1,
    "commoncrawl": 2,
    "others": 3, "other": 3,
}  # fmt: skip


def canonical_group(value: str) -> str:
    """Return the report's name of a source group; a name of one's own is kept as it is."""
    number = _NAMES.get(re.sub(r"[\W_]+", "", value.lower()))
    return value if number is None else GROUPS[number]


def groups_in_order(names: Iterable[str], last: str) -> list[str]:
    """Return the distinct canonical groups: the report's first, one's own after, one last.

    Args:
        names: Source groups as records name them.
        last: The name that stands at the end, "not stated".
    """
    found = dict.fromkeys(canonical_group(name) for name in names)
    own = [name for name in found if name not in GROUPS]
    ranked = [*(name for name in GROUPS if name in found), *own]
    return sorted(ranked, key=lambda name: name == last)
