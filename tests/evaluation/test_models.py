"""Both engines against transformers' own forward pass, and against each other."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from norcli.console import Console
from norcli.errors import DataError, InputMissingError, UnavailableError
from norcli.evaluation.layout import counted_likelihood, cut_middle, lay_out_tree, windows
from norcli.evaluation.models import LanguageModel, cut_at_stop
from norcli.evaluation.opening import engine_of, open_model
from norcli.evaluation.options import EvalOptions

PROMPTS = ["Hva heter hovedstaden i Norge?\n\nSvar:", "Tekst: Elva renner.\nSvar:", "Oslo"]
CHOICES = ["ja", "nei", "Glomma, og den renner ut i havet", "på øya"]
TEXTS = ["Norges lengste elv er Glomma.", "Kva er det høgaste fjellet i landet? " * 12, "Å ☃ være"]


def ignore(count: float) -> None:
    del count


def open_quietly(path: Path, **values: Any) -> LanguageModel:
    return open_model(EvalOptions(model=str(path), data="x", **values), Console.silent())


def plain_log_prob(folder: Path, stem: list[int], branch: list[int]) -> float:
    """The continuation's log-probability from one ordinary forward pass."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([stem + branch])).logits[0].log_softmax(-1)
    begin = len(stem)
    return sum(float(logits[begin + i - 1, token]) for i, token in enumerate(branch))


@pytest.fixture(params=["gpt2", "llama"])
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"{request.param}_folder")
    return path


@pytest.fixture(scope="session")
def gguf_file(llama_folder: Path) -> Path:
    pytest.importorskip("xllamacpp")
    from norcli.quantize.convert import quantize
    from norcli.quantize.options import QuantizeOptions

    file = llama_folder.parent / "model.gguf"
    quantize(QuantizeOptions(model=str(llama_folder), output=str(file), type=["F32"]),
             Console.silent())  # fmt: skip
    return file


@pytest.mark.parity
def test_choices_behind_one_prompt_score_as_if_each_stood_alone(folder: Path) -> None:
    model = open_quietly(folder)
    encode = model.tokenizer.encode  # type: ignore[attr-defined]
    scored = model.continuations([(prompt, CHOICES) for prompt in PROMPTS], ignore)
    for prompt, found in zip(PROMPTS[:2], scored, strict=False):
        tree = lay_out_tree(prompt, CHOICES, encode, [], 0, model.context)
        expected = [plain_log_prob(folder, tree.stem, branch) for branch in tree.branches]
        assert found.log_probs == pytest.approx(expected, rel=1e-5)
        assert not found.truncated


def test_scores_do_not_depend_on_the_batch(folder: Path) -> None:
    requests = [(prompt, CHOICES) for prompt in PROMPTS]
    together = open_quietly(folder).continuations(requests, ignore)
    alone = open_quietly(folder, batch_tokens=1).continuations(requests, ignore)
    for first, second in zip(together, alone, strict=True):
        assert first.log_probs == pytest.approx(second.log_probs, rel=1e-5)


@pytest.mark.parity
def test_greedy_answers_equal_transformers_one_by_one(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = open_quietly(folder)
    tokenizer = model.tokenizer  # type: ignore[attr-defined]
    answers = model.generate(PROMPTS, 12, (), ignore)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids = torch.tensor([tokenizer.encode(prompt)])
        out = theirs.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0,
                              attention_mask=torch.ones_like(ids))[0, ids.shape[1]:]  # fmt: skip
        written = [token for token in out.tolist() if token != tokenizer.eos_id]
        assert answer.text == tokenizer.decode(written).strip()


@pytest.mark.parity
def test_likelihood_is_that_of_the_windows_and_counts_the_predicted_part(folder: Path) -> None:
    model = open_quietly(folder)
    tokenizer = model.tokenizer  # type: ignore[attr-defined]
    found = model.likelihoods(TEXTS, ignore)
    assert len(tokenizer.encode(TEXTS[1])) > model.context
    for text, likelihood in zip(TEXTS, found, strict=True):
        ids = tokenizer.encode(text)
        nll = -sum(
            plain_log_prob(folder, part[:first], part[first:])
            for part, first in windows(ids, model.context)
        )
        assert likelihood.nll == pytest.approx(nll, rel=1e-5)
        assert likelihood.tokens == len(ids) - 1
        first_piece = tokenizer.decode(ids[:1])
        assert likelihood.bytes == len(text.encode()) - len(first_piece.encode())


def test_a_begin_piece_lets_every_token_be_predicted(llama_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama_folder, tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"add_bos_token": True}))
    model = open_quietly(folder)
    (found,) = model.likelihoods(TEXTS[:1], ignore)
    assert found.tokens == len(model.tokenizer.encode(TEXTS[0]))  # type: ignore[attr-defined]
    assert (found.words, found.bytes) == (5, len(TEXTS[0].encode()))


def test_long_prompts_are_cut_and_said_to_be(folder: Path) -> None:
    model = open_quietly(folder)
    long = "Tekst: " + TEXTS[1] + "\nSvar:"
    short, cut = model.generate(["Oslo", long], 4, (), ignore)
    assert (short.truncated, cut.truncated) == (False, True)
    (scored,) = model.continuations([(long, ["ja", "nei"])], ignore)
    assert scored.truncated
    assert all(math.isfinite(value) for value in scored.log_probs)


def test_an_empty_prompt_is_answered(folder: Path) -> None:
    (answer,) = open_quietly(folder).generate([""], 3, (), ignore)
    assert not answer.truncated


def test_an_answer_longer_than_the_context_is_refused(gpt2_folder: Path) -> None:
    with pytest.raises(DataError, match="longer than the context"):
        open_quietly(gpt2_folder).continuations([("a", [TEXTS[1]])], ignore)


@pytest.mark.parity
def test_a_gguf_file_answers_and_scores_as_its_source(llama_folder: Path, gguf_file: Path) -> None:
    source, file = open_quietly(llama_folder), open_quietly(gguf_file)
    assert file.context == source.context
    requests = [(prompt, CHOICES) for prompt in PROMPTS]
    pairs = zip(
        source.continuations(requests, ignore), file.continuations(requests, ignore), strict=True
    )
    for ours, theirs in pairs:
        assert theirs.log_probs == pytest.approx(ours.log_probs, abs=5e-3)
    # The snow man has no piece: its bytes are scored from the list of the whole vocabulary.
    for ours, theirs in zip(
        source.likelihoods(TEXTS, ignore), file.likelihoods(TEXTS, ignore), strict=True
    ):
        assert (theirs.tokens, theirs.words, theirs.bytes) == (ours.tokens, ours.words, ours.bytes)
        assert theirs.nll == pytest.approx(ours.nll, abs=1e-3 * ours.tokens)
    answers = source.generate(PROMPTS, 12, (), ignore)
    assert file.generate(PROMPTS, 12, (), ignore) == answers


def test_windows_score_every_token_but_the_first_once() -> None:
    ids = list(range(25))
    scored = [token for part, first in windows(ids, 8) for token in part[first:]]
    assert scored == ids[1:]
    parts = list(windows(ids, 8))
    assert all(len(part) <= 8 for part, _ in parts)
    assert all(first >= 4 for _, first in parts[1:])
    assert list(windows([1], 8)) == []


def test_prompts_are_cut_in_their_middle() -> None:
    assert cut_middle([1, 2, 3, 4, 5, 6, 7], 4) == [1, 2, 6, 7]
    assert cut_middle([1, 2], 4) == [1, 2]
    assert cut_middle([1, 2, 3], 1) == [3]


def test_pieces_across_the_seam_belong_to_every_continuation() -> None:
    codes = {"a": [1], "a b": [2, 3], "a c": [1, 4]}

    def encode(text: str) -> list[int]:
        return codes[text]

    tree = lay_out_tree("a", ["b", "c"], encode, [], 9, 10)
    assert (tree.stem, tree.branches) == ([9], [[2, 3], [1, 4]])
    tree = lay_out_tree("a", ["b", "c"], encode, [7], 9, 10)
    assert (tree.stem, tree.branches) == ([7], [[2, 3], [1, 4]])


def test_the_first_piece_is_not_counted_without_a_begin_piece() -> None:
    found = counted_likelihood("Åse ler", [5, 6], 1.5, False, "Åse")
    assert (found.tokens, found.words, found.bytes) == (1, 1, 4)


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        (" Oslo.\nNeste", ("\n",), "Oslo."),
        ("\nOslo", ("\n",), "Oslo"),
        ("Oslo\n\nB", (), "Oslo\n\nB"),
        ("A. B\n", ("B", "."), "A"),
    ],
)
def test_answers_end_at_the_first_stop_text(
    text: str, stop: tuple[str, ...], expected: str
) -> None:
    assert cut_at_stop(text, stop) == expected


def drop_a_tensor(file: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, file, metadata={"format": "pt"})


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p / "config.json").unlink(), "has no config.json"),
        (lambda p: [f.unlink() for f in p.glob("tokenizer.*")], "has no tokenizer"),
        (lambda p: (p / "model.safetensors").write_bytes(b"x"), "cannot be loaded"),
        (lambda p: (p / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda p: (p / "config.json").write_text("{}"), "cannot be loaded"),
        (lambda p: drop_a_tensor(p / "model.safetensors"), "tensors are missing"),
    ],
)
def test_incomplete_models_are_data_errors(
    gpt2_folder: Path, tmp_path: Path, spoil: Spoil, message: str
) -> None:
    folder = shutil.copytree(gpt2_folder, tmp_path / "model")
    spoil(folder)
    with pytest.raises(DataError, match=message):
        open_quietly(folder)


def test_engines_are_told_apart(gpt2_folder: Path, tmp_path: Path) -> None:
    assert engine_of(str(gpt2_folder)) == "hf"
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGUF")
    assert engine_of(str(file)) == "gguf"
    with pytest.raises(DataError, match="directory"):
        engine_of(str(gpt2_folder), "gguf")
    with pytest.raises(DataError, match="Hugging Face"):
        engine_of(str(file), "hf")
    file.write_bytes(b"PK")
    with pytest.raises(DataError, match="no GGUF"):
        engine_of(str(file))
    with pytest.raises(InputMissingError):
        engine_of(str(tmp_path / "none"))


def test_a_device_that_is_not_there_is_unavailable(gpt2_folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UnavailableError):
        open_quietly(gpt2_folder, device="cuda")
    with pytest.raises(UnavailableError):
        open_quietly(gpt2_folder, device="toaster")
