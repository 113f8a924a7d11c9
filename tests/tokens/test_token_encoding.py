"""Encoding word by word gives the ids of whole texts, for any text."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizer_texts import documents

from norcli.tokens import encode
from norcli.tokens.encode import CorpusEncoder, can_cut_at_words
from norcli.tokens.huggingface import SentencePieceTokenizer

ODD = st.text(alphabet=st.sampled_from("abcæøå  \n\n\t\0▁.19😀</s>"), max_size=40)


@pytest.fixture(scope="module")
def encoder(tokenizer: SentencePieceTokenizer) -> CorpusEncoder:
    # One for all examples, so that words met before and after each other are tried as well.
    found = CorpusEncoder(tokenizer, eos_id=2)
    assert found.by_word
    return found


@given(st.lists(st.one_of(ODD, st.text(st.characters(codec="utf-8"), max_size=40)), max_size=5))
@example(["a \nb ", " \n", "\n ", "a  \nb", "a \n\nb  ", " ", "  ", "\n", "a\n\n b "])
@example([" a", "\na", "a\n b", "a \nb", "a ", "a\n", "", "\0", "a\0b", "\0a"])
def test_ids_are_those_of_whole_texts(encoder: CorpusEncoder, texts: list[str]) -> None:
    tokens, lengths = encoder.encode(texts)
    ends = [0, *np.cumsum(lengths).tolist()]
    got = [tokens[start:stop].tolist() for start, stop in pairwise(ends)]
    assert got == [[*encoder.tokenizer.encode(text), 2] for text in texts]
    assert tokens.dtype == np.uint16


@pytest.mark.parametrize("by_word", [True, False])
def test_both_ways_frame_documents(tokenizer: SentencePieceTokenizer, by_word: bool) -> None:
    encoder = CorpusEncoder(tokenizer, eos_id=2, bos_id=1, by_word=by_word)
    tokens, lengths = encoder.encode(["Fjorden låg blank.", ""])
    assert tokens.tolist() == [1, *tokenizer.encode("Fjorden låg blank."), 2, 1, 2]
    assert lengths.tolist() == [len(tokens) - 2, 2]


def test_the_table_of_words_stays_bounded(
    tokenizer: SentencePieceTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_MOST_WORDS", 20)
    encoder = CorpusEncoder(tokenizer, eos_id=2)
    for record in documents(30):
        tokens, _ = encoder.encode([record["text"]])
        assert tokens.tolist() == [*tokenizer.encode(record["text"]), 2]
        assert len(encoder._words) < 200


@pytest.mark.parametrize(
    "more",
    [
        {"add_dummy_prefix": False, "normalization_rule_name": "identity"},
        {"split_by_whitespace": False, "normalization_rule_name": "identity"},
        {"normalization_rule_name": "nmt_nfkc"},
    ],
    ids=["no-prefix", "over-words", "nfkc"],
)
def test_other_models_are_encoded_whole(more: dict[str, object], tmp_path_factory: object) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([record["text"].split("\n")[0] for record in documents(300)]),
        model_writer=model, vocab_size=600, model_type="bpe", byte_fallback=True, minloglevel=2,
        **more,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("m") / "other.model"  # type: ignore[attr-defined]
    path.write_bytes(model.getvalue())
    other = SentencePieceTokenizer(path)
    assert not can_cut_at_words(other)
    tokens, _ = CorpusEncoder(other, eos_id=2).encode(["Fjorden låg  blank.\nJa"])
    assert tokens.tolist() == [*other.encode("Fjorden låg  blank.\nJa"), 2]
