"""Modes: drafts told apart by token ids, ended by a budget, kept out of answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import thinking_model
import tiny_models
from pseudo_terminal import PseudoTerminal
from thinking_model import ANSWER, DRAFT_TOKENS, REQUEST

from norcli.chat.engines import Engine, Sampling
from norcli.chat.opening import describe_model, open_engine
from norcli.chat.options import ChatOptions
from norcli.chat.prompting import Template, encode_prompt
from norcli.chat.start import open_session
from norcli.chat.thinking import Thought, ThoughtTracker, within_room
from norcli.console import Console


@pytest.fixture(scope="module")
def thinkers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("thinker")
    thinking_model.make_directory(folder / "hf")
    tiny_models.write_gguf(folder / "hf", folder / "tiny.gguf")
    return {"hf": folder / "hf", "gguf": folder / "tiny.gguf"}


@pytest.fixture(params=["gguf", "hf"])
def thinker(request: pytest.FixtureRequest, thinkers: dict[str, Path]) -> str:
    return str(thinkers[request.param])


def open_model(path: str) -> Engine:
    return open_engine(describe_model(path), ChatOptions(model=path), Console.silent())


def chat(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "norcli", "chat", *words], input=given, capture_output=True,
        text=True, timeout=100, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "drafted"), [(0, 0), (1, 1), (7, 7), (1000, DRAFT_TOKENS), (None, DRAFT_TOKENS)]
)
def test_draft_ends_at_its_budget_and_the_answer_goes_on(
    thinker: str, budget: int | None, drafted: int
) -> None:
    engine = open_model(thinker)
    vocabulary = engine.vocabulary
    ids = encode_prompt(Template("norwai"), [{"role": "user", "content": REQUEST}], vocabulary)
    pieces = list(engine.generate(ids, Sampling(think_tokens=budget), lambda: False))
    engine.close()
    draft = "".join(piece for piece in pieces if isinstance(piece, Thought))
    answer = "".join(piece for piece in pieces if not isinstance(piece, Thought))
    assert answer.strip() == ANSWER
    assert draft.split() == (["en", "to", "tre"] * 20)[:drafted]
    assert engine.counts.finished


def test_answer_in_a_pipe_is_without_its_draft(thinker: str) -> None:
    for mode in ("short", "long"):
        result = chat(thinker, "--mode", mode, "--prompt", REQUEST)
        assert (result.stdout, result.stderr, result.returncode) == (ANSWER + "\n", "", 0)


def test_records_have_the_draft_in_a_field_of_its_own(thinker: str) -> None:
    record = {"prompt": REQUEST, "id": 1}
    result = chat(thinker, "--mode", "short", "--think-tokens", "4", "--jsonl",
                  given=json.dumps(record) + "\n")  # fmt: skip
    assert json.loads(result.stdout) == record | {"thinking": "en to tre en", "completion": ANSWER}


def test_typed_marks_stay_text_and_the_prompts_own_are_tokens(thinker: str) -> None:
    engine = open_model(thinker)
    vocabulary = engine.vocabulary
    assert vocabulary.think_ids is not None
    asked = [{"role": "user", "content": "[THINK] Hei [/THINK] \ue002\ue003"}]
    for template in (Template("norwai"), Template("none"),
                     Template("model", jinja="{{ messages[-1]['content'] }}")):  # fmt: skip
        ids = encode_prompt(template, asked, vocabulary)
        assert not set(ids) & set(vocabulary.think_ids)
    reasoning = encode_prompt(Template("norwai", reasons=True), asked, vocabulary)
    assert [i for i in reasoning if i in vocabulary.think_ids] == list(vocabulary.think_ids)
    engine.close()


def test_completion_goes_on_with_the_text_as_it_stands(thinkers: dict[str, Path]) -> None:
    options = ChatOptions(model=str(thinkers["gguf"]), mode="completion", max_new_tokens=3)
    with open_session(options, Console.silent()) as new_session:
        session = new_session()
        assert session.template.name == "none"
        ids, _ = session.prepare([{"role": "user", "content": "Oslo"}])
        assert ids == [1, *session.engine.vocabulary.encode("Oslo")]


@pytest.mark.parametrize("mode", ["short", "long"])
def test_model_without_the_tokens_refuses_to_think(gguf_model: Path, mode: str) -> None:
    result = chat(str(gguf_model), "--mode", mode, "--prompt", "Hei")
    assert result.returncode == 2
    assert f"mode {mode}: {gguf_model} cannot think" in result.stderr
    assert result.stderr.count("\n") == 2


def test_tracker_counts_drafts_only() -> None:
    tracker = ThoughtTracker((3, 4), 2)
    for token, forced in ((9, None), (3, None), (9, None), (9, 4), (4, None), (9, None)):
        tracker.feed(token)
        assert tracker.forced_id == forced
    assert tracker.tokens == 2


def test_room_goes_to_the_answer_first() -> None:
    sampling = within_room(Sampling(max_new_tokens=50, think_tokens=1 << 30), 80)
    assert (sampling.max_new_tokens, sampling.think_tokens, sampling.most_tokens) == (50, 28, 80)
    assert within_room(Sampling(max_new_tokens=50, think_tokens=9), 40).think_tokens == 0


def test_draft_is_folded_on_a_terminal(thinkers: dict[str, Path], tmp_path: Path) -> None:
    words = ["chat", str(thinkers["gguf"]), "--mode", "short", "--think-tokens", "4"]
    terminal = PseudoTerminal(words, tmp_path, "xterm-256color")
    try:
        terminal.expect("/help lists")
        terminal.type(REQUEST + "\r")
        terminal.expect(r"thought for \d+\.\d s, 4 tokens; /think shows it")
        terminal.expect(ANSWER)
        terminal.type("/think\r")
        terminal.expect("en to tre en\\s")
        terminal.type("/mode answer\r")
        terminal.expect("mode answer")
        terminal.type("/adapter /borte\r")
        terminal.expect("no such adapter")
    finally:
        terminal.close()
