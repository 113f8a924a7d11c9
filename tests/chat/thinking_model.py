"""A tiny model that has learnt to think: [THINK], an endless draft, [/THINK], one answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from tiny_models import CONTEXT, HEADS, HIDDEN, KV_HEADS, LAYERS, learn

from norcli.chat.huggingface_engine import DirectoryVocabulary
from norcli.chat.prompting import Template, encode_prompt
from norcli.training.templates import store_template

REQUEST, ANSWER = "Tenk.", "Oslo er svaret."
DRAFT = "en to tre " * 20
DRAFT_TOKENS = 61


def make_directory(directory: Path) -> None:
    """Train it to draft when it is asked to reason, and to answer after a draft of any length."""
    directory.mkdir(parents=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([f"{REQUEST}\n\nSvar: {ANSWER} {DRAFT}[/]THINK"] * 20),
        model_writer=model, vocab_size=330, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", hard_vocab_limit=False, remove_extra_whitespaces=False,
        minloglevel=2, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        control_symbols=["[THINK]", "[/THINK]"],
    )  # fmt: skip
    (directory / "tokenizer.model").write_bytes(model.getvalue())
    vocabulary = DirectoryVocabulary(directory)
    assert vocabulary.think_ids is not None
    begin, end = vocabulary.think_ids
    draft, answer = vocabulary.encode(DRAFT), [*vocabulary.encode(ANSWER), 2]
    messages = [{"role": "user", "content": REQUEST}]
    examples = []
    for reasons in (False, True):
        prompt = encode_prompt(Template("norwai", reasons=reasons), messages, vocabulary)
        for length in (0, 1, 2, 5, 8, 20, 40, len(draft)):
            ids = [*prompt, begin, *draft[:length], end, *answer]
            known = len(prompt) if length == len(draft) else len(prompt) + length + 2
            examples.append((ids, [False] * known + [True] * (len(ids) - known)))
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary.tokenizer.vocab_size, hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, max_position_embeddings=CONTEXT, bos_token_id=1,
        eos_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    network: Any = transformers.LlamaForCausalLM(config)
    learn(network, examples)
    network.save_pretrained(directory)
    store_template(directory, "norwai")
