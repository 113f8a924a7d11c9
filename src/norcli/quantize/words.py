"""The words of a vocabulary in GGUF's form, and how added tokens and padding join them.

Filled by `vocabulary` and `byte_pair_vocabulary` from the source's files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from norcli.quantize.sentencepiece_model import PieceType

META_SPACE = "▁"


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token added to a vocabulary after its training."""

    id: int
    text: str
    special: bool


@dataclass
class Words:
    """A vocabulary.

    Attributes:
        model: GGUF's name of the algorithm: ``llama`` (SentencePiece BPE), ``t5`` (unigram),
            ``gpt2`` (byte-level BPE).
        pre: GGUF's name of the splitting into words before BPE.
        tokens: Words as bytes, the index is the id.
        types: `PieceType` of each.
        scores: Scores of SentencePiece, None for byte-level BPE.
        merges: Pairs of byte-level BPE in order of rank, None for SentencePiece.
        special: Ids the source itself names.
        add_space_prefix: Whether a space is put before the text; None for llama.cpp's default.
        remove_extra_whitespaces: Whether runs of spaces are folded; unigram only.
        charsmap: Compiled normalization rules; unigram only.
        warnings: What llama.cpp is known to tokenize differently.
    """

    model: str
    pre: str
    tokens: list[bytes]
    types: list[int]
    scores: list[float] | None = None
    merges: list[str] | None = None
    special: dict[str, int] = field(default_factory=dict)
    add_space_prefix: bool | None = None
    remove_extra_whitespaces: bool | None = None
    charsmap: bytes = b""
    warnings: list[str] = field(default_factory=list)

    def index_of(self, text: str) -> int | None:
        """Return the id of a word, None where it is not in the vocabulary."""
        try:
            return self.tokens.index(text.encode("utf-8"))
        except ValueError:
            return None

    def text_of(self, index: int) -> str:
        """Return the word of an id."""
        return self.tokens[index].decode("utf-8", errors="replace")

    def add(self, added: Iterable[AddedToken]) -> None:
        """Take in added tokens: new ids are appended, known ones get their kind."""
        for token in added:
            if token.id >= len(self.tokens):
                self._fill(token.id + 1, -1000.0)
            known = PieceType(self.types[token.id])
            text = token.text.encode("utf-8")
            if self.tokens[token.id] == text and known is not PieceType.NORMAL:
                continue
            kind = PieceType.CONTROL if token.special else PieceType.USER_DEFINED
            if kind is PieceType.USER_DEFINED:
                # llama.cpp looks for these in the text before spaces are replaced.
                text = token.text.replace(META_SPACE, " ").encode("utf-8")
            self.tokens[token.id] = text
            self.types[token.id] = int(kind)

    def pad(self, size: int, score: float) -> None:
        """Append unused words up to a size, as rows of the embedding without a word."""
        self._fill(size, score)

    def _fill(self, size: int, score: float) -> None:
        for index in range(len(self.tokens), size):
            self.tokens.append(f"[PAD{index}]".encode())
            self.types.append(int(PieceType.UNUSED))
            if self.scores is not None:
                self.scores.append(score)
