"""Beyond one corpus: saved indexes, evaluation passages, sweeps and explanations."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from planted_corpus import made_up_texts, make_corpus

from norcli.console import Console
from norcli.dedup.contamination import read_evaluation_texts
from norcli.dedup.explain import exact_jaccard, explain, word_differences
from norcli.dedup.options import DedupOptions, ExplainOptions
from norcli.dedup.pipeline import run_dedup
from norcli.dedup.statistics import DedupResult
from norcli.errors import CannotCreateError, ConfigError, DataError, InputMissingError

Record = dict[str, Any]


def write(path: Path, records: list[Record]) -> str:
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dedup(source: str, output: Path, **more: Any) -> DedupResult:
    options = DedupOptions(inputs=[source], output=str(output), **{"overwrite": True, **more})
    return run_dedup(options, Console.silent())


@pytest.fixture(scope="module")
def corpus() -> list[Record]:
    return list(make_corpus(400, 15, made_up_texts(random.Random(16))))


@pytest.mark.parametrize("more", [{}, {"cluster": "star"}, {"method": ["exact"]}])
def test_a_second_half_against_the_first_equals_one_run(
    corpus: list[Record], tmp_path: Path, more: Record
) -> None:
    index = str(tmp_path / "index")
    first, second = write(tmp_path / "a", corpus[:200]), write(tmp_path / "b", corpus[200:])
    whole = write(tmp_path / "all", corpus)
    dedup(first, tmp_path / "a.jsonl", save_index=index, **more)
    result = dedup(second, tmp_path / "b.jsonl", against=[index], **more)
    dedup(whole, tmp_path / "all.jsonl", **more)
    assert result.known_documents == len(read(tmp_path / "a.jsonl"))
    in_steps = read(tmp_path / "a.jsonl") + read(tmp_path / "b.jsonl")
    if more.get("cluster") == "star" or more.get("method") == ["exact"]:
        assert in_steps == read(tmp_path / "all.jsonl")
    else:
        # Components can be joined through documents that the first run has dropped already.
        assert {r["id"] for r in in_steps} >= {r["id"] for r in read(tmp_path / "all.jsonl")}
        assert len(in_steps) - len(read(tmp_path / "all.jsonl")) <= 4


def test_documents_of_an_index_always_survive(corpus: list[Record], tmp_path: Path) -> None:
    index, rejects = str(tmp_path / "index"), tmp_path / "r.jsonl"
    dedup(write(tmp_path / "a", corpus[:100]), tmp_path / "a.jsonl", save_index=index)
    longer = [r | {"id": "ny" + r["id"], "text": r["text"] + " enda litt"} for r in corpus[:100]]
    source = write(tmp_path / "b", longer)
    for more in ({"keep": "longest"}, {"cluster": "star"}, {"online": True}):
        dedup(source, tmp_path / "b.jsonl", against=[index], rejects=str(rejects), **more)
        assert read(tmp_path / "b.jsonl") == []
        known = {r["id"] for r in read(tmp_path / "a.jsonl")}
        assert {r["dedup_dup_of"] for r in read(rejects)} <= known


def test_an_index_saved_again_holds_both(corpus: list[Record], tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    dedup(write(tmp_path / "a", corpus[:200]), tmp_path / "a.jsonl", save_index=one)
    dedup(write(tmp_path / "b", corpus[200:]), tmp_path / "b.jsonl", against=[one], save_index=two)
    again = dedup(write(tmp_path / "all", corpus), tmp_path / "c.jsonl", against=[two])
    assert again.records_out == 0
    assert {two} < {row["a"] for row in again.source_pairs} <= {two, *"ABCD"}


def test_a_wrong_or_damaged_index_is_refused(corpus: list[Record], tmp_path: Path) -> None:
    index, source = str(tmp_path / "index"), write(tmp_path / "a", corpus[:20])
    with pytest.raises(InputMissingError):
        dedup(source, tmp_path / "x.jsonl", against=[index])
    dedup(source, tmp_path / "a.jsonl", save_index=index)
    with pytest.raises(CannotCreateError):
        dedup(source, tmp_path / "x.jsonl", save_index=index, overwrite=False)
    with pytest.raises(ConfigError, match="was made with ngram 5, this run has 3"):
        dedup(source, tmp_path / "x.jsonl", against=[index], ngram=3)
    with pytest.raises(DataError, match="is not an index"):
        dedup(source, tmp_path / "x.jsonl", against=[str(tmp_path)])
    lanes = tmp_path / "index" / "lanes.npy"
    content = bytearray(lanes.read_bytes())
    content[-1] ^= 1
    lanes.write_bytes(content)
    with pytest.raises(DataError, match="checksum is wrong"):
        dedup(source, tmp_path / "x.jsonl", against=[index])
    lanes.unlink()
    with pytest.raises(DataError, match="checksum is wrong"):
        dedup(source, tmp_path / "x.jsonl", against=[index])
    assert not (tmp_path / "x.jsonl").exists()


QUESTION = ("Hva heter den lengste elva i Norge, og hvor mange kilometer er den fra kilden "
            "til havet?")  # fmt: skip


@pytest.fixture()
def evaluation(tmp_path: Path) -> list[str]:
    nested = {"data": [{"spørsmål": QUESTION, "svar": ["Glomma", 1]}, {"tekst": "kort svar her"}]}
    (tmp_path / "set.json").write_text(json.dumps(nested), encoding="utf-8")
    passage = " ".join(f"ord{n}" for n in range(20))
    write(tmp_path / "set.jsonl", [{"q": "?"}, {"q": {"deep": [passage]}}])
    return [str(tmp_path / "set.json"), str(tmp_path / "set.jsonl")]


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("jobs", [1, 3])
def test_documents_with_evaluation_passages_go(
    evaluation: list[str], tmp_path: Path, online: bool, jobs: int
) -> None:
    middle = " ".join(f"ORD{n}," for n in range(3, 16))
    too_short = " ".join(f"ord{n}" for n in range(3, 15))
    texts = ["Quiz: " + QUESTION.upper() + " Svar nederst.", "helt ren tekst om noe annet",
             f"foran {middle} bak", f"foran {too_short} bak", "kort svar her",
             "et kort svar her er greit", "Quiz: " + QUESTION + " Svar nederst."]  # fmt: skip
    source = write(tmp_path / "in", [{"id": n, "text": t} for n, t in enumerate(texts)])
    result = dedup(source, tmp_path / "out.jsonl", decontaminate=evaluation, online=online,
                   rejects=str(tmp_path / "r.jsonl"), jobs=jobs)  # fmt: skip
    assert [r["id"] for r in read(tmp_path / "out.jsonl")] == [1, 3, 5]
    rejects = read(tmp_path / "r.jsonl")
    assert {r["dropped_by"] for r in rejects} == {"decontaminate"}
    assert [r["dropped_value"] for r in rejects] == [5, 1, 1, 5]
    assert [r["dedup_dup_of"] for r in rejects] == [
        evaluation[0] + "#/data/0/spørsmål", evaluation[1] + ":2",
        evaluation[0] + "#/data/1/tekst", evaluation[0] + "#/data/0/spørsmål",
    ]  # fmt: skip
    assert (result.dropped_contaminated, result.duplicates) == (4, 0)
    assert result.contaminated_by == {evaluation[0]: 3, evaluation[1]: 1}
    fewer = dedup(source, tmp_path / "o.jsonl", decontaminate=evaluation, decontaminate_hits=2)
    assert (fewer.dropped_contaminated, fewer.dropped_exact) == (2, 0)


def test_evaluation_hits_equal_a_search_by_sets(tmp_path: Path) -> None:
    random_ = random.Random(8)
    texts = [next(made_up_texts(random_)).lower().replace(".", "") for _ in range(40)]
    path = write(tmp_path / "eval.jsonl", [{"t": text} for text in texts[:10]])
    known = read_evaluation_texts([path], 4, Console.silent())

    def grams(text: str) -> list[tuple[str, ...]]:
        words = text.split()
        return [tuple(words[i : i + 4]) for i in range(len(words) - 3)]

    expected_known = {gram for text in texts[:10] for gram in grams(text)}
    mixed = [a[:200] + " " + b for a, b in zip(texts, reversed(texts), strict=True)]
    hits, owners = known.count([text.encode() for text in mixed])
    expected = [sum(gram in expected_known for gram in grams(text)) for text in mixed]
    assert hits.tolist() == expected
    assert ((owners >= 0) == (hits > 0)).all()


def test_an_evaluation_file_without_text_is_an_error(tmp_path: Path) -> None:
    source = write(tmp_path / "in", [{"id": 1, "text": "en"}])
    (tmp_path / "e.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="holds no text"):
        dedup(source, tmp_path / "out.jsonl", decontaminate=[str(tmp_path / "e.json")])
    (tmp_path / "e.json").write_text("[1, ")
    with pytest.raises(DataError, match="not valid JSON"):
        dedup(source, tmp_path / "out.jsonl", decontaminate=[str(tmp_path / "e.json")])


def test_a_sweep_says_what_single_runs_do(corpus: list[Record], tmp_path: Path) -> None:
    source = write(tmp_path / "in", corpus)
    rows = dedup(source, tmp_path / "no.jsonl", sweep=["0.9", "0.5", "0.7"]).sweep
    assert not (tmp_path / "no.jsonl").exists()
    assert [row["threshold"] for row in rows] == [0.5, 0.7, 0.9]
    for row in rows:
        result = dedup(source, tmp_path / "out.jsonl", threshold=row["threshold"])
        assert row["kept"] == result.records_out
        assert row["exact"] + row["minhash"] + row["kept"] == 400
    assert rows[0]["kept"] < rows[1]["kept"] < rows[2]["kept"]


def test_explain_shows_survivor_similarities_and_words(tmp_path: Path) -> None:
    words = [f"ord{n}" for n in range(100)]
    other = [*words[:50], "annet", *words[51:]]
    records = [{"id": "a", "text": " ".join(words)}, {"id": "b", "text": " ".join(other)},
               {"id": "c", "text": "noe helt for seg selv"}]  # fmt: skip
    source = write(tmp_path / "in.jsonl", records)

    def explained(document_id: str) -> Any:
        options = ExplainOptions(document_id=document_id, inputs=[source])
        return explain(options, Console.silent())

    duplicate = explained("b")
    assert (duplicate.role, duplicate.survivor, duplicate.method) == ("duplicate", "a", "minhash")
    assert duplicate.jaccard_exact == round(91 / 101, 4)
    assert abs(duplicate.jaccard_estimated - 91 / 101) < 0.1
    assert "[-ord50-] {+annet+}" in duplicate.differences[0]
    assert duplicate.survivor_place == f"{source}:1"
    assert "exact 0.9010" in duplicate.as_text()
    survivor = explained("a")
    assert (survivor.role, survivor.jaccard_exact) == ("survivor", duplicate.jaccard_exact)
    unique = explained("c")
    assert (unique.role, unique.cluster_size, unique.differences) == ("unique", 1, [])
    with pytest.raises(DataError, match='no document has the id "d"'):
        explained("d")


def test_exact_jaccard_and_differences_of_plain_cases() -> None:
    assert exact_jaccard("a b c d e f", "A b, c d e f", 5) == 1.0
    assert exact_jaccard("a b c d e f", "b c d e f g", 5) == pytest.approx(1 / 3)
    assert exact_jaccard("?", "?", 5) == 1.0
    assert exact_jaccard("?", "!", 5) == 0.0
    assert word_differences("a b c", "a x c", 1) == ["a [-b-] {+x+} c"]
    assert word_differences("a", "a", 1) == []
