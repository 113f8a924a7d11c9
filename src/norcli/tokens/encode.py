"""Turn documents into framed token arrays, fast and with the ids of the plain tokenizer.

The inner part of ``norcli tokenize``. SentencePiece slows down with the length of a text and does
the same words again and again; where the pieces of a model never reach over the beginning of a
word, a text may be cut there, and each distinct word is encoded once. `CorpusEncoder` proves that
about a model before it does so, and otherwise encodes whole texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.formats.shards import token_dtype
from norcli.tokens.export import SPACE, has_inner_space
from norcli.tokens.huggingface import SentencePieceTokenizer, Tokenizer

Ids = npt.NDArray[Any]

# A place where a text may be cut: one space with no space beside it.
_CUT = re.compile(r"(?<=[^ ]) (?=[^ ])")
# Marks, in front of a word, that a line break precedes it; texts that hold it go another way.
_BREAK = "\0"
_MOST_WORDS = 400_000
_MOST_CHARACTERS = 32 << 20
_PROBES = ("½  ﬁ\u00a0x ", " a\tb", "\nx\n\ny", "a  b \n c", "<s> </s>", "e\u0301")


class _Words(dict[Any, int]):
    """Numbers words in the order they are first met, and remembers those not yet encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[Any] = []

    def __missing__(self, word: Any) -> int:
        number = self[word] = len(self)
        self.new.append(word)
        return number


class CorpusEncoder:
    """Encode batches of documents, each framed by its begin and end ids.

    Args:
        tokenizer: The tokenizer; its ids are given exactly.
        eos_id: Id after each document.
        bos_id: Id before each document, None for none.
        by_word: False encodes whole texts, for comparison.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        eos_id: int,
        bos_id: int | None = None,
        by_word: bool = True,
    ) -> None:
        self.tokenizer = tokenizer
        self.eos_id = eos_id
        self.bos_id = bos_id
        self.dtype = token_dtype(tokenizer.vocab_size)
        self.by_word = by_word and can_cut_at_words(tokenizer)
        self._begin_words()

    def _begin_words(self) -> None:
        # The first numbers stand for the frame, so that framing costs nothing more, and for the
        # empty word: a space with no letter after it.
        space = self.tokenizer.encode("\n")[:1] if self.by_word else []
        known = [[] if self.bos_id is None else [self.bos_id], [self.eos_id], space]
        self._words = _Words()
        self._words.update({_Frame.BEGIN: 0, _Frame.END: 1, "": 2})
        self._ids: Ids = np.array(list(chain(*known)), self.dtype)
        self._lengths: Ids = np.array([len(ids) for ids in known], np.int64)
        self._starts: Ids = np.cumsum(self._lengths) - self._lengths
        self._characters = 0

    def encode(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """Encode a batch.

        Returns:
            The framed documents end to end, in uint16 or uint32, and the tokens of each.
        """
        if not self.by_word:
            return self._encode_whole(texts)
        words: list[Any] = []
        counts = []
        for text in texts:
            before = len(words)
            words.append(_Frame.BEGIN)
            words += _split(text)
            words.append(_Frame.END)
            counts.append(len(words) - before)
        if len(self._words) > _MOST_WORDS or self._characters > _MOST_CHARACTERS:
            self._begin_words()
        numbers = np.fromiter(map(self._words.__getitem__, words), np.int64, len(words))
        if self._words.new:
            self._learn(self._words.new)
            self._words.new = []
        lengths = self._lengths[numbers]
        ends = np.cumsum(lengths)
        where = np.repeat(self._starts[numbers] - (ends - lengths), lengths)
        where += np.arange(len(where))
        document_ends = ends[np.cumsum(counts) - 1] if counts else np.empty(0, np.int64)
        return self._ids[where], np.diff(document_ends, prepend=0)

    def _learn(self, words: list[Any]) -> None:
        """Encode words met for the first time and add them to the table."""
        texts = [_text_of(word) for word in words]
        self._characters += sum(map(len, texts))
        encoded = self.tokenizer.encode_batch(texts)
        for index, word in enumerate(words):
            if isinstance(word, str) and word.startswith(_BREAK):
                # The text was encoded with its break, so that the word gets no space sign.
                encoded[index] = encoded[index][1:]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        ids = np.fromiter(chain.from_iterable(encoded), self.dtype, int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths + len(self._ids)
        self._ids = np.concatenate([self._ids, ids])
        self._lengths = np.concatenate([self._lengths, lengths])
        self._starts = np.concatenate([self._starts, starts])

    def _encode_whole(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        before = [] if self.bos_id is None else [self.bos_id]
        framed = [[*before, *ids, self.eos_id] for ids in self.tokenizer.encode_batch(list(texts))]
        lengths = np.fromiter(map(len, framed), np.int64, len(framed))
        ids = np.fromiter(chain.from_iterable(framed), self.dtype, int(lengths.sum()))
        return ids, lengths


class _Frame:
    """Keys of the begin and end ids among the words; no text equals them."""

    BEGIN = object()
    END = object()


def _split(text: str) -> list[Any]:
    """Cut a text into keys of words; their ids one after another are those of the text."""
    if not text:
        return []
    if SPACE in text or _BREAK in text:
        # A space sign that is written out joins spaces beside it.
        return [(text,)]
    if "  " in text or text[0] == " ":
        # A run of spaces belongs to the word after it; breaks stay inside such words.
        return _CUT.split(text)
    # What is left of a single space before a break, or at the end, is the empty word.
    return text.replace("\n", " " + _BREAK).split(" ")


def _text_of(word: Any) -> str:
    if isinstance(word, tuple):
        return str(word[0])
    return "\n" + word[1:] if word.startswith(_BREAK) else str(word)


def can_cut_at_words(tokenizer: Tokenizer) -> bool:
    """Return whether words may be encoded one by one with the ids of the whole text.

    True for a SentencePiece model that puts a space sign before the text, changes no character,
    has no piece over the beginning of a word, and makes a line break a byte of its own.
    """
    if not isinstance(tokenizer, SentencePieceTokenizer):
        return False
    pieces = [tokenizer.piece(index) for index in range(tokenizer.vocab_size)]
    if has_inner_space(pieces) or any("\n" in piece for piece in pieces):
        return False
    if any(tokenizer.decode(tokenizer.encode(probe)) != probe for probe in _PROBES):
        return False
    processor = tokenizer.processor
    prefix, line_break = processor.piece_to_id("▁"), processor.piece_to_id("<0x0A>")
    return bool(processor.is_byte(line_break) and tokenizer.encode("\n") == [prefix, line_break])
