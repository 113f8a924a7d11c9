"""Make a model's text safe to show: no control characters, no text that runs backwards.

A model can write any character, and a terminal obeys escape sequences: they could hide text, set
the title or paste into the shell. Every such character is replaced by a visible sign, so that
what was written can still be seen. Each chunk of a stream can be cleaned by itself.
"""

from __future__ import annotations

CONTROL_PICTURES = 0x2400
DELETE_PICTURE = "\u2421"
# Lone surrogates cannot be written as UTF-8.
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def _signs() -> dict[int, str]:
    signs = {code: chr(CONTROL_PICTURES + code) for code in range(0x20) if chr(code) not in "\t\n"}
    signs[0x7F] = DELETE_PICTURE
    named = [*range(0x80, 0xA0)]
    # Bidirectional embeddings, overrides and isolates; tag characters, which nobody can see.
    named += [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    named += [*range(0xE0000, 0xE0080), 0x2028, 0x2029, 0xFEFF]
    signs |= {code: f"<U+{code:04X}>" for code in named}
    return signs | SURROGATES


SIGNS = _signs()


class Sanitizer:
    """Clean a stream of text, chunk by chunk."""

    def __init__(self) -> None:
        self._held_return = False

    def feed(self, chunk: str) -> str:
        r"""Return a chunk with its control characters shown as signs; \r\n becomes \n."""
        if self._held_return:
            chunk = "\r" + chunk
        self._held_return = chunk.endswith("\r")
        if self._held_return:
            chunk = chunk[:-1]
        return chunk.replace("\r\n", "\n").translate(SIGNS)

    def flush(self) -> str:
        """Return what was held back at the end of the stream."""
        held, self._held_return = self._held_return, False
        return SIGNS[0x0D] if held else ""


def clean(text: str) -> str:
    """Clean a whole text."""
    sanitizer = Sanitizer()
    return sanitizer.feed(text) + sanitizer.flush()
