"""From a preset to a Hugging Face configuration and a model with fresh weights.

`hugging_face_config` is pure Python and gives the fields of config.json; `build_model` imports
torch and transformers when called and makes the model class that config.json names. Both are what
`pretrain` starts from. Trained weights are read by the training stage, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from norcli.errors import ConfigError, missing_extra

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from norcli.model.presets import Preset

ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
}

# The config class of GPT-2 has names of its own for the same things.
_GPT2_NAMES = {
    "num_hidden_layers": "n_layer",
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}


def hugging_face_config(
    preset: Preset,
    *,
    vocab_size: int | None = None,
    context: int | None = None,
    bos_token_id: int | None = 1,
    eos_token_id: int | None = 2,
    pad_token_id: int | None = None,
    overrides: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the fields of config.json for a preset.

    Args:
        preset: The model.
        vocab_size: Rows of the embedding; the preset's own by default.
        context: Most positions; the preset's own by default.
        bos_token_id: Piece that begins a text, as norcli's tokenizers number it.
        eos_token_id: Piece that ends a text.
        pad_token_id: Padding piece, None where there is none.
        overrides: Further fields of the preset's configuration to replace (hidden_size …).

    Raises:
        ConfigError: An override names no field, or the shape does not fit together.
    """
    shape = dict(preset.config)
    for name, value in (overrides or {}).items():
        if name not in shape:
            raise ConfigError(
                f'"{name}" is not a field of preset {preset.name}',
                hint=f"its fields: {', '.join(shape)}",
            )
        shape[name] = value
    if vocab_size is not None:
        shape["vocab_size"] = vocab_size
    if context is not None:
        shape["max_position_embeddings"] = context
    _check_shape(shape, preset.name)
    tokens = {
        "bos_token_id": bos_token_id,
        "eos_token_id": eos_token_id,
        "pad_token_id": pad_token_id,
    }
    if shape["model_type"] == "gpt2":
        return _gpt2_config(shape) | tokens
    return _llama_config(shape) | tokens


def _check_shape(shape: dict[str, Any], name: str) -> None:
    heads = shape["num_attention_heads"]
    if "head_dim" not in shape and shape["hidden_size"] % heads:
        raise ConfigError(
            f"{name}: hidden_size {shape['hidden_size']} is no multiple of {heads} attention heads"
        )
    if heads % shape.get("num_key_value_heads", heads):
        raise ConfigError(
            f"{name}: {heads} attention heads do not divide among "
            f"{shape['num_key_value_heads']} key-value heads"
        )


def _gpt2_config(shape: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "architectures": [ARCHITECTURES["gpt2"]],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        # One pass over a corpus does not overfit, and dropout would cost the fused attention.
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
    for name, value in shape.items():
        config[_GPT2_NAMES.get(name, name)] = value
    return config


def _llama_config(shape: dict[str, Any]) -> dict[str, Any]:
    kind = shape["model_type"]
    config: dict[str, Any] = {
        "architectures": [ARCHITECTURES[kind]],
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "attention_dropout": 0.0,
        **shape,
    }
    # transformers 5 keeps the rotary base in a table of its own; a top-level field is ignored.
    theta = config.pop("rope_theta")
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": theta}
    if kind in ("mistral", "mixtral"):
        # Without a value the classes' own default would be a window of 4096.
        config.setdefault("sliding_window", None)
    config.setdefault("head_dim", shape["hidden_size"] // shape["num_attention_heads"])
    return config


def build_model(
    config: dict[str, Any], *, seed: int = 0, attention: str = "sdpa", meta: bool = False
) -> PreTrainedModel:
    """Make a model with fresh weights, the same ones for the same configuration and seed.

    The caller's random state is left as it was. Weights are float32.

    Args:
        config: Fields of config.json, from `hugging_face_config`.
        seed: Seed of the initial weights.
        attention: ``sdpa``, ``eager`` or ``flash_attention_2``.
        meta: Build without memory for the weights, for counting and planning.

    Raises:
        UnavailableError: torch or transformers is not installed.
        ConfigError: The model type is not one of the family.
    """
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM
    except ImportError as error:
        raise missing_extra("torch and transformers", "train") from error
    fields = dict(config)
    kind = fields.pop("model_type")
    if kind not in ARCHITECTURES:
        raise ConfigError(
            f'model type "{kind}" is not one of {", ".join(ARCHITECTURES)}',
        )
    settings = AutoConfig.for_model(kind, **fields)
    device = torch.device("meta" if meta else "cpu")
    with torch.random.fork_rng(devices=[]), device:
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            settings, attn_implementation=attention, dtype=torch.float32
        )
    # On the meta device the head is a parameter of its own until it is tied.
    model.tie_weights()
    return model
