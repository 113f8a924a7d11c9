"""What a GGUF file says of its model, read from its header alone: no llama.cpp, no weights.

The header is checked against the file's size before an engine sees the file, so that a damaged
or hostile one ends in one line. `norcli.formats.gguf` reads; this names the fields chat needs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from norcli.chat.engines import ModelDescription
from norcli.chat.thinking import think_ids
from norcli.errors import DataError, InputMissingError
from norcli.formats.gguf import GgufFile
from norcli.training.templates import TEMPLATES, chat_template_jinja

CONTROL_TOKEN = 3


@lru_cache(maxsize=1)
def open_header(path: str) -> GgufFile:
    """Read a file's header once; that of a large vocabulary takes a tenth of a second.

    Raises:
        DataError: It is damaged.
    """
    return GgufFile(path)


def describe_gguf(path: str) -> ModelDescription:
    """Describe a GGUF file.

    Raises:
        DataError: It is damaged, or holds no language model.
    """
    metadata = open_header(path).metadata
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise DataError("names no architecture: not a language model", path=path)
    if "tokenizer.ggml.tokens" not in metadata:
        raise DataError("holds no tokenizer", path=path, hint="convert the model again")
    context = metadata.get(f"{architecture}.context_length")
    if not isinstance(context, int) or context < 1:
        raise DataError("does not say how long its context is", path=path)
    stored = metadata.get("tokenizer.chat_template")
    ours = {chat_template_jinja(key, bos=bos): key for key in TEMPLATES for bos in (True, False)}
    template = ours.get(stored) if isinstance(stored, str) else None
    return ModelDescription(
        path=path, engine="gguf", architecture=architecture, context_tokens=context,
        template=template, chat_template=stored if isinstance(stored, str) else None,
    )  # fmt: skip


class GgufTokens:
    """The token table of a GGUF file.

    Attributes:
        bos_id: Begin token.
        begins_with_bos: Whether prompts start with it.
        eos_id: End token.
        control_texts: Spellings of the tokens that text must not be able to type.
        think_ids: The two tokens around a draft, where both are control tokens.
    """

    def __init__(self, path: str) -> None:
        metadata: dict[str, Any] = open_header(path).metadata
        self._tokens = metadata["tokenizer.ggml.tokens"]
        kind = metadata.get("tokenizer.ggml.model")
        # llama.cpp: SentencePiece vocabularies begin with BOS unless told not to, others not.
        adds = metadata.get("tokenizer.ggml.add_bos_token", kind == "llama")
        self.begins_with_bos = bool(adds)
        bos = metadata.get("tokenizer.ggml.bos_token_id")
        self.bos_id: int | None = None if bos is None else int(bos)
        eos = metadata.get("tokenizer.ggml.eos_token_id")
        self.eos_id: int | None = None if eos is None else int(eos)
        types = metadata.get("tokenizer.ggml.token_type", ())
        control = {self._tokens[i]: i for i, value in enumerate(types) if value == CONTROL_TOKEN}
        self.control_texts = tuple(control)
        self.think_ids = think_ids(control)

    def spelling(self, token_id: int) -> str:
        """Return how the vocabulary writes a token."""
        return str(self._tokens[token_id])


def check_adapter(path: str) -> None:
    """See that a file is a GGUF LoRA adapter.

    Raises:
        DataError: It is something else, or damaged.
        InputMissingError: It is not there, or is the directory that one is made of.
    """
    if Path(path).is_dir():
        raise InputMissingError(
            "is a directory; a GGUF model takes a GGUF adapter", path=path,
            hint=f"norcli quantize {path} --base-model BASE -o lora.gguf",
        )  # fmt: skip
    if not Path(path).is_file():
        raise InputMissingError("no such adapter", path=path)
    if GgufFile(path).metadata.get("adapter.type") != "lora":
        raise DataError("is no GGUF LoRA adapter", path=path,
                        hint="norcli quantize ADAPTER_DIR --base-model BASE -o FILE")  # fmt: skip
