"""What ``norcli models`` shows: the family as a table, one model in full, advice by use and memory.

Works on presets and estimates alone, so that it answers on a login node without torch. The advice
is that of the report's sections 2 and 5, stored with the presets; whether a file fits into a
memory is worked out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from norcli.columns import aligned
from norcli.errors import ConfigError, DataError
from norcli.model.estimate import (
    CORPUS_TOKENS,
    GPU_BYTES,
    Architecture,
    activation_bytes,
    count_active_parameters,
    count_parameters,
    gguf_bytes,
    gpu_hours,
    gpus_for_training,
    implied_mfu,
    kv_cache_bytes,
    training_flops_per_token,
    training_state_bytes,
)
from norcli.model.options import TOPICS, ModelsAdviseOptions, ModelsShowOptions
from norcli.model.presets import Preset, load_preset, preset_names

GGUF_TYPES = ("Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")
TOPIC_TITLES = {
    "light": "light use: education, prototypes, small machines",
    "comprehension": "comprehension and long-form generation",
    "long-context": "long context",
    "assistant": "assistant: instructions and dialogue",
    "laptop": "laptop or edge, as Q4 or Q5 GGUF",
    "reasoning": "reasoning",
    "minority-languages": "Nynorsk and Sámi",
    "adaptation": "adaptation to a domain with LoRA",
    "serving": "serving many users",
    "tests": "tests and learning the tools",
}
# Room that a runtime takes beside weights and cache.
_RUNTIME_SHARE = 0.05
_ADVISED_CONTEXT = 4096


def family() -> list[dict[str, Any]]:
    """Return one record per preset with the columns of Table 1 and the counted parameters."""
    rows = []
    for name in preset_names():
        preset = load_preset(name)
        report = preset.report
        rows.append({
            "name": name,
            "parameters": count_parameters(preset.config),
            "table_parameters": report.get("parameters"),
            "architecture": report.get("architecture", "Transformer"),
            "model_type": preset.model_type,
            "context": preset.context,
            "hidden_size": preset.config["hidden_size"],
            "vocab_size": preset.config["vocab_size"],
            "strategy": preset.strategy,
            "gpu_hours": report.get("gpu_hours"),
            "accelerator": report.get("accelerator"),
        })  # fmt: skip
    return rows


def family_table() -> str:
    """Return the family as aligned text."""
    head = ("name", "parameters", "table 1", "architecture", "context", "hidden", "vocab",
            "strategy", "GPU hours", "GPU")  # fmt: skip
    rows = [head]
    for row in family():
        hours = "-" if row["gpu_hours"] is None else f"{row['gpu_hours']:g}"
        rows.append((
            row["name"], _spaced(row["parameters"]), row["table_parameters"] or "-",
            row["architecture"], str(row["context"]), str(row["hidden_size"]),
            str(row["vocab_size"]), row["strategy"], hours, row["accelerator"] or "-",
        ))  # fmt: skip
    return "\n".join(aligned(rows, left=(0, 3, 7, 9))) + "\n"


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def describe(options: ModelsShowOptions) -> dict[str, Any]:
    """Return everything known of one model: its data, counts, memory, sizes and notes.

    Raises:
        ConfigError: There is no such preset.
        DataError: The directory has no usable config.json.
    """
    path = Path(options.model)
    if "/" in options.model or (path.is_dir() and options.model not in preset_names()):
        return _describe_config(_read_config(path), options, path.name or options.model)
    preset = load_preset(options.model)
    config = dict(preset.config)
    if options.vocab_size is not None:
        config["vocab_size"] = options.vocab_size
    described: dict[str, Any] = {
        "name": preset.name,
        "title": preset.title,
        "description": preset.description,
        "stage": preset.stage,
    }
    if preset.released is not None:
        described["released"] = preset.released
    return {
        **described,
        "report": preset.report,
        "config": config,
        "training": preset.training,
        "counts": _counts(config, options.context or preset.context),
        "memory": _memory(config, options.context or preset.context),
        "cost": _cost(preset),
        "advice": preset.advice,
        "notes": [{"text": note.text, "source": note.source} for note in preset.notes],
    }


def _describe_config(
    config: dict[str, Any], options: ModelsShowOptions, name: str
) -> dict[str, Any]:
    if options.vocab_size is not None:
        config = config | {"vocab_size": options.vocab_size}
    context = options.context or Architecture.of(config).positions
    return {
        "name": name,
        "config": {key: value for key, value in config.items() if value is not None},
        "counts": _counts(config, context),
        "memory": _memory(config, context),
    }


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / "config.json"
    if not path.is_file():
        raise ConfigError(
            f'no preset "{directory}", and no {path}', hint="list the presets with: norcli models"
        )
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError("is not valid JSON", path=path) from error
    if not isinstance(config, dict):
        raise DataError("does not describe a model", path=path)
    return config


def _counts(config: dict[str, Any], context: int) -> dict[str, Any]:
    parameters = count_parameters(config)
    active = count_active_parameters(config)
    counts: dict[str, Any] = {"parameters": parameters}
    if active != parameters:
        counts["active_parameters"] = active
    counts["training_flops_per_token"] = training_flops_per_token(config, context)
    return counts


def _memory(config: dict[str, Any], context: int) -> dict[str, Any]:
    cache = kv_cache_bytes(config, context)
    memory: dict[str, Any] = {
        "context": context,
        "kv_cache_bytes": cache,
        "gguf_bytes": {kind: gguf_bytes(config, kind) for kind in GGUF_TYPES},
    }
    memory["inference_gb"] = {
        kind: round(_inference_bytes(size, cache) / 1e9, 3)
        for kind, size in memory["gguf_bytes"].items()
    }
    memory["training_state_bytes"] = training_state_bytes(config)
    memory["training_activation_bytes"] = activation_bytes(config, context)
    memory["training_gpus"] = {kind: gpus_for_training(config, kind) for kind in GPU_BYTES}
    return memory


def _inference_bytes(weights: int, cache: int) -> float:
    return (weights + cache) * (1 + _RUNTIME_SHARE)


def _cost(preset: Preset) -> dict[str, Any]:
    """Compare the GPU hours of the report with 6ND for one pass over its corpus."""
    report = preset.report
    if "corpus" not in report:
        return {}
    tokens = CORPUS_TOKENS[report["corpus"]]
    accelerator = report["accelerator"]
    mfu = implied_mfu(preset.config, tokens, accelerator, report["gpu_hours"])
    return {
        "corpus_tokens": int(tokens),
        "implied_tokens_per_second_per_gpu": round(tokens / report["gpu_hours"] / 3600),
        "implied_mfu": round(mfu, 4),
        "gpu_hours_at_40_percent": round(gpu_hours(preset.config, tokens, accelerator)),
    }


def advise(options: ModelsAdviseOptions) -> list[dict[str, Any]]:
    """Return, per use, the models the report recommends, and the files that fit the memory.

    Models of which no file fits are left out when a memory is given.
    """
    advice = []
    for topic in options.use or TOPICS:
        models = []
        for name in preset_names():
            preset = load_preset(name)
            if topic not in preset.advice.get("topics", ()):
                continue
            entry: dict[str, Any] = {
                "name": name,
                "use": preset.advice["use"],
                "gpu_memory": preset.advice["gpu_memory"],
            }
            if options.memory is not None:
                entry["fits"] = _fitting(preset, options)
                if not entry["fits"]:
                    continue
            models.append(entry)
        advice.append({"topic": topic, "title": TOPIC_TITLES[topic], "models": models})
    return advice


def _fitting(preset: Preset, options: ModelsAdviseOptions) -> list[str]:
    assert options.memory is not None
    context = min(options.context or _ADVISED_CONTEXT, preset.context)
    cache = kv_cache_bytes(preset.config, context)
    return [
        kind
        for kind in GGUF_TYPES
        if _inference_bytes(gguf_bytes(preset.config, kind), cache) <= options.memory * 1e9
    ]


def advice_text(advice: list[dict[str, Any]], memory: float | None) -> str:
    """Return advice as text for a person."""
    blocks = []
    for entry in advice:
        lines = [entry["title"]]
        for model in entry["models"]:
            lines.append(f"  {model['name']}: {model['use']}")
            if "fits" in model:
                lines.append(f"    in {memory:g} GB: {', '.join(model['fits'])}")
            else:
                lines.append(f"    GPU memory: {model['gpu_memory']}")
        if not entry["models"]:
            lines.append(f"  no model of the family fits into {memory:g} GB for this")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def to_toml(described: dict[str, Any]) -> str:
    """Return a description as TOML, tables after plain values."""
    lines: list[str] = []
    _write_table(described, (), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _write_table(table: dict[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_table_list(value):
            lines.append(f"{key} = {_toml_value(value)}")
    for key, value in table.items():
        place = (*path, key)
        if isinstance(value, dict) and value:
            lines += ["", f"[{'.'.join(place)}]"]
            _write_table(value, place, lines)
        elif _is_table_list(value):
            for entry in value:
                lines += ["", f"[[{'.'.join(place)}]]"]
                _write_table(entry, place, lines)


def _is_table_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _toml_value(value: Any) -> str:
    # JSON's spelling of numbers, texts, true, false and lists is TOML's as well.
    return json.dumps(value, ensure_ascii=False)
