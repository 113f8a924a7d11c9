"""A tokenizer read from a directory: text to ids and back, without transformers.

`load_tokenizer` is how every later stage (tokenize, pretrain, sft, chat, eval) gets its
tokenizer: over tokenizer.model (SentencePiece), or over tokenizer.json where a published model
brings only that. Writing these files is `norcli.tokens.export`'s part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from norcli.errors import DataError
from norcli.streams import require_directory

MODEL_FILE = "tokenizer.model"
JSON_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"


class Tokenizer(Protocol):
    """What the stages need of a tokenizer."""

    path: Path
    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    pad_id: int | None
    unk_id: int | None
    sha256: str

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without begin or end pieces."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; control pieces give nothing."""
        ...

    def piece(self, token: int) -> str:
        """Return the piece of one id as the vocabulary spells it."""
        ...


class SentencePieceTokenizer:
    """A tokenizer over a SentencePiece model.

    Args:
        path: The .model file.

    Raises:
        DataError: The file is no SentencePiece model.
    """

    def __init__(self, path: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        self.path = path
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        try:
            self.processor: Any = SentencePieceProcessor(model_proto=data)
        except RuntimeError as error:
            raise DataError("is no SentencePiece model", path=path) from error
        self.vocab_size = int(self.processor.get_piece_size())
        self.bos_id = _present(self.processor.bos_id())
        self.eos_id = _present(self.processor.eos_id())
        self.pad_id = _present(self.processor.pad_id())
        self.unk_id = _present(self.processor.unk_id())

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without begin or end pieces."""
        ids: list[int] = self.processor.encode(text)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts, on one thread."""
        ids: list[list[int]] = self.processor.encode(list(texts), num_threads=1)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; control pieces give nothing."""
        return str(self.processor.decode([int(i) for i in ids]))

    def piece(self, token: int) -> str:
        """Return the piece of one id as the vocabulary spells it."""
        return str(self.processor.id_to_piece(int(token)))


class JsonTokenizer:
    """A tokenizer over a tokenizer.json, for published models without a SentencePiece model.

    Args:
        path: The tokenizer.json file; tokenizer_config.json beside it names the special pieces.

    Raises:
        DataError: A file cannot be read, or the special pieces are not in the vocabulary.
    """

    def __init__(self, path: Path) -> None:
        import json

        from tokenizers import Tokenizer as Backend

        self.path = path
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        try:
            self.backend: Any = Backend.from_str(data.decode("utf-8"))
        except Exception as error:  # the Rust side raises bare Exception
            raise DataError("is no tokenizer description", path=path) from error
        settings: dict[str, Any] = {}
        beside = path.with_name(CONFIG_FILE)
        if beside.is_file():
            try:
                settings = json.loads(beside.read_text("utf-8"))
            except ValueError as error:
                raise DataError("is not valid JSON", path=beside) from error
        self.vocab_size = int(self.backend.get_vocab_size())
        self.bos_id = self._special(settings, "bos_token")
        self.eos_id = self._special(settings, "eos_token")
        self.pad_id = self._special(settings, "pad_token")
        self.unk_id = self._special(settings, "unk_token")

    def _special(self, settings: dict[str, Any], name: str) -> int | None:
        value = settings.get(name)
        piece = value.get("content") if isinstance(value, dict) else value
        if piece is None:
            return None
        found: int | None = self.backend.token_to_id(piece)
        if found is None:
            raise DataError(f'{name} "{piece}" is not in the vocabulary', path=self.path)
        return found

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without begin or end pieces."""
        ids: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special pieces give nothing."""
        return str(self.backend.decode([int(i) for i in ids], skip_special_tokens=True))

    def piece(self, token: int) -> str:
        """Return the piece of one id as the vocabulary spells it."""
        return str(self.backend.id_to_token(int(token)))


def _present(token: int) -> int | None:
    return int(token) if token >= 0 else None


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Load the tokenizer of a tokenizer or model directory, or a .model or .json file itself.

    Raises:
        InputMissingError: There is nothing at the path.
        DataError: The directory holds no tokenizer, or a damaged one.
    """
    place = Path(path)
    if place.is_file():
        return JsonTokenizer(place) if place.suffix == ".json" else SentencePieceTokenizer(place)
    directory = require_directory(str(path), "a directory with a tokenizer")
    if (directory / MODEL_FILE).is_file():
        return SentencePieceTokenizer(directory / MODEL_FILE)
    if (directory / JSON_FILE).is_file():
        return JsonTokenizer(directory / JSON_FILE)
    raise DataError(
        f"holds no tokenizer: neither {MODEL_FILE} nor {JSON_FILE}",
        path=path,
        hint="make one with: norcli tokenize-train FILE -o DIR",
    )
