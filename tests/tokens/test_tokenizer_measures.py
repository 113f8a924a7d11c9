"""The measures of a tokenizer, counted by hand on small texts."""

from __future__ import annotations

from norcli.tokens.huggingface import SentencePieceTokenizer
from norcli.tokens.measure import measure, unreachable_pieces, unused_pieces


def test_counts_of_a_text(tokenizer: SentencePieceTokenizer) -> None:
    fit = measure(tokenizer, [("nob", "Fjellet lå\nstille")])
    counts = fit.languages["nob"]
    ids = tokenizer.encode("Fjellet lå\nstille")
    assert counts.words == 3
    assert counts.tokens == len(ids)
    assert counts.bytes == 18
    assert counts.byte_tokens == 0  # the line break is a byte, but no fallback
    assert counts.changed_texts == 0
    assert counts.fertility == len(ids) / 3


def test_unknown_letters_count_as_bytes(tokenizer: SentencePieceTokenizer) -> None:
    counts = measure(tokenizer, [("und", "中")]).languages["und"]
    assert counts.byte_tokens == 3


def test_a_text_that_changes_is_counted(tokenizer: SentencePieceTokenizer) -> None:
    counts = measure(tokenizer, [("und", "a▁b"), ("und", "ab")]).languages["und"]
    assert counts.changed_texts == 1


def test_pieces_not_seen_are_unused(tokenizer: SentencePieceTokenizer) -> None:
    normal = tokenizer.vocab_size - 3 - 256
    assert len(unused_pieces(tokenizer, ["a"])) == normal - 1
    seen = set(tokenizer.encode("Fjorden låg blank."))
    unused = unused_pieces(tokenizer, ["Fjorden", "Fjorden låg blank."])
    assert not seen & set(unused)
    assert len(unused) == normal - len(seen | set(tokenizer.encode("Fjorden")))
    assert unreachable_pieces(tokenizer) == []


def test_the_table_has_a_line_per_language(tokenizer: SentencePieceTokenizer) -> None:
    lines = measure(tokenizer, [("nob", "ja"), ("nno", "nei")]).table()
    assert [line.split()[0] for line in lines[:3]] == ["language", "nno", "nob"]
    assert len({len(line) for line in lines[:3]}) == 1
