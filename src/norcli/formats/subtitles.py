"""Subtitles as WebVTT and SubRip: cues with their times, markup taken off.

https://www.w3.org/TR/webvtt1/ for WebVTT; SubRip has no specification: a number, a line of times
with commas, lines of text, an empty line. What is made of the cues is the business of
`norcli.corpus`.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

_TIME = r"((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_MARKUP = re.compile(r"<[^>\n]{0,200}>|\{\\[^}\n]{0,100}\}")


class Cue(NamedTuple):
    """A subtitle: its lines, and when it is shown, in seconds; None where that is not known."""

    start: float | None
    end: float | None
    lines: list[str]


def seconds_of(time: str) -> float:
    """Return the seconds in ``1:02:03.500``, ``02:03,5`` or ``63.5``.

    Raises:
        ValueError: It is no time.
    """
    total = 0.0
    for piece in time.replace(",", ".").split(":"):
        total = total * 60 + float(piece)
    return total


def clean_lines(text: str) -> list[str]:
    """Return the lines of a cue that are not empty, without markup and character references."""
    stripped = html.unescape(_MARKUP.sub("", text))
    return [" ".join(line.split()) for line in stripped.split("\n") if line.strip()]


def parse_cues(text: str) -> list[Cue]:
    """Return the cues of a WebVTT or SubRip file in order.

    Comments, styles and regions have no line of times and are passed over, as are cue names.

    Raises:
        ValueError: There is no cue at all.
    """
    cues = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n\ufeff").split("\n")
        for number, line in enumerate(lines[:3]):
            if match := _TIMES.match(line):
                times = seconds_of(match[1]), seconds_of(match[2])
                cues.append(Cue(*times, clean_lines("\n".join(lines[number + 1 :]))))
                break
    if not cues:
        raise ValueError("no subtitles in it: no line with times (00:01.000 --> 00:04.000)")
    return cues
