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

import numpy as np

from norcli.corpus.annotations import annotate, take_annotation
from norcli.corpus.boilerplate import BoilerplateLines
from norcli.corpus.extraction import PageFault, extract_page
from norcli.corpus.hooks import MODEL_FIELD, Hooks, check_hooks
from norcli.corpus.language.codes import NORWEGIAN, UNDETERMINED, normalize_code
from norcli.corpus.languages import FOREIGN_SHARE, DocumentLanguage, LanguageJudge
from norcli.corpus.normalization import normalize_batch
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.packing import encode, join
from norcli.corpus.privacy import count_kinds, find_personal_data, mask_all, tell_places
from norcli.corpus.quality import PROTECTED, QualityMeter, Rows, Rules, Violation
from norcli.corpus.sentences import split_batch
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.removal import REMOVAL_LIST, RemovalList
from norcli.errors import UsageError
from norcli.formats.documents import text_id

# Rules switched by --disable that have no threshold in rules.toml.
BOILERPLATE = "boilerplate"
_YES_OR_NO = {"yes": True, "no": False, None: None}
_OWN_FIELDS = frozenset(("id", "text", "lang", "lang_score", "lang_segments"))


@dataclass(slots=True)
class Decision:
    """What became of one document.

    Attributes:
        record: The record to write, to the output or to the rejects; None where nobody wants it.
        violation: The rule it was dropped by, None where it is kept.
        lang: Its language, ``und`` where that was not reached.
        source: Its source, None where it states none.
        bytes_in: UTF-8 bytes of its text as it came (after extraction).
        bytes_out: UTF-8 bytes of its text as it is now.
        removed_lines: Boilerplate lines taken out.
        personal_data: Finds by field name (``pii_email``).
        would_drop: With --annotate: the rule it would be dropped by.
        spared: It is kept, but Bokmål's threshold for this rule would have dropped it.
    """

    record: dict[str, Any] | None
    violation: Violation | None
    lang: str
    source: str | None
    bytes_in: int
    bytes_out: int
    removed_lines: int
    personal_data: dict[str, int]
    would_drop: str | None = None
    spared: str | None = None


@dataclass(slots=True)
class _Work:
    """A document while its batch is worked on."""

    raw: RawDocument
    text: str = ""
    encoded: bytes = b""  # the text as UTF-8, from normalization to the measures
    bytes_in: int = 0
    bytes_out: int = 0
    flags: int = 0
    removed_lines: int = 0
    language: DocumentLanguage | None = None
    violation: Violation | None = None
    row: Rows | None = None
    spared: str | None = None
    personal_data: dict[str, int] = field(default_factory=dict)
    places: str = ""
    hooked: dict[str, float] = field(default_factory=dict)

    @property
    def lang(self) -> str:
        return self.language.lang if self.language is not None else UNDETERMINED


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


def _remove_listed(works: Sequence[_Work], removed: RemovalList) -> None:
    """Empty documents that are on the removal list of all but their ids."""
    for work in works:
        if field_name := removed.names(work.raw.fields):
            work.text, work.raw.fields = "", {"id": work.raw.fields.get("id")}
            work.violation = Violation(REMOVAL_LIST, field_name, "")


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
        self._languages_text = ",".join(languages)
        self._kept = frozenset(languages)
        if self._kept & {"nob", "nno"}:
            self._kept |= {NORWEGIAN}
        self._rules = Rules.load(options.rules, options.disable)
        self._hooks = Hooks.load(options)
        self._judge = self._meter = self._boilerplate = None
        if not options.from_annotations:
            self._judge = LanguageJudge(languages, options.lid_model)
            self._meter = QualityMeter(self._rules.stop_words, self._rules.settings)
            self._boilerplate = None if BOILERPLATE in options.disable else BoilerplateLines()
        self._disabled = frozenset(options.disable)
        provenance = {"source": options.source, "source_group": options.source_group,
                      "license": options.license,
                      "copyrighted": _YES_OR_NO.get(options.copyrighted)}  # fmt: skip
        self._provenance = {key: value for key, value in provenance.items() if value is not None}
        self._removed = None if options.remove is None else RemovalList.load(options.remove)

    def process(self, batch: Sequence[RawDocument]) -> list[Decision]:
        """Decide over each document of a batch, in order.

        Raises:
            DataError: With --from-annotations: a record has none.
        """
        reopens = self._options.from_annotations
        works = [self._reopen(raw) if reopens else self._open(raw) for raw in batch]
        if reopens or not self._options.annotate:
            self._block(works)
        if self._removed is not None:
            _remove_listed(works, self._removed)
        if not reopens:
            self._normalize(works)
            self._identify([work for work in works if work.violation is None])
            self._measure([w for w in works if w.text and self._is_wanted(w)])
            if self._options.annotate:
                self._block([work for work in works if work.row is not None])
        self._judge_quality([w for w in works if w.violation is None and w.row is not None])
        decisions = [self._decide(work) for work in works]
        if self._options.sentences:
            records = [decision.record for decision in decisions if decision.record is not None]
            cut = split_batch([record["text"] for record in records])
            for record, sentences in zip(records, cut, strict=True):
                record["sentences"] = sentences
        return decisions

    def _is_wanted(self, work: _Work) -> bool:
        """Whether a document is still to be worked on."""
        return work.violation is None or self._options.annotate

    def _block(self, works: Sequence[_Work]) -> None:
        """Drop what a blocklist names; annotations keep it measured, and are asked again."""
        if self._hooks.blocklist is not None:
            for work in works:
                work.violation = self._hooks.blocked(work.raw.fields.get("url")) or work.violation

    def _open(self, raw: RawDocument) -> _Work:
        """Get at the text; a page without one is dropped with the reason."""
        work = _Work(raw)
        if raw.fault is not None:
            work.violation = Violation(raw.fault, raw.fault_value, "")
        elif raw.page is not None:
            if not self._options.annotate and self._hooks.blocked(raw.fields.get("url")):
                return work  # not worth opening: it is dropped in a moment
            try:
                page = extract_page(raw.page, raw.charset)
            except PageFault as fault:
                work.violation = Violation(fault.reason, fault.value, fault.limit)
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

    def _reopen(self, raw: RawDocument) -> _Work:
        """Take up an annotated record where the measures were taken."""
        text = raw.text or ""
        size = len(text.encode("utf-8", "replace"))
        work = _Work(raw, text, bytes_in=size, bytes_out=size)
        if self._options.sentences:
            raw.fields.pop("sentences", None)
        found = take_annotation(raw.fields, self._kept, self._languages_text, raw.place)
        work.language, work.row, work.personal_data = found
        work.hooked = self._hooks.take(raw.fields, raw.place)
        work.violation = self._check_language(found.language)
        return work

    def _normalize(self, works: Sequence[_Work]) -> None:
        batch = normalize_batch([work.text for work in works])
        cleaned = [(text, 0) for text in batch.texts]
        if self._boilerplate is not None:
            cleaned = self._boilerplate.remove_batch(batch.texts, batch.encoded)
        for work, (text, removed), data, flags, size in zip(
            works, cleaned, batch.encoded, batch.flags, batch.sizes, strict=True
        ):
            work.text, work.flags, work.bytes_in, work.removed_lines = text, flags, size, removed
            work.encoded = encode([text])[0] if removed else data
            if not work.text and work.violation is None and "empty_text" not in self._disabled:
                work.violation = Violation("empty_text", 0, 1)

    def _identify(self, works: Sequence[_Work]) -> None:
        assert self._judge is not None, "made for texts"
        languages = self._judge.judge([work.text for work in works])
        for work, language in zip(works, languages, strict=True):
            # Decided as it is written, so that a decision can be taken again from the record.
            work.language = language._replace(score=round(language.score, 4))
            work.violation = self._check_language(work.language)
            if (
                work.violation is not None
                and work.violation.rule == "min_main_language_share"
                and self._options.mixed == "trim"
            ):
                work.text, work.violation = language.kept_text or "", None
                (work.encoded,) = encode([work.text])
                work.language = work.language._replace(kept_share=1.0)

    def _check_language(self, language: DocumentLanguage) -> Violation | None:
        lang, score, share = language.lang, language.score, language.kept_share
        if share < FOREIGN_SHARE and lang not in self._kept:
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
            return Violation("min_lang_score", score, least)
        return None

    def _measure(self, works: Sequence[_Work]) -> None:
        if not works:
            return
        assert self._meter is not None, "made for texts"
        buffer, offsets = join([work.encoded for work in works])
        rows = self._meter.measure(buffer, offsets, [work.lang for work in works])
        for work, row, size in zip(works, rows, np.diff(offsets).tolist(), strict=True):
            work.row, work.bytes_out = row, size
        if self._hooks.fields:
            texts, langs = [work.text for work in works], [work.lang for work in works]
            measured = self._hooks.measure(buffer, offsets, texts, langs)
            for work, values in zip(works, measured, strict=True):
                work.hooked = values

    def _judge_quality(self, works: Sequence[_Work]) -> None:
        groups: dict[str, list[_Work]] = {}
        for work in works:
            groups.setdefault(work.lang, []).append(work)
        for lang, group in groups.items():
            rows = np.array([work.row for work in group])
            texts = [work.text for work in group]
            for work, violation in zip(group, self._rules.check(lang, rows, texts), strict=True):
                work.violation = violation
            if lang in PROTECTED:
                elsewhere = self._rules.check("nob", rows, texts)
                for work, violation in zip(group, elsewhere, strict=True):
                    if violation is not None and work.violation is None:
                        work.spared = violation.rule
            for work in group:
                work.violation = work.violation or check_hooks(self._rules, lang, work.hooked)

    def _decide(self, work: _Work) -> Decision:
        is_written = self._is_wanted(work) or self._options.rejects is not None
        if work.text and is_written:
            self._protect(work)
        violation, would_drop = work.violation, None
        record: dict[str, Any] | None = None
        if is_written:
            record = self._record(work)
            if self._options.annotate and work.row is not None:
                annotate(record, work.language, work.row, self._languages_text, violation)
                would_drop = violation.rule if violation is not None else None
                violation = None
            elif violation is not None:
                record["dropped_by"], record["dropped_value"], record["dropped_threshold"] = (
                    violation
                )
        source = work.raw.fields.get("source") or self._options.source
        return Decision(
            record, violation, work.lang, str(source) if source is not None else None,
            work.bytes_in, work.bytes_out, work.removed_lines, work.personal_data, would_drop,
            work.spared if violation is None else None,
        )  # fmt: skip

    def _protect(self, work: _Work) -> None:
        """Find personal data, and mask it or drop the document as --pii says."""
        how = self._options.pii
        if how == "off":
            return
        if not self._options.from_annotations:
            found = find_personal_data(work.text, work.flags, self._options.pii_kinds)
            if not found:
                return
            if how == "tag":
                work.places = tell_places(found)
            elif how == "mask":
                work.text, found = mask_all(work.text, found, self._options.pii_kinds)
            work.personal_data = count_kinds(found)
            if how == "mask":
                work.bytes_out = len(work.text.encode("utf-8", "replace"))
        count = sum(work.personal_data.values())
        if how == "drop" and count and work.violation is None:
            work.violation = Violation("personal_data", count, 0)

    def _record(self, work: _Work) -> dict[str, Any]:
        fields = work.raw.fields
        record: dict[str, Any] = {"id": fields.get("id"), "text": work.text}
        record.update((key, value) for key, value in fields.items() if key not in _OWN_FIELDS)
        if fields.get("lang") is not None:
            record.setdefault("source_lang", fields["lang"])
        for key, value in self._provenance.items():
            if record.get(key) is None:
                record[key] = value
        if work.language is not None:
            record["lang"] = work.language.lang
            record["lang_score"] = work.language.score
            if "," in work.language.stretches:
                record["lang_segments"] = work.language.stretches
        record.update(work.personal_data)
        if work.places:
            record["personal_data_at"] = work.places
        if MODEL_FIELD in work.hooked:
            record[MODEL_FIELD] = work.hooked[MODEL_FIELD]
        if self._options.annotate:
            record.update(work.hooked)
        return record
