"""Which language a document is in for the purpose of keeping it, pages in several told apart.

Third stage of `crawl-filter`, over the identifier of `norcli.corpus.language`. Every document is
cut into stretches of one language, and where there are several (a half-translated manual page),
what counts is the share of its characters in the languages that are kept. The rule is in
docs/design/0002-corpus-pipeline.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from norcli.corpus.language.alternatives import BUILTIN, load_identifier
from norcli.corpus.language.codes import NORWEGIAN
from norcli.corpus.language.segments import SegmentedText

# Below this share of kept languages a document is simply in another language, not mixed.
FOREIGN_SHARE = 0.2


class DocumentLanguage(NamedTuple):
    """The language of a document.

    Attributes:
        lang: ISO 639-3, ``nor`` or ``und``.
        score: The identifier's probability, or, where stretches decided, their mean.
        kept_share: Share of characters in languages that are kept, 0 to 1.
        stretches: ``nob 0.62, eng 0.38``; empty where there is only one.
        kept_text: The stretches in kept languages alone, where there are others.
    """

    lang: str
    score: float
    kept_share: float
    stretches: str
    kept_text: str | None = None


class LanguageJudge:
    """Finds the language of documents, given the languages that are kept.

    Args:
        kept: ISO 639-3 codes.
        model: What identifies languages, see `load_identifier`.
    """

    def __init__(self, kept: Collection[str], model: str = BUILTIN) -> None:
        self.kept = frozenset(kept)
        if self.kept & {"nob", "nno"}:
            self.kept |= {NORWEGIAN}
        self._identifier = load_identifier(model)

    def judge(self, texts: Sequence[str]) -> list[DocumentLanguage]:
        """Return the language of each normalized text."""
        return [
            self._weigh(text, found)
            if len(found.segments) > 1
            else DocumentLanguage(found.lang, found.score, float(found.lang in self.kept), "")
            for text, found in zip(texts, self._identifier.segment_batch(texts), strict=True)
        ]

    def _weigh(self, text: str, found: SegmentedText) -> DocumentLanguage:
        """Weigh the stretches of a text in several languages."""
        characters: Counter[str] = Counter()
        scores: defaultdict[str, float] = defaultdict(float)
        for segment in found.segments:
            length = segment.end - segment.start
            characters[segment.lang] += length
            scores[segment.lang] += length * segment.score
        total = characters.total()
        # Ties go by name, so that the order of stretches does not matter.
        ranked = sorted(characters.items(), key=lambda item: (-item[1], item[0]))
        kept_share = sum(n for lang, n in ranked if lang in self.kept) / total
        shown = [(lang, n / total) for lang, n in ranked if n / total >= 0.005]
        stretches = ", ".join(f"{lang} {share:.2f}" for lang, share in shown)
        lang, score = found.lang, found.score
        if lang not in self.kept and kept_share >= FOREIGN_SHARE:
            # The whole was called by what is foreign in it, or "und" because of it.
            lang = next(name for name, _ in ranked if name in self.kept)
            score = scores[lang] / characters[lang]
        kept_text = None
        if FOREIGN_SHARE <= kept_share < 1.0:
            kept_text = "\n".join(
                text[s.start : s.end] for s in found.segments if s.lang in self.kept
            )
        return DocumentLanguage(lang, score, round(kept_share, 4), stretches, kept_text)
