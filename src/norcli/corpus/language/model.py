"""The language model on disk: 8-bit weights in one safetensors file, and all that scoring needs.

Written by tools/train_langid.py, read by identifier.py. The description is JSON under the one
metadata key `norcli`, since safetensors does not keep several keys in order and the file must be
the same bytes each time it is trained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = "norcli-langid-1"
CLASSES: tuple[str, ...] = (
    "nob", "nno", "sme", "smj", "sma", "dan", "swe", "deu", "eng", "other",
)  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """How sums of weights become probabilities, and probabilities decisions.

    Attributes:
        length_exponent: The sum of n weights is divided by n to this power.
        temperature: Then the scores are divided by this.
        margin: The probability under which no language is named.
    """

    length_exponent: float
    temperature: float
    margin: float


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes:
        weights: int8 (2**bits, classes); a row for each bucket of hashed features.
        scales: float32 (classes,); what one unit of a class's weights is worth.
        bias: float32 (classes,).
        calibration: See `Calibration`.
        classes: Names of the columns, ISO 639-3 or "other".
        provenance: What the weights were trained on and how; not read when scoring.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    calibration: Calibration
    classes: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def bits(self) -> int:
        """Return log2 of the number of buckets."""
        return len(self.weights).bit_length() - 1


def save_model(model: Model, path: Path) -> None:
    """Write a model; equal models give equal bytes."""
    from safetensors.numpy import save

    description = {
        "format": FORMAT,
        "classes": model.classes,
        "length_exponent": model.calibration.length_exponent,
        "temperature": model.calibration.temperature,
        "margin": model.calibration.margin,
        "provenance": model.provenance,
    }
    tensors = {"weights": model.weights, "scales": model.scales, "bias": model.bias}
    metadata = {"norcli": json.dumps(description, sort_keys=True, ensure_ascii=False)}
    # save_file would make a file that only its owner may read.
    path.write_bytes(save(tensors, metadata))


def load_model(path: Path) -> Model:
    """Read a model.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no language model of this format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads((file.metadata() or {}).get("norcli", "{}"))
            if description.get("format") != FORMAT:
                raise ValueError(f"{path}: not a language model of format {FORMAT}")
            weights, scales, bias = (file.get_tensor(k) for k in ("weights", "scales", "bias"))
    except SafetensorError as error:
        raise ValueError(f"{path}: {error}") from error
    classes = tuple(description["classes"])
    buckets = len(weights)
    right_shapes = weights.shape == (buckets, len(classes)) and len(classes) <= 16
    if not right_shapes or buckets & (buckets - 1) or weights.dtype != np.int8:
        raise ValueError(f"{path}: the weights are {weights.dtype} {weights.shape}")
    return Model(
        weights=weights,
        scales=scales,
        bias=bias,
        calibration=Calibration(
            description["length_exponent"], description["temperature"], description["margin"]
        ),
        classes=classes,
        provenance=description["provenance"],
    )
