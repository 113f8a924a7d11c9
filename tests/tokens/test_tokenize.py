"""From documents to token shards: order, jobs, shards of the input, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, InputMissingError
from norcli.formats.shards import TokenShards
from norcli.tokens import tokenize
from norcli.tokens.huggingface import SentencePieceTokenizer
from norcli.tokens.options import TokenizeOptions
from norcli.tokens.tokenize import plan_tokenize, tokenize_documents


def options_for(corpus: Path, tokenizer: Path, output: Path, **more: object) -> TokenizeOptions:
    values: dict[str, object] = {
        "inputs": [str(corpus)], "output": str(output), "tokenizer": str(tokenizer),
    }  # fmt: skip
    return TokenizeOptions(**(values | more))  # type: ignore[arg-type]


def records(corpus: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_tokens_are_the_documents_in_order(
    corpus: Path, tokenizer_dir: Path, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    options = options_for(corpus, tokenizer_dir, tmp_path / "t", shard_tokens=1000)
    result = tokenize_documents(options, Console.silent())
    shards = TokenShards.open(tmp_path / "t", tokenizer_sha256=tokenizer.sha256)
    shards.verify()
    texts = [record["text"] for record in records(corpus)]
    assert [d.tolist() for d in shards.iterate_documents()] == [
        [*tokenizer.encode(text), 2] for text in texts
    ]
    assert (result.documents, result.tokens) == (shards.documents, shards.tokens)
    assert result.bytes == sum(len(text.encode()) for text in texts)
    assert sum(c["tokens"] for c in result.languages.values()) == result.tokens
    assert len(list((tmp_path / "t").glob("*.tokens"))) > 3
    assert shards.tokenizer_directory == tmp_path / "t" / "tokenizer"
    model = (tmp_path / "t" / "tokenizer" / "tokenizer.model").read_bytes()
    assert model == (tokenizer_dir / "tokenizer.model").read_bytes()


def test_the_bytes_are_the_same_for_any_jobs(
    corpus: Path, tokenizer_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenize, "BATCH_CHARACTERS", 3000)
    for jobs in (1, 2, 3):
        options = options_for(corpus, tokenizer_dir, tmp_path / str(jobs), shard_tokens=2000,
                              jobs=jobs)  # fmt: skip
        tokenize_documents(options, Console.silent())
    one = files(tmp_path / "1")
    assert one == files(tmp_path / "2") == files(tmp_path / "3")


@pytest.mark.parametrize("count", [2, 7])
def test_parts_read_as_one_equal_the_whole(
    corpus: Path, tokenizer_dir: Path, tmp_path: Path, count: int
) -> None:
    tokenize_documents(options_for(corpus, tokenizer_dir, tmp_path / "whole"), Console.silent())
    (tmp_path / "parts").mkdir()
    for index in range(count):
        options = options_for(corpus, tokenizer_dir, tmp_path / "parts" / f"part-{index:02d}",
                              shard=f"{index}/{count}")  # fmt: skip
        tokenize_documents(options, Console.silent())
    whole, parts = TokenShards.open(tmp_path / "whole"), TokenShards.open(tmp_path / "parts")
    assert np.array_equal(whole.slice(0, whole.tokens), parts.slice(0, parts.tokens))
    assert np.array_equal(whole.document_ends(), parts.document_ends())


def test_begin_ids_on_request(corpus: Path, tokenizer_dir: Path, tmp_path: Path) -> None:
    options = options_for(corpus, tokenizer_dir, tmp_path / "t", bos=True, limit=5)
    tokenize_documents(options, Console.silent())
    shards = TokenShards.open(tmp_path / "t")
    assert shards.bos_id == 1
    assert all(d[0] == 1 and d[-1] == 2 for d in shards.iterate_documents())


def test_a_tokenizer_json_alone_gives_the_same_tokens(
    corpus: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    for name in ("tokenizer.model", "tokenizer.json"):
        options = options_for(corpus, tokenizer_dir / name, tmp_path / name, limit=40)
        tokenize_documents(options, Console.silent())
    first, second = (TokenShards.open(tmp_path / n) for n in ("tokenizer.model", "tokenizer.json"))
    assert np.array_equal(first.slice(0, first.tokens), second.slice(0, second.tokens))
    assert first.tokenizer_sha256 != second.tokenizer_sha256


def test_no_documents_make_an_empty_directory(tokenizer_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    options = options_for(tmp_path / "empty.jsonl", tokenizer_dir, tmp_path / "t")
    assert tokenize_documents(options, Console.silent()).documents == 0
    assert TokenShards.open(tmp_path / "t").tokens == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_record_leaves_nothing_behind(
    tokenizer_dir: Path, tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenize, "BATCH_CHARACTERS", 1)
    (tmp_path / "bad.jsonl").write_text('{"text": "ja"}\n{"text": "nei"}\n{"tekst": "nei"}\n')
    options = options_for(tmp_path / "bad.jsonl", tokenizer_dir, tmp_path / "t", jobs=jobs)
    with pytest.raises(DataError, match="text") as caught:
        tokenize_documents(options, Console.silent())
    assert caught.value.line == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl"]


def test_missing_things_are_named(corpus: Path, tokenizer_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        tokenize_documents(options_for(corpus, tmp_path / "no", tmp_path / "t"), Console.silent())
    with pytest.raises(DataError, match="holds no tokenizer"):
        tokenize_documents(options_for(corpus, tmp_path, tmp_path / "t"), Console.silent())
    with pytest.raises(InputMissingError):
        missing = options_for(tmp_path / "no.jsonl", tokenizer_dir, tmp_path / "t")
        tokenize_documents(missing, Console.silent())
    with pytest.raises(CannotCreateError):
        tokenize_documents(options_for(corpus, tokenizer_dir, tmp_path), Console.silent())


def test_the_plan_estimates_and_writes_nothing(
    corpus: Path, tokenizer_dir: Path, tmp_path: Path
) -> None:
    options = options_for(corpus, tokenizer_dir, tmp_path / "t")
    plan = plan_tokenize(options, Console.silent())
    assert plan["dtype"] == "uint16"
    assert 2 < plan["bytes_per_token"] < 8
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_data
def test_real_text_word_by_word_equals_whole_texts(real_data: Path, tmp_path: Path) -> None:
    from norcli.formats.documents import read_documents
    from norcli.tokens.encode import CorpusEncoder
    from norcli.tokens.options import TokenizeTrainOptions
    from norcli.tokens.train import train_tokenizer

    inputs = sorted(str(path) for path in (real_data / "text").glob("*.jsonl.gz"))
    options = TokenizeTrainOptions(
        inputs=inputs, output=str(tmp_path / "tok"), vocab_size=8000, sample_bytes=3_000_000
    )
    trained = train_tokenizer(options, Console.silent())
    assert trained.fit.languages["und"].changed_texts == 0
    tokenizer = SentencePieceTokenizer(tmp_path / "tok" / "tokenizer.model")
    texts = [d.text for d in read_documents(options, Console.silent())][::40]
    both = [
        CorpusEncoder(tokenizer, eos_id=2, by_word=by_word).encode(texts)[0]
        for by_word in (True, False)
    ]
    assert np.array_equal(both[0], both[1])
