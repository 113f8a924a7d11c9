"""A LoRA adapter as a GGUF file of its own, which llama.cpp lays over a model when it loads it.

The factors keep their shapes, A [rank, in] and B [out, rank]; where the model's rows are reordered
for rotary embedding, so are B's. llama.cpp computes the scale as alpha / rank. Facts of the file:
convert_lora_to_gguf.py and src/llama-adapter.cpp of llama.cpp.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.formats.gguf import Metadata, TensorInfo, write_gguf
from norcli.formats.tensors import Checkpoint
from norcli.quantize.adapter import AdaptedCheckpoint, Adapter, Factors, read_adapter
from norcli.quantize.kernels.encode import Floats, encode
from norcli.quantize.model_config import read_model_config
from norcli.quantize.options import OF_MODELS, QuantizeOptions
from norcli.quantize.plan import base_type
from norcli.quantize.report import RewriteReport
from norcli.quantize.tensor_names import PlannedTensor, plan_tensors
from norcli.quantize.tiles import rotary_order
from norcli.streams import atomic_file, check_output, refuse_terminal, require_directory

TYPES = ("F32", "F16", "BF16", "Q8_0")
_DEFAULT = "F16"


def quantize_adapter(options: QuantizeOptions, console: Console) -> RewriteReport:
    """Convert an adapter directory into a GGUF adapter.

    Raises:
        InputMissingError: The base model is not there.
        DataError: The adapter does not fit the base, or replaces whole tensors.
        UsageError: A type that adapters cannot have, or an option without a meaning for them.
        CannotCreateError: The output exists.
    """
    started = time.perf_counter()
    options.refuse(OF_MODELS, "an adapter")
    types = options.types(_DEFAULT)
    if len(types) > 1 or types[0] not in TYPES:
        raise UsageError(f"an adapter has one of the types {', '.join(TYPES)}")
    if options.output == "-":
        refuse_terminal("a GGUF file")
    check_output(options.output, options.overwrite)
    adapter = read_adapter(options.model)
    if adapter.replaced:
        raise DataError(
            f'replaces "{next(iter(adapter.replaced))}" whole, which a GGUF adapter cannot',
            path=adapter.directory, hint="merge it: norcli quantize BASE --adapter DIR",
        )  # fmt: skip
    base = _base_directory(options, adapter)
    config = read_model_config(base)
    checkpoint = AdaptedCheckpoint(Checkpoint(base), adapter)
    scales = {factors.scale * factors.a.shape[0] for factors in adapter.factors.values()}
    if len(scales) > 1:
        raise DataError("has several values of alpha; a GGUF adapter holds one",
                        path=adapter.directory)  # fmt: skip
    metadata = Metadata()
    metadata.text("general.architecture", config.architecture)
    metadata.text("general.type", "adapter")
    metadata.text("general.name", options.name or adapter.directory.resolve().name)
    metadata.text("adapter.type", "lora")
    metadata.float32("adapter.lora.alpha", scales.pop())
    tensors = [
        (tensor.name + half, values)
        for tensor in plan_tensors(config, checkpoint)
        for source in tensor.sources
        if source in adapter.factors
        for half, values in _halves(tensor, adapter.factors[source])
    ]
    size = 0 if options.dry_run else _write(options, metadata, tensors, types[0])
    weights = sum(values.size for _, values in tensors)
    console.info(f"the base model is {base}")
    return RewriteReport(options.output, types[0], size, len(tensors), weights,
                         time.perf_counter() - started)  # fmt: skip


def _base_directory(options: QuantizeOptions, adapter: Adapter) -> Path:
    named = options.base_model or adapter.base
    if named is None or (options.base_model is None and not Path(named).is_dir()):
        raise UsageError(
            f"the adapter's base model is needed for its shapes; it names {named!r}",
            hint="--base-model DIR",
        )
    return require_directory(named, "the adapter's base model")


def _halves(tensor: PlannedTensor, factors: Factors) -> list[tuple[str, Floats]]:
    b = factors.b
    if tensor.transform == "rotary":
        b = b[rotary_order(b.shape[0], tensor.heads)]
    if len(tensor.shape) != 2:
        raise DataError(
            f'"{tensor.name}" is adapted expert by expert, which llama.cpp cannot lay over a model',
            hint="merge it: norcli quantize BASE --adapter DIR",
        )
    return [(".lora_a", factors.a), (".lora_b", np.ascontiguousarray(b))]


def _write(
    options: QuantizeOptions, metadata: Metadata, tensors: list[tuple[str, Floats]], wanted: str
) -> int:
    parts = []
    for name, values in tensors:
        info = TensorInfo(name, values.shape, base_type(wanted, values.shape[-1]))
        flat = np.ascontiguousarray(values).reshape(-1)
        parts.append((info, encode(flat, info.kind).tobytes()))
    with atomic_file(options.output, overwrite=options.overwrite) as stream:
        return write_gguf(stream, metadata, parts)
