"""What a model costs before there is one: parameters, memory, FLOPs, GGUF sizes.

Read by ``norcli models``, by plans (``pretrain --dry-run``, ``launch``) and by docs. Pure Python:
every tensor is listed by its GGUF name and shape, and everything is summed from that list, so
that counts are exact; a test compares them with the transformers classes. Memory of activations
is an estimate and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from norcli.errors import ConfigError

# Corpora of the report's Table 2 and text, in tokens.
CORPUS_TOKENS = {"v1": 25.0e9, "v2": 51.15e9, "v3": 88.45e9}

# Dense bf16 peak of the data sheets (SXM), in FLOP/s.
PEAK_FLOPS = {"A100": 312e12, "H100": 989e12, "H200": 989e12}
GPU_BYTES = {"A100": 80e9, "H100": 80e9, "H200": 141e9}

# bf16 weights and gradients, float32 master weights and two AdamW moments.
TRAINING_BYTES_PER_PARAMETER = 2 + 2 + 4 + 8
# Share of a GPU that the states may take; the rest is for activations and buffers.
STATE_SHARE = 0.7
_LOSS_CHUNK_TOKENS = 2048

_NAMES = {
    "n_layer": "num_hidden_layers",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a model of the family, from a preset's configuration or a config.json.

    Args:
        model_type: gpt2, llama, mistral or mixtral.
        layers: Number of layers.
        hidden: Width of a token's vector.
        heads: Query heads.
        kv_heads: Key and value heads.
        head_dim: Width of a head.
        ffn: Inner width of the feed-forward part.
        vocab: Rows of the embedding.
        positions: Most positions.
        tied: Whether the output matrix is the embedding.
        experts: Experts of a layer, 0 for a dense model.
        active_experts: Experts a token goes through.
    """

    model_type: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    positions: int
    tied: bool
    experts: int = 0
    active_experts: int = 0

    @classmethod
    def of(cls, config: dict[str, Any]) -> Architecture:
        """Read a preset's configuration or the fields of a config.json.

        Raises:
            ConfigError: The model type is not one of the family, or a field is missing.
        """
        fields = {_NAMES.get(name, name): value for name, value in config.items()}
        kind = fields.get("model_type")
        if kind not in ("gpt2", "llama", "mistral", "mixtral"):
            raise ConfigError(f'model type "{kind}" is not one of gpt2, llama, mistral, mixtral')
        try:
            hidden, heads = int(fields["hidden_size"]), int(fields["num_attention_heads"])
            return cls(
                model_type=kind,
                layers=int(fields["num_hidden_layers"]),
                hidden=hidden,
                heads=heads,
                kv_heads=int(fields.get("num_key_value_heads") or heads),
                head_dim=int(fields.get("head_dim") or hidden // heads),
                ffn=int(fields.get("intermediate_size") or 4 * hidden),
                vocab=int(fields["vocab_size"]),
                positions=int(fields["max_position_embeddings"]),
                tied=bool(fields.get("tie_word_embeddings", kind == "gpt2")),
                experts=int(fields.get("num_local_experts") or 0),
                active_experts=int(fields.get("num_experts_per_tok") or 0),
            )
        except KeyError as error:
            raise ConfigError(f"the configuration has no {error.args[0]}") from error

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the GGUF name and shape of every tensor, the row length last."""
        is_gpt2 = self.model_type == "gpt2"
        yield "token_embd.weight", (self.vocab, self.hidden)
        if is_gpt2:
            yield "position_embd.weight", (self.positions, self.hidden)
        for layer in range(self.layers):
            parts = self._gpt2_layer() if is_gpt2 else self._llama_layer()
            for name, shape in parts:
                yield f"blk.{layer}.{name}", shape
        yield "output_norm.weight", (self.hidden,)
        if is_gpt2:
            yield "output_norm.bias", (self.hidden,)
        if not self.tied:
            yield "output.weight", (self.vocab, self.hidden)

    def _gpt2_layer(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        hidden, ffn = self.hidden, self.ffn
        for name, rows, columns in (
            ("attn_qkv", 3 * hidden, hidden),
            ("attn_output", hidden, hidden),
            ("ffn_up", ffn, hidden),
            ("ffn_down", hidden, ffn),
        ):
            yield f"{name}.weight", (rows, columns)
            yield f"{name}.bias", (rows,)
        for name in ("attn_norm", "ffn_norm"):
            yield f"{name}.weight", (hidden,)
            yield f"{name}.bias", (hidden,)

    def _llama_layer(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        hidden, ffn = self.hidden, self.ffn
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "attn_q.weight", (queries, hidden)
        yield "attn_k.weight", (keys, hidden)
        yield "attn_v.weight", (keys, hidden)
        yield "attn_output.weight", (hidden, queries)
        if self.experts:
            yield "ffn_gate_inp.weight", (self.experts, hidden)
            yield "ffn_gate_exps.weight", (self.experts, ffn, hidden)
            yield "ffn_up_exps.weight", (self.experts, ffn, hidden)
            yield "ffn_down_exps.weight", (self.experts, hidden, ffn)
        else:
            yield "ffn_gate.weight", (ffn, hidden)
            yield "ffn_up.weight", (ffn, hidden)
            yield "ffn_down.weight", (hidden, ffn)
        yield "attn_norm.weight", (hidden,)
        yield "ffn_norm.weight", (hidden,)


def count_parameters(config: dict[str, Any]) -> int:
    """Return the number of trainable parameters, exactly."""
    return sum(math.prod(shape) for _, shape in Architecture.of(config).tensors())


def count_active_parameters(config: dict[str, Any]) -> int:
    """Return the parameters a token goes through; fewer than all in a mixture of experts."""
    shape = Architecture.of(config)
    idle = shape.experts - shape.active_experts
    return count_parameters(config) - idle * shape.layers * 3 * shape.ffn * shape.hidden


def training_flops_per_token(config: dict[str, Any], seq_len: int) -> int:
    """Return the FLOPs of a forward and backward pass per token.

    Six per active parameter and the attention scores, without recomputation (PaLM, appendix B).
    """
    shape = Architecture.of(config)
    attention = 12 * shape.layers * shape.heads * shape.head_dim * seq_len
    return 6 * count_active_parameters(config) + attention


def gpu_hours(config: dict[str, Any], tokens: float, accelerator: str, mfu: float = 0.4) -> float:
    """Return GPU hours for a number of tokens, by 6ND.

    Args:
        config: The model.
        tokens: Tokens to train on.
        accelerator: A100, H100 or H200.
        mfu: Share of the peak that the training reaches.
    """
    flops = 6.0 * count_active_parameters(config) * tokens
    return flops / (PEAK_FLOPS[accelerator] * mfu) / 3600


def implied_mfu(config: dict[str, Any], tokens: float, accelerator: str, hours: float) -> float:
    """Return the share of the peak that GPU hours for a number of tokens mean, by 6ND."""
    rate = tokens / (hours * 3600)
    return 6.0 * count_active_parameters(config) * rate / PEAK_FLOPS[accelerator]


def kv_cache_bytes(config: dict[str, Any], context: int, bytes_per_value: int = 2) -> int:
    """Return the memory of keys and values for a context, 16-bit by default."""
    shape = Architecture.of(config)
    width = shape.kv_heads * shape.head_dim
    return cache_bytes(shape.layers, width, context, bytes_per_value)


def cache_bytes(layers: int, width: int, context: int, bytes_per_value: int = 2) -> int:
    """Return the memory of keys and values.

    Args:
        layers: Layers of the model.
        width: Values in one layer's key of a token: key heads times their width.
        context: Tokens.
        bytes_per_value: Of what is stored.
    """
    return 2 * layers * width * bytes_per_value * context


def gguf_bytes(config: dict[str, Any], quantization: str) -> int:
    """Return the bytes of all tensors in a GGUF file; header and vocabulary come on top.

    Args:
        config: The model.
        quantization: ``Q4_K_M`` and the like, as `norcli.quantize.types` lists them.

    Raises:
        ConfigError: There is no such type.
    """
    from norcli.formats.gguf import BLOCKS
    from norcli.quantize.types import QUANTIZATIONS, ModelShape, choose_type

    if quantization not in QUANTIZATIONS:
        known = ", ".join(QUANTIZATIONS)
        raise ConfigError(f'unknown GGUF type "{quantization}"', hint=f"one of {known}")
    shape = Architecture.of(config)
    model = ModelShape(layers=shape.layers, experts=shape.experts, has_output=not shape.tied)
    total = 0
    for name, extents in shape.tensors():
        kind = choose_type(name, extents, QUANTIZATIONS[quantization], model).kind
        block, size = BLOCKS[kind]
        total += math.prod(extents) // block * size
    return total


def training_state_bytes(config: dict[str, Any]) -> int:
    """Return weights, gradients, master weights and AdamW moments of mixed-precision training."""
    return TRAINING_BYTES_PER_PARAMETER * count_parameters(config)


def activation_bytes(config: dict[str, Any], seq_len: int, micro_batch_size: int = 1) -> int:
    """Return an estimate of the activations of one micro-batch with full checkpointing, bf16.

    The inputs of all layers, the insides of one, and a chunk of the logits with its float32 copy
    and gradient: the loss is worked out chunk by chunk.
    """
    shape = Architecture.of(config)
    tokens = seq_len * micro_batch_size
    width = shape.active_experts or 1
    one_layer = tokens * (8 * shape.hidden + 3 * width * shape.ffn) * 2
    logits = min(tokens, _LOSS_CHUNK_TOKENS) * shape.vocab * (2 + 4 + 4)
    return shape.layers * tokens * shape.hidden * 2 + one_layer + logits


def gpus_for_training(config: dict[str, Any], accelerator: str) -> int:
    """Return the fewest GPUs whose memory holds the sharded states beside the activations."""
    room = STATE_SHARE * GPU_BYTES[accelerator]
    return math.ceil(training_state_bytes(config) / room)
