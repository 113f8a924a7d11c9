"""Which language a document is in for the purpose of keeping it, pages in several told apart.

Third stage of `crawl-filter`, over the identifier of `norcli.corpus.language`. A document whose
parts are in different languages (a half-translated manual page) is cut into stretches, and what
counts is the share of its characters in the languages that are kept. The rule is in
docs/design/0002-corpus-pipeline.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from norcli.corpus.language.codes import NORWEGIAN, UNDETERMINED
from norcli.corpus.language.identifier import Identification, LanguageIdentifier, pack

# A document is cut up unless it, and the samples taken of it, are this certainly one language.
CERTAIN = 0.999
SAMPLES = 3
SAMPLE_CHARACTERS = 160
# Below this share of kept languages a document is simply in another language, not mixed.
FOREIGN_SHARE = 0.2


class DocumentLanguage(NamedTuple):
    """The language of a document.

    Attributes:
        lang: ISO 639-3, ``nor`` or ``und``.
        score: The identifier's probability, or, where stretches decided, their mean.
        kept_share: Share of characters in languages that are kept, 0 to 1.
        stretches: ``nob 0.62, eng 0.38``; empty where the document was not cut up.
        kept_text: The stretches in kept languages alone, where there are others.
    """

    lang: str
    score: float
    kept_share: float
    stretches: str
    kept_text: str | None = None


class LanguageJudge:
    """Finds the language of documents, given the languages that are kept."""

    def __init__(self, kept: Collection[str]) -> None:
        self.kept = frozenset(kept)
        if self.kept & {"nob", "nno"}:
            self.kept |= {NORWEGIAN}
        self._identifier = LanguageIdentifier.load()

    def judge(self, texts: Sequence[str], thorough: Sequence[bool]) -> list[DocumentLanguage]:
        """Return the language of each text.

        Args:
            texts: Normalized texts.
            thorough: Where true, a text is cut up in any case; others only when in doubt.
        """
        found = self._identifier.identify_batch(texts)
        doubtful = [
            i for i, item in enumerate(found) if thorough[i] or self._certainty(item) < CERTAIN
        ]
        doubtful += self._differing(texts, found, set(doubtful))
        results = [
            DocumentLanguage(item.lang, item.score, float(item.lang in self.kept), "")
            for item in found
        ]
        for i in doubtful:
            results[i] = self._cut_up(texts[i], found[i])
        return results

    def _certainty(self, item: Identification) -> float:
        """Return the probability of the document's language; Bokmål and Nynorsk count as one."""
        if item.lang in ("nob", "nno", NORWEGIAN):
            return item.probabilities["nob"] + item.probabilities["nno"]
        return item.score

    def _differing(
        self, texts: Sequence[str], found: Sequence[Identification], known: set[int]
    ) -> list[int]:
        """Return further documents in which a sample is not in the document's language."""
        owners: list[int] = []
        samples: list[str] = []
        for i, text in enumerate(texts):
            if i in known or len(text) < 2 * SAMPLE_CHARACTERS:
                continue
            step = len(text) // SAMPLES
            for k in range(SAMPLES):
                start = k * step + max(0, step - SAMPLE_CHARACTERS) // 2
                samples.append(text[start : start + SAMPLE_CHARACTERS])
                owners.append(i)
        if not samples:
            return []
        likeliest = self._identifier.log_probabilities(*pack(samples)).argmax(axis=1).tolist()
        classes = self._identifier.classes
        return list(
            dict.fromkeys(
                owner
                for owner, best in zip(owners, likeliest, strict=True)
                if _family(classes[best]) != _family(found[owner].lang)
            )
        )

    def _cut_up(self, text: str, whole: Identification) -> DocumentLanguage:
        characters: Counter[str] = Counter()
        scores: defaultdict[str, float] = defaultdict(float)
        segments = self._identifier.segments(text)
        for segment in segments:
            length = segment.end - segment.start
            characters[segment.lang] += length
            scores[segment.lang] += length * segment.score
        total = characters.total()
        if not total:
            return DocumentLanguage(UNDETERMINED, 0.0, 0.0, "")
        # Ties go by name, so that the order of stretches does not matter.
        ranked = sorted(characters.items(), key=lambda item: (-item[1], item[0]))
        kept_share = sum(n for lang, n in ranked if lang in self.kept) / total
        shown = [(lang, n / total) for lang, n in ranked if n / total >= 0.005]
        stretches = ", ".join(f"{lang} {share:.2f}" for lang, share in shown)
        lang, score = whole.lang, whole.score
        if lang not in self.kept and kept_share >= FOREIGN_SHARE:
            # The whole was called by what is foreign in it, or "und" because of it.
            lang = next(name for name, _ in ranked if name in self.kept)
            score = scores[lang] / characters[lang]
        kept_text = None
        if FOREIGN_SHARE <= kept_share < 1.0:
            kept_text = "\n".join(text[s.start : s.end] for s in segments if s.lang in self.kept)
        return DocumentLanguage(lang, score, round(kept_share, 4), stretches, kept_text)


def _family(lang: str) -> str:
    return NORWEGIAN if lang in ("nob", "nno") else lang
