"""The configuration of a Hugging Face model directory, as far as a GGUF file needs it.

Reads config.json of the four classes of the report's family (GPT-2, Llama, Mistral, Mixtral) into
one dataclass under Hugging Face names, both the older layout and that of transformers 5. Refuses
what llama.cpp's graph of the architecture could not compute the same way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from norcli.errors import DataError
from norcli.model.estimate import cache_bytes

CONFIG_FILE = "config.json"

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
    except ValueError as error:
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
    try:
        return (
            _read_gpt2(fields, path)
            if name == "GPT2LMHeadModel"
            else _read_llama(fields, name, path)
        )
    except KeyError as error:
        raise DataError(f'has no "{error.args[0]}", which {name} needs', path=path) from error
    except (TypeError, ValueError) as error:
        raise DataError(f"has a field that is no number: {error}", path=path) from error


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
    hidden, heads = int(fields["n_embd"]), int(fields["n_head"])
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
        num_hidden_layers=int(fields["n_layer"]),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=int(fields.get("n_inner") or 4 * hidden),
        max_position_embeddings=int(fields.get("n_positions") or fields["n_ctx"]),
        norm_epsilon=float(fields.get("layer_norm_epsilon", 1e-5)),
        tie_word_embeddings=bool(fields.get("tie_word_embeddings", True)),
        head_dim=hidden // heads,
        fields=fields,
    )


def _read_llama(fields: dict[str, Any], name: str, path: Path) -> ModelConfig:
    hidden, heads = int(fields["hidden_size"]), int(fields["num_attention_heads"])
    if fields.get("hidden_act", "silu") != "silu":
        raise DataError(
            f'has activation "{fields["hidden_act"]}"; llama.cpp computes silu', path=path
        )
    # transformers 5 keeps theta and scaling together; older files spread them.
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    theta = rope.get("rope_theta", fields.get("rope_theta", 10000.0))
    config = ModelConfig(
        path=path,
        model_class=name,
        architecture="llama",
        hidden_size=hidden,
        num_hidden_layers=int(fields["num_hidden_layers"]),
        num_attention_heads=heads,
        num_key_value_heads=int(fields.get("num_key_value_heads") or heads),
        intermediate_size=int(fields["intermediate_size"]),
        max_position_embeddings=int(fields["max_position_embeddings"]),
        norm_epsilon=float(fields["rms_norm_eps"]),
        tie_word_embeddings=bool(fields.get("tie_word_embeddings", False)),
        head_dim=int(fields.get("head_dim") or hidden // heads),
        has_head_dim=bool(fields.get("head_dim")),
        rope_theta=float(theta),
        rope=dict(rope),
        num_local_experts=_experts(fields, name),
        num_experts_per_tok=int(fields["num_experts_per_tok"]) if "Mixtral" in name else 0,
        sliding_window=fields.get("sliding_window"),
        fields=fields,
    )
    if config.rope_type not in ("default", "linear", "yarn", "llama3"):
        raise DataError(f'has rotary scaling "{config.rope_type}"', path=path,
                        hint="supported: default, linear, yarn, llama3")  # fmt: skip
    return config


def _experts(fields: dict[str, Any], name: str) -> int:
    return int(fields["num_local_experts"]) if name == "MixtralForCausalLM" else 0
