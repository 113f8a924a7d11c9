"""Answers without a terminal: one prompt to one text, or records of prompts in a stream.

One answer goes out token by token and ends with one line end; records keep their fields and get
``completion``. Each record is a conversation of its own with the same seed, so that its answer
does not depend on the records around it, several at once or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from norcli.chat.engines import ContextFullError, GenerationCounts, Sampling
from norcli.chat.options import ChatOptions
from norcli.chat.prompting import Message
from norcli.chat.sanitize import Sanitizer
from norcli.chat.session import Session
from norcli.chat.stopping import AnswerText
from norcli.chat.thinking import Thought
from norcli.chat.transcript import check_messages
from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.documents import BadRecords, Place, RecordWriter, read_records
from norcli.options import RecordInputOptions, RecordOutputOptions
from norcli.resume import Journal, effective_config


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
        if isinstance(text, Thought):
            continue
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

    A draft goes into ``thinking``. With ``--resume`` each batch is committed to a journal.

    Args:
        options: Where records come from and go to, how many are answered at once.
        new_session: Gives an empty session for each record.
        console: For progress and warnings.

    Raises:
        DataError: A record has no prompt, or one that does not fit.
        ConfigError: The unfinished run to go on with has other options or inputs.
    """
    if options.resume:
        return _answer_resumably(options, new_session, console)
    target = RecordOutputOptions(output=options.output, overwrite=options.overwrite)
    run = _Run(options, new_session, console)
    with RecordWriter(target) as writer:
        for batch in run.batches():
            for record in run.answer(batch):
                writer.write(record)
            writer.flush()
    return run.end()


def _answer_resumably(
    options: ChatOptions, new_session: Callable[[], Session], console: Console
) -> AnswerTotals:
    model = Path(options.model)
    files = sorted(file for file in model.rglob("*") if file.is_file()) if model.is_dir() else []
    inputs = [*(options.inputs or ["-"]), *map(str, files or ([model] if model.exists() else []))]
    run = _Run(options, new_session, console)
    with Journal.open(
        options.output, parts={"output": options.output}, inputs=inputs, console=console,
        config=effective_config(options, frozenset({"timeout", "api_key_file"})),
        overwrite=options.overwrite,
    ) as journal:  # fmt: skip
        if not journal.is_complete:
            part = journal.open_part("output")
            for batch in run.batches(done=int(journal.state.get("records", 0))):
                for record in run.answer(batch):
                    part.write(orjson.dumps(record) + b"\n")
                journal.commit({"records": run.records_read}, units=len(batch))
        journal.finish()
    return run.end()


class _Run:
    """One pass over the records: reads them in batches, answers a batch at once."""

    def __init__(
        self, options: ChatOptions, new_session: Callable[[], Session], console: Console
    ) -> None:
        self._options = options
        self._new_session = new_session
        self._console = console
        self._source = RecordInputOptions(
            inputs=options.inputs, input_format="auto", limit=options.limit,
            on_bad_record=options.on_bad_record,
        )  # fmt: skip
        self._policy = BadRecords(self._source, console)
        self.totals = AnswerTotals()
        self.records_read = 0

    def batches(self, done: int = 0) -> Iterator[list[_Request]]:
        """Yield batches of requests that are ready to be answered.

        Args:
            done: Records at the beginning that an earlier run has dealt with.
        """
        batch: list[_Request] = []
        with self._console.progress("answering", None, "records") as bar:
            for place, record in read_records(self._source, self._console, self._policy):
                self.records_read += 1
                if self.records_read <= done:
                    continue
                try:
                    batch.append(_prepare(record, self._new_session(), place, self._console))
                except DataError as error:
                    self._policy.handle(error)
                    continue
                if len(batch) == self._options.batch_size:
                    yield batch
                    bar.advance(len(batch))
                    batch = []
            if batch or self.records_read > done:
                yield batch

    def answer(self, batch: list[_Request]) -> Iterator[dict[str, Any]]:
        """Answer a batch; yield its records with ``completion``."""
        if not batch:
            return
        engine = batch[0].session.engine
        requests = [(request.ids, request.sampling) for request in batch]
        told: Sequence[GenerationCounts | None]
        try:
            told = engine.generate_together(requests, lambda at, text: batch[at].take(text))
        except DataError:
            # A server refuses one of them: each is asked by itself, so that it is known which.
            told = [self._answer_alone(request) for request in batch]
        for request, counts in zip(batch, told, strict=True):
            if counts is None:
                continue
            counts.finished |= request.answer.ended
            request.answer.flush()
            self.totals.add(counts)
            thinking = {"thinking": request.thinking.strip()} if request.thinking else {}
            yield request.record | thinking | {"completion": request.answer.text}

    def _answer_alone(self, request: _Request) -> GenerationCounts | None:
        """Answer a request by itself; None where it is a bad record to the server."""
        session, place = request.session, request.place
        while True:
            request.forget()
            asked = [(request.ids, request.sampling)]
            try:
                return session.engine.generate_together(asked, lambda _, t: request.take(t))[0]
            except DataError as error:
                if isinstance(error, ContextFullError):
                    shorter = session.leave_out_a_turn(session.messages)
                    if shorter is not None:
                        _warn_of_room(place, self._console)
                        request.ids = shorter
                        continue
                self._policy.handle(_at(place, error))
                return None

    def end(self) -> AnswerTotals:
        """Say what was left out; return the counts."""
        self._policy.report()
        if not self.records_read:
            self._console.warn("no records in the input")
        return self.totals


@dataclass(slots=True)
class _Request:
    """A record that is being answered."""

    place: Place
    record: dict[str, Any]
    session: Session
    ids: list[Any]
    sampling: Sampling
    answer: AnswerText = field(init=False)
    thinking: str = field(init=False)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin the answer anew."""
        self.answer = AnswerText(self.session.template.marker, self.session.stops)
        self.thinking = ""

    def take(self, text: str) -> bool:
        """Take a piece; return whether the answer is over."""
        if isinstance(text, Thought):
            self.thinking += text
            return False
        self.answer.feed(text)
        return self.answer.ended


def _prepare(
    record: dict[str, Any], session: Session, place: Place, console: Console
) -> _Request:  # fmt: skip
    if "completion" in record:
        console.warn('records have a "completion" already; it is replaced', kind="replaced")
    try:
        messages = _record_messages(record)
        session.restore(messages)
        ids, sampling = session.prepare(session.messages)
    except DataError as error:
        raise _at(place, error) from error
    if session.dropped_turns:
        _warn_of_room(place, console)
    return _Request(place, record, session, ids, sampling)


def _at(place: Place, error: DataError) -> DataError:
    return DataError(error.message, path=place.path, line=place.line, hint=error.hint)


def _warn_of_room(place: Place, console: Console) -> None:
    console.warn(f"{place.path}:{place.line}: the context is full; its oldest turns were left out",
                 kind="context")  # fmt: skip


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
