"""The memory that a file needs to run, and the machines it fits: weights, cache, working buffers.

Sizes of GPUs are those on sale; the report's sections 2 and 5.4 give the same steps. The cache
holds keys and values of 16 bits for the whole context, as llama.cpp allocates it.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.quantize.model_config import ModelConfig

GPU_GIGABYTES = (4, 6, 8, 12, 16, 24, 32, 48, 80, 141)
LAPTOP_GIGABYTES = (8, 16, 32, 64, 128)
SYSTEM_GIGABYTES = 4  # what a laptop's system and its programs keep
USUAL_CONTEXT = 4096
# Working buffers: a fixed part, and the logits and activations of a batch of 512 tokens.
_FIXED_BYTES = 64 << 20
_BATCH_TOKENS = 512


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes to run a file, and what has room for them.

    Attributes:
        context: Tokens the cache holds.
        gpu: Gigabytes of the smallest GPU, None where none on sale is enough.
        laptop: Gigabytes of the smallest laptop.
    """

    context: int
    weights_bytes: int
    cache_bytes: int
    buffer_bytes: int
    total_bytes: int
    gpu: int | None
    laptop: int | None

    @property
    def advice(self) -> str:
        """Say which GPU and which laptop the file fits."""
        gpu = f"GPU {self.gpu} GB" if self.gpu else "several GPUs"
        laptop = f"laptop {self.laptop} GB" if self.laptop else "no laptop"
        return f"{gpu}, {laptop}"


def memory_need(config: ModelConfig, file_bytes: int, context: int | None) -> MemoryNeed:
    """Return what a file of a model needs.

    Args:
        config: The model.
        file_bytes: Size of the file.
        context: Tokens of context, None for the model's own up to `USUAL_CONTEXT`.
    """
    longest = config.max_position_embeddings
    tokens = min(context or USUAL_CONTEXT, longest)
    cache = config.cache_bytes(tokens)
    widest = max(config.intermediate_size, config.hidden_size)
    buffers = _FIXED_BYTES + 4 * _BATCH_TOKENS * (2 * widest + 4 * config.hidden_size)
    total = file_bytes + cache + buffers
    return MemoryNeed(
        tokens, file_bytes, cache, buffers, total, _smallest(GPU_GIGABYTES, total, 0),
        _smallest(LAPTOP_GIGABYTES, total, SYSTEM_GIGABYTES),
    )  # fmt: skip


def _smallest(sizes: tuple[int, ...], total: int, kept: int) -> int | None:
    return next((size for size in sizes if (size - kept) * 1e9 >= total), None)
