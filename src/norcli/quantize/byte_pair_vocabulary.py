"""Vocabularies of tokenizer.json and tekken.json: byte-level BPE, and SentencePiece BPE as JSON.

llama.cpp names the splitting before byte-level BPE; the name is derived from the regular
expression in the file, not from a hash of token ids, so that vocabularies trained or extended by
the user convert too. An expression llama.cpp does not have is refused.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from norcli.errors import DataError
from norcli.quantize.model_config import read_json
from norcli.quantize.sentencepiece_model import PieceType
from norcli.quantize.words import Words

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_END = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
TEKKEN_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT2 = rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"
# Expressions that llama.cpp has built in, by its name for them (src/llama-vocab.cpp).
PRE_TOKENIZERS = {
    _GPT2: "gpt-2",
    rf"(?i:{_CONTRACTIONS})|{_LETTERS}|\p{{N}}{{1,3}}|{_END}": "llama-bpe",
    rf"(?i:{_CONTRACTIONS})|{_LETTERS}|\p{{N}}|{_END}": "qwen2",
    TEKKEN_PATTERN: "tekken",
}


def byte_letters() -> list[str]:
    """Return the letter that stands for each byte in byte-level BPE (GPT-2's table)."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters, next_free = [], 256
    for byte in range(256):
        if byte in kept:
            letters.append(chr(byte))
        else:
            letters.append(chr(next_free))
            next_free += 1
    return letters


def read_tokenizer_json(path: Path) -> Words:
    """Read a tokenizer.json.

    Raises:
        DataError: It is damaged, or of a kind that llama.cpp has no form for.
    """
    described = read_json(path)
    try:
        model = described["model"]
        kind = model.get("type", "BPE")
        if kind != "BPE":
            raise DataError(f"is a {kind} tokenizer; norcli converts BPE from JSON", path=path,
                            hint="put its tokenizer.model beside it")  # fmt: skip
        tokens = _in_order(model["vocab"], path)
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
        steps = list(_flatten(described.get("pre_tokenizer")))
        if any(step["type"] == "ByteLevel" for step in steps):
            return _byte_level(tokens, merges, described, steps, path)
        if model.get("byte_fallback"):
            return _as_sentencepiece(tokens, merges, described)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError("is not a tokenizer.json that norcli understands", path=path) from error
    raise DataError("is BPE without bytes, which llama.cpp has no form for", path=path)


def _in_order(vocab: dict[str, int], path: Path) -> list[str]:
    size = max(vocab.values(), default=-1) + 1
    if min(vocab.values(), default=0) < 0:
        raise DataError("has an id below 0", path=path)
    if size > 4 * len(vocab) + 1024:
        raise DataError(f"has an id of {size - 1} among {len(vocab)} words", path=path)
    tokens = [""] * size
    for text, index in vocab.items():
        tokens[index] = text
    return tokens


def _flatten(step: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of a (nested) Sequence."""
    if not isinstance(step, dict):
        return
    if step.get("type") == "Sequence":
        for inner in step.get("pretokenizers") or step.get("normalizers") or []:
            yield from _flatten(inner)
    else:
        yield step


def _words(model: str, pre: str, tokens: list[str]) -> Words:
    """Make words with ids that have none marked unused."""
    raw = [t.encode("utf-8") if t else f"[PAD{i}]".encode() for i, t in enumerate(tokens)]
    types = [int(PieceType.NORMAL if text else PieceType.UNUSED) for text in tokens]
    return Words(model=model, pre=pre, tokens=raw, types=types)


def _byte_level(
    tokens: list[str], merges: list[str], described: dict[str, Any],
    steps: list[dict[str, Any]], path: Path,
) -> Words:  # fmt: skip
    words = _words("gpt2", _pre_tokenizer(steps, path), tokens)
    words.merges = merges
    normalizers = [step["type"] for step in _flatten(described.get("normalizer"))]
    if normalizers:
        words.warnings.append(
            f"the tokenizer normalizes its input ({', '.join(normalizers)}) and llama.cpp will not"
        )
    if any(step.get("add_prefix_space") for step in steps):
        words.warnings.append(
            "the tokenizer puts a space before the text and llama.cpp will not: the first token "
            "may differ"
        )
    return words


def _pre_tokenizer(steps: list[dict[str, Any]], path: Path) -> str:
    patterns = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
    bytes_step = next(step for step in steps if step["type"] == "ByteLevel")
    if bytes_step.get("use_regex", True):
        patterns.append(_GPT2)
    known = {"Split", "ByteLevel"}
    other = [step["type"] for step in steps if step["type"] not in known]
    if len(patterns) == 1 and not other and patterns[0] in PRE_TOKENIZERS:
        return PRE_TOKENIZERS[patterns[0]]
    shown = " then ".join([*other, *patterns]) or "nothing"
    raise DataError(
        f"splits words in a way that llama.cpp does not have: {shown}", path=path,
        hint=f"it has those of {', '.join(PRE_TOKENIZERS.values())}",
    )  # fmt: skip


def _as_sentencepiece(tokens: list[str], merges: list[str], described: dict[str, Any]) -> Words:
    """Turn SentencePiece BPE in JSON form back: the first merge that makes a piece ranks it."""
    words = _words("llama", "default", tokens)
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault(merge.replace(" ", "", 1), rank)
    # Pieces that no merge makes (single characters) rank last, in the order of their ids.
    count = len(merges)
    words.scores = [
        float(-ranks[text]) if text in ranks else float(-count - index)
        for index, text in enumerate(tokens)
    ]
    for index, text in enumerate(tokens):
        if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            words.types[index] = int(PieceType.BYTE)
        elif text == described["model"].get("unk_token"):
            words.types[index] = int(PieceType.UNKNOWN)
            words.special["unknown"] = index
    steps = [*_flatten(described.get("normalizer")), *_flatten(described.get("pre_tokenizer"))]
    words.add_space_prefix = any(
        step["type"] == "Prepend" or step.get("prepend_scheme", "never") != "never"
        for step in steps
    )
    return words


def read_tekken(path: Path) -> Words:
    """Read Mistral's tekken.json: special tokens first, then byte sequences by rank.

    Raises:
        DataError: It is damaged, or splits words in another way than Tekken.
    """
    described = read_json(path)
    try:
        config = described["config"]
        specials = int(config["default_num_special_tokens"])
        ranked = int(config["default_vocab_size"]) - specials
        pieces = [base64.b64decode(entry["token_bytes"]) for entry in described["vocab"][:ranked]]
        named = {int(t["rank"]): str(t["token_str"]) for t in described.get("special_tokens") or []}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("is not a tekken.json that norcli understands", path=path) from error
    if PRE_TOKENIZERS.get(config.get("pattern")) != "tekken":
        raise DataError("splits words in another way than Tekken does", path=path)
    default = {0: "<unk>", 1: "<s>", 2: "</s>", 3: "[INST]", 4: "[/INST]"}
    names = [named.get(i, default.get(i, f"<SPECIAL_{i}>")) for i in range(specials)]
    letters = byte_letters()
    shown = ["".join(letters[byte] for byte in piece) for piece in pieces]
    words = _words("gpt2", "tekken", [*names, *shown])
    words.types[:specials] = [int(PieceType.CONTROL)] * specials
    words.merges = _merges_from_ranks(pieces, shown)
    ids = {name: names.index(text) for name, text in
           (("unknown", "<unk>"), ("bos", "<s>"), ("eos", "</s>"), ("padding", "<pad>"))
           if text in names}  # fmt: skip
    words.special = ids
    return words


def _merges_from_ranks(pieces: list[bytes], shown: list[str]) -> list[str]:
    """Rebuild merges: every split of a piece into two pieces, in the order of the piece's rank."""
    rank_of = {piece: rank for rank, piece in enumerate(pieces)}
    merges: list[str] = []
    for piece in pieces:
        splits = []
        for cut in range(1, len(piece)):
            left, right = rank_of.get(piece[:cut]), rank_of.get(piece[cut:])
            if left is not None and right is not None:
                splits.append((left, right))
        merges += [f"{shown[left]} {shown[right]}" for left, right in sorted(splits)]
    return merges
