"""Where an answer ends: at a stop text, or where the model begins to write the next request.

A model that does not end its answer goes on as its training data did: a blank line, another
instruction, a blank line, ``Svar:``. That can be known only when the marker comes, so the last
paragraph is held back while it may still turn out to be an instruction.
"""

from __future__ import annotations

from collections.abc import Sequence

# Longer paragraphs are given out before they end; instructions are nearly always shorter.
LONGEST_HELD_CHARACTERS = 240
BLANK_LINE = "\n\n"


class AnswerText:
    """The text of one answer while it streams: trimmed, and cut where it ends.

    Args:
        marker: The word that asks for an answer, at the start of a line; None for none.
        stops: Texts before which the answer ends.
        begun: What was given out of it before.

    Attributes:
        ended: True once a stop text or the marker has come; what follows is ignored.
        text: What was given out so far.
    """

    def __init__(self, marker: str | None, stops: Sequence[str] = (), begun: str = "") -> None:
        self._marker = marker
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.ended = False
        self.text = begun

    def feed(self, chunk: str) -> str:
        """Return the text that is now certain to belong to the answer."""
        if self.ended:
            return ""
        self._held += chunk
        if not self.text:
            self._held = self._held.lstrip()
        for stop in self._stops:
            before, found, _ = self._held.partition(stop)
            if found:
                self._held, self.ended = before, True
        self._cut_at_marker()
        if self.ended:
            return self._give(self._held.rstrip())
        return self._give(self._held[: self._certain()])

    def flush(self) -> str:
        """Return what was held back, at the end of the answer; trailing white space is dropped."""
        self.ended = True
        return self._give(self._held.rstrip())

    def _give(self, text: str) -> str:
        self.text += text
        self._held = "" if self.ended else self._held[len(text) :]
        return text

    def _cut_at_marker(self) -> None:
        if self._marker is None:
            return
        at = 0 if not self.text and self._held.startswith(self._marker) else -1
        if at < 0:
            found = self._held.find("\n" + self._marker)
            at = found if found >= 0 else -1
        if at < 0:
            return
        self.ended = True
        # The paragraph before the marker is the instruction; one that stands alone is the answer.
        body = self._held[:at].rstrip("\n")
        start = body.rfind(BLANK_LINE)
        self._held = body[:start] if start >= 0 else body

    def _certain(self) -> int:
        """Return how many held characters cannot be cut away any more."""
        held = self._held
        if self._marker is not None and not self.text and self._marker.startswith(held):
            return 0
        endings = self._stops if self._marker is None else [*self._stops, "\n" + self._marker]
        end = min((len(held) - _overlap(held, ending) for ending in endings), default=len(held))
        end = len(held[:end].rstrip())
        if self._marker is None:
            return end
        start = held[:end].rfind(BLANK_LINE)
        if start < 0 or end - start > LONGEST_HELD_CHARACTERS:
            return end
        return start


def _overlap(text: str, wanted: str) -> int:
    """Return the length of the longest end of a text that begins the wanted one."""
    for length in range(min(len(wanted) - 1, len(text)), 0, -1):
        if text.endswith(wanted[:length]):
            return length
    return 0
