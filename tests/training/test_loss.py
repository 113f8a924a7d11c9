"""The loss equals transformers' own, and packed documents do not see each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from norcli.model.build import build_model, hugging_face_config
from norcli.model.presets import load_preset
from norcli.training import loss as loss_module
from norcli.training.batches import PackedRows
from norcli.training.loss import LanguageModelLoss
from norcli.training.packing import cut_documents, pack_rows
from norcli.training.run import fuse_activations

SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64}
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "vocab_size": 90,
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "num_local_experts": 4,
    "num_experts_per_tok": 2, "max_position_embeddings": 64, "sliding_window": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "bos_token_id": 1,
    "eos_token_id": 2, "initializer_range": 0.2,
}  # fmt: skip
MISTRAL = {key: value for key, value in MIXTRAL.items() if "expert" not in key} | {
    "architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 16,
}  # fmt: skip


def config_of(kind: str) -> dict[str, Any]:
    if kind in ("mistral", "mixtral"):
        return MISTRAL if kind == "mistral" else MIXTRAL
    preset = load_preset(f"nor{'gpt' if kind == 'gpt2' else 'llama'}-nano")
    return hugging_face_config(preset, vocab_size=90, context=64, overrides=SMALL)


def packed_rows(document_mask: bool) -> PackedRows:
    """Two documents in one row of 24, the longer one first."""
    tokens = np.arange(25) % 80 + 5
    bounds = np.array([[0, 12], [12, 25]])
    table = pack_rows(*cut_documents(bounds, 24), 24)
    assert table.rows == 1 and len(table.pieces(0)) == 2
    return PackedRows(tokens, table, pad_id=2, document_mask=document_mask)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["gpt2", "llama", "mistral", "mixtral"])
def test_documents_of_a_row_do_not_see_each_other(kind: str, attention: str) -> None:
    model = build_model(config_of(kind), seed=1, attention=attention).eval()
    body = getattr(model, model.base_model_prefix)
    pieces = packed_rows(True).table.pieces(0)
    assert pieces[0][0] == 12, "the longer document leads"
    base = packed_rows(True).batch(np.array([0]))
    changed = base.input_ids.clone()
    changed[0, 1] = 77
    later = slice(pieces[0][1], 23)
    with torch.no_grad():
        before = body(
            input_ids=base.input_ids, position_ids=base.position_ids, use_cache=False
        ).last_hidden_state[0]
        after = body(
            input_ids=changed, position_ids=base.position_ids, use_cache=False
        ).last_hidden_state[0]
        open_before = body(input_ids=base.input_ids, use_cache=False).last_hidden_state[0]
        open_after = body(input_ids=changed, use_cache=False).last_hidden_state[0]
    assert torch.equal(before[later], after[later])
    assert not torch.equal(open_before[later], open_after[later]), "the test can see a leak"


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_summed_loss_equals_transformers(kind: str) -> None:
    model = build_model(config_of(kind), seed=1).eval()
    ids = torch.randint(3, 90, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(input_ids=ids, labels=ids).loss
        ours = LanguageModelLoss(model)(ids[:, :-1], ids[:, 1:])
    torch.testing.assert_close(ours / ids[:, 1:].numel(), expected)


def test_chunks_and_selection_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(config_of("gpt2"), seed=1)
    module = LanguageModelLoss(model)
    ids = torch.randint(3, 90, (2, 20), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, :15] = -100
    plain = module(ids, labels)
    plain.backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    monkeypatch.setattr(loss_module, "MOST_LOGITS", 90 * 7)
    chunked = module(ids, labels, None, True)
    chunked.backward()
    torch.testing.assert_close(chunked, plain)
    again = [p.grad for p in model.parameters() if p.grad is not None]
    for one, other in zip(gradients, again, strict=True):
        torch.testing.assert_close(one, other)


def test_fused_gelu_is_the_same_function() -> None:
    model = build_model(config_of("gpt2"), seed=1).eval()
    ids = torch.randint(3, 90, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(input_ids=ids).logits
        fuse_activations(model)
        after = model(input_ids=ids).logits
    torch.testing.assert_close(before, after)
    assert not any("NewGELU" in type(m).__name__ for m in model.modules())


def test_mixture_of_experts_adds_the_balancing_loss() -> None:
    model = build_model(MIXTRAL, seed=1).eval()
    ids = torch.randint(3, 90, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        plain = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="sum")
        ours = LanguageModelLoss(model)(ids, ids)
    assert ours > plain


def test_padding_is_never_learnt_and_answers_only_are() -> None:
    tokens = np.array([1, 10, 11, 12, 2, 1, 20, 21, 2])
    learn = np.array([0, 0, 0, 1, 1, 0, 0, 1, 1], bool)
    table = pack_rows(*cut_documents(np.array([[0, 5], [5, 9]]), 16), 16)
    rows = PackedRows(tokens, table, pad_id=2, document_mask=True, learn=learn)
    batch = rows.batch(np.array([0]))
    assert batch.input_ids.tolist() == [[1, 10, 11, 12, 1, 20, 21]]
    assert batch.labels.tolist() == [[-100, -100, 12, 2, -100, 21, 2]]
    assert batch.position_ids is not None
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert batch.targets == 4
