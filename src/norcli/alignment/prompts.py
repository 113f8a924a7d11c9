"""Article and reference in, prompt tokens out: what every step of rlhf begins with. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.documents import BadRecords, Place, read_records, text_id
from norcli.options import RecordInputOptions
from norcli.tokens.huggingface import Tokenizer
from norcli.training.templates import (
    DEFAULT_TEMPLATE,
    begins_with_bos,
    render_prompt,
    template_of,
)

FIELDS = (("article", "summary"), ("article", "reference"), ("prompt", "reference"),
          ("Input", "Output"), ("input", "output"))  # fmt: skip
# Instruction records carry their own request, and a type.
INSTRUCTION_FIELDS = ("Instruksjon", "instruction")
TASK_TYPE = "Oppgavetype"
SUMMARIZATION = "oppsummering"


class PromptSettings(Protocol):
    """The options that say how an article is asked about."""

    instruction: str
    too_long: str
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request with its human answer.

    Attributes:
        id: The record's id, or one made from the article.
        text: The rendered prompt.
        ids: Its tokens, begin token included.
        article: What is to be summarized.
        reference: The human summary.
        instruction: What is asked of the article.
    """

    id: str
    text: str
    ids: list[int]
    article: str
    reference: str
    instruction: str


def article_and_reference(record: dict[str, Any], place: Place) -> tuple[str, str]:
    """Return the two texts of a record.

    Raises:
        DataError: It has none of the known pairs of fields, or an empty one.
    """
    for article, reference in FIELDS:
        if article in record and reference in record:
            pair = record[article], record[reference]
            for name, value in zip((article, reference), pair, strict=True):
                if not isinstance(value, str) or not value.strip():
                    raise DataError(f'field "{name}" is empty', path=place.path, line=place.line)
            return pair
    found = ", ".join(str(name) for name in list(record)[:8])
    raise DataError(
        "record has no article and reference", path=place.path, line=place.line,
        hint=f"expected article and summary, or prompt and reference; found: {found}",
    )  # fmt: skip


def begin_ids(model: str, tokenizer: Tokenizer) -> list[int]:
    """Return what stands in front of a model's prompts: the begin token, or nothing."""
    if tokenizer.bos_id is None or not begins_with_bos(model):
        return []
    return [tokenizer.bos_id]


class PromptEncoder:
    """Turn articles into prompt tokens in a model's own template.

    Args:
        model: The model directory.
        tokenizer: Its tokenizer.
        context: Tokens that prompt and answer share.
        settings: Instruction, room for the answer, and what to do with long articles.
    """

    def __init__(
        self, model: str, tokenizer: Tokenizer, context: int, settings: PromptSettings
    ) -> None:
        self._template = template_of(model) or DEFAULT_TEMPLATE
        self._bos = begin_ids(model, tokenizer)
        self._tokenizer = tokenizer
        self._room = context - settings.max_new_tokens
        self._settings = settings
        self.cut = 0
        self.left_out = 0
        self.other_tasks = 0

    def encode(self, record: dict[str, Any], place: Place) -> Prompt | None:
        """Return a prompt, or None for a record to be left out: too long, or another task.

        Raises:
            DataError: The record is unusable, or too long under --too-long stop.
        """
        task = record.get(TASK_TYPE)
        if isinstance(task, str) and task.strip().lower() != SUMMARIZATION:
            self.other_tasks += 1
            return None
        article, reference = article_and_reference(record, place)
        own = next((record[name] for name in INSTRUCTION_FIELDS if record.get(name)), None)
        instruction = own if isinstance(own, str) else self._settings.instruction
        text, ids = self._render(instruction, article)
        if len(ids) > self._room:
            if self._settings.too_long == "stop":
                raise DataError(
                    f"prompt has {len(ids)} tokens, room is for {self._room}",
                    path=place.path, line=place.line,
                    hint="give --too-long truncate or skip, or fewer --max-new-tokens",
                )  # fmt: skip
            if self._settings.too_long == "skip":
                self.left_out += 1
                return None
            self.cut += 1
            text, ids = self._shorten(instruction, article, place)
        identity = str(record.get("id") or text_id(article))
        return Prompt(identity, text, ids, article, reference, instruction)

    def _render(self, instruction: str, article: str) -> tuple[str, list[int]]:
        text = render_prompt(self._template, instruction, article)
        return text, self._bos + self._tokenizer.encode(text)

    def _shorten(self, instruction: str, article: str, place: Place) -> tuple[str, list[int]]:
        """Cut words off the end of the article, by bisection, until the prompt fits."""
        words = article.split()
        low, high = 0, len(words)
        while low + 1 < high:
            middle = (low + high) // 2
            fits = len(self._render(instruction, " ".join(words[:middle]))[1]) <= self._room
            low, high = (middle, high) if fits else (low, middle)
        if low == 0:
            raise DataError("not even one word of the article fits the context",
                            path=place.path, line=place.line,
                            hint="give fewer --max-new-tokens")  # fmt: skip
        return self._render(instruction, " ".join(words[:low]))


def read_prompts(
    source: RecordInputOptions, encoder: PromptEncoder, console: Console
) -> Iterator[Prompt]:
    """Yield the prompts of the inputs, in order, and say at the end what was cut.

    Raises:
        DataError: As `PromptEncoder.encode`, under --on-bad-record stop.
    """
    bad = BadRecords(source, console)
    for place, record in read_records(source, console, bad):
        try:
            prompt = encoder.encode(record, place)
        except DataError as error:
            bad.handle(error)
            continue
        if prompt is not None:
            yield prompt
    bad.report()
    if encoder.cut:
        console.warn(f"cut {encoder.cut} articles off to fit the context")
    if encoder.other_tasks:
        console.warn(f"left out {encoder.other_tasks} records of other tasks than summarization")
    if encoder.left_out:
        console.warn(f"left out {encoder.left_out} articles that do not fit the context")
