"""Instruction records as token examples: the report's fields and the usual others.

Between the JSONL of sft and its packed rows (report section 3.3.1). A record becomes a
conversation, a conversation a run of tokens of which the answers are learnt. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.formats.documents import Place
from norcli.tokens.huggingface import Tokenizer
from norcli.training.packing import IntArray
from norcli.training.templates import render_messages

# Names of the instruction, input and answer fields: the report's, then common ones.
FIELD_NAMES = (
    ("Instruksjon", "Input", "Output"),
    ("instruction", "input", "output"),
    ("instruction", "input", "response"),
    ("prompt", "input", "completion"),
)

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation as tokens.

    Attributes:
        ids: From the begin token to the last end token.
        learn: For each token whether it is a target.
    """

    ids: list[int]
    learn: list[bool]


def record_messages(record: Mapping[str, Any], place: Place) -> Messages:
    """Return a record as a conversation.

    Known forms: the report's Instruksjon/Input/Output, instruction/input/output (or response),
    prompt/completion, and messages.

    Raises:
        DataError: The record has none of the forms, or an empty instruction or answer.
    """
    if "messages" in record:
        return _checked_messages(record["messages"], place)
    for instruction, input_field, output in FIELD_NAMES:
        if instruction in record and output in record:
            request, answer = record[instruction], record[output]
            for name, value in ((instruction, request), (output, answer)):
                if not isinstance(value, str) or not value.strip():
                    raise DataError(f'field "{name}" is empty', path=place.path, line=place.line)
            user = {"role": "user", "content": request}
            extra = record.get(input_field)
            if isinstance(extra, str):
                user["input"] = extra
            return [user, {"role": "assistant", "content": answer}]
    found = ", ".join(str(name) for name in list(record)[:8])
    raise DataError(
        "record has no instruction and answer", path=place.path, line=place.line,
        hint="expected Instruksjon and Output, instruction and output, or messages;"
        f" found: {found}",
    )  # fmt: skip


def _checked_messages(messages: Any, place: Place) -> Messages:
    if not isinstance(messages, list) or not messages:
        raise DataError('"messages" is no list of messages', path=place.path, line=place.line)
    for message in messages:
        fits = isinstance(message, dict) and isinstance(message.get("content"), str)
        if not fits or message.get("role") not in ("system", "user", "assistant"):
            raise DataError(
                'a message needs a "role" (system, user or assistant) and a text "content"',
                path=place.path, line=place.line,
            )  # fmt: skip
    if messages[-1]["role"] != "assistant":
        raise DataError("a conversation must end with the assistant's answer",
                        path=place.path, line=place.line)  # fmt: skip
    return messages


def encode_messages(
    messages: Messages,
    template: str,
    tokenizer: Tokenizer,
    *,
    bos: bool,
    loss_on_prompt: bool = False,
) -> Example:
    """Turn a conversation into tokens, as inference will meet them.

    Requests are encoded as they will be when the model is asked; an answer follows after one
    space and ends with the end token. Texts after an end token are encoded on their own, as the
    tokenizers of transformers and llama.cpp do.

    Args:
        messages: The conversation, ending with an answer.
        template: A key of `norcli.training.templates.TEMPLATES`.
        tokenizer: The model's.
        bos: Whether prompts begin with the begin token.
        loss_on_prompt: Learn the requests too.

    Raises:
        DataError: The tokenizer has no end token.
    """
    if tokenizer.eos_id is None:
        raise DataError("the tokenizer has no end token", path=tokenizer.path)
    ids = [tokenizer.bos_id] if bos and tokenizer.bos_id is not None else []
    learn = [False] * len(ids)
    pending: Messages = []
    for position, message in enumerate(messages):
        if message["role"] != "assistant":
            pending.append(message)
            continue
        prompt = render_messages(template, pending)
        # All requests but the first stand after a blank line.
        if position > len(pending):
            prompt = "\n\n" + prompt
        request = tokenizer.encode(prompt)
        answer = continuation(tokenizer, prompt, request, f" {message['content'].strip()}")
        ids += [*request, *answer, tokenizer.eos_id]
        learn += [loss_on_prompt] * len(request) + [True] * (len(answer) + 1)
        pending = []
    return Example(ids, learn)


def continuation(tokenizer: Tokenizer, prompt: str, request: list[int], text: str) -> list[int]:
    """Encode a text that follows a prompt, leaving the prompt's own tokens as they are."""
    whole = tokenizer.encode(prompt + text)
    if whole[: len(request)] == request:
        return whole[len(request) :]
    # A piece spans the border: encode behind a line end, which no piece crosses.
    mark = tokenizer.encode("\n")
    return tokenizer.encode("\n" + text)[len(mark) :]


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples end to end, as `norcli.training.batches.PackedRows` reads them.

    Attributes:
        tokens: All tokens.
        learn: For each token whether it is a target.
        bounds: (N, 2) first token and one past the last of each example.
    """

    tokens: npt.NDArray[np.int32]
    learn: npt.NDArray[np.bool_]
    bounds: IntArray

    @property
    def targets(self) -> int:
        """Tokens that are learnt in one pass."""
        return int(self.learn.sum())


def join_examples(examples: list[Example]) -> ExampleSet:
    """Put examples end to end."""
    lengths = np.array([len(example.ids) for example in examples], np.int64)
    ends = np.cumsum(lengths)
    return ExampleSet(
        np.fromiter((i for e in examples for i in e.ids), np.int32),
        np.fromiter((x for e in examples for x in e.learn), np.bool_),
        np.stack([ends - lengths, ends], axis=1),
    )
