"""The proof of a vocabulary: llama.cpp tokenizes a probe as the source tokenizer does.

Made before any weight is read: a model of a few zeros stands in $TMPDIR with the real vocabulary,
llama.cpp loads it, and both tokenize Norwegian, Sámi, spaces, digits, code and symbols. Needs
xllamacpp (the extra ``chat``); without it the run says that nothing was proved.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from norcli.console import Console
from norcli.errors import DataError, NorcliError
from norcli.formats.gguf import GgmlType, Metadata, TensorInfo, write_gguf
from norcli.quantize.byte_pair_vocabulary import TEKKEN_PATTERN
from norcli.quantize.llama_library import LlamaModel
from norcli.quantize.sentencepiece_model import PieceType
from norcli.quantize.vocabulary import JSON_FILE, SENTENCEPIECE_FILE, Vocabulary
from norcli.streams import atomic_file

PROBE = (
    "Hva er Norges lengste elv? Det er Glomma, 621 kilometer.",
    "Kva heiter du? Eg kjem frå Ålesund – og du?",
    "Blåbærsyltetøy på brødskiva, «sa hun», 17. mai kl. 12.30!",
    "Čálán davvisámegiela: đ ŋ š ŧ ž Á Č",
    "Gïele vuelie åarjelsaemien jïh julevsámegiella ḥ ń",
    "  spaces  in   front, between and behind  ",
    "tab\there\nnew line\r\nand another\n\n\ntwo empty ones",
    "1234567890 3,14 -2.5e-3 ½ ¾ ² ﬁ ﬂ ℃",
    "10 000 kr, 1.234.567,89 og 50%–60 %",
    "emoji 😀 👍🏽 🇳🇴 and 日本語 текст עברית",
    'def f(x):\n    return {"a": [x + 1, x**2]}  # comment',
    "I'll we've DON'T it's o'clock",
    "https://www.regjeringen.no/nb/?q=språk&x=1_2",
    "e\u0301 combining, non\u00a0breaking, zero\u200bwidth",
    "x" * 40 + " " * 9 + "\n \n",
)
_HIDDEN, _INNER = 32, 32
_SHOWN = 5
_OWN_PIECES = 8

Encode = Callable[[str], Sequence[int]]


def prove_vocabulary(
    vocabulary: Vocabulary, directory: Path, allow_mismatch: bool, console: Console
) -> None:
    """Let llama.cpp tokenize the probe with a vocabulary and compare with its source.

    Args:
        vocabulary: As it will be written.
        directory: The model directory it comes from.
        allow_mismatch: Warn instead of refusing.
        console: Hears what is known and what was proved.

    Raises:
        DataError: A line is tokenized differently, or llama.cpp cannot load the vocabulary.
    """
    path = directory / vocabulary.source
    known = "; ".join(vocabulary.words.warnings)
    if find_spec("xllamacpp") is None:
        console.warn(
            f"{path}: not proved that llama.cpp tokenizes alike: xllamacpp is not installed"
            + (f"; known: {known}" if known else "")
        )
        return
    difference = _missing_bytes(vocabulary)
    if difference is None:
        difference = _first_difference(source_encoder(path), vocabulary)
    if difference is None:
        for warning in vocabulary.words.warnings:
            console.warn(f"{path}: {warning}")
        console.info(f"llama.cpp tokenizes {len(PROBE)} probe lines like {path.name}")
        return
    cause = f"{known}: " if known else ""
    if allow_mismatch:
        console.warn(f"{path}: {cause}{difference}")
        return
    raise DataError(
        f"{cause}{difference}", path=path,
        hint="--allow-tokenizer-mismatch writes the file nevertheless; its answers may be worse",
    )  # fmt: skip


def _missing_bytes(vocabulary: Vocabulary) -> str | None:
    """Say where llama.cpp would end the program: it takes byte pieces for given."""
    words = vocabulary.words
    if words.model != "llama" or PieceType.BYTE in words.types:
        return None
    return (
        "the vocabulary has no byte pieces (byte_fallback): llama.cpp crashes at the first "
        "character outside it"
    )


def _first_difference(wanted: Encode, vocabulary: Vocabulary) -> str | None:
    with tempfile.TemporaryDirectory(prefix="norcli-vocabulary-") as folder:
        path = str(Path(folder) / "vocabulary.gguf")
        write_stub(vocabulary, path)
        with LlamaModel(path, None, 1) as model:
            for line in (*PROBE, *_own_pieces(vocabulary)):
                first, second = list(wanted(line)), model.tokenize(line, special=False)
                if first != second:
                    return _describe(line, first, second, vocabulary)
    return None


def _own_pieces(vocabulary: Vocabulary) -> list[str]:
    """Return lines around pieces that the user defined."""
    words = vocabulary.words
    found = [i for i, kind in enumerate(words.types) if kind == PieceType.USER_DEFINED]
    return [f"før {words.text_of(i)}etter {words.text_of(i)} og" for i in found[:_OWN_PIECES]]


def _describe(line: str, first: list[int], second: list[int], vocabulary: Vocabulary) -> str:
    pairs = zip(first, second, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
    shown = [
        " ".join(repr(vocabulary.words.text_of(index)) for index in ids[place : place + _SHOWN])
        for ids in (first, second)
    ]
    return (
        f"llama.cpp tokenizes {line!r} differently from token {place + 1} on: "
        f"{shown[0] or 'nothing'} in the source, {shown[1] or 'nothing'} in the file"
    )


def write_stub(vocabulary: Vocabulary, path: str) -> None:
    """Write a Llama of one layer of zeros with a vocabulary."""
    rows = len(vocabulary.words.tokens)
    metadata = Metadata()
    metadata.text("general.architecture", "llama")
    for key, value in (("block_count", 1), ("context_length", 32), ("embedding_length", _HIDDEN),
                       ("feed_forward_length", _INNER), ("attention.head_count", 1),
                       ("rope.dimension_count", _HIDDEN), ("vocab_size", rows)):  # fmt: skip
        metadata.uint32(f"llama.{key}", value)
    metadata.float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    vocabulary.write(metadata)
    square, wide = (_HIDDEN, _HIDDEN), (_INNER, _HIDDEN)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (rows, _HIDDEN), "output_norm.weight": (_HIDDEN,),
        "blk.0.attn_norm.weight": (_HIDDEN,), "blk.0.ffn_norm.weight": (_HIDDEN,),
        **{f"blk.0.attn_{part}.weight": square for part in ("q", "k", "v", "output")},
        "blk.0.ffn_gate.weight": wide, "blk.0.ffn_up.weight": wide,
        "blk.0.ffn_down.weight": wide[::-1],
    }  # fmt: skip
    infos = [
        TensorInfo(name, shape, GgmlType.Q8_0 if len(shape) == 2 else GgmlType.F32)
        for name, shape in shapes.items()
    ]
    with atomic_file(path) as stream:
        write_gguf(stream, metadata, [(info, bytes(info.size_bytes)) for info in infos])


def source_encoder(path: Path) -> Encode:
    """Return the encoder of a tokenizer file, without special tokens.

    Raises:
        DataError: Its own library does not take it.
    """
    try:
        return _load_encoder(path)
    except NorcliError:
        raise
    except Exception as error:  # both libraries raise several kinds, the bare one among them
        raise DataError("cannot be loaded by the library it was made with", path=path,
                        hint="copy the tokenizer's files again") from error  # fmt: skip


def _load_encoder(path: Path) -> Encode:
    if path.name == SENTENCEPIECE_FILE:
        from sentencepiece import SentencePieceProcessor

        processor: Any = SentencePieceProcessor(model_proto=path.read_bytes())
        return lambda line: list(processor.encode(line))
    from tokenizers import Tokenizer

    if path.name == JSON_FILE:
        tokenizer: Any = Tokenizer.from_buffer(path.read_bytes())
    else:
        tokenizer = _tekken(path)
    return lambda line: list(tokenizer.encode(line, add_special_tokens=False).ids)


def _tekken(path: Path) -> Any:
    """Return Tekken as byte-level BPE of the tokenizers library, its merges from the ranks."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    from norcli.quantize.byte_pair_vocabulary import read_tekken

    words = read_tekken(path)
    vocab = {token.decode("utf-8"): index for index, token in enumerate(words.tokens)}
    merges: list[Any] = [tuple(merge.split(" ")) for merge in words.merges or []]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(TEKKEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer
