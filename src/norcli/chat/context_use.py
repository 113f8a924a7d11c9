"""How full the context is: counted where the tokenizer is at hand, else as a server tells it.

A server counts the tokens of a conversation with each answer. Between those, as after /undo, and
with servers that never count, there is only an estimate, and it is called one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from norcli.chat.engines import UNKNOWN_CONTEXT

# Norwegian in the vocabularies of large models: rather too few characters a token than too many.
CHARACTERS_PER_TOKEN = 3.0


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Tokens of a conversation.

    Attributes:
        tokens: How many.
        is_exact: Whether they were counted rather than estimated.
    """

    tokens: int
    is_exact: bool = True

    def of(self, most: int) -> str:
        """Return it in words.

        Args:
            most: Tokens of context; `UNKNOWN_CONTEXT` where nobody has told.
        """
        about = "" if self.is_exact else "about "
        limit = "" if most == UNKNOWN_CONTEXT else f" of {most}"
        return f"{about}{self.tokens}{limit} tokens"


class ServerMeter:
    """What is known of the tokens of a conversation with a server."""

    def __init__(self) -> None:
        self._counted: tuple[list[Mapping[str, str]], int] | None = None
        self._per_character = 1 / CHARACTERS_PER_TOKEN

    def learn(self, messages: Sequence[Mapping[str, str]], tokens: int) -> None:
        """Take a server's count of a conversation, its last answer included."""
        self._counted = list(messages), tokens
        self._per_character = tokens / max(_characters(messages), 1)

    def use(self, messages: Sequence[Mapping[str, str]]) -> ContextUse:
        """Return how much of the context a conversation takes up."""
        if self._counted is not None and self._counted[0] == list(messages):
            return ContextUse(self._counted[1])
        characters = _characters(messages)
        return ContextUse(round(characters * self._per_character), is_exact=characters == 0)


def _characters(messages: Sequence[Mapping[str, str]]) -> int:
    return sum(len(m["content"]) + len(m.get("input", "")) for m in messages)
