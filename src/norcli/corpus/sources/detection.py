"""Which layout a file has: told by its first record, or by ``--layout``."""

from __future__ import annotations

import copyreg
from collections.abc import Callable

from norcli.corpus.sources.fields import Record
from norcli.corpus.sources.layouts import Layout
from norcli.corpus.sources.news import NEWS, NEWS_COMPONENTS
from norcli.corpus.sources.social import (
    REDDIT_COMMENTS,
    REDDIT_SUBMISSIONS,
    TWEET_PAGES,
    TWEETS_V1,
    TWEETS_V2,
)
from norcli.corpus.sources.transcripts import SEGMENT_LINES, TRANSCRIPTS
from norcli.corpus.sources.web_corpora import CULTURAX, HPLT1, HPLT2, MC4, MIMIR, NCC, OSCAR

# The first that fits is taken: those with the most telling fields come first.
LAYOUTS: tuple[Layout, ...] = (
    OSCAR, HPLT1, HPLT2, CULTURAX, MC4, NCC, MIMIR, SEGMENT_LINES, TRANSCRIPTS, TWEET_PAGES,
    TWEETS_V1, TWEETS_V2, REDDIT_COMMENTS, REDDIT_SUBMISSIONS, NEWS_COMPONENTS, NEWS,
)  # fmt: skip
RECORDS = "records"
"""The word of ``--layout`` for records that are taken as they stand."""


def _layout_at(number: int) -> Layout:
    return LAYOUTS[number]


def _by_number(layout: Layout) -> tuple[Callable[[int], Layout], tuple[int]]:
    return _layout_at, (LAYOUTS.index(layout),)


# Adapters are functions made by functions, which cannot be pickled; another process has the same
# table.
copyreg.pickle(Layout, _by_number)


def find_layout(wanted: str, path: str, record: Record | None) -> Layout | None:
    """Return a file's layout, None for records as they stand.

    Args:
        wanted: ``auto``, ``records``, or a layout's name.
        path: The file's name, which tells Mímir core from NCC.
        record: Its first record, None where there is none that can be read.
    """
    if wanted == RECORDS:
        return None
    if wanted == "auto":
        if record is None:
            return None
        found = next((x for x in LAYOUTS if x.detected and x.fits(record)), None)
        return MIMIR if found is NCC and "mimir" in path.lower().replace("í", "i") else found
    named = [layout for layout in LAYOUTS if layout.name == wanted]
    fitting = (layout for layout in named if record is not None and layout.fits(record))
    return next(fitting, named[0])
