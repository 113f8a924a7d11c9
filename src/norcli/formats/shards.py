"""Token shards: the ids of a corpus in memory-mapped files; written by tokenize, read by pretrain.

The layout is written down in docs/concepts/token-shards.md, and that document rules. Reading
opens no file whole: a slice costs the pages it touches. Encoding text is not done here.
"""

from __future__ import annotations

import hashlib
import json
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.streams import require_directory

MAGIC = b"NORTOKEN"
VERSION = 1
HEADER_BYTES = 128
SUFFIX = ".tokens"
METADATA_FILE = "metadata.json"
TOKENIZER_FOLDER = "tokenizer"
DEFAULT_SHARD_TOKENS = 1 << 28
_HEADER = struct.Struct("<8sIIIIQQii32s32s16x")
_DTYPES: dict[int, np.dtype[Any]] = {2: np.dtype("<u2"), 4: np.dtype("<u4")}

Tokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Return the dtype that holds every id below a vocabulary size: uint16 or uint32."""
    return _DTYPES[2] if vocab_size <= 1 << 16 else _DTYPES[4]


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """The header of one shard file; see docs/concepts/token-shards.md.

    Args:
        token_bytes: 2 or 4.
        vocab_size: Number of pieces.
        tokens: Tokens in the file, with those around documents.
        documents: Documents in the file.
        bos_id: Id before each document, None for none.
        eos_id: Id after each document.
        tokenizer_sha256: Of the tokenizer file, hexadecimal.
        payload_sha256: Of everything after the header, hexadecimal.
    """

    token_bytes: int
    vocab_size: int
    tokens: int
    documents: int
    bos_id: int | None
    eos_id: int
    tokenizer_sha256: str
    payload_sha256: str

    def pack(self) -> bytes:
        """Return the 128 bytes."""
        bos = -1 if self.bos_id is None else self.bos_id
        return _HEADER.pack(
            MAGIC, VERSION, HEADER_BYTES, self.token_bytes, self.vocab_size, self.tokens,
            self.documents, bos, self.eos_id, bytes.fromhex(self.tokenizer_sha256),
            bytes.fromhex(self.payload_sha256),
        )  # fmt: skip

    @property
    def index_offset(self) -> int:
        """Byte at which the document index begins."""
        end = HEADER_BYTES + self.tokens * self.token_bytes
        return end + -end % 8

    @property
    def file_bytes(self) -> int:
        """Size of a complete file with this header."""
        return self.index_offset + 8 * self.documents


def read_header(path: Path) -> ShardHeader:
    """Read and check the header of a shard file against its size.

    Raises:
        DataError: Not a shard, another version, an impossible dtype, or cut off.
    """
    with path.open("rb") as stream:
        data = stream.read(HEADER_BYTES)
    if data[:8] != MAGIC[: len(data)] or not data:
        raise DataError("is no token shard: wrong magic number", path=path)
    if len(data) < HEADER_BYTES:
        raise DataError(f"is cut off: {len(data)} bytes, no whole header", path=path)
    (_, version, header_bytes, token_bytes, vocab_size, tokens, documents, bos, eos,
     tokenizer, payload) = _HEADER.unpack(data)  # fmt: skip
    if version != VERSION or header_bytes != HEADER_BYTES:
        raise DataError(
            f"has format version {version}; this norcli reads version {VERSION}", path=path
        )
    if token_bytes not in _DTYPES or vocab_size > 1 << (8 * token_bytes):
        raise DataError(
            f"has tokens of {token_bytes} bytes for {vocab_size} pieces: damaged header", path=path
        )
    header = ShardHeader(
        token_bytes, vocab_size, tokens, documents, None if bos < 0 else bos, eos,
        tokenizer.hex(), payload.hex(),
    )  # fmt: skip
    size = path.stat().st_size
    if size != header.file_bytes:
        state = "is cut off" if size < header.file_bytes else "is too long"
        raise DataError(
            f"{state}: {size} bytes where its header announces {header.file_bytes}", path=path,
            hint="make it again with norcli tokenize --overwrite",
        )  # fmt: skip
    return header


class ShardWriter:
    """Write documents as shard files into a directory, with metadata.json at the end.

    The directory is best one of `streams.atomic_directory`: the writer itself does not rename.

    Args:
        directory: An existing, empty directory.
        vocab_size: Number of pieces; decides the dtype.
        eos_id: Id to put after each document.
        bos_id: Id to put before each document, None for none.
        tokenizer_sha256: Of the tokenizer file, 64 hexadecimal digits.
        shard_tokens: A shard ends with the first document that reaches this many tokens.
        facts: More entries for metadata.json.
    """

    def __init__(
        self,
        directory: Path,
        *,
        vocab_size: int,
        eos_id: int,
        bos_id: int | None = None,
        tokenizer_sha256: str,
        shard_tokens: int = DEFAULT_SHARD_TOKENS,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.vocab_size = vocab_size
        self.eos_id = eos_id
        self.bos_id = bos_id
        self.tokenizer_sha256 = tokenizer_sha256
        self.shard_tokens = shard_tokens
        self.facts = dict(facts or {})
        self.dtype = token_dtype(vocab_size)
        self.tokens = 0
        self.documents = 0
        self._shards: list[dict[str, Any]] = []
        self._stream: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._in_shard = 0
        self._ends: list[npt.NDArray[np.uint64]] = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._stream is not None:
            self._stream.close()

    def add_document(self, ids: Sequence[int] | npt.NDArray[Any]) -> None:
        """Add one document; the begin and end ids are put around it.

        Raises:
            ValueError: An id is not below the vocabulary size.
        """
        body = np.asarray(ids, dtype=np.int64)
        if body.size and (int(body.max()) >= self.vocab_size or int(body.min()) < 0):
            raise ValueError(f"an id is outside the vocabulary of {self.vocab_size}")
        before = [] if self.bos_id is None else [self.bos_id]
        framed = np.concatenate([np.array(before, np.int64), body, [self.eos_id]])
        self.add_framed(framed.astype(self.dtype), np.array([len(framed)]))

    def add_framed(self, tokens: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> None:
        """Add documents that carry their begin and end ids already.

        Args:
            tokens: The documents end to end, in `dtype`.
            lengths: Tokens of each, their sum the length of ``tokens``.
        """
        ends = np.cumsum(lengths.astype(np.int64))
        taken = 0
        while taken < len(ends):
            start = int(ends[taken - 1]) if taken else 0
            room = self.shard_tokens - self._in_shard
            # The first document that reaches the limit is the last of its shard.
            stop = min(int(np.searchsorted(ends, start + room)) + 1, len(ends))
            self._append(tokens[start : int(ends[stop - 1])], ends[taken:stop] - start)
            taken = stop

    def _append(self, tokens: npt.NDArray[Any], ends: npt.NDArray[np.int64]) -> None:
        if self._stream is None:
            path = self.directory / f"shard-{len(self._shards):05d}{SUFFIX}"
            self._stream = path.open("wb")
            self._stream.write(bytes(HEADER_BYTES))
        data = tokens.astype(self.dtype, copy=False).tobytes()
        self._stream.write(data)
        self._digest.update(data)
        self._ends.append((ends + self._in_shard).astype(np.uint64))
        self._in_shard += len(tokens)
        if self._in_shard >= self.shard_tokens:
            self._finish_shard()

    def _finish_shard(self) -> None:
        assert self._stream is not None
        stream, ends = self._stream, np.concatenate(self._ends)
        padding = bytes(-(self._in_shard * self.dtype.itemsize) % 8)
        tail = padding + ends.astype("<u8").tobytes()
        stream.write(tail)
        self._digest.update(tail)
        header = ShardHeader(
            self.dtype.itemsize, self.vocab_size, self._in_shard, len(ends), self.bos_id,
            self.eos_id, self.tokenizer_sha256, self._digest.hexdigest(),
        )  # fmt: skip
        stream.seek(0)
        stream.write(header.pack())
        stream.close()
        self._shards.append({
            "file": Path(stream.name).name, "tokens": header.tokens,
            "documents": header.documents, "sha256": header.payload_sha256,
        })  # fmt: skip
        self.tokens += header.tokens
        self.documents += header.documents
        self._stream, self._digest = None, hashlib.sha256()
        self._in_shard, self._ends = 0, []

    def close(self) -> None:
        """Finish the last shard and write metadata.json."""
        if self._stream is not None:
            self._finish_shard()
        metadata = {
            "format": "norcli token shards",
            "version": VERSION,
            "dtype": f"uint{8 * self.dtype.itemsize}",
            "vocab_size": self.vocab_size,
            "bos_id": self.bos_id,
            "eos_id": self.eos_id,
            "tokenizer": {"sha256": self.tokenizer_sha256},
            "tokens": self.tokens,
            "documents": self.documents,
            **self.facts,
            "shards": self._shards,
        }
        text = json.dumps(metadata, ensure_ascii=False, indent=2) + "\n"
        (self.directory / METADATA_FILE).write_text(text, "utf-8")


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    header: ShardHeader
    tokens: npt.NDArray[Any]
    ends: npt.NDArray[np.uint64]


class TokenShards:
    """The tokens of a directory of shards as one sequence; made by `TokenShards.open`.

    Attributes:
        tokens: Tokens in all.
        documents: Documents in all.
        vocab_size: Number of pieces.
        dtype: uint16 or uint32, little-endian.
        bos_id: Id before each document, None for none.
        eos_id: Id after each document.
        tokenizer_sha256: Of the tokenizer the ids belong to; empty where there is no shard.
    """

    def __init__(self, path: Path, metadata: dict[str, Any], shards: list[_Shard]) -> None:
        self.path = path
        self._shards = shards
        self._starts = [0, *accumulate(shard.header.tokens for shard in shards)]
        self._document_starts = [0, *accumulate(shard.header.documents for shard in shards)]
        self.tokens = self._starts[-1]
        self.documents = self._document_starts[-1]
        self.vocab_size = int(metadata["vocab_size"])
        self.dtype = token_dtype(self.vocab_size)
        self.bos_id: int | None = metadata["bos_id"]
        self.eos_id = int(metadata["eos_id"])
        self.tokenizer_sha256 = str(metadata["tokenizer"]["sha256"])

    @classmethod
    def open(cls, path: str | Path, *, tokenizer_sha256: str | None = None) -> TokenShards:
        """Open a token directory, or a directory of token directories.

        Args:
            path: The directory.
            tokenizer_sha256: Refuse shards that were made with another tokenizer.

        Raises:
            InputMissingError: There is no such directory.
            DataError: No token shards, a damaged one, or parts that do not belong together.
        """
        root = require_directory(str(path), "a directory of token shards")
        parts = [root] if (root / METADATA_FILE).is_file() else _parts(root)
        metadata: dict[str, Any] = {}
        shards: list[_Shard] = []
        for part in parts:
            own = _read_metadata(part / METADATA_FILE)
            metadata = metadata or own
            for key in ("vocab_size", "bos_id", "eos_id", "tokenizer"):
                if own[key] != metadata[key]:
                    raise DataError(f"has another {key} than {parts[0]}", path=part)
            shards += _open_part(part, own)
        found = metadata["tokenizer"]["sha256"]
        if tokenizer_sha256 is not None and tokenizer_sha256 != found:
            raise DataError(
                f"was made with another tokenizer ({found[:12]}, not {tokenizer_sha256[:12]})",
                path=root, hint="tokenize the documents again with this tokenizer",
            )  # fmt: skip
        return cls(root, metadata, shards)

    @property
    def tokenizer_directory(self) -> Path | None:
        """The copy of the tokenizer kept with the tokens; None where there is none."""
        for part in [self.path, *sorted(self.path.glob("*"))]:
            if (part / TOKENIZER_FOLDER).is_dir():
                return part / TOKENIZER_FOLDER
        return None

    def __len__(self) -> int:
        return self.tokens

    def slice(self, start: int, stop: int) -> Tokens:
        """Return tokens [start, stop) of the whole sequence.

        Within one shard this is a read-only view of the file; over a border it is a copy.

        Raises:
            IndexError: The range is not within the sequence.
        """
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"[{start}, {stop}) is outside the {self.tokens} tokens")
        if start == stop:
            return np.empty(0, self.dtype)
        first = bisect_right(self._starts, start) - 1
        pieces = []
        for number in range(first, len(self._shards)):
            offset = self._starts[number]
            if offset >= stop:
                break
            pieces.append(self._shards[number].tokens[max(start - offset, 0) : stop - offset])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def document_ends(self) -> npt.NDArray[np.int64]:
        """Return where each document ends in the whole sequence; the last is `tokens`."""
        if not self._shards:
            return np.empty(0, np.int64)
        pairs = zip(self._starts, self._shards, strict=False)
        return np.concatenate([shard.ends.astype(np.int64) + start for start, shard in pairs])

    def document(self, index: int) -> Tokens:
        """Return one document with its begin and end ids.

        Raises:
            IndexError: There is no such document.
        """
        if not 0 <= index < self.documents:
            raise IndexError(f"document {index} of {self.documents}")
        number = bisect_right(self._document_starts, index) - 1
        local = index - self._document_starts[number]
        ends = self._shards[number].ends
        start = int(ends[local - 1]) if local else 0
        return self._shards[number].tokens[start : int(ends[local])]

    def iterate_documents(self) -> Iterator[Tokens]:
        """Yield the documents in order."""
        for index in range(self.documents):
            yield self.document(index)

    def verify(self) -> None:
        """Check the checksum, the ids and the index of every shard; reads all of it.

        Raises:
            DataError: A shard is damaged; its path is in the error.
        """
        for shard in self._shards:
            _verify(shard)


def _parts(root: Path) -> list[Path]:
    parts = sorted(path.parent for path in root.glob(f"*/{METADATA_FILE}"))
    parts = [part for part in parts if ".tmp." not in part.name and ".old." not in part.name]
    if not parts:
        raise DataError(
            f"holds no token shards: no {METADATA_FILE}", path=root,
            hint="make them with: norcli tokenize FILE --tokenizer DIR -o DIR",
        )  # fmt: skip
    return parts


def _read_metadata(path: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError("is not valid JSON", path=path) from error
    needed = {"format", "vocab_size", "bos_id", "eos_id", "tokenizer", "shards"}
    if not isinstance(metadata, dict) or not needed <= metadata.keys():
        raise DataError("does not describe token shards", path=path)
    return metadata


def _open_part(part: Path, metadata: dict[str, Any]) -> list[_Shard]:
    names = [entry["file"] for entry in metadata["shards"]]
    present = sorted(path.name for path in part.glob(f"*{SUFFIX}"))
    if names != present:
        missing = sorted(set(names) - set(present)) or sorted(set(present) - set(names))
        raise DataError(
            f"{missing[0]} and {METADATA_FILE} do not belong together", path=part,
            hint="make it again with norcli tokenize --overwrite",
        )  # fmt: skip
    shards = []
    for name in names:
        path = part / name
        header = read_header(path)
        if header.vocab_size != metadata["vocab_size"] or (
            header.tokenizer_sha256 != metadata["tokenizer"]["sha256"]
        ):
            raise DataError(f"has another tokenizer than its {METADATA_FILE}", path=path)
        shards.append(_map(path, header))
    return shards


def _map(path: Path, header: ShardHeader) -> _Shard:
    whole: npt.NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    token_bytes = whole[HEADER_BYTES : HEADER_BYTES + header.tokens * header.token_bytes]
    # A plain array over the map: slices of np.memmap cost several times those of an ndarray.
    tokens = np.asarray(token_bytes).view(_DTYPES[header.token_bytes])
    ends = np.asarray(whole[header.index_offset :]).view("<u8")
    return _Shard(path, header, tokens, ends)


def _verify(shard: _Shard) -> None:
    digest = hashlib.sha256()
    with shard.path.open("rb") as stream:
        stream.seek(HEADER_BYTES)
        for block in _blocks(stream):
            digest.update(block)
    if digest.hexdigest() != shard.header.payload_sha256:
        raise DataError(
            "is damaged: its checksum does not fit", path=shard.path,
            hint="make it again with norcli tokenize --overwrite",
        )  # fmt: skip
    ends = shard.ends
    ordered = len(ends) == 0 or bool(np.all(ends[1:] > ends[:-1]) and ends[-1] == len(shard.tokens))
    if not ordered or not bool(
        np.all(shard.tokens[ends.astype(np.int64) - 1] == shard.header.eos_id)
    ):
        raise DataError("has a document index that does not fit its tokens", path=shard.path)
    if len(shard.tokens) and int(shard.tokens.max()) >= shard.header.vocab_size:
        raise DataError("holds ids beyond its vocabulary", path=shard.path)


def _blocks(stream: BinaryIO) -> Iterable[bytes]:
    while block := stream.read(1 << 22):
        yield block
