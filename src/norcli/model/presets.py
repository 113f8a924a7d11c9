"""The model family as data: one TOML file per row of the report's Table 1, and the nano models.

The stage before training: `load_preset` reads a file of ``presets/`` into a `Preset`, whose
configuration uses the field names of Hugging Face's config.json. Standard library only, so that
``norcli models`` and plans need no torch. It does not build models; see `norcli.model.build`.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from norcli.errors import ConfigError

# The order of Table 1, then the models of this project.
_ORDER = (
    "norgpt-369m",
    "norgpt-3b",
    "norgpt-23b",
    "norllama-3b",
    "norwai-mistral-7b-pretrain",
    "norwai-mistral-7b",
    "norwai-llama2-7b",
    "norwai-mixtral-8x7b",
    "norwai-magistral-24b",
    "norwai-mistral-7b-instruct",
    "norwai-mixtral-8x7b-instruct",
    "norgpt-nano",
    "norllama-nano",
    "norllama-micro",
)


class Note(NamedTuple):
    """Something a reader of the numbers should know, and where it is from."""

    text: str
    source: str


@dataclass(frozen=True)
class Preset:
    """One model of the family.

    Args:
        name: What ``--preset`` takes, lower-case with hyphens.
        title: The name as the report prints it.
        family: Group of related models (NorGPT, NorwAI-Mistral, nano …).
        stage: ``base``, ``instruct`` or ``test``.
        released: Year of the first release; None for the test models.
        description: One line.
        config: Shape of the model, in config.json's names (hidden_size …) for every model type.
        training: How it was trained: lr, min_lr, global_batch_size (sequences), seq_len
            (tokens), schedule, warmup_fraction, decay_steps, weight_decay, grad_clip, precision;
            only what is published.
        report: The row of Table 1 as printed; empty for the test models.
        advice: ``topics``, ``use`` and ``gpu_memory`` of sections 2 and 5.
        notes: Inconsistencies found, not silently mended.
    """

    name: str
    title: str
    family: str
    stage: str
    released: int | None
    description: str
    config: dict[str, Any]
    training: dict[str, Any]
    report: dict[str, Any]
    advice: dict[str, Any]
    notes: tuple[Note, ...]

    @property
    def model_type(self) -> str:
        """``gpt2``, ``llama``, ``mistral`` or ``mixtral``."""
        return str(self.config["model_type"])

    @property
    def context(self) -> int:
        """Tokens the model was trained to see at once."""
        return int(self.training.get("seq_len", self.config["max_position_embeddings"]))

    @property
    def strategy(self) -> str:
        """How it came to be, as Table 1 words it."""
        return str(self.report.get("strategy", "Test model"))


def preset_names() -> list[str]:
    """Return the names of all presets, in the order of Table 1, the test models last."""
    return list(_ORDER)


def load_preset(name: str) -> Preset:
    """Return a preset by its name; upper-case letters are accepted.

    Raises:
        ConfigError: There is no such preset; the hint names the nearest one.
    """
    key = name.lower()
    if key not in _ORDER:
        close = difflib.get_close_matches(key, _ORDER, n=1, cutoff=0.5)
        raise ConfigError(
            f'unknown preset "{name}"',
            hint=f"did you mean {close[0]}? list them with: norcli models"
            if close
            else "list them with: norcli models",
        )
    table = _read(key)
    base = table.get("config_from")
    config = dict(_read(base)["config"]) if base else {}
    config.update(table.get("config", {}))
    return Preset(
        name=table["name"],
        title=table["title"],
        family=table["family"],
        stage=table["stage"],
        released=table.get("released"),
        description=table["description"],
        config=config,
        training=dict(table.get("training", {})),
        report=dict(table.get("report", {})),
        advice=dict(table.get("advice", {})),
        notes=tuple(Note(note["text"], note["source"]) for note in table.get("notes", [])),
    )


@cache
def _read(name: str) -> dict[str, Any]:
    text = resources.files("norcli.model").joinpath("presets", f"{name}.toml").read_bytes()
    return tomllib.loads(text.decode("utf-8"))
