"""Token ids to text while they come: no half characters, no lost spaces.

A character may be spread over several byte tokens, and SentencePiece drops the space of a first
piece; so each step decodes a short tail with a token of context before it and gives out only
what is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
# UTF-8 characters have at most four bytes: more held back tokens mean bytes that are broken.
LONGEST_CHARACTER = 4


class IncrementalDecoder:
    """Decode one token at a time.

    Args:
        decode: Ids to text, as a tokenizer does it.
        context: The last ids before the text; they keep the first space.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], context: Sequence[int]) -> None:
        self._decode = decode
        self._ids = list(context[-1:])
        self._done = len(self._ids)

    def feed(self, token_id: int) -> str:
        """Return the text that this token completes, often empty within a character."""
        self._ids.append(token_id)
        return self._take(len(self._ids) - self._done > LONGEST_CHARACTER)

    def flush(self) -> str:
        """Return what is left at the end, broken bytes as replacement characters."""
        return self._take(True)

    def _take(self, broken_too: bool) -> str:
        before = self._decode(self._ids[: self._done])
        after = self._decode(self._ids)
        text = after[len(before) :]
        if not text or (text.endswith(REPLACEMENT) and not broken_too):
            return ""
        # The tokens given out become the context of the next ones.
        self._ids = self._ids[self._done :]
        self._done = len(self._ids)
        return text
