"""Bounded memory: signatures on disk give the same result as in memory, and leave nothing."""

from __future__ import annotations

import errno
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_corpus import made_up_texts, make_corpus

from norcli.console import Console
from norcli.dedup import collecting, spilling
from norcli.dedup.banding import choose_banding
from norcli.dedup.index import match_documents
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup
from norcli.dedup.signatures import Signatures
from norcli.dedup.spilling import SignatureStore, SpilledSignatures
from norcli.errors import IOFailureError, UsageError


def made_up_signatures(documents: int, seed: int) -> Signatures:
    """Signatures in which many lanes and keys are shared, and some texts."""
    generator = np.random.default_rng(seed)
    lanes = generator.integers(0, 256, (documents, 16)).astype(np.uint8)
    copies = generator.integers(0, documents, documents)
    changed = generator.random((documents, 16)) < 0.3
    lanes = np.where(changed, lanes, lanes[copies // 2])
    keys = generator.integers(0, 2**64, (12, 1), np.uint64)[generator.integers(0, 12, documents)]
    spread = generator.integers(0, 2**64, (20, 3), np.uint64)
    keys = np.concatenate([keys, spread[generator.integers(0, 20, documents)]], axis=1)
    hashes = generator.integers(0, documents, (documents, 2)).astype(np.uint64)
    hashes[:, 1] = hashes[:, 0]
    return Signatures(hashes, generator.integers(0, 3, documents).astype(np.int32), lanes, keys)


def stored(signatures: Signatures, memory: int | None, step: int) -> Any:
    store = SignatureStore(16, 4, memory)
    for begin in range(0, len(signatures), step):
        store.append(signatures.take(np.arange(begin, min(begin + step, len(signatures)))))
    return store.close()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300), st.integers(0, 99), st.integers(1, 120), st.sampled_from([50, 500, 5000])
)
def test_matching_on_disk_equals_matching_in_memory(
    documents: int, seed: int, step: int, memory: int
) -> None:
    signatures = made_up_signatures(documents, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spilling, "RUN_DOCUMENTS", 37)
        patch.setattr(spilling, "WINDOW_DOCUMENTS", 64)
        on_disk = stored(signatures, memory, step)
        held = stored(signatures, None, step)
        assert isinstance(on_disk, SpilledSignatures) == (documents * 48 > memory)
        banding = choose_banding(0.7, 16, bands=4, rows=4)
        active = np.flatnonzero(np.random.default_rng(seed).random(documents) < 0.9)
        expected = match_documents(held, banding, active)
        found = match_documents(on_disk, banding, active)
        assert found.labels.tolist() == expected.labels.tolist()
        assert (found.compared, found.joined) == (expected.compared, expected.joined)
        rows = np.random.default_rng(seed).permutation(documents)[: documents // 2]
        for name in ("text_hashes", "shingles", "lanes", "keys"):
            assert (getattr(on_disk.take(rows), name) == getattr(held.take(rows), name)).all()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "in.jsonl"
    records = make_corpus(400, 25, made_up_texts(random.Random(26)))
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.mark.parametrize("more", [{}, {"keep": "longest", "jobs": 2}, {"mark": True}])
def test_bounded_memory_changes_no_byte(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    outputs = []
    for share in (0.2, 1e-4):  # 200 MB, and 20 kB for signatures
        monkeypatch.setattr(collecting, "SIGNATURE_SHARE", share)
        out, index = tmp_path / f"{share}.jsonl", tmp_path / f"{share}.index"
        options = DedupOptions(
            inputs=[corpus], output=str(out), memory="200M", save_index=str(index), **more
        )
        result = run_dedup(options, Console.silent())
        assert (result.spilled_bytes > 0) == (share < 0.1)
        files = sorted(path for path in index.iterdir())
        outputs.append([out.read_bytes(), *(path.read_bytes() for path in files)])
    assert outputs[0] == outputs[1]


def test_a_full_disk_is_told(corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Any, array: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(spilling, "_write", full)
    monkeypatch.setattr(collecting, "SIGNATURE_SHARE", 1e-4)
    out = tmp_path / "out.jsonl"
    with pytest.raises(IOFailureError, match="signatures cannot be written: no space"):
        run_dedup(DedupOptions(inputs=[corpus], output=str(out), memory="200M"), Console.silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "more", [{"memory": "lots"}, {"memory": "20M"}, {"memory": "1G", "online": True},
             {"memory": "1G", "cluster": "star"}],
)  # fmt: skip
def test_memory_has_to_be_a_size_that_can_be_kept(more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--memory"):
        DedupOptions(**more).check()
