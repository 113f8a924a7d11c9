"""What a run says of itself: the step log, and the peak its FLOPs are measured against.

Lines go to ``log.jsonl`` in the run directory and, when asked for, to another file or standard
output. A resumed run takes back the lines after its checkpoint, so that each step stands once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from norcli.model.estimate import PEAK_FLOPS
from norcli.streams import write_text

LOG_FILE = "log.jsonl"


def peak_flops(device_name: str) -> float | None:
    """Return the bf16 peak of a GPU by its name, None when it is not known."""
    # Longest names first: a name may hold a shorter one.
    known = sorted(PEAK_FLOPS, key=len, reverse=True)
    return next((PEAK_FLOPS[name] for name in known if name in device_name.upper()), None)


class StepLog:
    """Write one JSON line per logged step.

    Args:
        directory: The run directory.
        also: Another file, ``-`` for standard output, or None.
        resume_step: Lines of later steps are taken back.
        writes: False in all processes but the first.
    """

    def __init__(
        self, directory: Path, also: str | None, resume_step: int, writes: bool = True
    ) -> None:
        self._streams: list[TextIO] = []
        self._prints = writes and also == "-"
        if not writes:
            return
        for path in [directory / LOG_FILE, *([Path(also)] if also and also != "-" else [])]:
            kept = _lines_until(path, resume_step) if resume_step else []
            stream = path.open("w", encoding="utf-8")
            stream.writelines(kept)
            self._streams.append(stream)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write one line to every destination, at once."""
        line = json.dumps(entry) + "\n"
        for stream in self._streams:
            stream.write(line)
            stream.flush()
        if self._prints:
            write_text(line)

    def close(self) -> None:
        """Close the files."""
        for stream in self._streams:
            stream.close()


def _lines_until(path: Path, step: int) -> list[str]:
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError):
            # A run that was killed may have left half a line.
            continue
    return kept
