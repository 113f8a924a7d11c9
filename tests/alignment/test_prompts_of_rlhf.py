"""Prompts of rlhf: the tokens of sft, records of other tasks, articles that are too long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from norcli.alignment.options import RewardModelOptions, SampleOptions
from norcli.alignment.prompts import Prompt, read_prompts
from norcli.alignment.reward_model import read_scored
from norcli.alignment.sample import prompt_encoder
from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.documents import Place
from norcli.training.instructions import continuation, encode_messages, record_messages
from norcli.training.templates import begins_with_bos

PLACE = Place("data.jsonl", 1)


def read(policy: Path, folder: Path, records: list[dict[str, Any]], **changes: Any) -> list[Prompt]:
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    options = SampleOptions(model=str(policy), inputs=[str(file)], **changes)
    encoder, _ = prompt_encoder(options.model, options)
    return list(read_prompts(options, encoder, Console.silent()))


def test_prompt_and_answer_are_the_tokens_of_fine_tuning(policy: Path, tmp_path: Path) -> None:
    record = {"Instruksjon": "Gi et sammendrag.", "Input": "Elva gikk over sine bredder i natt.",
              "Output": "Det var flom.", "Oppgavetype": "Oppsummering"}  # fmt: skip
    prompt = read(policy, tmp_path, [record])[0]
    _, tokenizer = prompt_encoder(str(policy), SampleOptions(model=str(policy)))
    learnt = encode_messages(
        record_messages(record, PLACE), "norwai", tokenizer, bos=begins_with_bos(policy)
    )
    request = tokenizer.encode(prompt.text)
    answer = continuation(tokenizer, prompt.text, request, " Det var flom.")
    assert [*prompt.ids, *answer, tokenizer.eos_id] == learnt.ids


def test_records_of_other_tasks_are_left_out(policy: Path, tmp_path: Path) -> None:
    answer = {"Instruksjon": "Hva?", "Input": "Tekst.", "Output": "Ja.",
              "Oppgavetype": "Spørsmål og svar"}  # fmt: skip
    wanted = answer | {"Oppgavetype": "Oppsummering"}
    assert [p.instruction for p in read(policy, tmp_path, [answer, wanted])] == ["Hva?"]


def test_long_articles(policy: Path, tmp_path: Path) -> None:
    long = {"article": "fjorden ligger stille " * 300, "summary": "Stille."}
    short = {"article": "Fjorden ligger stille.", "summary": "Stille."}
    with pytest.raises(DataError, match=r"data.jsonl:1: prompt has \d+ tokens, room is for 448"):
        read(policy, tmp_path, [long])
    assert len(read(policy, tmp_path, [long, short], too_long="skip")) == 1
    cut = read(policy, tmp_path, [long], too_long="truncate")[0]
    assert 440 <= len(cut.ids) <= 448
    assert cut.text.endswith("\nSvar:")


def scored(policy: Path, folder: Path, record: dict[str, Any], **changes: Any) -> Any:
    file = folder / "scored.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    options = RewardModelOptions(
        model=str(policy), inputs=[str(file)], output=str(folder / "out"), **changes
    )
    _, tokenizer = prompt_encoder(options.model, SampleOptions(model=str(policy)))
    return read_scored(options, tokenizer, 512, Console.silent()), tokenizer


def test_an_answer_that_was_cut_off_has_no_end_token(policy: Path, tmp_path: Path) -> None:
    record = {"prompt": "Kort.\n\nSvar:", "reference": "Flom.", "completions": ["Flom", "Elva"],
              "scores": [0.9, 0.1], "ended": [True, False]}  # fmt: skip
    prompts, tokenizer = scored(policy, tmp_path, record)
    assert [row[-1] == tokenizer.eos_id for row in prompts[0].rows] == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [1.0]}, '"scores"'),
        ({"scores": ["a", "b"]}, '"scores"'),
        ({"prompt": None}, '"prompt"'),
        ({"ended": [True]}, '"ended"'),
    ],
)
def test_bad_scored_records_are_told(
    policy: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    record = {"prompt": "Svar:", "reference": "b", "completions": ["c", "d"], "scores": [0.1, 0.2]}
    with pytest.raises(DataError, match=f"scored.jsonl:1: .*{message}"):
        scored(policy, tmp_path, record | change)
    with pytest.raises(DataError, match="no scored candidates"):
        scored(policy, tmp_path, record | change, on_bad_record="skip")
