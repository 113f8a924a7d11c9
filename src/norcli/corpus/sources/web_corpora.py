"""Layouts of corpora made from the web and by the National Library, as they are distributed.

The licences are those of the collections; the texts in Common Crawl's descendants stay their
authors', so these count as copyrighted.
"""

from __future__ import annotations

from typing import Any

from norcli.corpus.sources.fields import Record, shares
from norcli.corpus.sources.layouts import (
    COMMON_CRAWL,
    NATIONAL_LIBRARY,
    Layout,
    by_names,
    provenance,
)

MC4 = Layout(
    name="mc4",
    # https://huggingface.co/datasets/allenai/c4: text, timestamp, url and nothing else.
    needs=("text", "timestamp", "url"),
    exact=True,
    adapt=by_names({"text": "text", "url": "url", "crawl_date": "timestamp"}),
    provenance=provenance("mC4", COMMON_CRAWL, "ODC-BY-1.0", copyrighted=True),
)

CULTURAX = Layout(
    name="culturax",
    # https://huggingface.co/datasets/uonlp/CulturaX: Parquet with text, timestamp, url, and the
    # corpus it was taken from in "source".
    needs=("text", "timestamp", "url", "source"),
    exact=True,
    adapt=by_names(
        {"text": "text", "url": "url", "crawl_date": "timestamp", "subset": "source"},
    ),
    provenance=provenance("CulturaX", COMMON_CRAWL, "ODC-BY-1.0 AND CC0-1.0", copyrighted=True),
)


def _refine_oscar(fields: Record, rest: Record) -> None:
    """Sum up line identifications; take the angle brackets off WARC record ids."""
    if isinstance(fields.get("id"), str):
        fields["id"] = fields["id"].strip("<>")
    lines = fields.pop("lines", None)
    if isinstance(lines, list):
        labels = [line.get("label") for line in lines if isinstance(line, dict)]
        fields["source_lang_segments"] = shares(labels)


OSCAR = Layout(
    name="oscar",
    # https://oscar-project.github.io/documentation/versions/oscar-2301/ and oscar-2201: content,
    # warc_headers, metadata; 22.01 has metadata.annotation where 23.01 has quality_warnings. The
    # copy for the datasets library has text, and all else under meta.
    needs=("content|text", "warc_headers|meta.warc_headers"),
    adapt=by_names(
        {
            "text": "content|text",
            "id": "warc_headers.warc-record-id|meta.warc_headers.warc-record-id",
            "url": "warc_headers.warc-target-uri|meta.warc_headers.warc-target-uri",
            "crawl_date": "warc_headers.warc-date|meta.warc_headers.warc-date",
            "lang": "metadata.identification.label|meta.identification.label",
            "source_lang_score": "metadata.identification.prob|meta.identification.prob",
            "source_quality_warnings": "metadata.quality_warnings|metadata.annotation|"
            "meta.quality_warnings|meta.annotations",
            "categories": "metadata.categories|meta.categories",
            "harmful_perplexity": "metadata.harmful_pp|meta.harmful_pp",
            "tlsh": "metadata.tlsh|meta.tlsh",
            "lines": "metadata.sentence_identifications|meta.sentence_identifications|"
            "meta.line_identifications",
        },
        refine=_refine_oscar,
        drop=("warc_headers", "meta.warc_headers"),
    ),
    provenance=provenance("OSCAR", COMMON_CRAWL, "CC0-1.0", copyrighted=True),
)


def _refine_hplt1(fields: Record, rest: Record) -> None:
    """Sum up what is said of each paragraph: its language and its fluency."""
    langs, scores = fields.pop("langs"), fields.pop("scores")
    if isinstance(langs, list):
        fields["source_lang_segments"] = shares(langs)
    if mean := _mean(scores):
        fields["source_fluency"] = mean
    if fields.get("id") is not None:
        # A number within its collection and language, not an id of its own.
        fields["source_id"] = fields.pop("id")


HPLT1 = Layout(
    name="hplt",
    # https://hplt-project.org/datasets/v1.2: langs and scores hold a value a paragraph (line).
    needs=("document_lang", "langs", "scores", "text"),
    adapt=by_names(
        {
            "text": "text", "url": "url", "id": "id", "lang": "document_lang",
            "langs": "langs", "scores": "scores", "collection": "collection",
        },
        refine=_refine_hplt1,
    ),
    provenance=provenance("HPLT v1.2", COMMON_CRAWL, "CC0-1.0", copyrighted=True),
)  # fmt: skip


def _refine_hplt2(fields: Record, rest: Record) -> None:
    """Take the best language and the document's score; count personal data instead of places."""
    lang, score = _first(fields.get("lang")), _first(fields.get("source_lang_score"))
    fields["lang"] = lang.partition("_")[0] if isinstance(lang, str) else None
    fields["source_lang_score"] = score
    segments = fields.pop("segments")
    if isinstance(segments, list):
        fields["source_lang_segments"] = shares(str(label).partition("_")[0] for label in segments)
    fields["web_docs_score"] = _first(fields.get("web_docs_score"))
    found = fields.pop("found")
    if isinstance(found, list):
        fields["source_pii"] = len(found)


HPLT2 = Layout(
    name="hplt2",
    # https://hplt-project.org/datasets/v2.0 (and v3): f, o, s, rs tell where in which WARC the page
    # lies; u address, c type, ts time; the first of doc_scores is the document's; xml is the text
    # once more.
    needs=("text", "u", "ts", "prob|seg_langs"),
    adapt=by_names(
        {
            "text": "text", "id": "id", "url": "u", "crawl_date": "ts", "lang": "lang",
            "source_lang_score": "prob", "segments": "seg_langs", "web_docs_score": "doc_scores",
            "found": "pii", "warc_file": "f", "warc_offset": "o", "source_filter": "filter",
        },
        refine=_refine_hplt2,
        drop=("s", "rs", "c", "xml"),
    ),
    provenance=provenance("HPLT v2", COMMON_CRAWL, "CC0-1.0", copyrighted=True),
)  # fmt: skip


# https://github.com/NbAiLab/notram (README.md, table of sub-corpora): licence by collection.
_NCC_LICENSES: tuple[tuple[str, str, bool], ...] = (
    ("newspapers_online", "CC-BY-NC-2.0", True),
    ("newspaper", "CC0-1.0", False),
    ("books", "CC0-1.0", False),
    ("wikipedia", "CC-BY-SA-3.0", False),
    ("maalfrid", "NLOD-2.0", False),
    ("government", "NLOD-2.0", False),
    ("parliament", "NLOD-2.0", False),
    ("publicreports", "NLOD-2.0", False),
    ("lovdata", "NLOD-2.0", False),
)
# Parts of Mímir core, and of older versions of NCC, that were not made by the library.
_CRAWLED = {"mc4": "mC4", "cc100": "CC-100", "oscar": "OSCAR", "culturax": "CulturaX",
            "hplt": "HPLT"}  # fmt: skip


def _refine_ncc(fields: Record, rest: Record) -> None:
    """Give each type of document its licence, and crawled parts their own source and group."""
    kind = str(fields.get("doc_type", "")).lower()
    for beginning, license, copyrighted in _NCC_LICENSES:
        if kind.startswith(beginning):
            rest.setdefault("license", license)
            rest.setdefault("copyrighted", copyrighted)
            break
    for beginning, name in _CRAWLED.items():
        if kind.startswith(beginning):
            rest["source_group"], rest["copyrighted"], rest["subset"] = COMMON_CRAWL, True, name
    score = fields.get("source_lang_score")
    if isinstance(score, str):
        fields["source_lang_score"] = _number(score)


_NCC_NAMES = {
    "text": "text", "id": "id", "doc_type": "doc_type", "date": "publish_year",
    "lang": "lang_fasttext", "source_lang_score": "lang_fasttext_conf",
}  # fmt: skip

NCC = Layout(
    name="ncc",
    # https://huggingface.co/datasets/NbAiLab/NCC: publish_year is 2021 where the year is not known;
    # the confidence is a number in quotes.
    needs=("id", "doc_type", "publish_year", "text"),
    adapt=by_names(_NCC_NAMES, _refine_ncc),
    provenance={"source": "NCC", "source_group": NATIONAL_LIBRARY, "copyrighted": False},
)

MIMIR = Layout(
    name="mimir",
    # https://huggingface.co/datasets/mimir-project/mimir-core: written with the tools of NCC, in
    # its fields; told from it by the path alone.
    needs=NCC.needs,
    adapt=NCC.adapt,
    provenance={"source": "Mímir core", "source_group": NATIONAL_LIBRARY, "copyrighted": False},
    detected=False,
)


def _first(value: Any) -> Any:
    if isinstance(value, list):
        return value[0] if value else None
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _mean(values: Any) -> float | None:
    numbers = [v for v in values if isinstance(v, (int, float))] if isinstance(values, list) else []
    return round(sum(numbers) / len(numbers), 4) if numbers else None
