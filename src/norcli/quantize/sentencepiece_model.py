"""SentencePiece models read without the sentencepiece package: pieces, scores, normalization.

A .model file is a protobuf message; the dozen fields a GGUF file needs are picked out by a small
reader of the wire format. Field numbers: sentencepiece_model.proto of google/sentencepiece.
Encoding text is not done here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from norcli.errors import DataError

UNIGRAM, BPE = 1, 2
_MODEL_TYPES = {1: "unigram", 2: "BPE", 3: "word", 4: "character"}


class PieceType(IntEnum):
    """Kinds of pieces; GGUF's token types have the same numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass
class SentencePieceModel:
    """What a .model file says; defaults are the format's own."""

    pieces: list[bytes] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    model_type: int = UNIGRAM
    byte_fallback: bool = False
    treat_whitespace_as_suffix: bool = False
    unk_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = -1
    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True

    @property
    def type_name(self) -> str:
        """The segmentation's name."""
        return _MODEL_TYPES.get(self.model_type, f"type {self.model_type}")


_Value = int | bytes


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")


def _fields(data: bytes) -> Iterator[tuple[int, _Value]]:
    """Yield (field number, value) of a message; nested messages and floats as bytes."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield tag >> 3, number
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError("unknown wire type")
        if at + length > size:
            raise ValueError("field beyond the end")
        yield tag >> 3, data[at : at + length]
        at += length


def _signed(value: _Value) -> int:
    """Read an int32, whose negatives fill 64 bits."""
    number = int(value) if isinstance(value, int) else 0
    return number - (1 << 64) if number >= 1 << 63 else number


def _raw(value: _Value) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError("bytes expected")


def _read_piece(model: SentencePieceModel, data: bytes) -> None:
    text, score, kind = b"", 0.0, int(PieceType.NORMAL)
    for number, value in _fields(data):
        if number == 1:
            text = _raw(value)
        elif number == 2:
            (score,) = struct.unpack("<f", _raw(value))
        elif number == 3:
            kind = _signed(value)
    model.pieces.append(text)
    model.scores.append(score)
    model.types.append(kind)


def _read_trainer(model: SentencePieceModel, data: bytes) -> None:
    for number, value in _fields(data):
        if number == 3:
            model.model_type = _signed(value)
        elif number == 24:
            model.treat_whitespace_as_suffix = bool(value)
        elif number == 35:
            model.byte_fallback = bool(value)
        elif number == 40:
            model.unk_id = _signed(value)
        elif number == 41:
            model.bos_id = _signed(value)
        elif number == 42:
            model.eos_id = _signed(value)
        elif number == 43:
            model.pad_id = _signed(value)


def _read_normalizer(model: SentencePieceModel, data: bytes) -> None:
    for number, value in _fields(data):
        if number == 2:
            model.charsmap = _raw(value)
        elif number == 3:
            model.add_dummy_prefix = bool(value)
        elif number == 4:
            model.remove_extra_whitespaces = bool(value)


def read_sentencepiece_model(path: Path) -> SentencePieceModel:
    """Read a .model file.

    Raises:
        DataError: It is no SentencePiece model.
    """
    model = SentencePieceModel()
    try:
        for number, value in _fields(path.read_bytes()):
            if number == 1:
                _read_piece(model, _raw(value))
            elif number == 2:
                _read_trainer(model, _raw(value))
            elif number == 3:
                _read_normalizer(model, _raw(value))
    except (ValueError, IndexError, struct.error) as error:
        raise DataError("is no SentencePiece model, or damaged", path=path) from error
    if not model.pieces:
        raise DataError("is no SentencePiece model: it has no pieces", path=path)
    return model
