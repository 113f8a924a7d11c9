"""How well a tokenizer fits a language: fertility, bytes per token, bytes left over, dead pieces.

Printed by ``norcli tokenize-train`` (report, 3.2: vocabularies of 64k to 158k pieces). Words are
what stands between white space. It measures; it does not train.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from norcli.tokens.encode import CorpusEncoder
from norcli.tokens.huggingface import SentencePieceTokenizer

_NEWLINE_BYTE = "<0x0A>"
_BATCH_LINES = 2000


@dataclass
class LanguageFit:
    """Counts of one language, and the ratios made from them.

    Args:
        texts: Texts measured.
        bytes: Their UTF-8 bytes.
        words: Their words.
        tokens: Their tokens.
        byte_tokens: Tokens that are single bytes, line breaks and tabs not counted.
        single_token_words: Words that are one token.
        changed_texts: Texts that do not come back as they were.
    """

    texts: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0
    byte_tokens: int = 0
    single_token_words: int = 0
    changed_texts: int = 0

    @property
    def fertility(self) -> float:
        """Tokens per word; lower is better."""
        return self.tokens / max(self.words, 1)

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes per token; higher is better."""
        return self.bytes / max(self.tokens, 1)

    @property
    def byte_share(self) -> float:
        """Share of tokens that are byte fallback."""
        return self.byte_tokens / max(self.tokens, 1)

    @property
    def single_share(self) -> float:
        """Share of words that are a single token."""
        return self.single_token_words / max(self.words, 1)

    def as_dict(self) -> dict[str, Any]:
        """Return counts and ratios for JSON."""
        return asdict(self) | {
            "tokens_per_word": round(self.fertility, 4),
            "bytes_per_token": round(self.bytes_per_token, 4),
            "byte_fallback_share": round(self.byte_share, 6),
            "single_token_word_share": round(self.single_share, 4),
        }


@dataclass
class TokenizerFit:
    """What was measured of a tokenizer.

    Args:
        languages: Per language.
        unused_pieces: Normal pieces that no text of the sample produced; see `unused_pieces`.
        unreachable_pieces: Normal pieces that not even their own spelling produces.
        vocab_size: All pieces.
    """

    languages: dict[str, LanguageFit] = field(default_factory=dict)
    unused_pieces: int = 0
    unreachable_pieces: int = 0
    vocab_size: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "vocab_size": self.vocab_size,
            "unused_pieces": self.unused_pieces,
            "unreachable_pieces": self.unreachable_pieces,
            "languages": {name: fit.as_dict() for name, fit in sorted(self.languages.items())},
        }

    def table(self) -> list[str]:
        """Return the measures as aligned lines for a person."""
        head = ("language", "texts", "tokens/word", "bytes/token", "one-token words",
                "byte fallback", "changed")  # fmt: skip
        rows = [head]
        for name, fit in sorted(self.languages.items()):
            rows.append((
                name, str(fit.texts), f"{fit.fertility:.3f}", f"{fit.bytes_per_token:.3f}",
                f"{fit.single_share:.1%}", f"{fit.byte_share:.3%}", str(fit.changed_texts),
            ))  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells))
        lines.append(
            f"{self.vocab_size} pieces, {self.unused_pieces} of them not used by the sample, "
            f"{self.unreachable_pieces} unreachable"
        )
        return lines


def measure(tokenizer: SentencePieceTokenizer, texts: Iterable[tuple[str, str]]) -> TokenizerFit:
    """Measure a tokenizer on (language, text) pairs."""
    processor = tokenizer.processor
    fit = TokenizerFit(vocab_size=tokenizer.vocab_size)
    white = {processor.piece_to_id(piece) for piece in (_NEWLINE_BYTE, "<0x09>", "<0x0D>")}
    bytes_of = {i for i in range(tokenizer.vocab_size) if processor.is_byte(i)} - white
    word_tokens: dict[str, int] = {}
    for language, text in texts:
        counts = fit.languages.setdefault(language, LanguageFit())
        ids = tokenizer.encode(text)
        counts.texts += 1
        counts.bytes += len(text.encode("utf-8"))
        counts.tokens += len(ids)
        counts.byte_tokens += sum(index in bytes_of for index in ids)
        counts.changed_texts += tokenizer.decode(ids) != text
        words = text.split()
        counts.words += len(words)
        for word in words:
            if word not in word_tokens:
                word_tokens[word] = len(tokenizer.encode(word))
            counts.single_token_words += word_tokens[word] == 1
    fit.unreachable_pieces = len(unreachable_pieces(tokenizer))
    return fit


def unused_pieces(tokenizer: SentencePieceTokenizer, lines: Iterable[str]) -> list[int]:
    """Return the normal pieces that no line produces: rows of the embedding that learn nothing."""
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    encoder = CorpusEncoder(tokenizer, eos_id=tokenizer.eos_id or 0)
    iterator = iter(lines)
    while batch := list(islice(iterator, _BATCH_LINES)):
        counts += np.bincount(encoder.encode(batch)[0], minlength=tokenizer.vocab_size)
    processor = tokenizer.processor
    return [
        index
        for index in range(tokenizer.vocab_size)
        if not counts[index] and _is_normal(processor, index)
    ]


def unreachable_pieces(tokenizer: SentencePieceTokenizer) -> list[int]:
    """Return the normal pieces that their own spelling does not produce.

    A line break before the spelling keeps the beginning-of-word sign off it: a break is a byte
    piece that merges with nothing.
    """
    processor = tokenizer.processor
    normal = [index for index in range(tokenizer.vocab_size) if _is_normal(processor, index)]
    spellings = ["\n" + tokenizer.piece(index).replace("▁", " ") for index in normal]
    encoded = tokenizer.encode_batch(spellings)
    return [index for index, ids in zip(normal, encoded, strict=True) if ids[2:] != [index]]


def _is_normal(processor: Any, index: int) -> bool:
    return not (
        processor.is_control(index) or processor.is_unknown(index) or processor.is_byte(index)
    )
