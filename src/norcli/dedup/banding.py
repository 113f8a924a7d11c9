"""From a similarity threshold to the bands and rows of the index, and what recall they promise.

Plain arithmetic, so that a dry run on a login node can show the curve. With MinHash values that
agree with probability J, a band of r values agrees with J^r, and one of b bands with
1 - (1 - J^r)^b (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from norcli.errors import UsageError

CANDIDATE_RECALL = 0.999
"""Share of pairs exactly at the threshold that must share a band."""
MAX_BANDS = 32
"""Each band costs 8 bytes per document."""
LANE_VALUES = 256
"""Verification compares 8 bits of each MinHash value."""


@dataclass(frozen=True, slots=True)
class Banding:
    """How signatures are cut into bands, and what agreement makes a duplicate."""

    threshold: float
    num_perm: int
    bands: int
    rows: int

    @property
    def needed_lanes(self) -> int:
        """Equal 8-bit lanes that a duplicate has at least.

        Unequal values agree in 8 bits once in 256, so a pair of similarity J agrees in
        J + (1 - J) / 256 of the lanes.
        """
        chance = 1.0 / LANE_VALUES
        share = self.threshold * (1.0 - chance) + chance
        return min(math.ceil(share * self.num_perm - 1e-9), self.num_perm)

    def candidate_probability(self, jaccard: float) -> float:
        """Return the probability that a pair of this similarity shares a band."""
        return 1.0 - (1.0 - jaccard**self.rows) ** self.bands

    def match_probability(self, jaccard: float) -> float:
        """Return the probability that a pair shares a band and passes verification.

        The two are taken as independent, which understates it a little.
        """
        agree = jaccard + (1.0 - jaccard) / LANE_VALUES
        return self.candidate_probability(jaccard) * _at_least(
            self.needed_lanes, self.num_perm, agree
        )

    def curve(self) -> str:
        """Return the expected share of pairs found, as text for people."""
        points = sorted({0.5, 0.6, self.threshold, 0.8, 0.9})
        return ", ".join(f"J={j:g}: {100 * self.match_probability(j):.2f} %" for j in points)


def _at_least(needed: int, trials: int, probability: float) -> float:
    """Return P(X >= needed) of a binomial distribution."""
    if probability >= 1.0:
        return 1.0
    if probability <= 0.0:
        return 0.0 if needed > 0 else 1.0
    log_p, log_q = math.log(probability), math.log1p(-probability)
    log_factorial = math.lgamma(trials + 1)
    terms = (
        log_factorial
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * log_p
        + (trials - k) * log_q
        for k in range(needed, trials + 1)
    )
    return min(math.fsum(math.exp(term) for term in terms), 1.0)


def choose_banding(
    threshold: float, num_perm: int, bands: int | None = None, rows: int | None = None
) -> Banding:
    """Choose bands and rows for a threshold, or check those given.

    Takes the longest bands (fewest false candidates) that still let `CANDIDATE_RECALL` of the
    pairs at the threshold meet.

    Raises:
        UsageError: Bands times rows exceed the MinHash values there are.
    """
    if bands is not None and rows is not None:
        if bands * rows > num_perm:
            raise UsageError(
                f"{bands} bands of {rows} rows need {bands * rows} MinHash values",
                hint=f"give --num-perm {bands * rows} or more",
            )
        return Banding(threshold, num_perm, bands, rows)
    chosen = Banding(threshold, num_perm, min(MAX_BANDS, num_perm), 1)
    for candidate_rows in range(1, num_perm + 1):
        agree = threshold**candidate_rows
        needed = 1
        if agree < CANDIDATE_RECALL:
            needed = math.ceil(math.log(1.0 - CANDIDATE_RECALL) / math.log1p(-agree))
        if needed > MAX_BANDS or needed * candidate_rows > num_perm:
            break
        chosen = Banding(threshold, num_perm, needed, candidate_rows)
    return chosen
