"""Lines that belong to the page and not to its text: cookie banners, «Les også», «Annonse».

Runs after main-text extraction, which leaves some of them, and on records, whose makers' extraction
did. The lists are data (boilerplate.toml); only whole lines are taken out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from norcli.corpus.line_starts import LineStarts, texts_with
from norcli.corpus.packing import encode, join

LINES_FILE = Path(__file__).with_name("boilerplate.toml")

_EDGES = " \t.,:;!?…|•·*–—-«»\"“”'‹›>→#"


class BoilerplateLines:
    """The lists of lines, ready to compare with."""

    def __init__(self, path: Path = LINES_FILE) -> None:
        with path.open("rb") as stream:
            data = tomllib.load(stream)
        self._lines = frozenset(data["lines"])
        self._prefixes = tuple(data["prefixes"])
        self._prefix_length: int = data["prefix_line_length"]
        # One look-up by the first letters spares most lines the comparison with every prefix.
        self._starts = frozenset(prefix[:2] for prefix in self._prefixes)
        self._cookie_length: int = data["cookie_line_length"]
        self._things = tuple(data["cookie_things"])
        self._acts = tuple(data["cookie_acts"])
        self._dated_length: int = data["dated_line_length"]
        words = "|".join(map(re.escape, data["dated_words"]))
        before = r"\b[ :]*(?:(?:\w+dag|den|på|kl\.?) ){0,2}(?=[0-9])"
        self._dated = re.compile(rf"(?:{words}){before}.*\b(?:19|20)[0-9]{{2}}\b")
        self._longest = max(map(len, self._lines)) + 8
        self._line_starts = LineStarts(
            data["lines"], [*self._prefixes, *data["dated_words"]], _EDGES
        )

    def matches(self, line: str) -> bool:
        """Whether a line is boilerplate."""
        lower = line.lower()
        return self._is_known(lower) or self._is_cookie_banner(lower)

    def _is_known(self, lower: str) -> bool:
        if len(lower) > self._prefix_length:
            return False
        begin = lower.lstrip(_EDGES)
        if len(begin) <= self._longest and begin.rstrip(_EDGES) in self._lines:
            return True
        if len(begin) <= self._dated_length and self._dated.match(begin) is not None:
            return True
        return begin[:2] in self._starts and begin.startswith(self._prefixes)

    def _is_cookie_banner(self, lower: str) -> bool:
        return (
            len(lower) <= self._cookie_length
            and any(thing in lower for thing in self._things)
            and any(act in lower for act in self._acts)
        )

    def remove_batch(
        self, texts: Sequence[str], encoded: Sequence[bytes] | None = None
    ) -> list[tuple[str, int]]:
        """Return each text without such lines, and how many there were.

        Args:
            texts: Normalized texts.
            encoded: The same as `encode` gives them, where the caller has them.
        """
        buffer, offsets = join(encode(texts) if encoded is None else encoded)
        known = self._line_starts.find(buffer, offsets)
        results = [(text, 0) for text in texts]
        for i, lines in known.items():
            results[i] = self._remove(texts[i], lines, self._is_known)
        for i in sorted(texts_with(self._things, buffer, offsets)):
            text, count = results[i]
            text, more = self._remove(text, range(text.count("\n") + 1), self._is_cookie_banner)
            results[i] = text, count + more
        return results

    def remove(self, text: str) -> tuple[str, int]:
        """Return one text without such lines, and how many there were."""
        return self.remove_batch([text])[0]

    def _remove(
        self, text: str, numbers: Iterable[int], is_boilerplate: Callable[[str], bool]
    ) -> tuple[str, int]:
        """Take out those of some lines that are boilerplate."""
        lines = text.split("\n")
        found = {k for k in numbers if lines[k] and is_boilerplate(lines[k].lower())}
        if not found:
            return text, 0
        joined = "\n".join(line for number, line in enumerate(lines) if number not in found)
        while "\n\n\n" in joined:
            joined = joined.replace("\n\n\n", "\n\n")
        return joined.strip("\n"), len(found)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    BoilerplateLines().remove_batch(["Hei på deg."])
