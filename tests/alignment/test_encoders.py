"""Encoders and the similarity reward, with a random BERT made here and with the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from norcli.alignment.encoders import BertEncoder, HashedTrigramEncoder, load_encoder
from norcli.alignment.options import SimilarityOptions
from norcli.alignment.rewards import SimilarityReward
from norcli.errors import DataError, InputMissingError


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyzæøå"]
    pieces += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyzæøå"]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=64,
                        max_position_embeddings=64)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_equal_texts_score_one_and_others_less() -> None:
    reward = SimilarityReward(HashedTrigramEncoder())
    same, other, empty = reward.score(
        ["Elva renner ut i havet.", "Kommunen bygger ny skole.", ""],
        ["Elva renner ut i havet."] * 3,
    )
    assert same == pytest.approx(1.0)
    assert 0 <= other < 0.5
    assert empty == 0.0


def test_scores_do_not_depend_on_the_company() -> None:
    encoder = HashedTrigramEncoder()
    together = encoder.encode(["en", "to", "tre"])
    assert np.array_equal(together[1:2], encoder.encode(["to"]))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_bert_encodes_alike_alone_and_in_a_batch(bert: Path, pooling: str) -> None:
    encoder = BertEncoder(SimilarityOptions(encoder=str(bert), pooling=pooling))
    together = encoder.encode(["fjell og fjord", "en mye lengre tekst om elver i landet", ""])
    assert np.allclose(np.linalg.norm(together[:2], axis=1), 1.0)
    assert np.allclose(together[:1], encoder.encode(["fjell og fjord"]), atol=1e-5)
    assert not together[2].any()
    assert len(encoder.description["sha256"]) == 64


def test_wrong_encoders_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        load_encoder(SimilarityOptions(encoder=str(tmp_path / "nei")))
    with pytest.raises(DataError, match="holds no encoder"):
        load_encoder(SimilarityOptions(encoder=str(tmp_path)))


def test_rouge_and_length_enter_the_score() -> None:
    encoder = HashedTrigramEncoder()
    reference = "Kommunen bygger en ny skole i sentrum."
    plain = SimilarityReward(encoder).score([f"{reference} {reference}"], [reference])[0]
    priced = SimilarityReward(encoder, length_penalty=0.5)
    longer = priced.score([f"{reference} {reference}"], [reference])[0]
    assert longer == pytest.approx(plain - 0.5 * np.log(2), abs=1e-6)
    mixed = SimilarityReward(encoder, rouge_weight=1.0).score(["en ny skole"], [reference])[0]
    assert mixed == pytest.approx(2 * (3 / 3) * (3 / 7) / (3 / 3 + 3 / 7), abs=1e-6)
