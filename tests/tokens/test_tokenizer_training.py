"""Training a tokenizer: what is written, what is refused, what it does with real letters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, UsageError
from norcli.tokens.huggingface import SentencePieceTokenizer, load_tokenizer
from norcli.tokens.options import TokenizeTrainOptions
from norcli.tokens.train import default_required_chars, train_tokenizer


def options_for(corpus: Path, output: Path, **more: object) -> TokenizeTrainOptions:
    values: dict[str, object] = {"inputs": [str(corpus)], "output": str(output), "vocab_size": 800}
    return TokenizeTrainOptions(**(values | more))  # type: ignore[arg-type]


def test_writes_the_model_and_hugging_face_files(tokenizer_dir: Path) -> None:
    assert sorted(path.name for path in tokenizer_dir.iterdir()) == [
        "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    ]  # fmt: skip


def test_special_pieces_have_their_ids(tokenizer: SentencePieceTokenizer) -> None:
    assert (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert tokenizer.pad_id is None
    assert [tokenizer.piece(i) for i in range(3)] == ["<unk>", "<s>", "</s>"]
    assert tokenizer.vocab_size == 800


def test_the_same_input_gives_the_same_bytes_for_any_jobs(
    corpus: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    train_tokenizer(options_for(corpus, tmp_path / "again", jobs=3), Console.silent())
    for file in tokenizer_dir.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


@given(st.text(max_size=200))
def test_every_text_comes_back(tokenizer: SentencePieceTokenizer, text: str) -> None:
    # The sign for a space is the one character that cannot be told from what it stands for.
    text = text.replace("▁", "").encode("utf-8", "replace").decode("utf-8")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_letters_of_the_region_are_no_bytes(tokenizer: SentencePieceTokenizer) -> None:
    for letter in "æøåÆØÅáčđŋšŧžäöü":
        ids = tokenizer.encode(letter)
        assert not any(tokenizer.processor.is_byte(i) for i in ids), letter


def test_digits_are_single_pieces(tokenizer: SentencePieceTokenizer) -> None:
    assert [tokenizer.piece(i) for i in tokenizer.encode("1905")] == ["▁", "1", "9", "0", "5"]


def test_a_padding_piece_on_request(corpus: Path, tmp_path: Path) -> None:
    train_tokenizer(options_for(corpus, tmp_path / "t", pad=True), Console.silent())
    loaded = load_tokenizer(tmp_path / "t")
    assert loaded.pad_id == 3
    assert loaded.piece(3) == "<pad>"


def test_a_vocabulary_too_large_names_the_largest_that_works(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"larger than the text allows: at most \d+") as caught:
        train_tokenizer(options_for(corpus, tmp_path / "t", vocab_size=50_000), Console.silent())
    assert not (tmp_path / "t").exists()
    most = int(re.findall(r"at most (\d+)", caught.value.message)[0])
    assert f"--vocab-size {most}" in str(caught.value.hint)
    trained = train_tokenizer(options_for(corpus, tmp_path / "t", vocab_size=most),
                              Console.silent())  # fmt: skip
    assert trained.vocab_size == most
    with pytest.raises(DataError, match="larger than the text allows"):
        train_tokenizer(options_for(corpus, tmp_path / "u", vocab_size=most + 1), Console.silent())


def test_a_vocabulary_too_small_names_the_smallest(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"too small .*: at least \d+ pieces"):
        train_tokenizer(options_for(corpus, tmp_path / "t", vocab_size=300), Console.silent())


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": ""}\n', '{"text": " \\n "}\n'])
def test_no_text_is_bad_data(content: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text(content)
    with pytest.raises(DataError, match="no text to train on"):
        train_tokenizer(options_for(empty, tmp_path / "t"), Console.silent())


def test_an_existing_output_is_refused_before_work(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotCreateError):
        train_tokenizer(options_for(corpus, tmp_path), Console.silent())


def test_mix_and_temperature_exclude_each_other(corpus: Path, tmp_path: Path) -> None:
    options = options_for(corpus, tmp_path / "t", mix=["nob=1"], temperature=2.0)
    with pytest.raises(UsageError):
        train_tokenizer(options, Console.silent())


def test_long_lines_are_learnt_from(
    corpus: Path, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    # SentencePiece by itself leaves out lines above 4192 bytes.
    line = "kvernsteinsmuseum og " * 2000
    path = tmp_path / "long.jsonl"
    path.write_text(corpus.read_text(encoding="utf-8") + '{"text": "' + line + '"}\n')
    train_tokenizer(options_for(path, tmp_path / "t"), Console.silent())
    assert len(tokenizer.encode("kvernsteinsmuseum")) > 5
    assert len(load_tokenizer(tmp_path / "t").encode("kvernsteinsmuseum")) <= 2


def test_a_line_without_spaces_is_no_trouble(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text(corpus.read_text(encoding="utf-8") + '{"text": "' + "æ" * 200_000 + '"}\n')
    trained = train_tokenizer(options_for(path, tmp_path / "t"), Console.silent())
    assert trained.sample.bytes > 400_000


def test_sentencepiece_does_not_write_to_the_terminal(
    corpus: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_tokenizer(options_for(corpus, tmp_path / "t"), Console.silent())
    with pytest.raises(DataError):
        train_tokenizer(options_for(corpus, tmp_path / "u", vocab_size=9000), Console.silent())
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_the_report_has_measures_per_language(corpus: Path, tmp_path: Path) -> None:
    trained = train_tokenizer(options_for(corpus, tmp_path / "t"), Console.silent())
    report = trained.as_dict()
    languages = report["measures"]["languages"]
    assert set(languages) == {"nob", "nno", "sme", "swe", "eng"}
    assert all(1 <= fit["tokens_per_word"] < 5 for fit in languages.values())
    assert all(fit["changed_texts"] == 0 for fit in languages.values())
    assert report["texts_compared_with_tokenizers"] > 40
    assert report["measures"]["unreachable_pieces"] == 0


def test_measures_come_from_other_files_on_request(corpus: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.jsonl"
    held_out.write_text('{"text": "Båten glei mot land.", "lang": "nn"}\n', encoding="utf-8")
    options = options_for(corpus, tmp_path / "t", measure_on=[str(held_out)])
    fit = train_tokenizer(options, Console.silent()).fit
    assert set(fit.languages) == {"nno"}
    assert fit.languages["nno"].words == 4


def test_default_characters_grow_with_the_vocabulary() -> None:
    assert set(default_required_chars(2048)) < set(default_required_chars(64_000))
    assert set("æøåÆØÅáčđŋšŧžäöü") <= set(default_required_chars(300))
