"""Write a SentencePiece BPE model as Hugging Face tokenizer files that give the same ids.

The last step of ``norcli tokenize-train`` (report, 3.2). The vocabulary and merges are derived
from the pieces' scores, and nothing is written unless sentencepiece and tokenizers agree on every
text of a check: libraries that rebuild merges by other rules are known to give other ids.
Unigram models and models with equal scores cannot be expressed and are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from norcli.errors import DataError
from norcli.tokens.huggingface import CONFIG_FILE, JSON_FILE, MODEL_FILE, SentencePieceTokenizer

SPECIAL_TOKENS_FILE = "special_tokens_map.json"
SPACE = "▁"
# Where implementations differ first: spaces, breaks, marks, bytes, scripts, the space sign itself.
EDGE_TEXTS = (
    "", " ", "  ", "a", " a", "  a", "a ", "a  b", "a   b    c", "\t", "\ta", "a\tb", "\n", "\n\n",
    "a\nb", "a\n b", "a \nb", "\r\n", "a\u00a0b", "\u00a0", "\u2009x", "½ ﬁ ﬀ ²", "e\u0301 a\u030a",
    "Å\u030a", "æøåÆØÅ äöüß", "Čállit ja lohkat: áčđŋšŧž ÁČĐŊŠŦŽ", "gïele vuelie åarjelsaemien",
    "🇳🇴 👩‍👩‍👧 😀", "中文 日本語", "עברית العربية", "1234567890 3,14 10 000", "kr 1 234,50–2 000",
    "«Hei,» sa hun – «nå…»", "http://www.example.no/æ?b=1&c=2", "a_b-c/d\\e", "▁", "a▁b", "\u200b",
    "\ufeffx", "\u0000", "\u0001a", "x" * 300, "ab " * 100,
)  # fmt: skip


def tokenizer_json(tokenizer: SentencePieceTokenizer) -> str:
    """Return the tokenizer.json of a SentencePiece BPE model.

    Raises:
        DataError: Scores are not distinct, so that merges cannot be ordered.
    """
    from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers
    from tokenizers import Tokenizer as Backend
    from tokenizers.models import BPE

    processor = tokenizer.processor
    pieces = [tokenizer.piece(i) for i in range(tokenizer.vocab_size)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    special = [i for i in range(len(pieces)) if processor.is_control(i) or processor.is_unknown(i)]
    unknown = pieces[tokenizer.unk_id] if tokenizer.unk_id is not None else None
    model = BPE(
        vocab=vocab, merges=_merges(tokenizer, pieces, vocab), unk_token=unknown,
        fuse_unk=True, byte_fallback=True,
    )  # fmt: skip
    backend = Backend(model)
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    if not has_inner_space(pieces):
        # Merges never reach over a word's beginning, so that cutting there changes nothing but
        # the time that long texts take.
        backend.pre_tokenizer = pre_tokenizers.Split(
            Regex(f"{SPACE}+[^{SPACE}]*|[^{SPACE}]+"), "isolated"
        )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens(
        [AddedToken(pieces[i], special=True, normalized=False) for i in special]
    )
    return str(backend.to_str(pretty=False))


def has_inner_space(pieces: Iterable[str]) -> bool:
    """Return whether a piece goes over the beginning of a word (``a▁b``)."""
    return any(SPACE in piece.lstrip(SPACE) for piece in pieces)


def _merges(
    tokenizer: SentencePieceTokenizer, pieces: list[str], vocab: dict[str, int]
) -> list[tuple[str, str]]:
    """Return every way to put a piece together from two, best score first.

    SentencePiece merges the neighbours whose joint piece has the best score, whatever two they
    are; BPE by merges needs all those pairs listed, in the order of that score.
    """
    processor = tokenizer.processor
    ranked: list[tuple[float, int, int, tuple[str, str]]] = []
    scores: dict[float, str] = {}
    for index, piece in enumerate(pieces):
        if len(piece) < 2 or not _is_normal(processor, index):
            continue
        score = float(processor.get_score(index))
        before = len(ranked)
        for cut in range(1, len(piece)):
            left, right = vocab.get(piece[:cut]), vocab.get(piece[cut:])
            if left is None or right is None:
                continue
            if _is_normal(processor, left) and _is_normal(processor, right):
                ranked.append((-score, left, right, (piece[:cut], piece[cut:])))
        if len(ranked) > before and scores.setdefault(score, piece) != piece:
            raise DataError(
                f'pieces "{scores[score]}" and "{piece}" have one score: no merges can express it',
                path=tokenizer.path,
            )
    return [pair for *_, pair in sorted(ranked)]


def _is_normal(processor: Any, index: int) -> bool:
    return not (
        processor.is_control(index) or processor.is_unknown(index) or processor.is_byte(index)
    )


def check_equal(tokenizer: SentencePieceTokenizer, description: str, texts: Iterable[str]) -> int:
    """Check that tokenizers gives the ids of sentencepiece, and the text back.

    Args:
        tokenizer: The SentencePiece side.
        description: The tokenizer.json.
        texts: What to compare; the edge texts are compared in any case.

    Returns:
        The number of texts compared.

    Raises:
        DataError: A text gets other ids or another text back; nothing may be written then.
    """
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(description)
    compared = 0
    for text in (*EDGE_TEXTS, *texts):
        ids = tokenizer.encode(text)
        other = backend.encode(text, add_special_tokens=False).ids
        if ids != other:
            raise DataError(
                f"sentencepiece and tokenizers disagree on {text[:60]!r}: nothing was written",
                path=tokenizer.path,
            )
        if tokenizer.decode(ids) != backend.decode(other):
            raise DataError(
                f"{text[:60]!r} decodes to two texts: nothing was written", path=tokenizer.path
            )
        compared += 1
    return compared


def special_tokens(tokenizer: SentencePieceTokenizer) -> dict[str, str]:
    """Return the special pieces under the names Hugging Face uses."""
    named = {
        "bos_token": tokenizer.bos_id,
        "eos_token": tokenizer.eos_id,
        "unk_token": tokenizer.unk_id,
        "pad_token": tokenizer.pad_id,
    }
    return {name: tokenizer.piece(index) for name, index in named.items() if index is not None}


def write_tokenizer(model: bytes, directory: Path, check_texts: Iterable[str]) -> int:
    """Write tokenizer.model and the Hugging Face files beside it.

    Args:
        model: A SentencePiece BPE model.
        directory: An existing directory.
        check_texts: Texts on which both must agree before anything but the model is written.

    Returns:
        The number of texts compared.

    Raises:
        DataError: The model cannot be expressed, or the check failed.
    """
    path = directory / MODEL_FILE
    path.write_bytes(model)
    tokenizer = SentencePieceTokenizer(path)
    description = tokenizer_json(tokenizer)
    compared = check_equal(tokenizer, description, check_texts)
    (directory / JSON_FILE).write_text(description, "utf-8")
    specials = special_tokens(tokenizer)
    settings: dict[str, Any] = {
        # The class that takes tokenizer.json as it is: LlamaTokenizer would rebuild the merges
        # from the order of the vocabulary and give other ids.
        "tokenizer_class": "PreTrainedTokenizerFast",
        **specials,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    _write_json(directory / CONFIG_FILE, settings)
    _write_json(directory / SPECIAL_TOKENS_FILE, specials)
    return compared


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
