"""Thinking modes: which words and budgets a mode stands for, and where a draft begins and ends.

Reasoning models write a draft between two control tokens, [THINK] and [/THINK]. The draft is told
from the answer by the ids of these tokens alone: the same letters typed or written as text are
text. How the published model (report section 2.3) switches between its modes is not documented;
this switch is norcli's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from norcli.errors import UsageError

if TYPE_CHECKING:
    from norcli.chat.engines import ModelDescription, Sampling, Vocabulary
    from norcli.chat.prompting import Template

BEGIN, END = "[THINK]", "[/THINK]"
# More than any context has; cut to what the context leaves beside an answer.
UNLIMITED_TOKENS = 1 << 30


class Thought(str):
    """A piece of a draft, where engines give texts; a plain string is a piece of the answer."""

    __slots__ = ()


def think_ids(control_ids: Mapping[str, int]) -> tuple[int, int] | None:
    """Return the ids of [THINK] and [/THINK]; None where they are not control tokens both."""
    if BEGIN in control_ids and END in control_ids:
        return control_ids[BEGIN], control_ids[END]
    return None


class ThoughtTracker:
    """Follow an answer's token ids in and out of drafts.

    Args:
        ids: Of the two control tokens; None for a model without.
        budget: Most tokens of drafts; None for no limit.

    Attributes:
        is_thinking: Whether the next token belongs to a draft.
        tokens: Tokens of drafts so far.
    """

    def __init__(self, ids: tuple[int, int] | None, budget: int | None) -> None:
        self._ids = ids
        self._budget = budget
        self.is_thinking = False
        self.tokens = 0

    def is_mark(self, token_id: int) -> bool:
        """Whether a token begins or ends a draft."""
        return self._ids is not None and token_id in self._ids

    def feed(self, token_id: int) -> None:
        """Take a token."""
        if self._ids is not None and token_id in self._ids:
            self.is_thinking = token_id == self._ids[0]
        else:
            self.tokens += self.is_thinking

    def piece(self, text: str) -> str:
        """Return a text that came now as what it is, `Thought` or answer."""
        return Thought(text) if self.is_thinking else text

    @property
    def forced_id(self) -> int | None:
        """The id of [/THINK] once a draft has used up its budget."""
        if self._ids is None or self._budget is None or not self.is_thinking:
            return None
        return self._ids[1] if self.tokens >= self._budget else None


def within_room(sampling: Sampling, room: int) -> Sampling:
    """Return the limits cut to the room that the context leaves, the draft's first.

    Args:
        sampling: As asked for.
        room: Tokens free after the prompt.
    """
    answer = min(sampling.max_new_tokens, room)
    if sampling.think_tokens is None:
        return dataclasses.replace(sampling, max_new_tokens=answer)
    # The two marks need room, too.
    think = max(min(sampling.think_tokens, room - answer - 2), 0)
    return dataclasses.replace(sampling, max_new_tokens=answer, think_tokens=think)


def apply_mode(
    mode: str,
    template: Template,
    sampling: Sampling,
    *,
    vocabulary: Vocabulary | None,
    description: ModelDescription,
    short_tokens: int,
) -> tuple[Template, Sampling]:
    """Return the words and limits of a mode.

    Args:
        mode: One of `norcli.chat.options.MODES`.
        template: The words around a prompt in the other modes.
        sampling: How tokens are chosen.
        vocabulary: The loaded model's; None leaves unchecked whether it can think.
        description: Of the model, for messages.
        short_tokens: The draft's budget in mode ``short``.

    Raises:
        UsageError: The model has no control tokens to think with.
    """
    from norcli.chat.prompting import Template as Words

    if mode == "completion":
        return Words("none"), dataclasses.replace(sampling, think_tokens=None)
    if mode == "answer":
        template = dataclasses.replace(template, reasons=False)
        return template, dataclasses.replace(sampling, think_tokens=None)
    if description.engine == "url":
        raise UsageError(f"mode {mode}: whether a server's model thinks is decided there",
                         hint="--mode answer or completion")  # fmt: skip
    if vocabulary is not None and vocabulary.think_ids is None:
        raise UsageError(
            f"mode {mode}: {description.path} cannot think: {BEGIN} and {END} are not control "
            "tokens of its vocabulary", hint="--mode answer or completion",
        )  # fmt: skip
    budget = short_tokens if mode == "short" else UNLIMITED_TOKENS
    return (dataclasses.replace(template, reasons=True),
            dataclasses.replace(sampling, think_tokens=budget))  # fmt: skip
