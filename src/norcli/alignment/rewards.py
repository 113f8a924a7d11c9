"""Scores of candidates: cosine to the reference, alone or with ROUGE-L and a price on length.

Step 2 of the report's section 3.3.2. Cosine alone can be gamed (a shuffled reference scores above
any honest summary), so every report carries canaries: see `norcli.alignment.report`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from norcli.alignment.encoders import Encoder
from norcli.alignment.options import SimilarityOptions
from norcli.evaluation.metrics.rouge import f_measure, unicode_words


class SimilarityReward:
    """Score candidates against references.

    Args:
        encoder: What makes the vectors.
        rouge_weight: Share of ROUGE-L F, 0 to 1; the rest is the cosine.
        length_penalty: Price per unit of |ln(words / words of the reference)|.
    """

    def __init__(
        self, encoder: Encoder, rouge_weight: float = 0.0, length_penalty: float = 0.0
    ) -> None:
        self.encoder = encoder
        self._rouge_weight = rouge_weight
        self._length_penalty = length_penalty

    @classmethod
    def from_options(cls, encoder: Encoder, options: SimilarityOptions) -> SimilarityReward:
        """Return the reward that the options describe."""
        return cls(encoder, options.rouge_weight, options.length_penalty)

    def score(self, candidates: Sequence[str], references: Sequence[str]) -> list[float]:
        """Return one score for each pair; the cosine part lies between -1 and 1."""
        ours = self.encoder.encode(candidates)
        theirs = self.encoder.encode(references)
        cosines = (ours * theirs).sum(axis=1)
        return [
            self._combined(float(cosine), candidate, reference)
            for cosine, candidate, reference in zip(cosines, candidates, references, strict=True)
        ]

    def _combined(self, cosine: float, candidate: str, reference: str) -> float:
        score = cosine
        if self._rouge_weight:
            overlap = f_measure("rouge-L", candidate, reference, unicode_words)
            score = (1 - self._rouge_weight) * cosine + self._rouge_weight * overlap
        if self._length_penalty:
            ratio = max(len(candidate.split()), 1) / max(len(reference.split()), 1)
            score -= self._length_penalty * abs(math.log(ratio))
        return score
