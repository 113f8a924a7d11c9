"""The tokenizer of a GGUF file back as Hugging Face files.

SentencePiece vocabularies become tokenizer.model (and tokenizer.json where merges can express it),
byte-level BPE becomes tokenizer.json. Field numbers of the .model file: sentencepiece_model.proto.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.gguf import GgufFile, TextArray
from norcli.quantize.byte_pair_vocabulary import PRE_TOKENIZERS
from norcli.quantize.sentencepiece_model import BPE, UNIGRAM, PieceType
from norcli.quantize.words import META_SPACE

_PREFIX = "tokenizer.ggml."
_PADDING = re.compile(rb"\[PAD\d+\]")
_NAMES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def export_tokenizer(file: GgufFile, folder: Path, console: Console) -> None:
    """Write a file's tokenizer into a model directory.

    Raises:
        DataError: The vocabulary is of a kind that norcli cannot write back.
    """
    known = file.metadata
    words = known.get(_PREFIX + "tokens")
    if not isinstance(words, TextArray):
        raise DataError("holds no vocabulary", path=file.path)
    tokens = [words.raw(index) for index in range(len(words))]
    types = _numbers(file, "token_type", [PieceType.NORMAL] * len(tokens))
    if not set(types) <= set(PieceType):
        raise DataError("has words of kinds that are not known", path=file.path)
    model = known.get(_PREFIX + "model")
    if model in ("llama", "t5"):
        _write_sentencepiece(file, tokens, types, folder, console)
    elif model == "gpt2":
        _write_byte_level(file, tokens, types, folder)
    else:
        raise DataError(f'has a vocabulary of kind "{model}", which norcli cannot write back',
                        path=file.path)  # fmt: skip
    template = known.get("tokenizer.chat_template")
    if isinstance(template, str):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def _numbers(file: GgufFile, name: str, default: list[Any]) -> list[Any]:
    """Return an array with a number for each word.

    Raises:
        DataError: It is none, or of another length.
    """
    found = file.metadata.get(_PREFIX + name, tuple(default))
    if not isinstance(found, tuple) or len(found) != len(default):
        raise DataError(f'"{_PREFIX}{name}" does not go with the {len(default)} words',
                        path=file.path)  # fmt: skip
    return list(found)


def _special_id(file: GgufFile, name: str, words: int) -> int | None:
    """Return the id of a special word, None where there is none."""
    index = file.metadata.get(f"{_PREFIX}{name}_token_id")
    return index if isinstance(index, int) and 0 <= index < words else None


def _settings(file: GgufFile, tokens: list[bytes], kind: str) -> dict[str, Any]:
    known = file.metadata
    settings: dict[str, Any] = {"tokenizer_class": kind, "clean_up_tokenization_spaces": False}
    for short, name in _NAMES.items():
        index = _special_id(file, name, len(tokens))
        if index is not None:
            settings[f"{short}_token"] = tokens[index].decode("utf-8", "replace")
    for name in ("bos", "eos"):
        adds = known.get(f"{_PREFIX}add_{name}_token")
        if adds is not None:
            settings[f"add_{name}_token"] = bool(adds)
    return settings


def _write_sentencepiece(
    file: GgufFile, tokens: list[bytes], types: list[int], folder: Path, console: Console
) -> None:
    from norcli.tokens.export import write_tokenizer

    path = folder / "tokenizer.model"
    raw = sentencepiece_bytes(file, tokens, types)
    path.write_bytes(raw)
    kind = "LlamaTokenizer"
    if file.metadata.get(_PREFIX + "model") == "llama":
        try:
            write_tokenizer(raw, folder, ())
            kind = "PreTrainedTokenizerFast"
        except DataError as error:
            console.warn(f"no tokenizer.json beside tokenizer.model: {error.message}")
    _write_json(folder / "tokenizer_config.json", _settings(file, tokens, kind))


def sentencepiece_bytes(file: GgufFile, tokens: list[bytes], types: list[int]) -> bytes:
    """Return a vocabulary as a SentencePiece .model file; words of padding are left out."""
    known = file.metadata
    scores = _numbers(file, "scores", [0.0] * len(tokens))
    count = len(tokens)
    while count and types[count - 1] == PieceType.UNUSED and _PADDING.fullmatch(tokens[count - 1]):
        count -= 1
    message = b""
    try:
        b"\n".join(tokens[:count]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError("has words that are not UTF-8, which no tokenizer.model can hold",
                        path=file.path) from error  # fmt: skip
    for token, score, kind in zip(tokens[:count], scores, types, strict=False):
        piece = token
        if kind == PieceType.USER_DEFINED:
            piece = token.replace(b" ", META_SPACE.encode("utf-8"))
        body = _bytes_field(1, piece) + b"\x15" + struct.pack("<f", score)
        body += _number_field(3, kind) if kind != PieceType.NORMAL else b""
        message += _bytes_field(1, body)
    is_bpe = known.get(_PREFIX + "model") == "llama"
    trainer = _number_field(3, BPE if is_bpe else UNIGRAM)
    trainer += _number_field(35, int(PieceType.BYTE in types))
    for number, name in ((40, "unknown"), (41, "bos"), (42, "eos"), (43, "padding")):
        index = _special_id(file, name, count)
        trainer += _number_field(number, (1 << 64) - 1 if index is None else index)
    rules = known.get(_PREFIX + "precompiled_charsmap", ())
    if not isinstance(rules, tuple) or not all(0 <= byte < 256 for byte in rules):
        raise DataError("has normalization rules that are no bytes", path=file.path)
    charsmap = bytes(rules)
    normalizer = _bytes_field(1, b"identity" if not charsmap else b"user_defined")
    normalizer += _bytes_field(2, charsmap) if charsmap else b""
    normalizer += _number_field(3, bool(known.get(_PREFIX + "add_space_prefix", True)))
    removes = known.get(_PREFIX + "remove_extra_whitespaces", False)
    normalizer += _number_field(4, bool(removes)) + _number_field(5, 1)
    return message + _bytes_field(2, trainer) + _bytes_field(3, normalizer)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _number_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _write_byte_level(file: GgufFile, tokens: list[bytes], types: list[int], folder: Path) -> None:
    known = file.metadata
    pre = known.get(_PREFIX + "pre", "default")
    pattern = next((regex for regex, name in PRE_TOKENIZERS.items() if name == pre), None)
    if pattern is None:
        raise DataError(f'splits words as "{pre}", which norcli cannot write back', path=file.path)
    texts = [token.decode("utf-8", "replace") for token in tokens]
    bytes_step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": pre == "gpt-2"}  # fmt: skip
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
             "invert": False}  # fmt: skip
    steps = {"type": "Sequence", "pretokenizers": [split, bytes_step]}
    added = [
        {"id": i, "content": texts[i], "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": kind == PieceType.CONTROL}
        for i, kind in enumerate(types)
        if kind in (PieceType.CONTROL, PieceType.USER_DEFINED)
    ]  # fmt: skip
    described = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None, "pre_tokenizer": bytes_step if pre == "gpt-2" else steps,
        "post_processor": _post_processor(file, texts), "decoder": bytes_step,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": pre in ("llama-bpe", "tekken"),
            "vocab": {text: i for i, text in enumerate(texts) if types[i] != PieceType.UNUSED},
            "merges": _merges(file),
        },
    }  # fmt: skip
    _write_json(folder / "tokenizer.json", described)
    settings = _settings(file, tokens, "PreTrainedTokenizerFast")
    _write_json(folder / "tokenizer_config.json", settings)


def _merges(file: GgufFile) -> list[str]:
    merges = file.metadata.get(_PREFIX + "merges")
    if not isinstance(merges, TextArray):
        raise DataError("holds no merges, which its vocabulary needs", path=file.path)
    return list(merges)


def _post_processor(file: GgufFile, texts: list[str]) -> dict[str, Any] | None:
    begin = _special_id(file, "bos", len(texts))
    if begin is None or not file.metadata.get(_PREFIX + "add_bos_token"):
        return None
    first = {"SpecialToken": {"id": texts[begin], "type_id": 0}}
    body = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    special = {texts[begin]: {"id": texts[begin], "ids": [begin], "tokens": [texts[begin]]}}
    return {"type": "TemplateProcessing", "single": [first, body],
            "pair": [first, body, second], "special_tokens": special}  # fmt: skip


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
