"""Documents → token shards: the core of ``norcli tokenize``.

Reads records, encodes them in batches on --jobs processes, and writes them in the order of the
input, so that the shards are the same bytes for any number of processes. Pretraining reads the
result; packing and shuffling belong there.
"""

from __future__ import annotations

import shutil
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from norcli.console import Console, Progress
from norcli.errors import DataError
from norcli.formats.documents import input_bytes, input_paths, read_documents
from norcli.formats.shards import TOKENIZER_FOLDER, ShardWriter, token_dtype
from norcli.options import parse_shard
from norcli.streams import atomic_directory, check_output
from norcli.tokens.encode import CorpusEncoder, Ids
from norcli.tokens.huggingface import (
    CONFIG_FILE,
    JSON_FILE,
    MODEL_FILE,
    Tokenizer,
    load_tokenizer,
)
from norcli.tokens.options import TokenizeOptions
from norcli.tokens.sample import language_of

BATCH_CHARACTERS = 1 << 20
_PLANNED_DOCUMENTS = 200


class _Batch(NamedTuple):
    texts: list[str]
    languages: list[str]


@dataclass
class TokenizeResult:
    """What a run wrote.

    Args:
        documents: Documents.
        tokens: Tokens, with those around documents.
        bytes: UTF-8 bytes of text.
        languages: Documents and tokens per language.
    """

    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    languages: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        ordered = {name: self.languages[name] for name in sorted(self.languages)}
        return {"documents": self.documents, "tokens": self.tokens, "bytes": self.bytes,
                "languages": ordered}  # fmt: skip


def plan_tokenize(options: TokenizeOptions, console: Console) -> dict[str, Any]:
    """Check inputs, tokenizer and output, and return what a run would do.

    The number of tokens is estimated from the first documents; None for a pipe.

    Raises:
        InputMissingError: An input or the tokenizer is not there.
        CannotCreateError: The output cannot be made.
    """
    tokenizer = _open_tokenizer(options)
    check_output(options.output, options.overwrite)
    parse_shard(options.shard)
    paths = input_paths(options)
    plan: dict[str, Any] = {
        "inputs": paths,
        "input_bytes": input_bytes(paths),
        "output": options.output,
        "tokenizer": options.tokenizer,
        "vocab_size": tokenizer.vocab_size,
        "dtype": f"uint{8 * token_dtype(tokenizer.vocab_size).itemsize}",
        "shard_tokens": options.shard_tokens,
        "bytes_per_token": None,
    }
    if "-" not in paths:
        size = tokens = 0
        for number, document in enumerate(read_documents(options, console)):
            if number == _PLANNED_DOCUMENTS:
                break
            size += len(document.text.encode("utf-8"))
            tokens += len(tokenizer.encode(document.text)) + 1
        plan["bytes_per_token"] = round(size / tokens, 3) if tokens else None
    return plan


def _open_tokenizer(options: TokenizeOptions) -> Tokenizer:
    tokenizer = load_tokenizer(options.tokenizer)
    if tokenizer.eos_id is None:
        raise DataError("has no piece that ends a text", path=options.tokenizer)
    if options.bos and tokenizer.bos_id is None:
        raise DataError("has no piece that begins a text, for --bos", path=options.tokenizer)
    return tokenizer


def tokenize_documents(options: TokenizeOptions, console: Console) -> TokenizeResult:
    """Write the token shards of the inputs.

    Raises:
        DataError: A bad record, or a tokenizer without an end piece.
        InputMissingError: An input or the tokenizer is not there.
        CannotCreateError: The output exists.
    """
    tokenizer = _open_tokenizer(options)
    eos_id = tokenizer.eos_id
    assert eos_id is not None
    check_output(options.output, options.overwrite)
    paths = input_paths(options)
    bos_id = tokenizer.bos_id if options.bos else None
    encoder = CorpusEncoder(tokenizer, eos_id=eos_id, bos_id=bos_id)
    if not encoder.by_word:
        console.info("this tokenizer cannot be applied word by word: whole texts, slower")
    result = TokenizeResult()
    with atomic_directory(options.output, overwrite=options.overwrite) as directory:
        writer = ShardWriter(
            directory, vocab_size=tokenizer.vocab_size, eos_id=eos_id, bos_id=bos_id,
            tokenizer_sha256=tokenizer.sha256, shard_tokens=options.shard_tokens,
        )  # fmt: skip
        with writer, console.progress("tokenize", input_bytes(paths), "bytes") as progress:
            batches = _read_batches(options, console)
            for batch, tokens, lengths in _encode(encoder, batches, options.jobs or 1):
                writer.add_framed(tokens, lengths)
                _count(result, batch, lengths, progress)
            writer.facts.update(bytes=result.bytes, languages=result.as_dict()["languages"])
        _copy_tokenizer(tokenizer.path, directory / TOKENIZER_FOLDER)
    if not result.documents:
        console.warn("no documents in the input: the token directory is empty")
    return result


def _read_batches(options: TokenizeOptions, console: Console) -> Iterator[_Batch]:
    batch, characters = _Batch([], []), 0
    for document in read_documents(options, console):
        batch.texts.append(document.text)
        batch.languages.append(language_of(document, options.language_key))
        characters += len(document.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = _Batch([], []), 0
    if batch.texts:
        yield batch


def _count(result: TokenizeResult, batch: _Batch, lengths: Ids, progress: Progress) -> None:
    for text, language, tokens in zip(batch.texts, batch.languages, lengths.tolist(), strict=True):
        counts = result.languages.setdefault(language, {"documents": 0, "tokens": 0, "bytes": 0})
        size = len(text) if text.isascii() else len(text.encode("utf-8"))
        counts["documents"] += 1
        counts["tokens"] += tokens
        counts["bytes"] += size
        result.bytes += size
        result.tokens += tokens
    result.documents += len(batch.texts)
    progress.advance(sum(map(len, batch.texts)), f"{result.tokens} tokens")


_worker_encoder: CorpusEncoder | None = None


def _begin_worker(encoder: CorpusEncoder) -> None:
    global _worker_encoder
    _worker_encoder = encoder
    # The parent decides when to stop; a signal to the group must not make each worker complain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _encode_in_worker(texts: list[str]) -> tuple[Ids, Ids]:
    assert _worker_encoder is not None
    return _worker_encoder.encode(texts)


def _encode(
    encoder: CorpusEncoder, batches: Iterator[_Batch], jobs: int
) -> Iterator[tuple[_Batch, Ids, Ids]]:
    """Encode batches in order, on several processes where there is more than one job."""
    if jobs == 1:
        for batch in batches:
            yield batch, *encoder.encode(batch.texts)
        return
    # Forked workers share the tokenizer's memory and start at once.
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("fork"), initializer=_begin_worker, initargs=(encoder,)
    )
    waiting: deque[tuple[_Batch, Future[tuple[Ids, Ids]]]] = deque()
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(_encode_in_worker, batch.texts)))
            if len(waiting) > 2 * jobs:
                first, future = waiting.popleft()
                yield first, *future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, *future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _copy_tokenizer(source: Path, target: Path) -> None:
    """Keep the tokenizer with its tokens, so that they can be read without looking for it."""
    target.mkdir()
    shutil.copyfile(source, target / source.name)
    names = (MODEL_FILE, JSON_FILE, CONFIG_FILE, "special_tokens_map.json")
    for name in names:
        beside = source.with_name(name)
        if beside.is_file() and source.name in names and not (target / name).exists():
            shutil.copyfile(beside, target / name)
