"""What a conversion did or would do: sizes, bits per weight, types, fallbacks.

Plain data for ``--json`` and ``--stats``, and the lines people read. The tables of ``--report``
are `report_text`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from norcli.formats.gguf import BLOCKS
from norcli.quantize.inspection import human_bytes, human_count
from norcli.quantize.memory import MemoryNeed, memory_need
from norcli.quantize.plan import Layout, Source
from norcli.quantize.quality import Quality


@dataclass(frozen=True)
class TensorRow:
    """One tensor of a file.

    Attributes:
        rmse: Root mean square of the errors, None where not measured.
        relative: The same over the root mean square of the weights.
    """

    name: str
    type: str
    wanted: str | None = None
    rmse: float | None = None
    relative: float | None = None


class TensorErrors:
    """Squared errors and weights of the tensors of one file, added up tile by tile."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float, int]] = {}

    def add(self, name: str, error: float, power: float, weights: int) -> None:
        """Add a tile's squared error, squared weights and count."""
        before = self._sums.get(name, (0.0, 0.0, 0))
        self._sums[name] = (before[0] + error, before[1] + power, before[2] + weights)

    def of(self, name: str) -> tuple[float, float]:
        """Return a tensor's root mean square error, and that over its weights'."""
        error, power, weights = self._sums[name]
        return math.sqrt(error / weights), math.sqrt(error / power) if power else 0.0


@dataclass(frozen=True)
class FileReport:
    """One GGUF file.

    Attributes:
        bits_per_weight: Of the tensors, without the header.
        tensors: Number of tensors by type.
        tensor_bytes: Bytes of tensors by type.
        fallbacks: Number of tensors by ``wanted → got``.
        table: Each tensor with its type, the type the name promises where that is another, and
            its errors where they were measured.
        memory: What it takes to run the file.
    """

    path: str
    type: str
    bytes: int
    bits_per_weight: float
    tensors: dict[str, int]
    tensor_bytes: dict[str, int]
    fallbacks: dict[str, int]
    table: list[TensorRow]
    memory: MemoryNeed

    @property
    def fallback_lines(self) -> list[str]:
        """Say which tensors did not get the type that the name promises, and why."""
        lines = []
        for change, count in self.fallbacks.items():
            wanted = change.split(" ")[0]
            block = next(size for kind, (size, _) in BLOCKS.items() if kind.name == wanted)
            noun = "tensor" if count == 1 else "tensors"
            lines.append(
                f"{self.type}: {count} {noun} {change}: rows do not fill blocks of {block}"
            )
        return lines


@dataclass(frozen=True)
class RewriteReport:
    """Weights written in one type: an adapter as GGUF, or a GGUF file as safetensors.

    Attributes:
        bytes: Of the weights' file, 0 where nothing was written.
    """

    path: str
    type: str
    bytes: int
    tensors: int
    parameters: int
    seconds: float

    @property
    def summary(self) -> str:
        """The line at the end of a run."""
        return (
            f"{self.tensors} tensors, {human_count(self.parameters)} weights in, "
            f"{self.type} {human_bytes(self.bytes)} out, {self.seconds:.1f} s"
        )


@dataclass(frozen=True)
class ConversionReport:
    """A finished conversion."""

    name: str
    model_class: str
    parameters: int
    tensors: int
    tokenizer: str
    files: list[FileReport]
    seconds: float
    quality: list[Quality] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The line at the end of a run."""
        made = "; ".join(
            f"{file.type} {human_bytes(file.bytes)}, {file.bits_per_weight:.2f} bits per weight"
            for file in self.files
        )
        return (
            f"{self.tensors} tensors, {human_count(self.parameters)} weights in, "
            f"{made} out, {self.seconds:.1f} s"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def describe_file(
    source: Source, layout: Layout, errors: TensorErrors | None = None, context: int | None = None
) -> FileReport:
    """Return what one file holds, from its layout and, once written, its errors.

    Args:
        source: The model.
        layout: The file.
        errors: What was measured while it was written.
        context: Tokens of context to count memory for.
    """
    tensors: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    fallbacks: Counter[str] = Counter()
    for choice, info in zip(layout.choices, layout.infos, strict=True):
        tensors[choice.kind.name] += 1
        sizes[choice.kind.name] += info.size_bytes
        if choice.fell_back:
            fallbacks[f"{choice.wanted.name} → {choice.kind.name}"] += 1
    bits = 8 * sum(sizes.values()) / max(source.parameters, 1)
    return FileReport(
        layout.path, layout.quantization.name, layout.size_bytes, round(bits, 4),
        dict(sorted(tensors.items())), dict(sorted(sizes.items())), dict(sorted(fallbacks.items())),
        [
            TensorRow(
                info.name, choice.kind.name, choice.wanted.name if choice.fell_back else None,
                *(errors.of(info.name) if errors else ()),
            )
            for choice, info in zip(layout.choices, layout.infos, strict=True)
        ],
        memory_need(source.config, layout.size_bytes, context),
    )  # fmt: skip


def conversion_plan(source: Source, layouts: Sequence[Layout]) -> dict[str, Any]:
    """Return what a run would do, for --dry-run."""
    words = source.vocabulary.words
    return {
        "model": source.name,
        "class": source.config.model_class,
        "architecture": source.config.architecture,
        "parameters": source.parameters,
        "read_bytes": source.checkpoint.size_bytes,
        "tokenizer": f"{words.model} from {source.vocabulary.source}, {len(words.tokens)} words",
        "files": [asdict(describe_file(source, layout)) for layout in layouts],
    }


def plan_for_people(plan: dict[str, Any]) -> dict[str, str]:
    """Return a plan in words, one line for each file."""
    lines = {
        "model": f"{plan['model']} ({plan['class']}, {human_count(plan['parameters'])} weights)",
        "reads": human_bytes(plan["read_bytes"]),
        "tokenizer": plan["tokenizer"],
    }
    for number, file in enumerate(plan["files"], 1):
        kinds = ", ".join(f"{count} {kind}" for kind, count in file["tensors"].items())
        fallbacks = "".join(
            f"; {count} {change} for short rows" for change, count in file["fallbacks"].items()
        )
        lines["writes" if number == 1 else f"writes {number}"] = (
            f"{file['path']}, {file['type']}, {human_bytes(file['bytes'])}, "
            f"{file['bits_per_weight']:.2f} bits per weight; tensors: {kinds}{fallbacks}"
        )
    return lines
