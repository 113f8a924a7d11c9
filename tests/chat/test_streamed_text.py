"""Text that streams token by token is the text of all tokens."""

from __future__ import annotations

import io
from collections.abc import Sequence

import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from norcli.chat.decoding import IncrementalDecoder


def decode_bytes(ids: Sequence[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_come_out_as_whole_characters(text: str) -> None:
    decoder = IncrementalDecoder(decode_bytes, [])
    pieces = [decoder.feed(byte) for byte in text.encode("utf-8")]
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) + decoder.flush() == text


def test_broken_bytes_are_not_held_for_ever() -> None:
    decoder = IncrementalDecoder(decode_bytes, [])
    pieces = [decoder.feed(0x80) for _ in range(10)]
    assert "".join(pieces) + decoder.flush() == "\ufffd" * 10
    assert any(pieces[:6])


def test_half_a_character_at_the_end_is_shown_as_broken() -> None:
    decoder = IncrementalDecoder(decode_bytes, [])
    assert decoder.feed(ord("a")) + decoder.feed("å".encode()[0]) == "a"
    assert decoder.flush() == "\ufffd"


def test_sentencepiece_keeps_its_spaces() -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["Svar: Glomma er Norges lengste elv"] * 9), model_writer=model,
        vocab_size=300, model_type="bpe", byte_fallback=True, minloglevel=2,
        hard_vocab_limit=False, normalization_rule_name="identity",
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    prompt = processor.encode("Svar:")
    ids = processor.encode("Glomma er Norges lengste elv på 621 km 👍")
    decoder = IncrementalDecoder(processor.decode, prompt)
    text = "".join(decoder.feed(token) for token in ids) + decoder.flush()
    assert text == " Glomma er Norges lengste elv på 621 km 👍"
