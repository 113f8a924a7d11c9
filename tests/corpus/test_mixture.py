"""Mixtures meet their amounts, repeat as planned, and change nothing but the epoch field."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_corpora import TABLE_2, records, write

from norcli.console import Console
from norcli.corpus import mixture
from norcli.corpus.mixing import make_plan, mix
from norcli.corpus.mixture import buckets_of
from norcli.corpus.recipe import load_recipe, parse_amount, recipe_of_flags
from norcli.corpus.report_options import MixOptions
from norcli.errors import ConfigError, DataError, UsageError


def mixed(options: MixOptions) -> list[dict[str, Any]]:
    mix(options, Console.silent())
    return [json.loads(line) for line in Path(options.output).read_bytes().splitlines()]


def sizes(made: list[dict[str, Any]], field: str) -> Counter[str]:
    words: Counter[str] = Counter()
    for record in made:
        words[record[field]] += len(record["text"].split())
    return words


def test_shipped_recipes_hold_the_numbers_of_the_report() -> None:
    for corpus, amounts in TABLE_2.items():
        recipe = load_recipe(corpus.lower())
        assert [round(part.value / 1e6) for part in recipe.parts] == list(amounts)
        assert recipe.unit == "tokens" and recipe.by == "source_group"
        assert all(part.sources for part in recipe.parts)
    assert load_recipe("v2").notes["stated_total"] == 51.15e9
    assert load_recipe("v3").notes["stated_total"] == 88.45e9


@pytest.mark.parametrize("corpus", TABLE_2)
def test_recipes_scale_to_a_total(tmp_path: Path, corpus: str) -> None:
    path = write(tmp_path / "all.jsonl", records(step=20))
    options = MixOptions(inputs=[path], recipe=corpus.lower(), unit="words", total="20K",
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    made = mixed(options)
    words = sizes(made, "source_group")
    whole = sum(TABLE_2[corpus])
    for amount, name in zip(
        TABLE_2[corpus], ("National Library", "industry partners", "common_crawl", "Others"),
        strict=True,
    ):  # fmt: skip
        assert abs(words[name] - 20_000 * amount / whole) <= 430  # the longest document


documents = st.lists(
    st.fixed_dictionaries({"source": st.sampled_from("abc"), "words": st.integers(1, 30)}),
    min_size=1, max_size=60,
)  # fmt: skip


@given(documents, st.integers(0, 5), st.floats(0.0, 3.3), st.floats(0.0, 3.3),
       st.sampled_from(["interleaved", "concatenated"]))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_epochs_are_met_to_within_a_document(
    tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, Any]], seed: int,
    of_a: float, of_b: float, order: str,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("mix")
    for number, record in enumerate(made):
        record |= {"id": f"d{number}", "text": "o " * record.pop("words")}
    held = sizes(made, "source")
    if any(name not in held for name in "ab") or of_a + of_b == 0:
        return
    options = MixOptions(
        inputs=[write(folder / "in.jsonl", made)], epochs=[f"a={of_a}", f"b={of_b}"], seed=seed,
        output=str(folder / "out.jsonl"), order=order,
    )  # fmt: skip
    out = mixed(options)
    words = sizes(out, "source")
    for name, epochs in (("a", of_a), ("b", of_b), ("c", 1.0)):
        longest = max((len(r["text"].split()) for r in made if r["source"] == name), default=0)
        assert abs(words[name] - epochs * held[name]) <= longest
        copies = Counter(r["id"] for r in out if r["source"] == name)
        for record in made:
            if record["source"] == name:
                assert int(epochs) <= copies[record["id"]] <= int(epochs) + 1
    by_id = {record["id"]: record for record in made}
    pairs = {(record["id"], record["mix_epoch"]) for record in out}
    assert len(pairs) == len(out)
    for record in out:
        epoch = record.pop("mix_epoch")
        assert record == by_id[record["id"]]
        assert epoch == 1 or (record["id"], epoch - 1) in pairs


def test_all_files_are_measured_by_the_same_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = []

    def counted(make: Any, blocks: Any, jobs: int) -> Any:
        pools.append(jobs)
        return map(make(), blocks)

    monkeypatch.setattr(mixture, "map_in_order", counted)
    paths = [write(tmp_path / f"{k}.jsonl", records(step=50)) for k in range(3)]
    mixed(MixOptions(inputs=paths, by="lang", shares=["nno=0.5"], jobs=2,
                     output=str(tmp_path / "o.jsonl")))  # fmt: skip
    assert pools == [2]


def test_output_is_the_same_for_any_jobs_and_changes_with_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", records(step=40))
    made = {}
    for name, more in (("1", {}), ("2", {"jobs": 2}), ("seed", {"seed": 1})):
        options = MixOptions(inputs=[path], by="lang", shares=["nno=0.5", "sme=0.1"], total="5K",
                             output=str(tmp_path / f"{name}.jsonl"), **more)  # fmt: skip
        mix(options, Console.silent())
        made[name] = Path(options.output).read_bytes()
    assert made["1"] == made["2"]
    assert made["1"] != made["seed"]


def test_a_part_is_drawn_alike_whatever_the_others_are(tmp_path: Path) -> None:
    made = records(step=40)
    drawn = []
    for name, kept in (("all", made), ("two", [r for r in made if r["lang"] != "sme"])):
        path = write(tmp_path / f"{name}.jsonl", kept)
        options = MixOptions(inputs=[path], by="lang", epochs=["nno=0.5"],
                             output=str(tmp_path / f"{name}-out.jsonl"))  # fmt: skip
        drawn.append([r["id"] for r in mixed(options) if r["lang"] == "nno"])
    assert drawn[0] == drawn[1] and 0 < len(drawn[0]) < sum(r["lang"] == "nno" for r in made)


def test_every_stretch_has_about_the_proportions_of_the_whole(tmp_path: Path) -> None:
    made = [{"id": f"{s}{k}", "text": "o o", "source": s} for s in "ab" for k in range(400)]
    options = MixOptions(inputs=[write(tmp_path / "in.jsonl", made)], weights=["a=3", "b=1"],
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    out = "".join(record["source"] for record in mixed(options))
    assert (out.count("a"), out.count("b")) == (400, 134)
    for start in range(0, 500, 40):
        assert 9 <= out[start : start + 40].count("b") <= 11


def test_lines_pass_through_byte_for_byte(tmp_path: Path) -> None:
    lines = [
        b'{"id":"a" , "text":"o","number":1.50e3,"big":12345678901234567890123,"x":{"y":[]}}',
        b'  {"text":"uten id","source":null} ',
        b'{"id":"b","text":"\\u00e6","mix_epoch":7}\r',
    ]
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n\n")
    other = tmp_path / "other.jsonl"
    other.write_bytes(b'{"id":"c","text":"p","source":"s"}\n')
    options = MixOptions(inputs=[str(path), str(other)], epochs=["s=1"], order="concatenated",
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    mix(options, Console.silent())
    out = Path(options.output).read_bytes().splitlines()
    assert out[0] == b'{"id":"c","text":"p","source":"s","mix_epoch":1}'
    assert out[1] == lines[0][:-1] + b',"mix_epoch":1}'
    assert json.loads(out[2])["id"].startswith("sha256:")
    assert out[3] == '{"id":"b","text":"æ","mix_epoch":1}'.encode()


def test_compressed_files_and_parquet_are_read_and_written(tmp_path: Path) -> None:
    from norcli.formats.documents import RecordWriter, read_records
    from norcli.options import RecordInputOptions, RecordOutputOptions

    made = records(step=300)[:60]
    paths = [tmp_path / "a.jsonl.gz", tmp_path / "b.parquet"]
    for path, part in zip(paths, (made[:30], made[30:]), strict=True):
        with RecordWriter(RecordOutputOptions(output=str(path))) as writer:
            for record in part:
                writer.write(record)
    for name in ("out.jsonl.gz", "out.parquet"):
        options = MixOptions(inputs=[str(p) for p in paths], by="corpus", epochs=["V1=2"],
                             output=str(tmp_path / name))  # fmt: skip
        mix(options, Console.silent())
        read = read_records(RecordInputOptions(inputs=[options.output]), Console.silent())
        copies = Counter(record["id"] for _, record in read)
        expected = {r["id"]: 2 if r["corpus"] == "V1" else 1 for r in made}
        assert copies == expected
    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes())


def test_shares_leave_the_rest_to_what_is_not_named(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", records(step=10))
    options = MixOptions(inputs=[path], by="lang", shares=["nno=0.3"], total="10K",
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    words = sizes(mixed(options), "lang")
    assert abs(words["nno"] - 3000) <= 380
    assert abs(words["nob"] + words["sme"] - 7000) <= 380


def test_plan_tells_what_is_too_small_and_what_would_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", records())
    options = MixOptions(inputs=[path], by="lang", weights=["nno=1", "sme=1"], total="2K",
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    plan, _ = make_plan(options, recipe_of_flags("lang", [], options.weights, []), Console.silent())
    assert [part.problem for part in plan.parts] == ["", "too small"]
    assert plan.largest_total == 2 * 4 * 176
    with pytest.raises(DataError, match=r'"sme" is too small: it would be read 5\.68 times'):
        mix(options, Console.silent())
    assert not Path(options.output).exists()
    options.total = str(plan.largest_total)
    mix(options, Console.silent())


def test_without_a_total_nothing_is_repeated(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", records())
    options = MixOptions(inputs=[path], by="lang", weights=["nno=1", "sme=1"],
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    assert {record["mix_epoch"] for record in mixed(options)} == {1}


def test_a_change_between_the_passes_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import norcli.corpus.mixing as module

    path = write(tmp_path / "in.jsonl", records())
    planned = module.plan_mixture

    def change(*words: Any) -> Any:
        with Path(path).open("a") as stream:
            stream.write("\n")
        return planned(*words)

    monkeypatch.setattr(module, "plan_mixture", change)
    options = MixOptions(inputs=[path], by="lang", epochs=["nno=1"],
                         output=str(tmp_path / "out.jsonl"))  # fmt: skip
    with pytest.raises(DataError, match="was changed"):
        mix(options, Console.silent())


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("nei", "not valid TOML"),
        ("x = 1\n[[part]]\nname='a'\nshare=1", 'unknown key "x"'),
        ("by = 'lang'", "has no"),
        ("part = [1]", "no tables"),
        ("[[part]]\nname='a'\nshare=0.5\n[[part]]\nname='b'\nweight=1", "the same in all"),
        ("[[part]]\nname='a'\nshare='x'", "a number as share"),
        ("[[part]]\nname='a'\nshare=0.7\n[[part]]\nname='b'\nshare=0.4", "add up to 1.1"),
        ("[[part]]\nname='a'\nweight=1\n[[part]]\nname='a'\nweight=1", "named twice"),
        ("[[part]]\nname='a'\nweight=-1", "-1"),
        ("unit='pages'\n[[part]]\nname='a'\nweight=1", 'unit "pages"'),
        ("[[part]]\nname='a'\nshare=0.5\nsources='ab'", 'sources of "a" must be a list'),
        ("by=3\n[[part]]\nname='a'\nweight=1", "take a string"),
        ("total='much'\n[[part]]\nname='a'\nweight=1", "takes a number"),
    ],
)
def test_wrong_recipes_are_told_in_one_line(tmp_path: Path, toml: str, told: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(toml)
    with pytest.raises(ConfigError, match=told) as caught:
        load_recipe(str(path))
    assert caught.value.path == str(path) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, "by one of"),
        ({"shares": ["a=1"], "weights": ["a=1"]}, "by one of"),
        ({"shares": ["nob"]}, "PART=NUMBER"),
        ({"epochs": ["=1"]}, "PART=NUMBER"),
        ({"weights": ["a=x"]}, "PART=NUMBER"),
        ({"shares": ["a=0"]}, "every share is 0"),
        ({"shares": ["a=0.9", "b=0.2"]}, "add up to 1.1"),
    ],
)
def test_wrong_flags_are_told(flags: dict[str, list[str]], told: str) -> None:
    given = {"shares": [], "weights": [], "epochs": []} | flags
    with pytest.raises(UsageError, match=told):
        recipe_of_flags("source", given["shares"], given["weights"], given["epochs"])


def test_amounts_are_read_with_their_suffixes() -> None:
    assert [parse_amount(text) for text in ("5", "500K", "25m", "1.5B", "0.1T")] == [
        5, 5e5, 25e6, 1.5e9, 1e11,
    ]  # fmt: skip
    for text in ("", "K", "-1", "nan", "inf", "mye", "0"):
        with pytest.raises(UsageError):
            parse_amount(text)


def test_buckets_do_not_depend_on_how_documents_are_counted_off() -> None:
    whole = buckets_of(3, "mc4", 0, 1000)
    parts = [buckets_of(3, "mc4", start, 100) for start in range(0, 1000, 100)]
    assert whole.tolist() == [bucket for part in parts for bucket in part.tolist()]
    assert 0.45 < whole.mean() / (1 << 14) < 0.55
    assert whole.tolist() != buckets_of(4, "mc4", 0, 1000).tolist()
