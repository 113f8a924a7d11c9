"""Small models of every architecture with random weights, and small vocabularies, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = """Fjorden lå blank i det første lyset, og båten gled stille ut fra brygga.
Vi skal ikkje gløyme kva bestemor sa om vinteren og den lange vegen heim.
Mun lean eret Guovdageainnus ja mu eadni lea duojár; odne lea čoaskkis ja muohttá.
Hva koster 3 kilo epler, spurte hun, og han svarte: 45,50 kroner!
Årsmøtet ble utsatt, men referatet skal være ferdig før klokka 18.30 på torsdag.
"""
PROBE = (
    "Hva er Norges lengste elv?",
    "Kva heiter   du? æøå ÆØÅ «sitat» – tankestrek",
    "Čálán davvisámegiela: đ ŋ š ŧ ž",
    "emoji 😀👍🏽, brøk ½ og ligatur ﬁ",
    "  foran og bak  ",
    "tab\tog\nlinje\r\nskift",
    "1234567 3,14",
    "def f(x): return x + 1",
    "日本語 текст",
)


def train_sentencepiece(folder: Path, **settings: Any) -> Path:
    """Train a small vocabulary on a few sentences; settings override the usual ones."""
    from sentencepiece import SentencePieceTrainer

    (folder / "text.txt").write_text(TEXT * 3, encoding="utf-8")
    usual: dict[str, Any] = {
        "vocab_size": 420, "model_type": "bpe", "byte_fallback": True,
        "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
        "hard_vocab_limit": False, "pad_id": 3, "num_threads": 1, "minloglevel": 2,
    }  # fmt: skip
    SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "sp"), **(usual | settings)
    )
    return folder / "sp.model"


def _llama(vocab: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(vocab_size=vocab, hidden_size=256, intermediate_size=256, num_hidden_layers=9,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128)
    )  # fmt: skip


def _llama_tied(vocab: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    rope = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=vocab, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
                    tie_word_embeddings=True, rope_parameters=rope)
    )  # fmt: skip


def _mistral(vocab: int) -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(
        MistralConfig(vocab_size=vocab, hidden_size=256, intermediate_size=512, head_dim=32,
                      num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                      max_position_embeddings=128)
    )  # fmt: skip


def _mixtral(vocab: int) -> Any:
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(vocab_size=vocab, hidden_size=256, intermediate_size=256,
                      num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                      num_local_experts=8, max_position_embeddings=128)
    )  # fmt: skip


def _gpt2(vocab: int) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocab, n_embd=256, n_head=4, n_layer=4, n_positions=128, n_inner=512,
                   bos_token_id=1, eos_token_id=2)
    )  # fmt: skip


def _gpt2_192(vocab: int) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocab, n_embd=192, n_head=4, n_layer=3, n_positions=128,
                   bos_token_id=1, eos_token_id=2)
    )  # fmt: skip


def _gpt2_80(vocab: int) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocab, n_embd=80, n_head=4, n_layer=2, n_positions=128, n_inner=256,
                   bos_token_id=1, eos_token_id=2)
    )  # fmt: skip


# Name → (how to build it, stored type, further arguments of saving).
MODELS: dict[str, tuple[Callable[[int], Any], str, dict[str, Any]]] = {
    "llama": (_llama, "bfloat16", {}),
    "llama-tied": (_llama_tied, "float32", {}),
    "mistral": (_mistral, "float16", {"max_shard_size": "600KB"}),
    "mixtral": (_mixtral, "bfloat16", {}),
    "gpt2": (_gpt2, "bfloat16", {}),
    "gpt2-192": (_gpt2_192, "float32", {}),
    "gpt2-80": (_gpt2_80, "float32", {}),
}
