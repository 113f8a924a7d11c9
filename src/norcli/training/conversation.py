"""The words around a conversation as other programs want them: Jinja, and Go's text/template.

Four forms: the report's two (``norwai``, ``norwai-en``), Mistral's instruction form (version 3,
SentencePiece) and Magistral's, whose reasoning prompt is worded here. Ollama renders Go templates
and knows no Jinja; tests hold both to the same text. Text is stripped in the Jinja form of the
report's templates, which Ollama's template functions cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from norcli.errors import DataError
from norcli.training.templates import TEMPLATES, chat_template_jinja, reasoning_prompt

FOLDER = Path(__file__).parent / "conversations"
NAMES = (*TEMPLATES, "mistral", "magistral")


@dataclass(frozen=True)
class Conversation:
    """A conversation's form for one model.

    Attributes:
        name: One of `NAMES`; ``own`` for a template that came with the model and is kept.
        jinja: For llama.cpp, transformers, vLLM and LM Studio.
        go: For Ollama; None where the model's own template cannot be turned into Go.
        stops: Texts before which an answer ends, beside the end token.
    """

    name: str
    jinja: str
    go: str | None
    stops: tuple[str, ...] = ()


def conversation(name: str, eos_token: str) -> Conversation:
    """Return one of the known forms.

    Args:
        name: One of `NAMES`.
        eos_token: Text of the model's end token, which ends each answer.

    Raises:
        DataError: The end token cannot stand in a Go template.
    """
    if "{{" in eos_token or "\n" in eos_token:
        raise DataError(f"the end token {eos_token!r} cannot stand in a template")
    answer = TEMPLATES[name].answer if name in TEMPLATES else ""
    go = _read("norwai" if name in TEMPLATES else name, "gotmpl")
    go = go.replace("@EOS@", eos_token).replace("@ANSWER@", answer)
    return Conversation(name, jinja_template(name), go.replace("@REASONING@", reasoning_prompt()))


def jinja_template(name: str, *, bos: bool = True) -> str:
    """Return a known form as Jinja."""
    if name in TEMPLATES:
        return chat_template_jinja(name, bos=bos)
    lines = _read(name, "jinja").splitlines()
    # The first line puts the begin token.
    text = "".join(line.strip() for line in (lines if bos else lines[1:]))
    return text.replace("@REASONING@", reasoning_prompt())


def recognize(stored: str | None) -> str | None:
    """Return which known form a stored Jinja template is, None for another."""
    for name in NAMES:
        if stored in (jinja_template(name), jinja_template(name, bos=False)):
            return name
    return None


def choose_conversation(wanted: str, stored: str | None, eos_token: str, path: str) -> Conversation:
    """Return the form to write for a model.

    Args:
        wanted: An option's value; ``auto`` for what is stored.
        stored: The model's own Jinja template.
        eos_token: Text of its end token.
        path: The model, for messages.

    Raises:
        DataError: The model has no template, and none is named.
    """
    if wanted != "auto":
        return conversation(wanted, eos_token)
    if stored is None:
        raise DataError("has no chat template", path=path,
                        hint=f"name one: --template {'|'.join(NAMES)}")  # fmt: skip
    known = recognize(stored)
    return Conversation("own", stored, None) if known is None else conversation(known, eos_token)


def _read(name: str, suffix: str) -> str:
    return (FOLDER / f"{name}.{suffix}").read_text(encoding="utf-8").rstrip("\n")
