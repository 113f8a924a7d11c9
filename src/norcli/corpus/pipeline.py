"""From raw documents to decisions: extract, normalize, identify, measure, protect.

The heart of `crawl-filter` (report section 3.2). A batch goes in, one decision per document comes
out in the same order; a document's decision never depends on its neighbours, so batches may be
spread over processes. Reading is in `norcli.corpus.sources`, writing and counting in
`norcli.corpus.crawl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from norcli.corpus.boilerplate import BoilerplateLines
from norcli.corpus.extraction import extract_page
from norcli.corpus.language.codes import normalize_code
from norcli.corpus.languages import FOREIGN_SHARE, DocumentLanguage, LanguageJudge
from norcli.corpus.normalization import normalize_batch
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.privacy import count_kinds, find_personal_data, mask
from norcli.corpus.quality import QualityMeter, Rules, Violation
from norcli.corpus.quality_kernel import MEASURES
from norcli.corpus.sentences import split_sentences
from norcli.corpus.sources.raw import RawDocument
from norcli.errors import UsageError
from norcli.formats.documents import text_id

# Rules switched by --disable that have no threshold in rules.toml.
BOILERPLATE = "boilerplate"


@dataclass(slots=True)
class Decision:
    """What became of one document.

    Attributes:
        record: The record to write, to the output or to the rejects.
        violation: The rule it was dropped by, None where it is kept.
        lang: Its language, ``und`` where that was not reached.
        bytes_in: UTF-8 bytes of its text as it came (after extraction).
        bytes_out: UTF-8 bytes of its text as it is now.
        removed_lines: Boilerplate lines taken out.
        personal_data: Finds by field name (``pii_email``).
    """

    record: dict[str, Any]
    violation: Violation | None
    lang: str
    bytes_in: int
    bytes_out: int
    removed_lines: int = 0
    personal_data: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Work:
    """A document while its batch is worked on."""

    raw: RawDocument
    text: str = ""
    bytes_in: int = 0
    flags: int = 0
    removed_lines: int = 0
    language: DocumentLanguage | None = None
    violation: Violation | None = None
    measures: dict[str, float] = field(default_factory=dict)
    personal_data: dict[str, int] = field(default_factory=dict)


def kept_languages(options: CrawlFilterOptions) -> tuple[str, ...]:
    """Return the languages to keep as ISO 639-3 codes.

    Raises:
        UsageError: One is unknown, or there is none.
    """
    try:
        codes = tuple(dict.fromkeys(normalize_code(code) for code in options.languages))
    except ValueError as error:
        raise UsageError(f"--languages: {error}") from error
    if not codes:
        raise UsageError("--languages: name at least one")
    return codes


class FilterPipeline:
    """Decides over batches of documents; made once per process.

    Args:
        options: Languages, rules, privacy and provenance.

    Raises:
        ConfigError: A rule is unknown or wrong.
        UsageError: A language is unknown.
    """

    def __init__(self, options: CrawlFilterOptions) -> None:
        self._options = options
        languages = kept_languages(options)
        self._judge = LanguageJudge(languages)
        self._rules = Rules.load(options.rules, options.disable)
        self._meter = QualityMeter.load()
        self._boilerplate = None if BOILERPLATE in options.disable else BoilerplateLines()
        self._disabled = frozenset(options.disable)
        self._languages_text = ",".join(languages)
        provenance = {"source": options.source, "source_group": options.source_group,
                      "license": options.license}  # fmt: skip
        self._provenance = {key: value for key, value in provenance.items() if value is not None}

    def process(self, batch: Sequence[RawDocument]) -> list[Decision]:
        """Decide over each document of a batch, in order."""
        works = [self._open(raw) for raw in batch]
        self._normalize(works)
        self._identify([work for work in works if work.violation is None])
        annotates = self._options.annotate
        self._measure([w for w in works if w.text and (annotates or w.violation is None)])
        return [self._decide(work) for work in works]

    def _open(self, raw: RawDocument) -> _Work:
        """Get at the text; a page without one is dropped with the reason."""
        work = _Work(raw)
        if raw.fault is not None:
            work.violation = Violation(raw.fault, raw.fault_value, "")
        elif raw.page is not None:
            try:
                page = extract_page(raw.page, raw.charset)
            except ValueError as error:
                work.violation = Violation("extraction_failed", str(error), "")
                return work
            work.text = page.text
            if page.title:
                raw.fields.setdefault("title", page.title)
            if page.url:
                raw.fields.setdefault("url", page.url)
            if date := page.date or raw.fields.get("crawl_date"):
                raw.fields.setdefault("date", date)
            if not page.text.strip():
                work.violation = Violation("no_main_text", 0, "")
        else:
            work.text = raw.text or ""
        if work.text and raw.fields.get("id") is None:
            raw.fields["id"] = text_id(work.text)
        return work

    def _normalize(self, works: Sequence[_Work]) -> None:
        batch = normalize_batch([work.text for work in works])
        for work, text, flags, size in zip(works, *batch, strict=True):
            work.text, work.flags, work.bytes_in = text, flags, size
            if self._boilerplate is not None and text:
                work.text, work.removed_lines = self._boilerplate.remove(text)
            if not work.text and work.violation is None and "empty_text" not in self._disabled:
                work.violation = Violation("empty_text", 0, 1)

    def _identify(self, works: Sequence[_Work]) -> None:
        languages = self._judge.judge(
            [work.text for work in works], [work.raw.page is not None for work in works]
        )
        for work, language in zip(works, languages, strict=True):
            work.language = language
            work.violation = self._check_language(language)
            if (
                work.violation is not None
                and work.violation.rule == "min_main_language_share"
                and self._options.mixed == "trim"
            ):
                work.text, work.violation = language.kept_text or "", None

    def _check_language(self, language: DocumentLanguage) -> Violation | None:
        lang, score, share = language.lang, language.score, language.kept_share
        if share < FOREIGN_SHARE and lang not in self._judge.kept:
            if "language" in self._disabled:
                return None
            return Violation("language", lang, self._languages_text)
        limit = self._rules.threshold(lang, "min_main_language_share")
        if limit is not None and share < limit:
            return Violation("min_main_language_share", share, limit)
        least = self._options.min_lang_score
        if least is None:
            least = self._rules.threshold(lang, "min_lang_score")
        if least is not None and score < least:
            return Violation("min_lang_score", round(score, 4), least)
        return None

    def _measure(self, works: Sequence[_Work]) -> None:
        if not works:
            return
        langs = [work.language.lang if work.language else "und" for work in works]
        rows = self._meter.measure([work.text for work in works], langs).tolist()
        for work, lang, row in zip(works, langs, rows, strict=True):
            if work.violation is None:
                work.violation = self._rules.check(lang, row, work.text)
            if self._options.annotate:
                work.measures = {
                    f"quality_{name}": round(value, 6)
                    for name, value in zip(MEASURES, row, strict=True)
                }

    def _decide(self, work: _Work) -> Decision:
        annotates = self._options.annotate
        if work.text and (annotates or work.violation is None):
            self._protect(work)
        record = self._record(work)
        violation = work.violation
        if annotates and violation is not None and work.text:
            record["would_be_dropped_by"] = violation.rule
            violation = None
        elif violation is not None:
            record["dropped_by"], record["dropped_value"], record["dropped_threshold"] = violation
        return Decision(
            record, violation, work.language.lang if work.language else "und", work.bytes_in,
            len(work.text.encode("utf-8", "replace")), work.removed_lines, work.personal_data,
        )  # fmt: skip

    def _protect(self, work: _Work) -> None:
        """Find personal data, and mask it or drop the document as --pii says."""
        if self._options.pii == "off":
            return
        found = find_personal_data(work.text, work.flags)
        work.personal_data = count_kinds(found)
        if found and self._options.pii == "mask":
            work.text = mask(work.text, found)
        elif found and self._options.pii == "drop" and work.violation is None:
            work.violation = Violation("personal_data", len(found), 0)

    def _record(self, work: _Work) -> dict[str, Any]:
        fields = work.raw.fields
        record: dict[str, Any] = {"id": fields.get("id"), "text": work.text}
        own = ("id", "text", "lang", "lang_score", "lang_segments")
        record.update((key, value) for key, value in fields.items() if key not in own)
        if fields.get("lang") is not None:
            record.setdefault("source_lang", fields["lang"])
        for key, value in self._provenance.items():
            if record.get(key) is None:
                record[key] = value
        if work.language is not None:
            record["lang"] = work.language.lang
            record["lang_score"] = round(work.language.score, 4)
            if "," in work.language.stretches:
                record["lang_segments"] = work.language.stretches
        record.update(work.personal_data)
        record.update(work.measures)
        if self._options.sentences:
            record["sentences"] = split_sentences(work.text)
        return record
