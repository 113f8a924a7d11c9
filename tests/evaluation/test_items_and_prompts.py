"""Task files of every form, their complaints, and the prompts made from them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from norcli.console import Console
from norcli.errors import DataError, InputMissingError, NorcliError, UsageError
from norcli.evaluation.items import Item, read_items, require_file, task_file
from norcli.evaluation.metrics.catalogue import METRICS
from norcli.evaluation.options import EvalOptions
from norcli.evaluation.prompts import build_prompt, choose_shots, gold_answer
from norcli.evaluation.scoring import read_data, select_tasks
from norcli.evaluation.tasks import KINDS, find_tasks, load_tasks


def write(path: Path, *records: Any) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def read(task: str, path: Path) -> list[Item]:
    return read_items(load_tasks()[task], path, Console.silent())


def refusal(task: str, path: Path) -> NorcliError:
    with pytest.raises(NorcliError) as caught:
        read(task, path)
    return caught.value


@pytest.mark.parametrize("name", list(load_tasks()))
def test_every_task_is_complete(name: str) -> None:
    task = load_tasks()[name]
    assert task.kind in KINDS
    assert task.metrics
    assert set(task.metrics) <= set(METRICS)
    assert set(task.optional) <= set(task.fields)
    assert bool(task.labels) == (task.kind == "classify")
    if task.kind in ("generate", "classify", "choose"):
        assert task.plain or task.history
        assert task.instruction or task.history or not task.templated


def test_every_file_of_the_sample_is_read_by_its_task(examples: Path) -> None:
    folder = examples / "evaluation"
    files = {path.name for path in folder.glob("*.jsonl")}
    tasks = [task for task in load_tasks().values() if task_file(task, str(folder))]
    assert {require_file(task, str(folder)).name for task in tasks} == files
    for task in tasks:
        for item in read(task.name, require_file(task, str(folder))):
            if task.kind in ("generate", "classify", "choose"):
                for template in (None, "norwai"):
                    prompt = build_prompt(task, item, template)
                    assert "{" not in prompt
                    assert prompt == prompt.strip()


def test_norquad_is_read_from_squad_json(tmp_path: Path) -> None:
    question = {"id": 7, "question": "Hvor?", "answers": [{"text": "i Bergen", "answer_start": 3}]}
    content = {"data": [{"paragraphs": [{"context": "Det var i Bergen.", "qas": [question]}]}]}
    file = tmp_path / "norquad.json"
    file.write_text(json.dumps(content, indent=1))
    (item,) = read("reading-comprehension", file)
    assert item.id == "7"
    assert item.fields == {"context": "Det var i Bergen.", "question": "Hvor?",
                           "references": ["i Bergen"]}  # fmt: skip


def test_crows_pairs_are_read_from_compressed_csv(tmp_path: Path) -> None:
    file = tmp_path / "crows_pairs.csv.gz"
    text = ',sent_more_no,sent_less_no,bias_type\n0,"Hun, der",Han,gender\n'
    file.write_bytes(gzip.compress(text.encode("utf-8-sig")))
    (item,) = read("crows-pairs", file)
    assert item.fields == {"more": "Hun, der", "less": "Han", "group": "gender"}


def test_a_dialogue_becomes_one_item_for_each_question(tmp_path: Path) -> None:
    turns = [{"question": "A?", "answer": "a"}, {"question": "B?", "answer": "b"}]
    file = write(tmp_path / "x.jsonl", {"id": "m", "article": "Tekst.", "dialogue": turns})
    items = read("multi-qa-sum", file)
    assert [item.id for item in items] == ["m/1", "m/2"]
    assert items[1].fields == {"article": "Tekst.", "question": "B?", "references": ["b"]}


@pytest.mark.parametrize(("answer", "index"), [(2, 2), ("C", 2), ("c", 2), ("tre", 2), ("0", None)])
def test_right_choices_are_indices_letters_or_texts(
    tmp_path: Path, answer: Any, index: int | None
) -> None:
    record = {"question": "?", "choices": ["en", "to", "tre"], "answer": answer}
    file = write(tmp_path / "multiple_choice.jsonl", record)
    if index is None:
        assert "is no label" in refusal("multiple-choice", file).message
    else:
        assert read("multiple-choice", file)[0].label == index


@pytest.mark.parametrize(("label", "word"), [(1, "ja"), (False, "nei"), ("JA", "ja"), ("0", "nei")])
def test_labels_of_boolq_may_be_numbers_truths_or_words(
    tmp_path: Path, label: Any, word: str
) -> None:
    record = {"passage": "p", "question": "q", "label": label}
    task = load_tasks()["boolq"]
    (item,) = read("boolq", write(tmp_path / "boolq.jsonl", record))
    assert gold_answer(task, item) == word


def test_a_missing_field_names_file_line_and_what_the_task_expects(tmp_path: Path) -> None:
    good = {"passage": "p", "question": "q", "label": 1}
    file = write(tmp_path / "boolq.jsonl", good, "", {"passage": "p", "label": 1})
    error = refusal("boolq", file)
    assert isinstance(error, DataError)
    assert str(error) == f'{file}:3: record has no "question" field'
    assert error.hint == (
        "task boolq expects passage|context, question, label|answer (found: passage, label)"
    )


def test_broken_json_names_file_and_line_without_a_hint_eval_does_not_have(tmp_path: Path) -> None:
    file = write(tmp_path / "perplexity.jsonl", {"text": "a"}, '{"text": ')
    error = refusal("perplexity", file)
    assert (error.code, error.line, error.hint) == (65, 2, None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'[{"text": 1},\n', "not valid JSON"),
        ("a.json", b'{"text": 1}', "neither a list nor SQuAD"),
        ("a.json", b"[1]", "record 1 is not an object"),
        ("a.json", b'{"data": [{"paragraphs": [{}]}]}', "not SQuAD data"),
        ("a.json", b'[{"text": "\xff"}]', "not UTF-8"),
        ("a.jsonl", b'{"text": null}\n', 'no "text" field'),
        ("a.jsonl", b'{"text": {}}\n', "wrong form"),
        ("a.jsonl", b"", "holds no items"),
    ],
)
def test_files_that_cannot_be_used_are_data_errors(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    error = refusal("perplexity", file)
    assert isinstance(error, DataError)
    assert message in error.message


def test_unknown_tasks_get_a_suggestion_and_underscores_are_fine() -> None:
    found = find_tasks(["multiple_choice", "norquad", "multiple-choice"])
    assert [task.name for task in found] == ["multiple-choice", "reading-comprehension"]
    with pytest.raises(UsageError) as caught:
        find_tasks(["bolq"])
    assert caught.value.hint == "did you mean boolq?"


def test_all_tasks_with_a_file_run_when_none_is_named(tmp_path: Path) -> None:
    write(tmp_path / "boolq.jsonl", {"passage": "p", "question": "q", "label": 1})
    write(tmp_path / "perplexity.jsonl", {"text": "t"})
    chosen = select_tasks(EvalOptions(model="m", data=str(tmp_path)))
    assert [task.name for task in chosen] == ["boolq", "perplexity"]
    one = select_tasks(EvalOptions(model="m", data=str(tmp_path / "boolq.jsonl")))
    assert [task.name for task in one] == ["boolq"]


def test_missing_data_is_told_with_the_file_expected(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError) as caught:
        select_tasks(EvalOptions(model="m", data=str(tmp_path), tasks=["boolq"]))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("expected boolq.jsonl with the fields passage")
    with pytest.raises(InputMissingError):
        select_tasks(EvalOptions(model="m", data=str(tmp_path / "none")))


def test_one_file_is_not_several_tasks(tmp_path: Path) -> None:
    file = write(tmp_path / "boolq.jsonl", {"text": "t"})
    with pytest.raises(UsageError):
        select_tasks(EvalOptions(model="m", data=str(file), tasks=["boolq", "qnli"]))


def test_templated_prompts_are_the_templates_own(tmp_path: Path) -> None:
    task = load_tasks()["summarization"]
    item = Item("1", {"article": "En tekst.", "references": ["Kort."]})
    assert build_prompt(task, item, "norwai") == "Oppsummer teksten.\n\nEn tekst.\nSvar:"
    assert build_prompt(task, item, "norwai-en").endswith("\nAnswer:")
    assert build_prompt(task, item, None) == "Tekst: En tekst.\nOppsummering:"


def test_solved_examples_stand_in_front_with_their_answers() -> None:
    task = load_tasks()["closed-book-qa"]
    shot = Item("1", {"question": "Hva er 1?", "references": ["en"]})
    item = Item("2", {"question": "Hva er 2?", "references": ["to"]})
    assert build_prompt(task, item, "norwai", [shot]) == (
        "Hva er 1?\n\nSvar: en\n\nHva er 2?\n\nSvar:"
    )
    assert build_prompt(task, item, None, [shot]) == (
        "Spørsmål: Hva er 1?\nSvar: en\n\nSpørsmål: Hva er 2?\nSvar:"
    )


def test_conversations_keep_their_turns_and_the_speaker() -> None:
    task = load_tasks()["conversation"]
    turns = [{"role": "user", "content": "Hei!"}, {"role": "assistant", "content": "God dag."},
             {"role": "user", "content": "Hvem er du?"}]  # fmt: skip
    item = Item("1", {"history": turns, "persona": "Jeg er bonde.", "references": ["Per."]})
    assert build_prompt(task, item, "norwai") == (
        "Jeg er bonde.\n\nHei!\n\nSvar: God dag.\n\nHvem er du?\n\nSvar:"
    )


def test_translation_names_the_languages() -> None:
    task = load_tasks()["translation"]
    fields = {"source": "Jeg vet.", "references": ["Eg veit."], "source_lang": "nob",
              "target_lang": "nno"}  # fmt: skip
    prompt = build_prompt(task, Item("1", fields), "norwai")
    assert prompt == "Oversett fra bokmål til nynorsk.\n\nJeg vet.\nSvar:"


def test_an_item_is_never_its_own_example() -> None:
    items = [Item(str(i), {}) for i in range(5)]
    for index in range(5):
        shots = choose_shots(items, index, 4, seed=3)
        assert {shot.id for shot in shots} == {str(i) for i in range(5) if i != index}
        assert shots == choose_shots(items, index, 4, seed=3)


def test_examples_come_from_the_training_file_where_there_is_one(tmp_path: Path) -> None:
    qa = [{"question": f"{i}?", "answer": str(i)} for i in range(3)]
    write(tmp_path / "closed_book_qa.jsonl", *qa)
    options = EvalOptions(model="m", data=str(tmp_path), few_shot=2, limit=1)
    (own,) = read_data(select_tasks(options), options, Console.silent())
    assert len(own.items) == 1 and len(own.shots) == 3 and own.shots_path == own.path
    training = write(tmp_path / "closed_book_qa.train.jsonl", *qa[:2])
    (data,) = read_data(select_tasks(options), options, Console.silent())
    assert data.shots_path == training and len(data.shots) == 2
    options.few_shot = 3
    with pytest.raises(DataError, match="needs more examples than the 2"):
        read_data(select_tasks(options), options, Console.silent())


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("task", "items"),
    [("norquad", 472), ("norsumm-nob", 30), ("norsumm-nno", 30), ("sentiment", 701),
     ("sentiment-3", None), ("crows-pairs", 1677)],
)  # fmt: skip
def test_real_evaluation_files_are_read(real_data: Path, task: str, items: int | None) -> None:
    (found,) = find_tasks([task])
    path = require_file(found, str(real_data / "eval"))
    read_now = read(found.name, path)
    assert items is None or len(read_now) == items
    if found.name.startswith("norsumm"):
        assert all(len(item.fields["references"]) == 3 for item in read_now)
