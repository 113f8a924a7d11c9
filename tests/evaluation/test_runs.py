"""Whole runs: tasks on a model, the report, and scoring the predictions they leave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from norcli.cli import eval as command
from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.evaluation.metrics.measure import Measurement
from norcli.evaluation.models import Answer, Continuations, Likelihood
from norcli.evaluation.options import EvalOptions, ScoreOptions
from norcli.evaluation.predictions import score_predictions
from norcli.evaluation.report import TaskReport, as_table, report_task
from norcli.evaluation.scoring import read_data, run_task, select_tasks


class KnowingModel:
    """Answers every prompt as its table says; the last word in the prompt is the key."""

    engine = "hf"
    context = 1000
    template: str | None = "norwai"

    def __init__(self, table: dict[str, Any]) -> None:
        self.table = table
        self.prompts: list[str] = []
        self.stops: list[tuple[str, ...]] = []
        self.limits: list[int] = []

    def _found(self, prompt: str) -> Any:
        self.prompts.append(prompt)
        return next(value for key, value in self.table.items() if key in prompt)

    def generate(self, prompts: Any, max_new_tokens: int, stop: Any, advance: Any) -> list[Answer]:
        self.stops.append(tuple(stop))
        self.limits.append(max_new_tokens)
        return [Answer(self._found(prompt)) for prompt in prompts]

    def continuations(self, requests: Any, advance: Any) -> list[Continuations]:
        return [
            Continuations([self._found(prompt).get(word, -9.0) for word in words])
            for prompt, words in requests
        ]

    def likelihoods(self, texts: Any, advance: Any) -> list[Likelihood]:
        return [self._found(text) for text in texts]


def write(path: Path, *records: Any) -> Path:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(text, encoding="utf-8")
    return path


def run(folder: Path, model: KnowingModel, **values: Any) -> TaskReport:
    options = EvalOptions(model="m", data=str(folder), **values)
    (data,) = read_data(select_tasks(options), options, Console.silent())
    return report_task(run_task(data, model, options, Console.silent()), options)


def values_of(report: TaskReport) -> dict[str, float | None]:
    return {found.metric: found.value for found in report.measurements}


def test_questions_are_asked_in_the_models_template_and_scored(tmp_path: Path) -> None:
    write(
        tmp_path / "closed_book_qa.jsonl",
        {"id": "a", "question": "Lengste elv?", "reference": "Glomma"},
        {"id": "b", "question": "Høgaste fjell?", "answers": ["Galdhøpiggen", "Galden"]},
    )
    model = KnowingModel({"elv": "Glomma.", "fjell": "Det er Galden"})
    report = run(tmp_path, model)
    assert model.prompts == ["Lengste elv?\n\nSvar:", "Høgaste fjell?\n\nSvar:"]
    assert model.stops == [()] and model.limits == [48]
    values = values_of(report)
    assert values["exact-match"] == 50.0
    assert values["f1"] == pytest.approx(100 * (1 + 0.5) / 2)


def test_models_without_a_template_get_the_plain_prompt_and_its_stop_texts(tmp_path: Path) -> None:
    write(tmp_path / "closed_book_qa.jsonl", {"question": "Elv?", "reference": "Glomma"})
    model = KnowingModel({"Elv": "Glomma"})
    model.template = None
    run(tmp_path, model, max_new_tokens=5)
    assert model.prompts == ["Spørsmål: Elv?\nSvar:"]
    assert model.stops == [("\n",)] and model.limits == [5]
    run(tmp_path, model, template="norwai-en")
    assert model.prompts[-1] == "Elv?\n\nAnswer:"


def test_labels_are_the_likelier_word(tmp_path: Path) -> None:
    answers = {"Rett?": 1, "Galt?": 0, "Tja?": 0}
    records = [{"passage": "p", "question": q, "label": label} for q, label in answers.items()]
    write(tmp_path / "boolq.jsonl", *records)
    yes, no = {"ja": -1.0, "nei": -2.0}, {"ja": -2.0, "nei": -1.0}
    report = run(tmp_path, KnowingModel({"Rett": yes, "Galt": no, "Tja": yes}))
    assert values_of(report)["accuracy"] == pytest.approx(200 / 3)
    assert values_of(report)["macro-f1"] == pytest.approx(200 / 3)


def test_choices_are_scored_plain_and_by_length(tmp_path: Path) -> None:
    write(tmp_path / "multiple_choice.jsonl",
          {"question": "Hva?", "choices": ["ja", "noe langt"], "answer": 1})  # fmt: skip
    report = run(tmp_path, KnowingModel({"Hva": {"ja": -2.0, "noe langt": -4.0}}))
    assert values_of(report) == {"accuracy": 0.0, "accuracy-norm": 100.0}


def test_bias_is_reported_by_group_too(tmp_path: Path) -> None:
    pairs = [("a1", "b1", "x"), ("a2", "b2", "x"), ("a3", "b3", "y"), ("b4", "a4", "y")]
    write(tmp_path / "crows_pairs.jsonl", *(
        {"sent_more": more, "sent_less": less, "bias_type": group} for more, less, group in pairs
    ))  # fmt: skip
    model = KnowingModel({"a": Likelihood(1.0, 2, 1, 1), "b": Likelihood(2.0, 2, 1, 1)})
    values = values_of(run(tmp_path, model))
    assert values == {"stereotype-preferred": 75.0, "stereotype-preferred/x": 100.0,
                      "stereotype-preferred/y": 50.0}  # fmt: skip


def test_a_text_with_nothing_to_predict_is_a_data_error(tmp_path: Path) -> None:
    write(tmp_path / "perplexity.jsonl", {"text": "x"})
    with pytest.raises(DataError, match="too short"):
        run(tmp_path, KnowingModel({"x": Likelihood(0.0, 0, 0, 0)}))


def test_an_answer_limit_that_fills_the_context_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "closed_book_qa.jsonl", {"question": "Elv?", "reference": "Glomma"})
    model = KnowingModel({"Elv": "Glomma"})
    model.context = 20
    run(tmp_path, model)
    assert model.limits == [5]
    with pytest.raises(UsageError):
        run(tmp_path, model, max_new_tokens=20)


TASKS = ["closed-book-qa", "boolq", "multiple-choice", "perplexity", "crows-pairs"]


def test_a_run_is_repeatable_and_its_predictions_score_the_same(
    gpt2_folder: Path, examples: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        options = EvalOptions(
            model=str(gpt2_folder), data=str(examples / "evaluation"), tasks=TASKS, limit=6,
            output=str(tmp_path / f"{name}.json"), predictions=str(tmp_path / f"{name}.jsonl"),
            resamples=50,
        )  # fmt: skip
        outcome = command.run(options, Console.silent())
        assert outcome.stats["items"] == 30
    capfd.readouterr()
    for suffix in ("json", "jsonl"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    report = json.loads((tmp_path / "one.json").read_text())
    assert [task["task"] for task in report["tasks"]] == TASKS
    assert all(task["data_sha256"] for task in report["tasks"])
    scored = score_predictions(
        ScoreOptions(inputs=[str(tmp_path / "one.jsonl")], resamples=50), Console.silent()
    )
    for before, after in zip(report["tasks"], scored, strict=True):
        assert before["metrics"] == json.loads(json.dumps(after.as_json()))["metrics"]


def test_predictions_of_another_program_are_scored_without_torch(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", {"svar": "Glomma", "fasit": ["Glomma", "Glåma"]})
    script = (
        "import sys; from norcli.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'torch was imported';"
        "raise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "eval", "score", str(file), "--prediction-key", "svar",
         "--reference-key", "fasit", "--metrics", "em,bleu", "--json"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    (task,) = json.loads(done.stdout)["tasks"]
    assert task["metrics"][0]["metric"] == "exact-match"
    assert task["metrics"][0]["value"] == 100.0


def test_labels_alone_get_the_label_metrics(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", {"prediction": "ja", "label": "ja"},
                 {"prediction": "nei", "label": "ja"})  # fmt: skip
    (report,) = score_predictions(ScoreOptions(inputs=[str(file)]), Console.silent())
    assert list(values_of(report)) == ["accuracy", "macro-f1", "mcc"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prediction": "a"}, 'record has no "reference" field, which bleu needs'),
        ({"reference": "a"}, 'record has no "prediction" field, which bleu needs'),
        ({"prediction": 1, "reference": "a"}, '"prediction" has the wrong type'),
        ({"prediction": "a", "reference": [1]}, '"references" has the wrong type'),
        ({"prediction": "a", "reference": []}, '"references" has the wrong type'),
    ],
)
def test_predictions_that_cannot_be_scored_name_file_and_line(
    tmp_path: Path, record: dict[str, Any], message: str
) -> None:
    file = write(tmp_path / "p.jsonl", {"prediction": "a", "reference": "a"}, record)
    options = ScoreOptions(inputs=[str(file)], metrics=["bleu"])
    with pytest.raises(DataError) as caught:
        score_predictions(options, Console.silent())
    assert message in str(caught.value)
    assert caught.value.line == 2
    options.on_bad_record = "skip"
    (report,) = score_predictions(options, Console.silent())
    assert report.n == 1


def test_the_table_shows_what_was_not_counted() -> None:
    measurements = [Measurement("dist-4", None, None, None, 0, "%"),
                    Measurement("bits-per-byte", 1.23456, 1.0, 2.0, 3, "bits")]  # fmt: skip
    lines = as_table([TaskReport("toxicity", 3, measurements)]).splitlines()
    assert lines[1].split() == ["toxicity", "dist-4", "0", "-"]
    assert lines[2].split() == ["toxicity", "bits-per-byte", "3", "1.235", "1.000", "to", "2.000"]
    markdown = as_table([TaskReport("toxicity", 3, measurements)], "markdown").splitlines()
    assert markdown[3] == "| toxicity | bits-per-byte | 3 | 1.235 | 1.000 to 2.000 |"
