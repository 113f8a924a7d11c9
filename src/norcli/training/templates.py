"""The prompt templates of the report, as text and as the chat template stored with a model.

Used by sft to build examples, and by chat, serve, eval, rlhf and the GGUF converter to prompt a
tuned model in the words it was trained on. Report section 3.3.1 gives the templates with
``Answer:``, its usage example (3.4.1) has ``Svar:``; both are here and the choice travels with
the model. No torch here, and no tokenization: see `norcli.training.instructions` for that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli.errors import ConfigError, DataError

DEFAULT_TEMPLATE = "norwai"
TEMPLATE_KEY = "norcli_template"
TOKENIZER_CONFIG = "tokenizer_config.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"
SENTENCEPIECE_FILE = "tokenizer.model"

REASONING_FILE = Path(__file__).parent / "magistral-reasoning.txt"

# Appendix D of the report writes "N/A" where a record has no input.
NO_INPUT_MARKS = frozenset({"", "n/a"})


@dataclass(frozen=True, slots=True)
class Template:
    """One prompt template: what stands between the instruction and the answer.

    Attributes:
        name: The name on the command line and in the model's files.
        answer: The word that asks for the answer, with its colon.
        help: One line for ``norcli sft --help`` and the docs.
    """

    name: str
    answer: str
    help: str


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template("norwai", "Svar:", "the report's usage example, section 3.4.1"),
        Template("norwai-en", "Answer:", "the report's fine-tuning templates, section 3.3.1"),
    )
}


def reasoning_prompt() -> str:
    """Return the system message that asks Magistral to think first; the wording is norcli's."""
    return REASONING_FILE.read_text(encoding="utf-8").strip()


def find_template(name: str) -> Template:
    """Return a template by name.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in TEMPLATES:
        raise ConfigError(f'unknown template "{name}"', hint=f"known: {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def has_input(text: str | None) -> bool:
    """Whether a record's input field says something; the report's "N/A" does not."""
    return text is not None and text.strip().lower() not in NO_INPUT_MARKS


def render_prompt(template: str, instruction: str, input: str | None = None) -> str:
    """Render one request, up to and with the word that asks for the answer.

    The answer follows after one space, and an end-of-text token ends it.

    Args:
        template: A key of `TEMPLATES`.
        instruction: What to do or the question.
        input: The text to do it with; None, empty or ``N/A`` for none.

    Raises:
        ConfigError: The template is unknown.
    """
    answer = find_template(template).answer
    if has_input(input):
        assert input is not None
        return f"{instruction.strip()}\n\n{input.strip()}\n{answer}"
    return f"{instruction.strip()}\n\n{answer}"


def render_messages(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    bos_token: str = "",
    eos_token: str = "",
) -> str:
    """Render a conversation; equal to what `chat_template_jinja` gives for the same tokens.

    A system message is a paragraph before the first request. Each request after the first stands
    after a blank line. The text ends with the word that asks for an answer when the last message
    is the user's.

    Args:
        template: A key of `TEMPLATES`.
        messages: Mappings with ``role`` (system, user, assistant) and ``content``; a user
            message may carry its ``input`` apart.
        bos_token: Text put at the very start; leave empty when the tokenizer adds it.
        eos_token: Text that ends each answer.

    Raises:
        ConfigError: The template is unknown.
        DataError: A role is unknown or a message has no text.
    """
    parts = [bos_token]
    for position, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if not isinstance(content, str):
            raise DataError('a message has no text in "content"')
        if role == "assistant":
            parts.append(f" {content.strip()}{eos_token}")
            continue
        if position:
            parts.append("\n\n")
        if role == "user":
            parts.append(render_prompt(template, content, message.get("input")))
        elif role == "system":
            parts.append(content.strip())
        else:
            raise DataError(f'unknown role "{role}" in a message',
                            hint="use system, user and assistant")  # fmt: skip
    return "".join(parts)


def begins_with_bos(model_directory: str | Path) -> bool:
    """Whether prompts of a model begin with the begin token, as its tokenizer files say.

    Where they say nothing, SentencePiece models do and others do not: llama.cpp's rule.
    """
    directory = Path(model_directory)
    declared = _read_tokenizer_config(directory).get("add_bos_token")
    if isinstance(declared, bool):
        return declared
    return (directory / SENTENCEPIECE_FILE).is_file()


def chat_template_jinja(template: str, *, bos: bool = True) -> str:
    """Return the template as a Jinja chat template for tokenizer files and GGUF metadata.

    Every tag trims the white space around it, so that the result is the same under the settings
    of transformers, vLLM and llama.cpp.

    Args:
        template: A key of `TEMPLATES`.
        bos: Whether the text begins with the begin token; transformers adds none of its own to a
            rendered chat.

    Raises:
        ConfigError: The template is unknown.
    """
    answer = find_template(template).answer
    begin = "{%- if bos_token is defined and bos_token -%}{{- bos_token -}}{%- endif -%}"
    return (begin if bos else "") + (
        "{%- for message in messages -%}"
        "{%- if message['role'] == 'assistant' -%}"
        "{{- ' ' + (message['content'] | trim) + eos_token -}}"
        "{%- else -%}"
        "{%- if not loop.first -%}{{- '\\n\\n' -}}{%- endif -%}"
        "{{- message['content'] | trim -}}"
        "{%- if message['role'] == 'user' -%}"
        "{{- '\\n\\n' -}}"
        "{%- if message['input'] is defined and message['input']"
        " and (message['input'] | trim | lower) not in ['', 'n/a'] -%}"
        "{{- (message['input'] | trim) + '\\n' -}}"
        "{%- endif -%}"
        "{{- '" + answer + "' -}}"
        "{%- endif -%}"
        "{%- endif -%}"
        "{%- endfor -%}"
    )


def store_template(model_directory: Path, template: str) -> None:
    """Write the chat template into a model directory's tokenizer files.

    Both places that readers know are written: ``chat_template.jinja`` (transformers 5) and the
    field of ``tokenizer_config.json`` (older readers, GGUF converters).

    Raises:
        ConfigError: The template is unknown.
    """
    jinja = chat_template_jinja(template, bos=begins_with_bos(model_directory))
    config = _read_tokenizer_config(model_directory)
    config_file = model_directory / TOKENIZER_CONFIG
    config["chat_template"] = jinja
    config[TEMPLATE_KEY] = template
    text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    config_file.write_text(text, encoding="utf-8")
    (model_directory / CHAT_TEMPLATE_FILE).write_text(jinja, encoding="utf-8")


def template_of(model_directory: str | Path) -> str | None:
    """Return the name of the template a model was tuned with.

    Found by norcli's own field, else by a chat template equal to one of ours; None for a base
    model and for a foreign chat template.
    """
    directory = Path(model_directory)
    config = _read_tokenizer_config(directory)
    name = config.get(TEMPLATE_KEY)
    if name in TEMPLATES:
        return str(name)
    stored = config.get("chat_template")
    jinja_file = directory / CHAT_TEMPLATE_FILE
    if jinja_file.is_file():
        stored = jinja_file.read_text(encoding="utf-8")
    ours = {chat_template_jinja(key, bos=bos): key for key in TEMPLATES for bos in (True, False)}
    return ours.get(stored) if isinstance(stored, str) else None


def _read_tokenizer_config(directory: Path) -> dict[str, Any]:
    file = directory / TOKENIZER_CONFIG
    if not file.is_file():
        return {}
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise DataError("is not valid JSON", path=file) from None
    return loaded if isinstance(loaded, dict) else {}
