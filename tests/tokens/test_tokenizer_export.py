"""The Hugging Face files give sentencepiece's ids, or are not written."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from tokenizer_texts import documents
from tokenizers import Tokenizer as Backend

from norcli.errors import DataError
from norcli.tokens.export import EDGE_TEXTS, check_equal, tokenizer_json, write_tokenizer
from norcli.tokens.huggingface import JsonTokenizer, SentencePieceTokenizer, load_tokenizer


@pytest.fixture(scope="module")
def backend(tokenizer_dir: Path) -> Backend:
    return Backend.from_file(str(tokenizer_dir / "tokenizer.json"))


@pytest.mark.parametrize("text", EDGE_TEXTS, ids=lambda text: ascii(text)[:30])
def test_edge_texts_get_equal_ids(
    tokenizer: SentencePieceTokenizer, backend: Backend, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert backend.encode(text, add_special_tokens=False).ids == ids
    assert backend.decode(ids) == tokenizer.decode(ids)


@given(
    st.text(alphabet=st.sampled_from("abe nørski  \n\tæáčŋ▁.,19\u00a0\u0301😀中\0"), max_size=80)
)
def test_any_text_gets_equal_ids(
    tokenizer: SentencePieceTokenizer, backend: Backend, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert backend.encode(text, add_special_tokens=False).ids == ids
    assert backend.decode(ids) == tokenizer.decode(ids)


@pytest.mark.parity
@pytest.mark.parametrize("model_type", [None, "gpt2", "llama", "mistral", "mixtral"])
def test_transformers_loads_it_with_equal_ids_beside_any_model(
    tokenizer_dir: Path, tokenizer: SentencePieceTokenizer, tmp_path: Path, model_type: str | None
) -> None:
    transformers = pytest.importorskip("transformers")
    directory = tmp_path / "model"
    shutil.copytree(tokenizer_dir, directory)
    if model_type:
        (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
    loaded = transformers.AutoTokenizer.from_pretrained(directory)
    for text in (*EDGE_TEXTS, *(record["text"] for record in documents(50, seed=3))):
        ids = tokenizer.encode(text)
        assert loaded(text)["input_ids"] == ids, text
        assert loaded.decode(ids) == tokenizer.decode(ids), text
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.unk_token_id) == (1, 2, 0)
    assert len(loaded) == tokenizer.vocab_size


def test_a_disagreement_is_refused(tokenizer: SentencePieceTokenizer) -> None:
    description = json.loads(tokenizer_json(tokenizer))
    merges = description["model"]["merges"]
    merges[0], merges[1:40] = merges[-1], merges[40:1:-1]
    texts = [record["text"] for record in documents(50, seed=1)]
    with pytest.raises(DataError, match="disagree"):
        check_equal(tokenizer, json.dumps(description), texts)


@pytest.mark.parametrize(
    "more",
    [
        {"model_type": "unigram", "normalization_rule_name": "identity", "vocab_size": 450},
        {"model_type": "bpe", "add_dummy_prefix": False, "normalization_rule_name": "identity"},
        {"model_type": "bpe"},
    ],
    ids=["unigram", "no-prefix", "nfkc"],
)
def test_a_model_that_cannot_be_expressed_is_refused(
    more: dict[str, object], tmp_path: Path
) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([record["text"].split("\n")[0] for record in documents(300)]),
        model_writer=model, minloglevel=2, byte_fallback=True, **({"vocab_size": 600} | more),
    )  # fmt: skip
    with pytest.raises(DataError):
        write_tokenizer(model.getvalue(), tmp_path, [r["text"] for r in documents(60, seed=2)])
    assert not (tmp_path / "tokenizer.json").exists()


def test_load_tokenizer_takes_directory_model_or_json(tokenizer_dir: Path) -> None:
    text = "Fjorden låg blank."
    loaded = load_tokenizer(tokenizer_dir)
    model = load_tokenizer(tokenizer_dir / "tokenizer.model")
    described = load_tokenizer(tokenizer_dir / "tokenizer.json")
    assert isinstance(described, JsonTokenizer)
    assert loaded.encode(text) == model.encode(text) == described.encode(text)
    assert described.decode(described.encode(text)) == text
    assert loaded.sha256 == model.sha256 != described.sha256
    for name in ("bos_id", "eos_id", "unk_id", "pad_id", "vocab_size"):
        assert getattr(described, name) == getattr(loaded, name)


def test_a_directory_without_tokenizer_is_bad_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.model", "tokenizer.json"])
def test_a_damaged_tokenizer_is_bad_data(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x07nonsense")
    with pytest.raises(DataError, match="is no"):
        load_tokenizer(tmp_path)
