"""The tokenizer of a model directory as GGUF stores it: words, scores, kinds, special ids.

Takes tokenizer.model (SentencePiece), else tokenizer.json (byte-level BPE, or SentencePiece's BPE
in that form), else tekken.json. What llama.cpp would tokenize differently is either written in the
form it computes rightly, warned about, or refused by name; nothing is silent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from norcli.errors import DataError
from norcli.formats.gguf import Metadata, ValueType
from norcli.quantize.byte_pair_vocabulary import read_tekken, read_tokenizer_json
from norcli.quantize.model_config import ModelConfig, read_json
from norcli.quantize.sentencepiece_model import (
    BPE,
    UNIGRAM,
    PieceType,
    SentencePieceModel,
    read_sentencepiece_model,
)
from norcli.quantize.words import META_SPACE, AddedToken, Words
from norcli.training.conversation import jinja_template

SENTENCEPIECE_FILE = "tokenizer.model"
JSON_FILE = "tokenizer.json"
TEKKEN_FILE = "tekken.json"
SETTINGS_FILE = "tokenizer_config.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"
ADDED_FILE = "added_tokens.json"
PADDING_SCORE = -1000.0


@dataclass
class Vocabulary:
    """A tokenizer ready to be written.

    Attributes:
        words: The vocabulary proper, padded to the model's rows.
        special: Ids by GGUF's name for them (``bos``, ``eos``, ``unknown``, ``padding``).
        add_bos: Whether texts begin with the begin piece; None where the source does not say.
        add_eos: Whether texts end with the end piece.
        chat_template: Jinja text, None for a model without one.
        source: File the words came from.
    """

    words: Words
    special: dict[str, int] = field(default_factory=dict)
    add_bos: bool | None = None
    add_eos: bool | None = None
    chat_template: str | None = None
    source: str = ""

    def take_conversation(self, name: str) -> None:
        """Replace the chat template by a known form of conversation."""
        self.chat_template = jinja_template(name, bos=self.add_bos is not False)

    def write(self, metadata: Metadata) -> None:
        """Put the tokenizer's keys into a file's metadata."""
        words, prefix = self.words, "tokenizer.ggml."
        metadata.text(prefix + "model", words.model)
        metadata.text(prefix + "pre", words.pre)
        metadata.array(ValueType.STRING, prefix + "tokens", words.tokens)
        metadata.array(ValueType.FLOAT32, prefix + "scores", words.scores)
        metadata.array(ValueType.INT32, prefix + "token_type", words.types)
        metadata.array(ValueType.STRING, prefix + "merges", words.merges)
        for name in ("bos", "eos", "unknown", "padding"):
            metadata.uint32(f"{prefix}{name}_token_id", self.special.get(name))
        metadata.boolean(prefix + "add_bos_token", self.add_bos)
        metadata.boolean(prefix + "add_eos_token", self.add_eos)
        metadata.boolean(prefix + "add_space_prefix", words.add_space_prefix)
        metadata.boolean(prefix + "remove_extra_whitespaces", words.remove_extra_whitespaces)
        if words.charsmap:
            key = prefix + "precompiled_charsmap"
            metadata.array(ValueType.UINT8, key, list(words.charsmap))
        metadata.text("tokenizer.chat_template", self.chat_template)


def read_vocabulary(config: ModelConfig, rows: int) -> Vocabulary:
    """Read the tokenizer of a model directory.

    Args:
        config: The model's configuration; its folder holds the tokenizer.
        rows: Rows of the embedding; the vocabulary is padded to them.

    Raises:
        DataError: There is no tokenizer, it has more words than rows, or llama.cpp has no form
            for it.
    """
    directory = config.path.parent
    settings = optional_json(directory / SETTINGS_FILE)
    words, source = _read_words(directory)
    described = optional_json(directory / JSON_FILE) if source != TEKKEN_FILE else {}
    words.add(_added_tokens(directory, settings, described, rows))
    if len(words.tokens) > rows:
        raise DataError(
            f"has {len(words.tokens)} words, the model's embedding only {rows} rows",
            path=directory / source, hint="is it the tokenizer of another model?",
        )  # fmt: skip
    words.pad(rows, PADDING_SCORE)
    vocabulary = Vocabulary(words, source=source)
    vocabulary.special = _special_ids(words, settings, config.fields)
    vocabulary.add_bos = _adds(settings, described, words, "bos", vocabulary.special)
    vocabulary.add_eos = _adds(settings, described, words, "eos", vocabulary.special)
    vocabulary.chat_template = read_chat_template(directory, settings)
    return vocabulary


def optional_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, an empty one where there is no such file.

    Raises:
        DataError: It is no JSON object.
    """
    return read_json(path) if path.is_file() else {}


def _read_words(directory: Path) -> tuple[Words, str]:
    if (directory / SENTENCEPIECE_FILE).is_file():
        path = directory / SENTENCEPIECE_FILE
        return _from_sentencepiece(read_sentencepiece_model(path), path), SENTENCEPIECE_FILE
    if (directory / JSON_FILE).is_file():
        return read_tokenizer_json(directory / JSON_FILE), JSON_FILE
    if (directory / TEKKEN_FILE).is_file():
        return read_tekken(directory / TEKKEN_FILE), TEKKEN_FILE
    raise DataError(
        f"has no tokenizer: neither {SENTENCEPIECE_FILE} nor {JSON_FILE} nor {TEKKEN_FILE}",
        path=directory, hint="copy the files of the tokenizer it was trained with into it",
    )  # fmt: skip


def _from_sentencepiece(model: SentencePieceModel, path: Path) -> Words:
    if model.model_type not in (UNIGRAM, BPE):
        raise DataError(f"is a {model.type_name} model; llama.cpp reads BPE and unigram", path=path)
    if model.treat_whitespace_as_suffix:
        raise DataError("puts spaces at the end of words, which llama.cpp does not", path=path)
    words = Words(
        model="llama" if model.model_type == BPE else "t5",
        pre="default",
        tokens=_as_looked_for(model),
        types=model.types,
        scores=model.scores,
        add_space_prefix=model.add_dummy_prefix,
    )
    words.special = {
        name: index
        for name, index in (("bos", model.bos_id), ("eos", model.eos_id),
                            ("unknown", model.unk_id), ("padding", model.pad_id))
        if 0 <= index < len(model.pieces)
    }  # fmt: skip
    if model.model_type == UNIGRAM:
        # llama.cpp's "t5" is the unigram search, whatever the model that uses it.
        words.charsmap = model.charsmap
        words.remove_extra_whitespaces = model.remove_extra_whitespaces
        if model.byte_fallback:
            words.warnings.append(
                "unigram vocabulary with byte fallback: llama.cpp gives <unk> for characters "
                "outside the vocabulary"
            )
        return words
    if model.add_dummy_prefix and PieceType.USER_DEFINED in model.types:
        words.warnings.append(
            "the vocabulary has user-defined pieces: llama.cpp puts a space after each, "
            "SentencePiece does not"
        )
    if model.charsmap:
        words.warnings.append(
            "the SentencePiece model normalizes its input and llama.cpp will not: ligatures, "
            "fractions and the like give other tokens"
        )
    if model.remove_extra_whitespaces:
        words.warnings.append(
            "the SentencePiece model removes extra spaces and llama.cpp will not: runs of spaces "
            "give other tokens"
        )
    return words


def _as_looked_for(model: SentencePieceModel) -> list[bytes]:
    """Return the pieces; the user's own with plain spaces, as llama.cpp looks for them in text."""
    mark = META_SPACE.encode("utf-8")
    return [
        piece.replace(mark, b" ") if kind == PieceType.USER_DEFINED else piece
        for piece, kind in zip(model.pieces, model.types, strict=True)
    ]


def _added_tokens(
    directory: Path, settings: dict[str, Any], described: dict[str, Any], rows: int
) -> list[AddedToken]:
    """Gather added tokens from the three files Hugging Face has kept them in, newest last.

    Raises:
        DataError: One cannot be understood, or has an id beyond the rows of the embedding.
    """
    found: dict[int, AddedToken] = {}
    for name in (ADDED_FILE, SETTINGS_FILE, JSON_FILE):
        try:
            for token in _listed_tokens(directory, name, settings, described):
                if not 0 <= token.id < rows:
                    raise DataError(
                        f'gives "{token.text}" the id {token.id}, the embedding has {rows} rows',
                        path=directory / name, hint="is it the tokenizer of another model?",
                    )  # fmt: skip
                found[token.id] = token
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("has added tokens that norcli does not understand",
                            path=directory / name) from error  # fmt: skip
    return [found[index] for index in sorted(found)]


def _listed_tokens(
    directory: Path, name: str, settings: dict[str, Any], described: dict[str, Any]
) -> Iterator[AddedToken]:
    if name == ADDED_FILE:
        for text, index in optional_json(directory / ADDED_FILE).items():
            yield AddedToken(int(index), str(text), special=True)
        return
    if name == SETTINGS_FILE:
        values = settings.get("added_tokens_decoder") or {}
        entries = [(index, value) for index, value in values.items()]
    else:
        entries = [(value["id"], value) for value in described.get("added_tokens") or []]
    for index, value in entries:
        yield AddedToken(int(index), str(value["content"]), bool(value.get("special", False)))


def special_text(settings: dict[str, Any], short: str) -> str | None:
    """Return the text of a special token (``bos``, ``eos``, …) in tokenizer_config.json."""
    text = settings.get(f"{short}_token")
    text = text.get("content") if isinstance(text, dict) else text
    return text if isinstance(text, str) else None


def _special_ids(words: Words, settings: dict[str, Any], config: dict[str, Any]) -> dict[str, int]:
    """Find special ids: by text in tokenizer_config.json, else config.json, else the model."""
    found: dict[str, int] = {}
    names = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
    for name, short in names.items():
        text = special_text(settings, short)
        configured = config.get(f"{short}_token_id")
        candidates = [
            None if text is None else words.index_of(text),
            configured[0] if isinstance(configured, list) and configured else configured,
            words.special.get(name),
        ]
        for index in candidates:
            # GPT-2's configuration class fills in ids of the English vocabulary.
            if isinstance(index, int) and 0 <= index < len(words.tokens):
                found[name] = index
                break
    return found


def _adds(
    settings: dict[str, Any], described: dict[str, Any], words: Words, name: str,
    special: dict[str, int],
) -> bool | None:  # fmt: skip
    """Whether encoding puts a begin (or end) piece, as the source tokenizer does it."""
    if name not in special:
        return False
    setting = settings.get(f"add_{name}_token")
    if isinstance(setting, bool):
        return setting
    processor = described.get("post_processor")
    if described:
        piece = words.text_of(special[name])
        return processor is not None and json.dumps(piece, ensure_ascii=False) in json.dumps(
            processor, ensure_ascii=False
        )
    # The slow Llama tokenizer, which reads tokenizer.model alone, puts the begin piece.
    return words.model == "llama" and name == "bos"


def read_chat_template(directory: Path, settings: dict[str, Any]) -> str | None:
    """Return a model's chat template: of its own file, else of tokenizer_config.json.

    Args:
        directory: The model.
        settings: Its tokenizer_config.json, which may hold several by name; ``default`` counts.

    Raises:
        DataError: The file is not UTF-8.
    """
    path = directory / CHAT_TEMPLATE_FILE
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8", path=path) from error
    template = settings.get("chat_template")
    if isinstance(template, list):
        entries = [entry for entry in template if isinstance(entry, dict)]
        named = {entry.get("name"): entry.get("template") for entry in entries}
        template = named.get("default")
    return template if isinstance(template, str) else None
