"""What a threshold means in practice: bands, rows, and the share of pairs expected to be found.

Printed by ``-v`` and ``--dry-run`` and written to ``--stats``; the arithmetic is in
`norcli.dedup.banding`.
"""

from __future__ import annotations

from typing import Any

from norcli.dedup.banding import Banding

STEPS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def recall_curve(banding: Banding) -> list[dict[str, float]]:
    """Return for some similarities the probability that a pair meets in a band and is found."""
    return [
        {
            "jaccard": jaccard,
            "compared": round(banding.candidate_probability(jaccard), 6),
            "found": round(banding.match_probability(jaccard), 6),
        }
        for jaccard in sorted({*STEPS, banding.threshold})
    ]


def describe_banding(banding: Banding) -> dict[str, Any]:
    """Return how signatures are compared, and what it is expected to find."""
    return {
        "threshold": banding.threshold,
        "num_perm": banding.num_perm,
        "bands": banding.bands,
        "rows": banding.rows,
        "equal_values_needed": banding.needed_lanes,
        "expected": recall_curve(banding),
    }


def banding_lines(banding: Banding) -> list[str]:
    """Return the same as a table for people."""
    lines = [
        f"threshold {banding.threshold:g}: {banding.bands} bands of {banding.rows} rows out of "
        f"{banding.num_perm} MinHash values; a pair in one band is a duplicate when "
        f"{banding.needed_lanes} values agree",
        "   Jaccard   compared      found",
    ]
    lines += [
        f"{row['jaccard']:10g} {100 * row['compared']:8.2f} % {100 * row['found']:8.2f} %"
        for row in recall_curve(banding)
    ]
    return lines


def for_people(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan with its curve as text: the expected share of pairs found."""
    if "expected" not in plan:
        return plan
    curve = (f"J={row['jaccard']:g}: {100 * row['found']:.2f} %" for row in plan["expected"])
    return {**plan, "expected": ", ".join(curve)}
