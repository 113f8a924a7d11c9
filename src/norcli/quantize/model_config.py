"""The configuration of a Hugging Face model directory, as far as a GGUF file needs it.

Reads config.json of the four classes of the report's family (GPT-2, Llama, Mistral, Mixtral) into
one dataclass under Hugging Face names, both the older layout and that of transformers 5. Refuses
what llama.cpp's graph of the architecture could not compute the same way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from norcli.errors import DataError
from norcli.model.estimate import cache_bytes

CONFIG_FILE = "config.json"
# llama.cpp keeps counts in 32 bits with a sign.
MOST = (1 << 31) - 1

# Model class → architecture in llama.cpp, which has one graph for the whole Llama family.
ARCHITECTURES = {
    "GPT2LMHeadModel": "gpt2",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
}
_CLASS_OF_MODEL_TYPE = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
}


_ROPE_NUMBERS = {"factor", "original_max_position_embeddings", "beta_fast", "beta_slow",
                 "low_freq_factor", "high_freq_factor"}  # fmt: skip


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a model; names as in config.json of Llama."""

    path: Path
    model_class: str
    architecture: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    max_position_embeddings: int
    norm_epsilon: float
    tie_word_embeddings: bool
    head_dim: int
    has_head_dim: bool = False
    rope_theta: float | None = None
    rope: dict[str, Any] = field(default_factory=dict)
    num_local_experts: int = 0
    num_experts_per_tok: int = 0
    sliding_window: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def rope_type(self) -> str:
        """Kind of rotary scaling, ``default`` for none."""
        return str(self.rope.get("rope_type", self.rope.get("type", "default")))

    @property
    def place(self) -> Path:
        """What holds the tensors, for messages: the model directory, or the GGUF file."""
        return self.path.parent if self.path.name == CONFIG_FILE else self.path

    def cache_bytes(self, context: int) -> int:
        """Return the memory of keys and values in 16 bits, as llama.cpp and vLLM hold them."""
        return cache_bytes(
            self.num_hidden_layers, self.num_key_value_heads * self.head_dim, context
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: It is not one.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise DataError("is not valid JSON", path=path, line=line) from error
    if not isinstance(value, dict):
        raise DataError("is not a JSON object", path=path)
    return value


def read_model_config(directory: Path) -> ModelConfig:
    """Read config.json of a model directory.

    Raises:
        DataError: There is none, the class is not supported, or a field is missing.
    """
    path = directory / CONFIG_FILE
    if not path.is_file():
        raise DataError(
            f"is no model directory: it has no {CONFIG_FILE}", path=directory,
            hint="give a Hugging Face model directory, such as pretrain writes",
        )  # fmt: skip
    fields = read_json(path)
    name = _model_class(fields, path)
    config = (
        _read_gpt2(fields, path) if name == "GPT2LMHeadModel" else _read_llama(fields, name, path)
    )
    check_heads(config)
    return config


def count_of(
    fields: Mapping[str, Any], name: str, path: str | Path, default: int | None = None
) -> int:
    """Return a field that counts something.

    Args:
        fields: Of a config.json, or metadata of a GGUF file.
        name: The field.
        path: For messages.
        default: Taken where the field is missing or null; None where it is needed.

    Raises:
        DataError: It is missing, or no whole number from 1.
    """
    value = fields.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise DataError(f'has no "{name}", which the model needs', path=path)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST:
        raise DataError(f'has "{name}" of {_shown(value)}; expected a count from 1', path=path)
    return value


def number_of(
    fields: Mapping[str, Any], name: str, path: str | Path, default: float | None = None
) -> float:
    """Return a field that is a positive number; see `count_of`.

    Raises:
        DataError: It is missing, or no positive, finite number.
    """
    value = fields.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise DataError(f'has no "{name}", which the model needs', path=path)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise DataError(f'has "{name}" of {_shown(value)}; expected a positive number', path=path)
    return float(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"


def check_heads(config: ModelConfig) -> None:
    """Check that heads share out what they are made of.

    Raises:
        DataError: They do not.
    """
    heads, keys = config.num_attention_heads, config.num_key_value_heads
    if config.architecture == "gpt2" and config.hidden_size % heads:
        raise DataError(f"has {heads} heads for a width of {config.hidden_size}", path=config.path)
    if heads % keys:
        raise DataError(f"has {heads} heads for {keys} key heads", path=config.path)
    if config.architecture == "llama" and (config.head_dim % 2 or not config.head_dim):
        raise DataError(f"has heads of {config.head_dim}, which cannot be rotated in pairs",
                        path=config.path)  # fmt: skip
    if config.num_experts_per_tok > config.num_local_experts:
        raise DataError(f"takes {config.num_experts_per_tok} of {config.num_local_experts} experts",
                        path=config.path)  # fmt: skip


def _model_class(fields: dict[str, Any], path: Path) -> str:
    named = fields.get("architectures")
    names = named if isinstance(named, list) else []
    model_type = str(fields.get("model_type", ""))
    name = str(names[0]) if names else _CLASS_OF_MODEL_TYPE.get(model_type, model_type)
    if name not in ARCHITECTURES:
        raise DataError(
            f'names architecture "{name}", which norcli cannot convert', path=path,
            hint=f"supported: {', '.join(ARCHITECTURES)}",
        )  # fmt: skip
    return name


def _read_gpt2(fields: dict[str, Any], path: Path) -> ModelConfig:
    hidden, heads = count_of(fields, "n_embd", path), count_of(fields, "n_head", path)
    activation = fields.get("activation_function", "gelu_new")
    if activation not in ("gelu_new", "gelu_pytorch_tanh"):
        raise DataError(f'has activation "{activation}"; llama.cpp computes gelu_new', path=path)
    if not fields.get("scale_attn_weights", True):
        raise DataError("has unscaled attention, which llama.cpp does not compute", path=path)
    if fields.get("scale_attn_by_inverse_layer_idx", False):
        raise DataError("scales attention by layer, which llama.cpp does not compute", path=path)
    return ModelConfig(
        path=path,
        model_class="GPT2LMHeadModel",
        architecture="gpt2",
        hidden_size=hidden,
        num_hidden_layers=count_of(fields, "n_layer", path),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=count_of(fields, "n_inner", path, 4 * hidden),
        max_position_embeddings=count_of(
            fields, "n_ctx" if fields.get("n_positions") is None else "n_positions", path
        ),
        norm_epsilon=number_of(fields, "layer_norm_epsilon", path, 1e-5),
        tie_word_embeddings=bool(fields.get("tie_word_embeddings", True)),
        head_dim=hidden // heads,
        fields=fields,
    )


def _read_llama(fields: dict[str, Any], name: str, path: Path) -> ModelConfig:
    hidden = count_of(fields, "hidden_size", path)
    heads = count_of(fields, "num_attention_heads", path)
    if fields.get("hidden_act", "silu") != "silu":
        raise DataError(
            f'has activation "{fields["hidden_act"]}"; llama.cpp computes silu', path=path
        )
    # transformers 5 keeps theta and scaling together; older files spread them.
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise DataError("has rotary parameters that are no object", path=path)
    for key in _ROPE_NUMBERS & rope.keys():
        number_of(rope, key, path, 1.0)
    theta = number_of(rope, "rope_theta", path, number_of(fields, "rope_theta", path, 10000.0))
    experts = count_of(fields, "num_local_experts", path) if "Mixtral" in name else 0
    window = count_of(fields, "sliding_window", path, MOST)
    config = ModelConfig(
        path=path,
        model_class=name,
        architecture="llama",
        hidden_size=hidden,
        num_hidden_layers=count_of(fields, "num_hidden_layers", path),
        num_attention_heads=heads,
        num_key_value_heads=count_of(fields, "num_key_value_heads", path, heads),
        intermediate_size=count_of(fields, "intermediate_size", path),
        max_position_embeddings=count_of(fields, "max_position_embeddings", path),
        norm_epsilon=number_of(fields, "rms_norm_eps", path),
        tie_word_embeddings=bool(fields.get("tie_word_embeddings", False)),
        head_dim=count_of(fields, "head_dim", path, hidden // heads),
        has_head_dim=fields.get("head_dim") is not None,
        rope_theta=theta,
        rope=dict(rope),
        num_local_experts=experts,
        num_experts_per_tok=count_of(fields, "num_experts_per_tok", path) if experts else 0,
        sliding_window=None if window == MOST else window,
        fields=fields,
    )
    if config.rope_type not in ("default", "linear", "yarn", "llama3"):
        raise DataError(f'has rotary scaling "{config.rope_type}"', path=path,
                        hint="supported: default, linear, yarn, llama3")  # fmt: skip
    return config
