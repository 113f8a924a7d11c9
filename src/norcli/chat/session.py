"""A conversation with a loaded model: turns, what fits in the context, where an answer ends.

Knows nothing of terminals or files. One-shot answers and JSONL records are sessions of one turn;
see `answers` for those and `terminal` for the interactive one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from norcli.chat.context_use import ContextUse, ServerMeter
from norcli.chat.engines import ContextFullError, Engine, GenerationCounts, Sampling
from norcli.chat.prompting import Message, Template, encode_prompt
from norcli.chat.stopping import AnswerText
from norcli.chat.thinking import Thought, within_room
from norcli.errors import DataError

# A full context keeps at least this part free for the answer.
FREE_PART = 4


def never() -> bool:
    """Answer that nobody has asked to stop."""
    return False


class Session:
    """One conversation.

    Args:
        engine: The loaded model.
        template: The words around each request.
        sampling: How tokens are chosen; the seed moves on with each answer.
        system: System message.
        stops: Texts before which an answer ends.

    Attributes:
        messages: The whole conversation, without the system message.
        dropped_turns: Oldest turns that no longer fit in the context at the last answer.
        thinking: Draft of the last answer; empty where the model made none.
        mode: One of `norcli.chat.options.MODES`, for what shows it.
    """

    def __init__(
        self,
        engine: Engine,
        template: Template,
        sampling: Sampling,
        *,
        system: str | None = None,
        stops: Sequence[str] = (),
    ) -> None:
        self.engine = engine
        self.template = template
        self.sampling = sampling
        self.system = system
        self.stops = list(stops)
        self.messages: list[Message] = []
        self.dropped_turns = 0
        self.thinking = ""
        self.mode = "answer"
        self._answers = 0
        self._meter = ServerMeter()

    @property
    def counts(self) -> GenerationCounts:
        """Counts of the last answer."""
        return self.engine.counts

    def record(self) -> list[Message]:
        """Return the conversation with its system message, as it is saved."""
        return [*self._system_message(), *self.messages]

    def restore(self, messages: Sequence[Message]) -> None:
        """Take over a saved conversation; a system message in it replaces the present one."""
        kept = [dict(message) for message in messages]
        if kept and kept[0]["role"] == "system":
            self.system = kept.pop(0)["content"]
        self.messages = kept
        self.dropped_turns = 0

    def clear(self) -> None:
        """Begin a new conversation with the same system message."""
        self.messages = []
        self.dropped_turns = 0

    @property
    def last_request(self) -> Message | None:
        """The request that was answered last."""
        at = self._last_request_at()
        return None if at is None else self.messages[at]

    def _last_request_at(self) -> int | None:
        starts = [i for i, message in enumerate(self.messages) if message["role"] == "user"]
        return starts[-1] if starts else None

    def undo(self) -> Message | None:
        """Take back the last request and its answer; return the request."""
        at = self._last_request_at()
        if at is None:
            return None
        message = self.messages[at]
        self.messages = self.messages[:at]
        return message

    def ask(
        self, text: str, input_text: str | None = None, stopped: Callable[[], bool] = never
    ) -> Iterator[str]:
        """Yield the answer to a request as it comes, pieces of a draft as `Thought`.

        The answer is kept in the conversation, also one that was stopped or broke off. A request
        that nothing was answered to is not kept.

        Args:
            text: The request.
            input_text: The text it is about, for templates that have a place for it.
            stopped: Asked between tokens; True ends the answer.

        Raises:
            DataError: The request alone does not fit in the context.
        """
        message = {"role": "user", "content": text}
        if input_text:
            message["input"] = input_text
        return self._answer([*self.messages, message], stopped)

    def regenerate(
        self, text: str | None = None, stopped: Callable[[], bool] = never
    ) -> Iterator[str]:
        """Yield another answer to the last request, which stays if none comes.

        Args:
            text: What to ask in its place.
            stopped: As for `ask`.

        Raises:
            DataError: There is no request yet.
        """
        at = self._last_request_at()
        if at is None:
            raise DataError("there is no request to answer again")
        message = self.messages[at]
        if text is not None:
            message = message | {"content": text}
        return self._answer([*self.messages[:at], message], stopped)

    def go_on(self, stopped: Callable[[], bool] = never) -> Iterator[str]:
        """Yield what the last answer goes on with, and put it behind that answer.

        Raises:
            DataError: There is no answer yet.
        """
        if not self.messages or self.messages[-1]["role"] != "assistant":
            raise DataError("there is no answer to go on with")
        return self._answer(self.messages[:-1], stopped, self.messages[-1]["content"])

    def prepare(self, messages: Sequence[Message], begun: str = "") -> tuple[list[Any], Sampling]:
        """Return the prompt for a conversation, and the limits of its answer.

        Raises:
            DataError: The last request alone does not fit in the context.
        """
        ids, self.dropped_turns = self.fit(messages, begun)
        seeded = dataclasses.replace(self.sampling, seed=self.sampling.seed + self._answers)
        self._answers += 1
        return ids, within_room(seeded, self.engine.context_tokens - len(ids))

    def _answer(
        self, messages: list[Message], stopped: Callable[[], bool], begun: str = ""
    ) -> Iterator[str]:
        ids, sampling = self.prepare(messages, begun)
        answer = AnswerText(self.template.marker, self.stops, begun)
        self.thinking = ""
        is_kept = True
        try:
            # Closed here rather than by the garbage collector, so that the engine is free again.
            with closing(self._pieces(messages, ids, sampling, stopped)) as stream:
                for chunk in stream:
                    if isinstance(chunk, Thought):
                        self.thinking += chunk
                        yield chunk
                        continue
                    text = answer.feed(chunk)
                    if text:
                        yield text
                    if answer.ended:
                        break
            self.counts.finished |= answer.ended
            rest = answer.flush()
            if rest:
                yield rest
        except Exception:
            is_kept = bool(answer.text)
            raise
        finally:
            if is_kept:
                self.messages = [*messages, {"role": "assistant", "content": answer.text}]
                self._learn()

    def _pieces(
        self, messages: list[Message], ids: list[Any], sampling: Sampling,
        stopped: Callable[[], bool],
    ) -> Generator[str]:  # fmt: skip
        """Yield what the engine gives; without the oldest turns if a server says it is too much."""
        while True:
            try:
                with closing(self.engine.generate(ids, sampling, stopped)) as stream:
                    yield from stream
                return
            except ContextFullError:
                shorter = self.leave_out_a_turn(messages)
                if shorter is None:
                    raise
                ids = shorter

    def leave_out_a_turn(self, messages: Sequence[Message]) -> list[Any] | None:
        """Return the prompt with one turn fewer than before; None where one turn is left."""
        if not kept_turns(messages, self.dropped_turns + 1):
            return None
        self.dropped_turns += 1
        return self.fit(messages)[0]

    def _learn(self) -> None:
        counts = self.counts
        if not self.engine.description.has_tokens and counts.is_exact:
            tokens = counts.prompt_tokens + counts.new_tokens - counts.draft_tokens
            self._meter.learn(self._in_context(), tokens)

    def _in_context(self) -> list[Message]:
        return [*self._system_message(), *kept_turns(self.messages, self.dropped_turns)]

    def _system_message(self) -> list[Message]:
        return [{"role": "system", "content": self.system}] if self.system else []

    def context_use(self) -> ContextUse:
        """Return how much of the context the conversation takes up before the next request.

        Turns that no longer fit are not counted.
        """
        if not self.messages:
            return ContextUse(0)
        if not self.engine.description.has_tokens:
            return self._meter.use(self._in_context())
        try:
            ids, _ = self.fit([*self.messages, {"role": "user", "content": ""}])
        except DataError:
            return ContextUse(self.engine.context_tokens)
        return ContextUse(len(ids))

    def fit(self, messages: Sequence[Message], begun: str = "") -> tuple[list[Any], int]:
        """Return the prompt's ids and how many of the oldest turns had to be left out.

        Only a server knows what fits in its context: there as many are left out as it has made
        necessary so far.

        Raises:
            DataError: The last request alone does not fit.
        """
        system = self._system_message()
        if not self.engine.description.has_tokens:
            kept = kept_turns(messages, self.dropped_turns)
            dropped = self.dropped_turns if kept else 0
            prompt = [*system, *(kept or messages)]
            return encode_prompt(self.template, prompt, self.engine.vocabulary, begun), dropped
        context = self.engine.context_tokens
        most = context - min(self.sampling.max_new_tokens, max(context // FREE_PART, 1))
        ids: list[int] = []
        dropped = 0
        while kept := kept_turns(messages, dropped):
            ids = encode_prompt(self.template, [*system, *kept], self.engine.vocabulary, begun)
            if len(ids) <= most:
                return ids, dropped
            dropped += 1
        if dropped == 0:
            raise DataError("a conversation to answer must end with a request")
        if len(ids) < context:
            return ids, dropped - 1
        raise DataError(
            f"the prompt has {len(ids)} tokens, more than the context of {context}",
            hint="shorten it" if context >= self.engine.description.context_tokens
            else f"give --context, at most {self.engine.description.context_tokens}",
        )  # fmt: skip


def kept_turns(messages: Sequence[Message], dropped: int) -> list[Message]:
    """Return a conversation without its oldest turns; nothing where it has not so many.

    The first turn includes what stands before it, such as a system message of a record.
    """
    starts = [i for i, message in enumerate(messages) if message["role"] == "user"]
    if dropped >= len(starts):
        return []
    return list(messages if dropped == 0 else messages[starts[dropped] :])
