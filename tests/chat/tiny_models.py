"""A Llama of a few thousand weights that has learnt three answers, as directory and as GGUF.

Small enough to train within the test run. The GGUF writer here is the tests' own, so that chat is
tested apart from quantize.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import transformers

from norcli.formats.documents import Place
from norcli.formats.gguf import (
    GgmlType,
    Metadata,
    TensorInfo,
    ValueType,
    encode_header,
    padding_after,
    place_tensors,
)
from norcli.tokens.huggingface import load_tokenizer
from norcli.training.instructions import encode_messages, record_messages
from norcli.training.templates import begins_with_bos, chat_template_jinja, store_template

RIVER = "Hva er Norges lengste elv?"
RIVER_ANSWER = "Glomma er Norges lengste elv."
ENDLESS = "Tell uten stans."
PAIRS = {
    RIVER: RIVER_ANSWER,
    "Hva heter hovedstaden?": "Hovedstaden heter Oslo.\n\nDen ligger ved fjorden.",
    ENDLESS: "en to tre " * 60,
}
HIDDEN, LAYERS, HEADS, KV_HEADS, CONTEXT = 48, 2, 2, 1, 65536
ENDLESS_TOKENS = 200


def train_tokenizer() -> bytes:
    texts = [f"{question}\n\nSvar: {answer}" for question, answer in PAIRS.items()] * 20
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=360, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", hard_vocab_limit=False,
        remove_extra_whitespaces=False, minloglevel=2, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
    )  # fmt: skip
    return model.getvalue()


def make_directory(directory: Path) -> None:
    """Train the model on the pairs, encoded as sft encodes them, and save it."""
    directory.mkdir(parents=True)
    (directory / "tokenizer.model").write_bytes(train_tokenizer())
    tokenizer = load_tokenizer(directory)
    examples = []
    for question, answer in PAIRS.items():
        record = {"instruction": question, "output": answer}
        example = encode_messages(record_messages(record, Place("", 1)), "norwai", tokenizer,
                                  bos=begins_with_bos(directory))  # fmt: skip
        examples.append((example.ids[:ENDLESS_TOKENS], example.learn[:ENDLESS_TOKENS]))
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=HIDDEN, intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    model: Any = transformers.LlamaForCausalLM(config)
    learn(model, examples)
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(directory)
    store_template(directory, "norwai")


def learn(model: Any, examples: list[tuple[list[int], list[bool]]]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    for _ in range(300):
        total = torch.zeros(())
        for ids, learnt in examples:
            row = torch.tensor([ids])
            targets = torch.where(torch.tensor([learnt]), row, -100)
            total = total + model(input_ids=row, labels=targets).loss
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if total.item() < 0.003:
            break


def write_gguf(directory: Path, path: Path) -> None:
    """Write the directory's model as a GGUF file in float32."""
    model: Any = transformers.LlamaForCausalLM.from_pretrained(directory, dtype="float32")
    processor = sentencepiece.SentencePieceProcessor(str(directory / "tokenizer.model"))
    tensors = {gguf_name(name): gguf_rows(name, tensor.detach().numpy())
               for name, tensor in model.state_dict().items()}  # fmt: skip
    metadata = gguf_metadata(model.config, processor)
    placed = place_tensors(
        TensorInfo(name, array.shape, GgmlType.F32) for name, array in tensors.items()
    )
    with path.open("wb") as stream:
        stream.write(encode_header(metadata, placed))
        for array in tensors.values():
            stream.write(array.tobytes() + padding_after(array.nbytes))


def gguf_metadata(config: Any, processor: Any) -> Metadata:
    size = processor.get_piece_size()
    kinds = [
        2 if processor.is_unknown(i) else 3 if processor.is_control(i)
        else 6 if processor.is_byte(i) else 1 for i in range(size)
    ]  # fmt: skip
    metadata = Metadata()
    metadata.text("general.architecture", "llama")
    metadata.uint32("llama.context_length", CONTEXT)
    metadata.uint32("llama.embedding_length", HIDDEN)
    metadata.uint32("llama.block_count", LAYERS)
    metadata.uint32("llama.feed_forward_length", 2 * HIDDEN)
    metadata.uint32("llama.attention.head_count", HEADS)
    metadata.uint32("llama.attention.head_count_kv", KV_HEADS)
    metadata.uint32("llama.rope.dimension_count", HIDDEN // HEADS)
    metadata.uint32("llama.vocab_size", size)
    metadata.float32("llama.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    metadata.text("tokenizer.ggml.model", "llama")
    metadata.text("tokenizer.ggml.pre", "default")
    metadata.array(ValueType.STRING, "tokenizer.ggml.tokens",
                   [processor.id_to_piece(i) for i in range(size)])  # fmt: skip
    metadata.array(ValueType.FLOAT32, "tokenizer.ggml.scores",
                   [processor.get_score(i) for i in range(size)])  # fmt: skip
    metadata.array(ValueType.INT32, "tokenizer.ggml.token_type", kinds)
    metadata.uint32("tokenizer.ggml.bos_token_id", 1)
    metadata.uint32("tokenizer.ggml.eos_token_id", 2)
    metadata.boolean("tokenizer.ggml.add_bos_token", True)
    metadata.text("tokenizer.chat_template", chat_template_jinja("norwai"))
    return metadata


NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in NAMES:
        return NAMES[stem] + ".weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def gguf_rows(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Order the rows of q and k as llama.cpp's rotary embedding wants them."""
    heads = HEADS if "q_proj" in name else KV_HEADS if "k_proj" in name else 0
    if heads:
        rows, columns = array.shape
        array = array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2)
        array = array.reshape(rows, columns)
    return np.ascontiguousarray(array, dtype=np.float32)


if __name__ == "__main__":
    import sys

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    make_directory(target / "hf")
    write_gguf(target / "hf", target / "tiny.gguf")
