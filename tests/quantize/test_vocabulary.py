"""Vocabularies: every form the issue names converts with equal tokens, warns, or is refused."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llama_oracle import load
from small_models import PROBE, TEXT, train_sentencepiece

from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.gguf import GgufFile
from norcli.quantize.byte_pair_vocabulary import TEKKEN_PATTERN, read_tekken, read_tokenizer_json
from norcli.quantize.convert import quantize
from norcli.quantize.options import QuantizeOptions
from norcli.quantize.sentencepiece_model import read_sentencepiece_model

Model = Callable[[str], Path]


@pytest.fixture()
def directory(model: Model, tmp_path: Path) -> Path:
    """A small model without a tokenizer."""
    shutil.copytree(model("gpt2-192"), tmp_path / "m")
    (tmp_path / "m" / "tokenizer.model").unlink()
    return tmp_path / "m"


def converted(directory: Path) -> tuple[Any, Console]:
    """Convert and load; return llama.cpp's model and what was said."""
    console = Console.silent()
    path = directory.parent / "m.gguf"
    quantize(
        QuantizeOptions(model=str(directory), output=str(path), type=["Q8_0"], overwrite=True),
        console,
    )
    loaded = load(path)
    return loaded, console


def mismatches(loaded: Any, encode: Callable[[str], list[int]]) -> list[str]:
    vocabulary = loaded.get_vocab()
    return [line for line in PROBE if list(vocabulary.tokenize(line, False, False)) != encode(line)]


def sentencepiece_case(directory: Path, folder: Path, **settings: Any) -> tuple[Any, Any, Console]:
    from sentencepiece import SentencePieceProcessor

    folder.mkdir()
    path = train_sentencepiece(folder, **settings)
    shutil.copy(path, directory / "tokenizer.model")
    loaded, console = converted(directory)
    return loaded, SentencePieceProcessor(model_file=str(path)).encode, console


@pytest.mark.parity
@pytest.mark.parametrize(
    "settings",
    [{}, {"add_dummy_prefix": False}, {"split_digits": True, "vocab_size": 380},
     {"user_defined_symbols": ["<|bruker|>", "lengste▁elv"], "add_dummy_prefix": False}],
    ids=["usual", "no prefix", "digits", "own symbols"],
)  # fmt: skip
def test_byte_fallback_bpe_gives_equal_tokens(
    directory: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    loaded, encode, console = sentencepiece_case(directory, tmp_path / "sp", **settings)
    assert mismatches(loaded, encode) == []
    assert console.warning_count("x") == 0


@pytest.mark.parity
def test_unigram_becomes_llama_cpps_unigram(directory: Path, tmp_path: Path) -> None:
    loaded, encode, _ = sentencepiece_case(
        directory, tmp_path / "sp", model_type="unigram", byte_fallback=False, vocab_size=150,
        normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True,
    )  # fmt: skip
    assert mismatches(loaded, encode) == []


def warnings_of(path: Path, monkeypatch: pytest.MonkeyPatch, directory: Path) -> list[str]:
    said: list[str] = []
    shutil.copy(path, directory / "tokenizer.model")
    console = Console.silent()
    monkeypatch.setattr(console, "warn", lambda message, kind=None: said.append(message))
    target = directory.parent / "w.gguf"
    options = QuantizeOptions(model=str(directory), output=str(target), type=["F16"])
    options.allow_tokenizer_mismatch = True
    quantize(options, console)
    return said


def test_normalizing_bpe_is_warned_about(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train_sentencepiece(
        tmp_path, normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True
    )
    said = warnings_of(path, monkeypatch, directory)
    assert len(said) == 1 and "ligatures" in said[0] and "extra spaces" in said[0]


def test_space_after_own_symbols_is_warned_about(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train_sentencepiece(tmp_path, user_defined_symbols=["<|bruker|>"])
    said = warnings_of(path, monkeypatch, directory)
    assert len(said) == 1 and "user-defined" in said[0]


def test_own_reader_agrees_with_the_sentencepiece_package(sentencepiece_model: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    processor: Any = SentencePieceProcessor(model_file=str(sentencepiece_model))
    model = read_sentencepiece_model(sentencepiece_model)
    count = processor.get_piece_size()
    assert [p.decode() for p in model.pieces] == [processor.id_to_piece(i) for i in range(count)]
    assert model.scores == [processor.get_score(i) for i in range(count)]
    assert [t == 6 for t in model.types] == [processor.is_byte(i) for i in range(count)]
    assert [t == 3 for t in model.types] == [processor.is_control(i) for i in range(count)]
    assert (model.unk_id, model.bos_id, model.eos_id, model.pad_id) == (0, 1, 2, 3)


@pytest.mark.parametrize("data", [b"", b"\x0a\xff\xff\xff\x7f", b"not a model at all", b"\x0b"])
def test_damaged_sentencepiece_model_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(DataError, match="no SentencePiece model"):
        read_sentencepiece_model(tmp_path / "tokenizer.model")


def train_byte_level(path: Path, pattern: str | None) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    tokenizer.pre_tokenizer = level if pattern is None else pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), level]
    )  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXT.split("\n"), trainer)
    tokenizer.save(str(path))
    return tokenizer


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("pattern", "pre"),
    [(None, "gpt-2"), (LLAMA3, "llama-bpe"), (LLAMA3.replace("{1,3}", ""), "qwen2"),
     (TEKKEN_PATTERN, "tekken")],
    ids=["gpt-2", "llama-bpe", "qwen2", "tekken"],
)  # fmt: skip
def test_byte_level_bpe_of_ones_own_gives_equal_tokens(
    directory: Path, pattern: str | None, pre: str
) -> None:
    tokenizer = train_byte_level(directory / "tokenizer.json", pattern)
    assert read_tokenizer_json(directory / "tokenizer.json").pre == pre
    loaded, _ = converted(directory)
    assert mismatches(loaded, lambda line: tokenizer.encode(line).ids) == []


def test_splitting_that_llama_cpp_lacks_is_refused(directory: Path) -> None:
    train_byte_level(directory / "tokenizer.json", r"\p{L}+|\s+")
    with pytest.raises(DataError, match=r"does not have: \\p\{L\}\+"):
        converted(directory)


@pytest.mark.parity
def test_sentencepiece_as_tokenizer_json_gives_equal_tokens(
    directory: Path, sentencepiece_model: Path, tmp_path: Path
) -> None:
    from sentencepiece import SentencePieceProcessor

    from norcli.tokens.export import write_tokenizer

    (tmp_path / "t").mkdir()
    write_tokenizer(sentencepiece_model.read_bytes(), tmp_path / "t", PROBE)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tmp_path / "t" / name, directory / name)
    loaded, _ = converted(directory)
    processor: Any = SentencePieceProcessor(model_file=str(sentencepiece_model))
    assert mismatches(loaded, processor.encode) == []
    vocabulary = loaded.get_vocab()
    assert vocabulary.get_add_bos() is False
    assert (vocabulary.token_bos(), vocabulary.token_eos()) == (1, 2)


def test_tekken_puts_specials_first_and_rebuilds_merges(tmp_path: Path) -> None:
    pieces = [bytes([byte]) for byte in range(256)] + [b"el", b"elv", b"lv"]
    described = {
        "config": {"pattern": TEKKEN_PATTERN, "default_vocab_size": 262, "version": "v13",
                   "default_num_special_tokens": 3},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(p).decode()}
                  for i, p in enumerate(pieces)],
        "special_tokens": [{"rank": i, "token_str": t}
                           for i, t in enumerate(["<unk>", "<s>", "</s>"])],
    }  # fmt: skip
    (tmp_path / "tekken.json").write_text(json.dumps(described))
    words = read_tekken(tmp_path / "tekken.json")
    assert words.tokens[:3] == [b"<unk>", b"<s>", b"</s>"]
    assert words.tokens[3 + 256 :] == [b"el", b"elv", b"lv"]
    # "elv" splits into e + lv and el + v; the reference orders a piece's splits by rank.
    assert words.merges == ["e l", "e lv", "el v", "l v"]
    assert words.types[:4] == [3, 3, 3, 1]


@pytest.mark.parametrize("name", ["norwai", "norwai-en", "mistral", "magistral"])
def test_a_named_conversation_is_written_as_jinja(model: Model, tmp_path: Path, name: str) -> None:
    from transformers.utils.chat_template_utils import _compile_jinja_template

    options = QuantizeOptions(model=str(model("llama")), output=str(tmp_path / "m.gguf"),
                              type=["F16"], chat_template=name)  # fmt: skip
    quantize(options, Console.silent())
    again = QuantizeOptions(model=str(tmp_path / "m.gguf"), output=str(tmp_path / "n.gguf"),
                            type=["Q8_0"])  # fmt: skip
    quantize(again, Console.silent())
    stored = GgufFile(str(tmp_path / "n.gguf")).metadata["tokenizer.chat_template"]
    messages = [{"role": "user", "content": "Hei"}, {"role": "assistant", "content": "Hallo"},
                {"role": "user", "content": "Hva nå?"}]  # fmt: skip
    text = _compile_jinja_template(stored).render(
        messages=messages, bos_token="<s>", eos_token="</s>"
    )
    asked = {
        "norwai": "<s>Hei\n\nSvar: Hallo</s>\n\nHva nå?\n\nSvar:",
        "norwai-en": "<s>Hei\n\nAnswer: Hallo</s>\n\nHva nå?\n\nAnswer:",
        "mistral": "<s>[INST] Hei[/INST] Hallo</s>[INST] Hva nå?[/INST]",
        "magistral": "[/SYSTEM_PROMPT][INST]Hei[/INST]Hallo</s>[INST]Hva nå?[/INST]",
    }  # fmt: skip
    assert text.endswith(asked[name])
    assert text.startswith("<s>")
