"""Rows of text as aligned columns, for the plain tables of reports."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[tuple[str, ...]], left: Collection[int]) -> list[str]:
    """Return rows as lines of equal columns, two spaces apart, nothing behind the last.

    Args:
        rows: Cells, the same number in each row; the first row is usually the heads.
        left: Columns whose cells stand to the left; numbers stand to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
