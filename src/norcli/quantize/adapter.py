"""LoRA adapters of peft, read without torch: merged into the weights on the fly, or kept apart.

An adapter stands for ``scale * B @ A`` beside each matrix it adapts. `Adapter.delta` gives rows of
that product, which `convert` adds to a tile's weights in float32 before it is quantized;
`adapter_file` writes the factors as a GGUF adapter instead. Facts of the files: peft's LoraConfig
and save_pretrained. Report section 3.3.1 (parameter-efficient fine-tuning).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from norcli.errors import DataError
from norcli.formats.tensors import Checkpoint, Floats, TensorEntry, TensorFile, to_float32
from norcli.quantize.model_config import read_json
from norcli.streams import require_directory

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_FACTOR = re.compile(r"(.+)\.lora_([AB])(?:\.default)?\.weight")
_SAVED = re.compile(r"(.+?)(?:\.modules_to_save(?:\.default)?)?\.(weight|bias)")
# What changes the product in ways that this reader does not compute.
_REFUSED = ("use_dora", "alora_invocation_tokens", "layer_replication", "trainable_token_indices")


@dataclass(frozen=True)
class Factors:
    """One adapted matrix: float32 A [rank, in], B [out, rank], and what their product counts."""

    a: Floats
    b: Floats
    scale: float


@dataclass(frozen=True)
class Adapter:
    """An adapter directory.

    Attributes:
        directory: Where it lies.
        factors: By the adapted module's weight, ``model.layers.0.self_attn.q_proj.weight``.
        replaced: Tensors that the adapter holds whole, by the base's names.
        file: The file of the weights.
        base: What the adapter names as its base model.
    """

    directory: Path
    factors: dict[str, Factors]
    replaced: dict[str, TensorEntry]
    file: TensorFile
    base: str | None

    def delta(self, name: str, rows: Any) -> Floats | None:
        """Return what is added to some rows of a matrix, rows being its outputs.

        Args:
            name: The base's tensor.
            rows: Slice or indices.

        Returns:
            float32 [rows, in], None where the tensor is not adapted.
        """
        factors = self.factors.get(name)
        if factors is None:
            return None
        product: Floats = factors.b[rows] @ factors.a
        return product * np.float32(factors.scale)


def is_adapter(directory: str) -> bool:
    """Whether a directory is an adapter and not a model."""
    path = Path(directory)
    return (path / CONFIG_FILE).is_file() and not (path / "config.json").is_file()


def read_adapter(directory: str) -> Adapter:
    """Read an adapter directory.

    Raises:
        InputMissingError: There is none.
        DataError: It is no LoRA adapter, or of a kind that is more than a product of two factors.
    """
    path = require_directory(directory, "a LoRA adapter directory")
    if not (path / CONFIG_FILE).is_file():
        raise DataError(f"is no adapter: it has no {CONFIG_FILE}", path=path,
                        hint="give the folder that sft --lora or peft wrote")  # fmt: skip
    config = read_json(path / CONFIG_FILE)
    if config.get("peft_type", "LORA") != "LORA":
        raise DataError(f"is a {config['peft_type']} adapter; norcli reads LoRA", path=path)
    for key in _REFUSED:
        if config.get(key):
            raise DataError(f'uses "{key}", which norcli cannot merge', path=path / CONFIG_FILE,
                            hint="merge it with peft first")  # fmt: skip
    file = TensorFile(path / WEIGHTS_FILE)
    halves: dict[str, dict[str, TensorEntry]] = {}
    replaced: dict[str, TensorEntry] = {}
    for name, entry in file.entries.items():
        short = name.removeprefix(_PREFIX)
        if factor := _FACTOR.fullmatch(short):
            halves.setdefault(factor[1], {})[factor[2]] = entry
        elif saved := _SAVED.fullmatch(short):
            base_name = f"{saved[1]}.{saved[2]}"
            replaced[base_name] = replace(entry, name=base_name)
        else:
            raise DataError(f'tensor "{name}" is no part of a LoRA adapter', path=file.path)
    factors = {
        f"{name}.weight": _factors(name, pair, config, file) for name, pair in halves.items()
    }
    base = config.get("base_model_name_or_path")
    return Adapter(path, factors, replaced, file, base if isinstance(base, str) else None)


def _factors(
    module: str, pair: dict[str, TensorEntry], config: dict[str, Any], file: TensorFile
) -> Factors:
    if set(pair) != {"A", "B"}:
        raise DataError(f'"{module}" has only one of lora_A and lora_B', path=file.path)
    a, b = (to_float32(file.values(pair[half])) for half in "AB")
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
        raise DataError(f'the factors of "{module}" do not fit: {list(a.shape)} and '
                        f"{list(b.shape)}", path=file.path)  # fmt: skip
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError(f'"{module}" holds NaN or infinite weights', path=file.path)
    try:
        alpha = _pattern(config.get("alpha_pattern"), module, config.get("lora_alpha", 8))
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise DataError(f'gives "{module}" a "lora_alpha" or "alpha_pattern" that is no number',
                        path=Path(file.path).with_name(CONFIG_FILE)) from error  # fmt: skip
    rank = a.shape[0]
    return Factors(a, b, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def _pattern(patterns: Any, module: str, default: Any) -> float:
    """Return a module's own value where a pattern names it, as peft matches: by its end."""
    for pattern, value in (patterns or {}).items():
        if re.fullmatch(rf"(?:.*\.)?{pattern}", module):
            default = value
            break
    if not math.isfinite(default):
        raise ValueError("infinite")
    return float(default)


class AdaptedCheckpoint:
    """A checkpoint with an adapter laid over it: the tensors that it replaces.

    Raises:
        DataError: The adapter does not fit: a tensor that is not there, or of another shape.
    """

    def __init__(self, base: Checkpoint, adapter: Adapter) -> None:
        self._base, self._adapter = base, adapter
        self.directory, self.size_bytes = base.directory, base.size_bytes
        self.entries = base.entries | adapter.replaced
        for name, factors in adapter.factors.items():
            entry = base.entries.get(name)
            shape = (factors.b.shape[0], factors.a.shape[1])
            # GPT-2 stores its matrices as [in, out].
            if entry is None or entry.shape not in (shape, shape[::-1]):
                found = "there is none" if entry is None else f"it is {list(entry.shape)}"
                raise self._misfit(f'adapts "{name}" of shape {list(shape)}; {found}')
        for name, entry in adapter.replaced.items():
            if name not in base.entries or base.entries[name].shape != entry.shape:
                raise self._misfit(f'replaces "{name}", which the model does not have like that')

    def _misfit(self, message: str) -> DataError:
        return DataError(message, path=self._adapter.directory,
                         hint="is it an adapter of another model?")  # fmt: skip

    def stored(self, name: str) -> npt.NDArray[Any]:
        """Return a tensor's stored values, mapped from its file; products come with the tiles."""
        replaced = self._adapter.replaced.get(name)
        return self._base.stored(name) if replaced is None else self._adapter.file.values(replaced)

    def release(self, name: str) -> None:
        """Let go of the memory pages of a tensor."""
        if name not in self._adapter.replaced:
            self._base.release(name)
