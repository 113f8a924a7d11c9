"""The keys of a GGUF file that describe the model: name, shape, rotary scaling.

The tokenizer's keys are `vocabulary`'s. Values come from config.json; nothing here depends on the
time or the machine, so that the same input gives the same bytes.
"""

from __future__ import annotations

from norcli.formats.gguf import Metadata
from norcli.quantize.model_config import ModelConfig
from norcli.quantize.types import Quantization

QUANTIZATION_VERSION = 2  # of the block formats, as llama.cpp counts


def size_label(parameters: int) -> str:
    """Return a count of parameters as ``7.5B``, ``369.6M`` or ``12K``."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= size:
            text = f"{parameters / size:.1f}"
            return text.removesuffix(".0") + unit
    return str(parameters)


def model_metadata(
    config: ModelConfig, quantization: Quantization, *, name: str, parameters: int, vocab_size: int
) -> Metadata:
    """Return the keys before the tokenizer's.

    Args:
        config: The model's configuration.
        quantization: The mixture the file holds.
        name: The model's name for people.
        parameters: Count of all weights.
        vocab_size: Rows of the embedding.
    """
    metadata = Metadata()
    arch = config.architecture
    metadata.text("general.architecture", arch)
    metadata.text("general.type", "model")
    metadata.text("general.name", name)
    metadata.text("general.size_label", size_label(parameters))
    metadata.uint32("general.file_type", quantization.file_type)
    metadata.uint32("general.quantization_version", QUANTIZATION_VERSION)
    metadata.uint32(f"{arch}.block_count", config.num_hidden_layers)
    metadata.uint32(f"{arch}.context_length", config.max_position_embeddings)
    metadata.uint32(f"{arch}.embedding_length", config.hidden_size)
    metadata.uint32(f"{arch}.feed_forward_length", config.intermediate_size)
    metadata.uint32(f"{arch}.attention.head_count", config.num_attention_heads)
    metadata.uint32(f"{arch}.vocab_size", vocab_size)
    if arch == "gpt2":
        metadata.float32(f"{arch}.attention.layer_norm_epsilon", config.norm_epsilon)
        return metadata
    metadata.uint32(f"{arch}.attention.head_count_kv", config.num_key_value_heads)
    metadata.float32(f"{arch}.attention.layer_norm_rms_epsilon", config.norm_epsilon)
    if config.has_head_dim:
        metadata.uint32(f"{arch}.attention.key_length", config.head_dim)
        metadata.uint32(f"{arch}.attention.value_length", config.head_dim)
    metadata.uint32(f"{arch}.rope.dimension_count", config.head_dim)
    metadata.float32(f"{arch}.rope.freq_base", config.rope_theta)
    _rope_scaling(metadata, config)
    if config.num_local_experts:
        metadata.uint32(f"{arch}.expert_count", config.num_local_experts)
        metadata.uint32(f"{arch}.expert_used_count", config.num_experts_per_tok)
    return metadata


def _rope_scaling(metadata: Metadata, config: ModelConfig) -> None:
    """Llama 3's scaling is a tensor instead; see tensor_names."""
    if config.rope_type not in ("linear", "yarn"):
        return
    prefix, rope = f"{config.architecture}.rope.scaling", config.rope
    metadata.text(f"{prefix}.type", config.rope_type)
    metadata.float32(f"{prefix}.factor", float(rope["factor"]) if "factor" in rope else None)
    original = rope.get("original_max_position_embeddings")
    metadata.uint32(
        f"{prefix}.original_context_length", None if original is None else int(original)
    )
    if config.rope_type == "yarn":
        for name in ("beta_fast", "beta_slow"):
            value = rope.get(name)
            key = f"{prefix}.yarn_{name}"
            metadata.float32(key, None if value is None else float(value))
