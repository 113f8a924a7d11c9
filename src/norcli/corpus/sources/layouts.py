"""The layouts of the corpora that Norwegian models are built from, told by their fields.

`crawl-filter` brings each to one flat record with its provenance (report section 3.2, Table 2).
A layout is a row of data: the fields that give it away, what they are called here, and where the
text comes from by default. Layouts that need more have a function of their own beside this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from norcli.corpus.sources.fields import Record, flatten, iso_date, look_up, made_id, take_out

# The columns of the report's Table 2.
NATIONAL_LIBRARY = "Nasjonalbiblioteket"
INDUSTRY = "Industry Partners"
COMMON_CRAWL = "Common Crawl"
OTHERS = "Others"


class Adapted(NamedTuple):
    """What a layout makes of a record.

    Attributes:
        text: The text.
        fields: All else, flat.
        fault: Why there is no text worth keeping (``retweet``, ``deleted``), for the funnel.
    """

    text: str
    fields: Record
    fault: str | None = None


Adapter = Callable[[Record], Iterator[Adapted]]


@dataclass(frozen=True)
class Layout:
    """How one corpus writes its records.

    Attributes:
        name: The word for ``--layout``.
        needs: Fields that a record of it has, as paths; ``|`` stands between alternatives.
        exact: Whether those are all its fields.
        adapt: Makes documents of a record.
        provenance: Fields every document gets, where neither record nor flags name them.
        group_by: Field by which records one after another belong to one document.
        detected: False for a layout that only ``--layout`` or the path can tell.
    """

    name: str
    needs: tuple[str, ...]
    adapt: Adapter
    provenance: Record = field(default_factory=dict)
    exact: bool = False
    group_by: str | None = None
    detected: bool = True

    def fits(self, record: Record) -> bool:
        """Whether a record looks like this layout."""
        return (not self.exact or len(record) == len(self.needs)) and not self.lacks(record)

    def lacks(self, record: Record) -> list[str]:
        """Return which of the fields it needs a record has not."""
        return [path for path in self.needs if look_up(record, path) is None]


def by_names(
    names: dict[str, str],
    refine: Callable[[Record, Record], None] | None = None,
    drop: tuple[str, ...] = (),
) -> Adapter:
    """Return an adapter that renames fields and flattens the rest.

    Args:
        names: Our name to their path; ``text`` must be among them.
        refine: Called with the named fields and what is left of the record, to add or mend.
        drop: Paths that are left out: sizes and offsets of a form the text no longer has.
    """

    def adapt(record: Record) -> Iterator[Adapted]:
        taken = {name: take_out(record, path) for name, path in names.items()}
        text = taken.pop("text")
        if not isinstance(text, str):
            raise ValueError(f'field "{names["text"]}" is missing or not text')
        for path in drop:
            take_out(record, path)
        if refine is not None:
            refine(taken, record)
        day = iso_date(taken.get("crawl_date"))
        if "crawl_date" in names:
            taken["crawl_date"] = day
        taken["date"] = iso_date(taken.get("date")) or day
        if taken.get("id") is None and taken.get("url"):
            taken["id"] = made_id(taken["url"], day, text)
        yield Adapted(text, flatten(record) | flatten(taken))

    return adapt


def provenance(source: str, group: str, license: str | None, copyrighted: bool) -> Record:
    """Return provenance fields; `copyrighted` is false for what is free or freely licensed."""
    fields: Record = {"source": source, "source_group": group}
    if license is not None:
        fields["license"] = license
    return fields | {"copyrighted": copyrighted}
