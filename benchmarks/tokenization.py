"""Encoding and tokenizer training: CPU seconds beside the peers, in the same run.

    python benchmarks/tokenization.py TEXT.jsonl.gz ... [--megabytes 20] [--vocab-size 32000]

All tools encode the same documents with the same vocabulary on one thread, and the ids are
compared: norcli's shards encoder, sentencepiece on whole documents, and Hugging Face tokenizers
with the files norcli wrote, each document ended by </s>. Training is timed on the same text:
norcli (sample, SentencePiece, conversion, check and measures) and the BPE trainer of tokenizers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from recording import record
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, trainers

from norcli.console import Console
from norcli.formats.documents import read_documents
from norcli.tokens.encode import CorpusEncoder
from norcli.tokens.huggingface import SentencePieceTokenizer
from norcli.tokens.options import TokenizeTrainOptions
from norcli.tokens.train import train_tokenizer

BATCH = 200


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def encode_norcli(tokenizer: SentencePieceTokenizer, texts: list[str]) -> list[int]:
    encoder = CorpusEncoder(tokenizer, eos_id=2)
    parts = [encoder.encode(texts[i : i + BATCH])[0] for i in range(0, len(texts), BATCH)]
    return np.concatenate(parts)


def encode_sentencepiece(tokenizer: SentencePieceTokenizer, texts: list[str]) -> Any:
    ids = chain.from_iterable([*tokenizer.encode(text), 2] for text in texts)
    return np.fromiter(ids, np.uint32)


def encode_tokenizers(backend: Backend, texts: list[str]) -> Any:
    ids: list[int] = []
    for i in range(0, len(texts), BATCH):
        for encoding in backend.encode_batch_fast(texts[i : i + BATCH], add_special_tokens=False):
            ids += [*encoding.ids, 2]
    return np.array(ids)


def train_peer(texts: list[str], vocab_size: int) -> Backend:
    backend = Backend(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, show_progress=False
    )
    lines = (line for text in texts for line in text.split("\n"))
    backend.train_from_iterator(lines, trainer)
    return backend


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "tokenizer")
        options = TokenizeTrainOptions(
            inputs=given.files, output=output, vocab_size=given.vocab_size,
            sample_bytes=int(given.megabytes * 1e6),
        )  # fmt: skip
        train_seconds, trained = timed(lambda: train_tokenizer(options, Console.silent()))
        tokenizer = SentencePieceTokenizer(Path(output) / "tokenizer.model")
        backend = Backend.from_file(str(Path(output) / "tokenizer.json"))
        texts, size = [], 0
        for document in read_documents(options, Console.silent()):
            texts.append(document.text)
            size += len(document.text.encode())
            if size >= given.megabytes * 1e6:
                break
        runs = {
            "norcli": lambda: encode_norcli(tokenizer, texts),
            "sentencepiece": lambda: encode_sentencepiece(tokenizer, texts),
            "tokenizers": lambda: encode_tokenizers(backend, texts),
        }
        expected = None
        for tool, run in runs.items():
            seconds, ids = timed(run)
            expected = ids if expected is None else expected
            record("tokenization", {
                "task": "encode", "tool": tool, "megabytes": round(size / 1e6, 2),
                "vocab_size": given.vocab_size, "cpu_seconds": round(seconds, 2),
                "mb_per_cpu_second": round(size / 1e6 / seconds, 2), "tokens": len(ids),
                "ids_equal_norcli": bool(np.array_equal(ids, expected)),
            })  # fmt: skip
        peer_seconds, _ = timed(lambda: train_peer(texts, given.vocab_size))
        for tool, seconds, amount in (
            ("norcli", train_seconds, trained.sample.bytes),
            ("tokenizers", peer_seconds, size),
        ):
            record("tokenization", {
                "task": "train", "tool": tool, "megabytes": round(amount / 1e6, 2),
                "vocab_size": given.vocab_size, "cpu_seconds": round(seconds, 2),
            })  # fmt: skip


if __name__ == "__main__":
    main()
