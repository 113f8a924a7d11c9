"""Answers without a terminal: one prompt to one text, or records of prompts in a stream.

One answer goes out token by token and ends with one line end; records keep their fields and get
``completion``. Each record is a conversation of its own with the same seed, so that its answer
does not depend on the records around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from norcli.chat.engines import GenerationCounts
from norcli.chat.options import ChatOptions
from norcli.chat.prompting import Message
from norcli.chat.sanitize import Sanitizer
from norcli.chat.session import Session
from norcli.chat.transcript import check_messages
from norcli.console import Console
from norcli.errors import DataError
from norcli.options import RecordInputOptions, RecordOutputOptions

if TYPE_CHECKING:
    from norcli.formats.documents import Place


@dataclass(slots=True)
class AnswerTotals:
    """Counts over all answers of a run.

    Attributes:
        answers: Answers given.
        prompt_tokens: Tokens of all prompts.
        new_tokens: Tokens of all answers.
        seconds: Time in the engine.
        unfinished: Answers that a limit cut off.
    """

    answers: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    unfinished: int = field(default=0)

    def add(self, counts: GenerationCounts) -> None:
        """Count one answer."""
        self.answers += 1
        self.prompt_tokens += counts.prompt_tokens
        self.new_tokens += counts.new_tokens
        self.seconds += counts.seconds
        self.unfinished += not counts.finished

    def as_stats(self) -> dict[str, float]:
        """Return the counts for ``--stats``."""
        return {
            "answers": self.answers,
            "prompt_tokens": self.prompt_tokens,
            "new_tokens": self.new_tokens,
            "seconds": round(self.seconds, 3),
            "tokens_per_second": round(self.new_tokens / max(self.seconds, 1e-9), 1),
            "unfinished": self.unfinished,
        }


def write_answer(
    session: Session, prompt: str, input_text: str | None, stream: BinaryIO, console: Console
) -> AnswerTotals:
    """Answer one prompt onto a stream, token by token, with one line end after it.

    Raises:
        DataError: The prompt does not fit in the context.
    """
    sanitizer = Sanitizer()
    for text in session.ask(prompt, input_text):
        stream.write(sanitizer.feed(text).encode("utf-8"))
        stream.flush()
    stream.write(sanitizer.flush().encode("utf-8") + b"\n")
    stream.flush()
    totals = AnswerTotals()
    totals.add(session.counts)
    if not session.messages[-1]["content"]:
        console.warn("the model gave an empty answer")
    return totals


def answer_records(
    options: ChatOptions, new_session: Callable[[], Session], console: Console
) -> AnswerTotals:
    """Read records with prompts, write them with ``completion``, in the same order.

    Args:
        options: Where records come from and go to.
        new_session: Gives an empty session for each record.
        console: For progress and warnings.

    Raises:
        DataError: A record has no prompt, or one that does not fit.
    """
    from norcli.formats.documents import BadRecords, RecordWriter, read_records

    source = RecordInputOptions(
        inputs=options.inputs, input_format="auto", limit=options.limit,
        on_bad_record=options.on_bad_record,
    )  # fmt: skip
    target = RecordOutputOptions(output=options.output, overwrite=options.overwrite)
    totals = AnswerTotals()
    policy = BadRecords(source, console)
    with RecordWriter(target) as writer, console.progress("answering", None, "records") as bar:
        for place, record in read_records(source, console, policy):
            try:
                completion = _complete(record, new_session(), place, console)
            except DataError as error:
                policy.handle(error)
                continue
            totals.add(completion.counts)
            writer.write(record | {"completion": completion.messages[-1]["content"]})
            writer.flush()
            bar.advance()
    policy.report()
    if not totals.answers:
        console.warn("no records in the input")
    return totals


def _complete(record: dict[str, Any], session: Session, place: Place, console: Console) -> Session:
    """Answer one record; return the session that holds the answer."""
    if "completion" in record:
        console.warn('records have a "completion" already; it is replaced', kind="replaced")
    try:
        messages = _record_messages(record)
        request = messages.pop()
        session.restore(messages)
        for _ in session.ask(request["content"], request.get("input")):
            pass
    except DataError as error:
        raise DataError(error.message, path=place.path, line=place.line, hint=error.hint) from error
    if session.dropped_turns:
        console.warn(f"{place.path}:{place.line}: the context is full; its oldest turns were "
                     "left out", kind="context")  # fmt: skip
    return session


def _record_messages(record: dict[str, Any]) -> list[Message]:
    if "messages" in record:
        messages = check_messages(record["messages"])
        if messages[-1]["role"] != "user":
            raise DataError('"messages" must end with the user\'s')
        return messages
    prompt = record.get("prompt")
    if not isinstance(prompt, str):
        found = ", ".join(list(record)[:8])
        raise DataError('record has no "prompt" and no "messages"', hint=f"found: {found}")
    if not prompt.strip():
        raise DataError("the prompt is empty")
    message = {"role": "user", "content": prompt}
    if isinstance(record.get("input"), str):
        message["input"] = record["input"]
    return [message]
