"""From a conversation to the token ids an engine is asked with.

The templates of the report are encoded as `norcli.training.instructions` encodes them for
training: begin token, requests and answers each on their own, an end token after each answer.
A chat template stored with a foreign model is rendered here with Jinja. In both, the spelling of
a control token in a text that somebody wrote stays text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from norcli.chat.engines import ModelDescription, Vocabulary
from norcli.chat.thinking import BEGIN, END
from norcli.errors import ConfigError, DataError, UsageError, missing_extra
from norcli.training.templates import TEMPLATES, reasoning_prompt, render_messages

Message = dict[str, str]

# Stand for message texts while a chat template is rendered; private-use characters that no
# template contains and that trimming leaves alone.
MARK = "\ue000{}\ue001"
MARK_PATTERN = re.compile("\ue000(\\d+)\ue001")
# Stand for [THINK] and [/THINK] in the reasoning prompt, where they mean the control tokens.
THINK_MARKS = ("\ue002", "\ue003")
OWN_MARKS = re.compile("[\ue000-\ue003]")


@dataclass(frozen=True, slots=True)
class Template:
    """The words around a prompt.

    Attributes:
        name: ``norwai``, ``norwai-en``, ``model`` (Jinja stored with the model), ``none`` or
            ``server`` (a server's own).
        jinja: The chat template, for ``model``.
        reasons: Whether the model is asked to think first.
        marker: The word whose return on a line of its own means that the model has begun to
            write the next request; None where there is none.
    """

    name: str
    jinja: str | None = None
    marker: str | None = None
    reasons: bool = False


def choose_template(choice: str, description: ModelDescription) -> Template:
    """Return the template to use.

    Args:
        choice: One of `norcli.chat.options.TEMPLATE_CHOICES`.
        description: What is stored with the model.

    Raises:
        ConfigError: ``model`` is chosen and the model has no chat template.
    """
    if description.engine == "url" and choice not in ("auto", "none"):
        raise ConfigError("a server has its own words around a prompt", path=description.path,
                          hint="give --template none to have it continue your text")  # fmt: skip
    if choice == "auto":
        if description.template is not None:
            choice = description.template
        else:
            choice = "none" if description.chat_template is None else "model"
    if choice in TEMPLATES:
        return Template(choice, marker=TEMPLATES[choice].answer)
    if choice == "model":
        if description.chat_template is None:
            raise ConfigError("no chat template is stored with the model", path=description.path,
                              hint="give --template norwai, norwai-en or none")  # fmt: skip
        return Template(choice, jinja=description.chat_template)
    return Template(choice)


def encode_prompt(
    template: Template, messages: Sequence[Mapping[str, str]], vocabulary: Vocabulary,
    begun: str = "",
) -> list[Any]:  # fmt: skip
    """Return the ids of a conversation that ends with a request; for a server the messages.

    Args:
        template: The words around each request.
        messages: The conversation.
        vocabulary: The model's tokenizer.
        begun: Beginning of the answer, which the model is to go on with.

    Raises:
        DataError: The messages do not fit the template.
        UsageError: A server is to go on with an answer.
    """
    if not messages or messages[-1]["role"] == "assistant":
        raise DataError("a conversation to answer must end with a request")
    if template.name == "server":
        if begun:
            raise UsageError("a server cannot be asked to go on with an answer",
                             hint="/set max-new-tokens N, then /regen")  # fmt: skip
        return list(messages)
    messages = [{key: OWN_MARKS.sub("", text) for key, text in m.items()} for m in messages]
    if template.reasons:
        messages = _with_reasoning(messages)
        vocabulary = _ThinkingVocabulary(vocabulary)
    if template.name == "none":
        if begun:
            messages = [*messages, {"role": "assistant", "content": begun}]
        return _begin(vocabulary) + vocabulary.encode(_plain_text(messages))
    if template.jinja is None:
        return _encode_turns(template.name, messages, vocabulary, begun)
    ids = _encode_jinja(template.jinja, messages, vocabulary)
    return ids + vocabulary.encode(begun) if begun else ids


def _with_reasoning(messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Ask for a draft in the system message, behind what the user says there."""
    prompt = reasoning_prompt().replace(BEGIN, THINK_MARKS[0]).replace(END, THINK_MARKS[1])
    first = messages[0]
    if first["role"] != "system":
        return [{"role": "system", "content": prompt}, *messages]
    return [{"role": "system", "content": f"{first['content']}\n\n{prompt}"}, *messages[1:]]


class _ThinkingVocabulary:
    """A vocabulary that puts the control tokens where `THINK_MARKS` stand."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.bos_id = vocabulary.bos_id
        self.begins_with_bos = vocabulary.begins_with_bos
        self.eos_id = vocabulary.eos_id
        self.control_texts = vocabulary.control_texts
        self.think_ids = vocabulary.think_ids
        self.spelling = vocabulary.spelling
        self._encode = vocabulary.encode

    def encode(self, text: str, control: bool = False) -> list[int]:
        """Return the ids of a text; see `Vocabulary`."""
        assert self.think_ids is not None
        ids: list[int] = []
        for part in re.split(f"([{''.join(THINK_MARKS)}])", text):
            if part in THINK_MARKS:
                ids.append(self.think_ids[THINK_MARKS.index(part)])
            elif part:
                ids += self._encode(part, control)
        return ids


def _begin(vocabulary: Vocabulary) -> list[int]:
    if vocabulary.bos_id is None or not vocabulary.begins_with_bos:
        return []
    return [vocabulary.bos_id]


def _plain_text(messages: Sequence[Mapping[str, str]]) -> str:
    """Join a conversation for a model without template: each request after a blank line."""
    parts: list[str] = []
    for message in messages:
        text, extra = message["content"], message.get("input")
        if message["role"] == "assistant":
            parts.append(text if text[:1].isspace() else " " + text)
            continue
        if parts:
            parts.append("\n\n")
        parts.append(f"{text}\n\n{extra}" if extra else text)
    return "".join(parts)


def _encode_turns(
    name: str, messages: Sequence[Mapping[str, str]], vocabulary: Vocabulary, begun: str
) -> list[int]:
    """Encode as sft does; a test holds the two together."""
    ids = _begin(vocabulary)
    pending: list[Mapping[str, str]] = []
    is_first = True
    for message in messages:
        pending.append(message)
        if message["role"] != "assistant":
            continue
        prompt = _request_text(name, pending[:-1], is_first)
        request = vocabulary.encode(prompt)
        ids += request + _encode_answer(prompt, request, message["content"], vocabulary)
        if vocabulary.eos_id is not None:
            ids.append(vocabulary.eos_id)
        pending, is_first = [], False
    prompt = _request_text(name, pending, is_first)
    request = vocabulary.encode(prompt)
    ids += request
    return ids + _encode_answer(prompt, request, begun, vocabulary) if begun else ids


def _request_text(name: str, messages: Sequence[Mapping[str, str]], is_first: bool) -> str:
    text = render_messages(name, messages)
    return text if is_first else "\n\n" + text


def _encode_answer(
    prompt: str, request: list[int], answer: str, vocabulary: Vocabulary
) -> list[int]:
    text = f" {answer.strip()}"
    whole = vocabulary.encode(prompt + text)
    if whole[: len(request)] == request:
        return whole[len(request) :]
    # A piece spans the border: encode behind a line end, which no piece crosses.
    line_end = vocabulary.encode("\n")
    return vocabulary.encode("\n" + text)[len(line_end) :]


def _encode_jinja(
    jinja: str, messages: Sequence[Mapping[str, str]], vocabulary: Vocabulary
) -> list[int]:
    texts = [_content(message) for message in messages]
    marked = [
        {"role": message["role"], "content": MARK.format(i)} for i, message in enumerate(messages)
    ]
    rendered = _render_jinja(jinja, marked, vocabulary)
    ids: list[int] = []
    for text, control in _protect(rendered, texts, vocabulary.control_texts):
        ids += vocabulary.encode(text, control)
    begin = _begin(vocabulary)
    # Templates write the begin token themselves, or leave it to the tokenizer.
    return ids if ids[: len(begin)] == begin else begin + ids


def _content(message: Mapping[str, str]) -> str:
    extra = message.get("input")
    return f"{message['content']}\n\n{extra}" if extra else message["content"]


def _render_jinja(jinja: str, messages: list[Message], vocabulary: Vocabulary) -> str:
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError as error:
        raise missing_extra("jinja2", "chat") from error

    def refuse(message: str) -> None:
        raise TemplateError(message)

    # The settings that transformers renders chat templates with.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["strftime_now"] = time.strftime
    environment.globals["raise_exception"] = refuse
    names: dict[str, Any] = {
        "bos_token": "" if vocabulary.bos_id is None else vocabulary.spelling(vocabulary.bos_id),
        "eos_token": "" if vocabulary.eos_id is None else vocabulary.spelling(vocabulary.eos_id),
    }
    try:
        return environment.from_string(jinja).render(
            messages=messages, add_generation_prompt=True, **names
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise DataError(f"the model's chat template does not take this conversation: {error}",
                        hint="try --template none") from error  # fmt: skip


def _protect(
    rendered: str, texts: Sequence[str], control_texts: Sequence[str]
) -> list[tuple[str, bool]]:
    """Cut a rendered prompt so that control spellings inside message texts stay text.

    A text without such a spelling is left in one piece with the template around it, so that its
    ids are those of the usual rendering.
    """
    spellings = [re.escape(text) for text in sorted(control_texts, key=len, reverse=True) if text]
    control = re.compile(f"({'|'.join(spellings)})") if spellings else None
    pieces: list[tuple[str, bool]] = []
    joined = ""
    for position, part in enumerate(MARK_PATTERN.split(rendered)):
        if position % 2 == 0:
            joined += part
            continue
        for index, text in enumerate(control.split(texts[int(part)]) if control else
                                     [texts[int(part)]]):  # fmt: skip
            if index % 2 == 0:
                joined += text
            else:
                pieces += [(joined, True), (text, False)]
                joined = ""
    pieces.append((joined, True))
    return [(text, may_control) for text, may_control in pieces if text]
