"""What evaluation needs of a model, whatever runs it.

Between the tasks and the engines. An engine writes greedy answers, gives log-probabilities of
continuations and likelihoods of texts; everything else is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Answer:
    """A greedy answer.

    Attributes:
        text: What the model wrote, without the end-of-text token and what follows a stop text.
        truncated: Whether the prompt was cut in its middle to fit the context.
    """

    text: str
    truncated: bool = False


@dataclass(frozen=True)
class Continuations:
    """Log-probabilities, in nats, of several continuations of one prompt."""

    log_probs: list[float]
    truncated: bool = False


@dataclass(frozen=True)
class Likelihood:
    """How a model predicts a text.

    Without a begin piece the first token has no context and is not predicted; the counts leave
    it out.

    Attributes:
        nll: Sum of negative log-likelihoods, in nats.
        tokens: Tokens predicted.
        words: Words between spaces, of the predicted part.
        bytes: UTF-8 bytes of the predicted part.
    """

    nll: float
    tokens: int
    words: int
    bytes: int


class LanguageModel(Protocol):
    """A model under evaluation."""

    engine: str
    context: int
    template: str | None

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int, stop: Sequence[str], advance: Advance
    ) -> list[Answer]:
        """Return the greedy answer to each prompt."""
        ...

    def continuations(
        self, requests: Sequence[tuple[str, Sequence[str]]], advance: Advance
    ) -> list[Continuations]:
        """Return the log-probability of each continuation of each prompt."""
        ...

    def likelihoods(self, texts: Sequence[str], advance: Advance) -> list[Likelihood]:
        """Return how well each text is predicted."""
        ...


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """Return an answer up to the first stop text that follows its first word, stripped."""
    text = text.lstrip()
    ends = [place for word in stop if (place := text.find(word)) >= 0]
    return text[: min(ends, default=len(text))].strip()
