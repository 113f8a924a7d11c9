"""Token shards: what is written is read, and damage is seen."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.errors import DataError, InputMissingError
from norcli.formats.shards import ShardWriter, TokenShards, read_header, token_dtype

DIGEST = "5e" * 32


def write(
    directory: Path,
    documents: list[list[int]],
    *,
    vocab_size: int = 1000,
    shard_tokens: int = 1 << 20,
    bos_id: int | None = None,
    digest: str = DIGEST,
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    writer = ShardWriter(
        directory, vocab_size=vocab_size, eos_id=2, bos_id=bos_id, tokenizer_sha256=digest,
        shard_tokens=shard_tokens,
    )  # fmt: skip
    with writer:
        for ids in documents:
            writer.add_document(ids)
    return directory


@given(
    documents=st.lists(st.lists(st.integers(3, 69_999), max_size=12), max_size=12),
    vocab_size=st.sampled_from([70_000, 158_000]),
    shard_tokens=st.integers(1, 40),
    bos_id=st.sampled_from([None, 1]),
    data=st.data(),
)
def test_any_documents_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[list[int]],
    vocab_size: int,
    shard_tokens: int,
    bos_id: int | None,
    data: st.DataObject,
) -> None:
    path = write(tmp_path_factory.mktemp("s"), documents, vocab_size=vocab_size,
                 shard_tokens=shard_tokens, bos_id=bos_id)  # fmt: skip
    shards = TokenShards.open(path)
    shards.verify()
    before = [] if bos_id is None else [bos_id]
    framed = [[*before, *ids, 2] for ids in documents]
    flat = [token for ids in framed for token in ids]
    assert [d.tolist() for d in shards.iterate_documents()] == framed
    assert (shards.tokens, shards.documents, len(shards)) == (len(flat), len(framed), len(flat))
    assert shards.document_ends().tolist() == np.cumsum([len(d) for d in framed]).tolist()
    start = data.draw(st.integers(0, len(flat)))
    stop = data.draw(st.integers(start, len(flat)))
    assert shards.slice(start, stop).tolist() == flat[start:stop]
    assert shards.slice(start, stop).dtype == np.uint32


@given(
    lengths=st.lists(st.integers(1, 9), max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=3),
    shard_tokens=st.integers(1, 30),
)
def test_batches_and_single_documents_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    cuts: list[int],
    shard_tokens: int,
) -> None:
    documents = [[7] * (length - 1) for length in lengths]
    one = write(tmp_path_factory.mktemp("one"), documents, shard_tokens=shard_tokens)
    other = tmp_path_factory.mktemp("other")
    writer = ShardWriter(other, vocab_size=1000, eos_id=2, tokenizer_sha256=DIGEST,
                         shard_tokens=shard_tokens)  # fmt: skip
    borders = [0, *sorted(min(cut, len(lengths)) for cut in cuts), len(lengths)]
    with writer:
        for begin, end in pairwise(borders):
            flat = [t for ids in documents[begin:end] for t in [*ids, 2]]
            writer.add_framed(np.array(flat, np.uint16), np.array(lengths[begin:end], np.int64))
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {
        p.name: p.read_bytes() for p in other.iterdir()
    }


def test_small_vocabularies_take_two_bytes(tmp_path: Path) -> None:
    assert token_dtype(65_536).itemsize == 2
    assert token_dtype(65_537).itemsize == 4
    assert token_dtype(67_993).itemsize == 4
    path = write(tmp_path, [[65_535]], vocab_size=65_536)
    assert TokenShards.open(path).slice(0, 2).tolist() == [65_535, 2]


def test_the_file_is_laid_out_as_written_down(tmp_path: Path) -> None:
    write(tmp_path, [[5, 6], [7]], bos_id=1)
    data = (tmp_path / "shard-00000.tokens").read_bytes()
    assert data[:8] == b"NORTOKEN"
    assert struct.unpack_from("<4I", data, 8) == (1, 128, 2, 1000)
    assert struct.unpack_from("<2Q", data, 24) == (7, 2)
    assert struct.unpack_from("<2i", data, 40) == (1, 2)
    assert data[48:80].hex() == DIGEST
    assert np.frombuffer(data, "<u2", 7, 128).tolist() == [1, 5, 6, 2, 1, 7, 2]
    assert data[142:144] == b"\0\0"
    assert np.frombuffer(data, "<u8", 2, 144).tolist() == [4, 7]
    assert len(data) == 160
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["shards"][0]["sha256"] == data[80:112].hex()
    assert (metadata["tokens"], metadata["documents"], metadata["dtype"]) == (7, 2, "uint16")


def test_ids_beyond_the_vocabulary_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside the vocabulary"):
        write(tmp_path, [[1000]])


def test_slices_outside_are_refused(tmp_path: Path) -> None:
    shards = TokenShards.open(write(tmp_path, [[5, 6]]))
    for start, stop in ((-1, 2), (0, 4), (2, 1)):
        with pytest.raises(IndexError):
            shards.slice(start, stop)
    with pytest.raises(IndexError):
        shards.document(1)


def test_slices_within_a_shard_are_views(tmp_path: Path) -> None:
    shards = TokenShards.open(write(tmp_path, [list(range(3, 100))]))
    view = shards.slice(10, 20)
    assert view.base is not None
    assert not view.flags.writeable


def test_parts_are_read_in_name_order_without_temporary_ones(tmp_path: Path) -> None:
    write(tmp_path / "b", [[8]])
    write(tmp_path / "a", [[7], [7, 7]])
    write(tmp_path / "c", [])
    write(tmp_path / "d.tmp.node.123", [[9]])
    shards = TokenShards.open(tmp_path)
    assert shards.slice(0, shards.tokens).tolist() == [7, 2, 7, 7, 2, 8, 2]


def test_parts_of_two_tokenizers_do_not_go_together(tmp_path: Path) -> None:
    write(tmp_path / "a", [[7]])
    write(tmp_path / "b", [[7]], digest="00" * 32)
    with pytest.raises(DataError, match="another tokenizer"):
        TokenShards.open(tmp_path)


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [[7]])
    TokenShards.open(tmp_path, tokenizer_sha256=DIGEST)
    with pytest.raises(DataError, match="made with another tokenizer"):
        TokenShards.open(tmp_path, tokenizer_sha256="00" * 32)


def test_what_is_no_token_directory_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        TokenShards.open(tmp_path / "no")
    with pytest.raises(DataError, match="holds no token shards"):
        TokenShards.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        TokenShards.open(tmp_path / "file")


def patch(offset: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda whole: whole[:offset] + data + whole[offset + len(data) :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: b"", "wrong magic"),
        (lambda whole: whole[:60], "no whole header"),
        (lambda whole: whole[:-1], "is cut off"),
        (lambda whole: whole[: 128 + 3], "is cut off"),
        (lambda whole: whole + b"\0", "is too long"),
        (patch(0, b"X"), "wrong magic"),
        (patch(8, b"\2"), "format version 2"),
        (patch(16, b"\3"), "tokens of 3 bytes"),
        (patch(16, b"\4"), "is cut off"),
        (patch(24, b"\1"), "is too long"),
        (patch(20, b"\0\0\1\1"), "damaged header"),
        (patch(48, b"\0"), "another tokenizer"),
    ],
)
def test_a_damaged_file_is_not_opened(
    tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    write(tmp_path, [[5, 6, 7], [8]])
    file = tmp_path / "shard-00000.tokens"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        TokenShards.open(tmp_path)
    assert "shard-00000.tokens" in str(caught.value.path)


@pytest.mark.parametrize("offset", [128, 131, 140, 144, 100])
def test_a_changed_byte_is_found_on_demand(tmp_path: Path, offset: int) -> None:
    write(tmp_path, [[5, 6, 7], [8]])
    file = tmp_path / "shard-00000.tokens"
    whole = bytearray(file.read_bytes())
    whole[offset] ^= 1
    file.write_bytes(whole)
    shards = TokenShards.open(tmp_path)
    with pytest.raises(DataError, match="is damaged"):
        shards.verify()


def test_a_missing_or_foreign_shard_is_seen(tmp_path: Path) -> None:
    write(tmp_path, [[5]] * 4, shard_tokens=2)
    file = tmp_path / "shard-00002.tokens"
    data = file.read_bytes()
    file.unlink()
    with pytest.raises(DataError, match=r"shard-00002\.tokens and metadata\.json"):
        TokenShards.open(tmp_path)
    file.write_bytes(data)
    (tmp_path / "shard-00009.tokens").write_bytes(data)
    with pytest.raises(DataError, match="do not belong together"):
        TokenShards.open(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "x"}'])
def test_damaged_metadata_is_bad_data(tmp_path: Path, content: str) -> None:
    write(tmp_path, [[5]])
    (tmp_path / "metadata.json").write_text(content)
    with pytest.raises(DataError):
        TokenShards.open(tmp_path)


def test_the_header_alone_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, [[5, 6]])
    header = read_header(tmp_path / "shard-00000.tokens")
    assert (header.tokens, header.documents, header.bos_id, header.eos_id) == (3, 1, None, 2)
    assert header.file_bytes == (tmp_path / "shard-00000.tokens").stat().st_size
