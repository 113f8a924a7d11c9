"""Transcripts of programmes: subtitles and segments joined into running text, without times.

NRK's transcriptions come as subtitle files (WebVTT, SubRip), as JSON with a list of segments (as
speech recognizers write it), or as a JSON line a segment with the programme's id, as the National
Library's extractor does (https://github.com/NbAiLab/nostram, nrk_extractor/README.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from norcli.corpus.sources.fields import Record, flatten, iso_date, look_up, take_out
from norcli.corpus.sources.layouts import INDUSTRY, Adapted, Layout, provenance
from norcli.formats.subtitles import Cue, clean_lines, seconds_of

PARAGRAPH_PAUSE = 3.0
"""Seconds of silence after a whole sentence that begin a new paragraph."""
ROLLING_SHARE = 0.3
"""Where so many cues repeat the end of the one before, captions roll and repetitions go."""

_SEGMENTS = "segments|subtitles|cues|captions|transcript.segments"
_NAMES = {
    "id": "id|program_id|programId|prfId|episode_id",
    "url": "url|link",
    "title": "title|program_title|programTitle|titles.title",
    "date": "date|published|firstTransmission|ondemand_from|usageRights.from.date",
    "lang": "lang|language",
    "source": "source|channel",
}
_SOUND = re.compile(r"[\[(♪♫#][^a-zæøåäöáčđŋšŧž]*[\])♪♫#]?|\[[^\]]*\]|[♪♫].*")
_TURN = re.compile(r"^[-–—]\s*(?=\S)")
_SENTENCE_END = re.compile(r"[.!?…][\"»”')\]]*$")


def join_cues(cues: Sequence[Cue]) -> str:
    """Return cues as running text.

    Lines are joined; a turn in a dialogue ("– Ja.") begins a line, a pause after a sentence a
    paragraph. Descriptions of sounds ("[MUSIKK]") are left out. Where captions roll, each line
    comes once.
    """
    text: list[str] = []
    end: float | None = None
    rolls = _roll(cues)
    shown: list[str] = []
    for cue in cues:
        lines = [line for line in cue.lines if not _SOUND.fullmatch(line)]
        fresh = _unseen(shown, lines, text) if rolls else lines
        shown = lines
        pause = cue.start is not None and end is not None and cue.start - end >= PARAGRAPH_PAUSE
        for line in fresh:
            if (pause and text and _SENTENCE_END.search(text[-1])) or (text and _TURN.match(line)):
                text.append("\n")
            text.append(_TURN.sub("– ", line))
            pause = False
        end = cue.end if cue.end is not None else end
    # Joined with spaces and then tidied around the line ends.
    return re.sub(r" ?\n ?", "\n", " ".join(text)).strip()


def _roll(cues: Sequence[Cue]) -> bool:
    repeats = sum(
        1
        for before, cue in pairwise(cues)
        if before.lines and cue.lines and cue.lines[0].startswith(before.lines[-1])
    )
    return repeats > ROLLING_SHARE * max(len(cues) - 1, 1) and repeats > 1


def _unseen(shown: list[str], lines: list[str], text: list[str]) -> list[str]:
    """Return the lines that the cue before did not show; one that has grown replaces its start."""
    for overlap in range(min(len(shown), len(lines)), 0, -1):
        if shown[-overlap:] == lines[:overlap]:
            return lines[overlap:]
    if shown and lines and lines[0].startswith(shown[-1]) and text and text[-1] == shown[-1]:
        text.pop()
    return lines


def _time(value: Any, in_milliseconds: bool) -> float | None:
    try:
        if isinstance(value, str):
            return seconds_of(value)
        if isinstance(value, (int, float)):
            return value / 1000 if in_milliseconds else float(value)
    except ValueError:
        pass
    return None


def _cue(segment: Any) -> Cue | None:
    if isinstance(segment, str):
        return Cue(None, None, clean_lines(segment))
    if not isinstance(segment, dict):
        return None
    text = look_up(segment, "text|subtitle|transcript|content")
    if isinstance(text, list):
        text = "\n".join(str(line) for line in text)
    if not isinstance(text, str):
        return None
    start, end = look_up(segment, "start|from"), look_up(segment, "end|to")
    if start is None:
        # The extractor's start_time and end_time are in milliseconds.
        start, end = segment.get("start_time"), segment.get("end_time")
        return Cue(_time(start, True), _time(end, True), clean_lines(text))
    return Cue(_time(start, False), _time(end, False), clean_lines(text))


def adapt_transcript(record: Record) -> Iterator[Adapted]:
    """Join the segments of one programme.

    Raises:
        ValueError: There are none.
    """
    segments = take_out(record, _SEGMENTS)
    if not isinstance(segments, list):
        raise ValueError("no list of segments or subtitles")
    cues = [cue for cue in map(_cue, segments) if cue is not None]
    if not cues:
        raise ValueError("no segment with text")
    fields = {name: take_out(record, path) for name, path in _NAMES.items()}
    fields["date"] = iso_date(fields["date"])
    fields["segment_count"] = len(cues)
    take_out(record, "text")  # the same once more, with repetitions
    kept = {name: value for name, value in record.items() if not isinstance(value, (dict, list))}
    yield Adapted(join_cues(cues), flatten(kept) | flatten(fields))


# What belongs to a segment and not to its programme.
_OF_SEGMENT = ("id", "start_time", "end_time", "duration", "text", "subtitle")


def gather_segments(records: Sequence[Record]) -> Record:
    """Return the lines of one programme as one record with a list of segments."""
    programme = {key: value for key, value in records[0].items() if key not in _OF_SEGMENT}
    return programme | {"segments": list(records)}


TRANSCRIPTS = Layout(
    name="transcripts",
    needs=("segments|subtitles|cues|captions|transcript.segments",),
    adapt=adapt_transcript,
    provenance=provenance("transcripts", INDUSTRY, None, copyrighted=True),
)
SEGMENT_LINES = Layout(
    name="transcripts",
    needs=("program_id", "start_time", "end_time", "text|subtitle"),
    adapt=adapt_transcript,
    provenance=TRANSCRIPTS.provenance,
    group_by="program_id",
)
