"""Text encoders that the reward compares candidate and reference by.

A local directory of the BERT family (the report used NorBERT), or hashed character trigrams: a
plainly labelled stand-in that needs no model, knows no meaning, and is meant for tests and demos.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from norcli.alignment.options import HASHED_TRIGRAMS, SimilarityOptions
from norcli.errors import DataError, missing_extra
from norcli.streams import require_directory

FloatArray = npt.NDArray[np.float64]
BUCKETS = 4096
BATCH = 32


class Encoder(Protocol):
    """Texts to unit vectors."""

    @property
    def description(self) -> dict[str, Any]:
        """What it is, for reports: name, checksum, pooling."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return unit vectors of shape (texts, dimensions); zeros for an empty text."""
        ...


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Scale each row to length one; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = vectors / np.where(lengths == 0, 1.0, lengths)
    return scaled


class HashedTrigramEncoder:
    """Counts of character trigrams, hashed into `BUCKETS` and damped by a square root."""

    description: dict[str, Any] = {"encoder": HASHED_TRIGRAMS, "stand_in": True}  # noqa: RUF012

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return unit vectors of shape (texts, BUCKETS)."""
        vectors = np.zeros((len(texts), BUCKETS))
        for row, text in enumerate(texts):
            padded = f" {' '.join(text.lower().split())} "
            if padded.strip():
                for start in range(len(padded) - 2):
                    trigram = padded[start : start + 3].encode("utf-8", "surrogatepass")
                    vectors[row, zlib.crc32(trigram) % BUCKETS] += 1
        return unit_rows(np.sqrt(vectors))


class BertEncoder:
    """A BERT-family model directory in safetensors.

    Args:
        options: Directory, pooling, tokens, and whether code in it may run.

    Raises:
        DataError: The directory holds no usable encoder.
        UnavailableError: torch or transformers is not installed.
    """

    def __init__(self, options: SimilarityOptions) -> None:
        directory = require_directory(options.encoder, "an encoder directory")
        weights = sorted(directory.glob("*.safetensors"))
        if not (directory / "config.json").is_file() or not weights:
            raise DataError(
                "holds no encoder: config.json and safetensors are needed", path=directory,
                hint="convert pickled weights with transformers' save_pretrained",
            )  # fmt: skip
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise missing_extra("torch and transformers", "train") from error
        try:
            arguments = {"local_files_only": True, "trust_remote_code": options.trust_remote_code}
            self._tokenizer = AutoTokenizer.from_pretrained(directory, **arguments)
            self._model = AutoModel.from_pretrained(
                directory, use_safetensors=True, dtype=torch.float32, **arguments
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"cannot be loaded: {reason}", path=directory) from error
        self._options = options
        self.description = {
            "encoder": directory.name, "sha256": _checksum(weights), "pooling": options.pooling,
            "tokens": options.encoder_tokens,
        }  # fmt: skip

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return unit vectors of shape (texts, hidden_size)."""
        import torch

        limit = int(getattr(self._model.config, "max_position_embeddings", 512))
        rows = []
        for start in range(0, len(texts), BATCH):
            batch = self._tokenizer(
                list(texts[start : start + BATCH]), padding=True, truncation=True,
                max_length=min(self._options.encoder_tokens, limit), return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                hidden = self._model(**batch).last_hidden_state  # (B, T, C)
            if self._options.pooling == "cls":
                pooled = hidden[:, 0]
            else:
                mask = batch["attention_mask"].unsqueeze(-1)
                pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            rows.append(pooled.double().numpy())
        vectors = unit_rows(np.concatenate(rows)) if rows else np.zeros((0, 1))
        for row, text in enumerate(texts):
            if not text.strip():
                vectors[row] = 0
        return vectors


def _checksum(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def load_encoder(options: SimilarityOptions) -> Encoder:
    """Return the encoder that the options name.

    Raises:
        NorcliError: As `BertEncoder`.
    """
    if options.encoder == HASHED_TRIGRAMS:
        return HashedTrigramEncoder()
    return BertEncoder(options)
