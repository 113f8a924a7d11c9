"""What `crawl-filter --annotate` writes beside a text, and reading it back to decide anew.

With `--from-annotations` rules, thresholds and languages can be changed without measuring the texts
again; with the options of a direct run the decisions, and the bytes, are those of that run.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from norcli.corpus.languages import DocumentLanguage
from norcli.corpus.quality import Rows, Violation
from norcli.corpus.quality_kernel import MEASURES
from norcli.errors import DataError
from norcli.formats.documents import Place

KEPT_SHARE = "quality_kept_share"
KEPT_LANGUAGES = "quality_kept_languages"
WOULD_BE = ("would_be_dropped_by", "would_be_dropped_value", "would_be_dropped_threshold")
_FIELDS = tuple(f"quality_{name}" for name in MEASURES)
_PERSONAL = "pii_"


class Annotation(NamedTuple):
    """What a record was annotated with.

    Attributes:
        language: Its language, the share in the languages that are kept now.
        row: Its measures, (measures,).
        personal_data: Finds by field name.
    """

    language: DocumentLanguage
    row: Rows
    personal_data: dict[str, int]


def annotate(
    record: dict[str, Any], language: DocumentLanguage | None, row: Rows,
    kept: str, violation: Violation | None,
) -> None:  # fmt: skip
    """Add the measures to a record, and the decision that would be taken."""
    if language is not None:
        record[KEPT_SHARE] = language.kept_share
        record[KEPT_LANGUAGES] = kept
    record.update(zip(_FIELDS, row.tolist(), strict=True))
    if violation is not None:
        record.update(zip(WOULD_BE, violation, strict=True))


def take_annotation(
    fields: dict[str, Any], kept: Collection[str], kept_text: str, place: Place
) -> Annotation:
    """Take the annotation out of a record's fields.

    Args:
        fields: The record's fields; those of the annotation are removed.
        kept: Languages that are kept now, ``nor`` included where it is.
        kept_text: The same as `annotate` writes them.
        place: Where the record was read.

    Raises:
        DataError: The record has none, or not a whole one.
    """
    try:
        row = np.array([fields.pop(name) for name in _FIELDS], np.float64)
        lang, score = str(fields.pop("lang")), float(fields.pop("lang_score"))
        share, languages = float(fields.pop(KEPT_SHARE)), str(fields.pop(KEPT_LANGUAGES))
    except (KeyError, ValueError, TypeError) as error:
        missing = f'no "{error.args[0]}"' if isinstance(error, KeyError) else "a wrong value"
        raise DataError(
            f"record is not annotated: {missing}", path=place.path, line=place.line,
            hint="--from-annotations reads what crawl-filter --annotate of this version wrote",
        ) from error  # fmt: skip
    for name in WOULD_BE:
        fields.pop(name, None)
    stretches = str(fields.pop("lang_segments", ""))
    personal = {name: fields.pop(name) for name in list(fields) if name.startswith(_PERSONAL)}
    if languages != kept_text:
        share = _share_of(lang, stretches, kept)
    return Annotation(DocumentLanguage(lang, score, share, stretches), row, personal)


def _share_of(lang: str, stretches: str, kept: Collection[str]) -> float:
    """Return the share in other languages than the annotation counted, as lang_segments tells."""
    if not stretches:
        return float(lang in kept)
    pairs = (stretch.split(" ") for stretch in stretches.split(", "))
    return round(sum(float(share) for name, share in pairs if name in kept), 4)
