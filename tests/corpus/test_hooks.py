"""Blocklists, word lists and quality models: what they read, what they find, what they refuse."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.corpus.blocklist import Blocklist
from norcli.corpus.classifier import LinearModel, load_scorer, score_texts
from norcli.corpus.language.identifier import pack
from norcli.corpus.word_list import WordLists
from norcli.errors import ConfigError, DataError, InputMissingError, NorcliError, UsageError


@pytest.fixture
def blocklist(tmp_path: Path) -> Blocklist:
    (tmp_path / "mine.txt").write_text(
        "# remarks ! and more\n"
        "bad.example   # a domain\n"
        "0.0.0.0 hosts.example\n127.0.0.1 localhost\n"
        "||adblock.example^\n*.star.example\n"
        "www.blåbær.example\n"
        "https://half.example/forum\nhalf.example/a/b/\n10.1.2.3\n",
        encoding="utf-8",
    )
    folder = tmp_path / "ut1" / "adult"
    folder.mkdir(parents=True)
    (folder / "domains").write_text("adult.example\n")
    (folder / "urls").write_text("mixed.example/~some/page\n")
    (folder / "usage").write_text("black\n")
    return Blocklist.load([str(tmp_path / "mine.txt"), str(tmp_path / "ut1")])


@pytest.mark.parametrize(
    ("url", "entry", "source"),
    [
        ("https://bad.example/", "bad.example", "mine.txt"),
        ("http://www.Bad.example:8080/x?y#z", "bad.example", "mine.txt"),
        ("https://deep.below.bad.example", "bad.example", "mine.txt"),
        ("http://hosts.example/a", "hosts.example", "mine.txt"),
        ("http://x.adblock.example", "adblock.example", "mine.txt"),
        ("http://star.example.", "star.example", "mine.txt"),
        ("http://xn--blbr-roah.example/", "xn--blbr-roah.example", "mine.txt"),
        ("http://blåbær.example/", "xn--blbr-roah.example", "mine.txt"),
        ("http://half.example/forum/7", "half.example/forum", "mine.txt"),
        ("http://half.example/forum?id=7", "half.example/forum", "mine.txt"),
        ("http://half.example/a/b/c", "half.example/a/b/", "mine.txt"),
        ("http://10.1.2.3/", "10.1.2.3", "mine.txt"),
        ("http://adult.example", "adult.example", "adult/domains"),
        ("https://mixed.example/~some/page", "mixed.example/~some/page", "adult/urls"),
    ],
)
def test_blocked(blocklist: Blocklist, url: str, entry: str, source: str) -> None:
    assert blocklist.find(url) == (entry, source)


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example/bad.example", "https://notbad.example", "https://bad.example.org",
        "http://half.example/", "http://half.example/forumet", "http://half.example/a/bc",
        "http://sub.half.example/forum", "http://mixed.example/", "http://localhost/", "", "::", "http://[",
        "black",
    ],
)  # fmt: skip
def test_not_blocked(blocklist: Blocklist, url: str) -> None:
    assert blocklist.find(url) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_address_can_be_asked_for(url: str) -> None:
    blocklist = Blocklist()
    assert blocklist.find(url) is None


@pytest.mark.parametrize("content", ["two words\n", "http://\n", "#only remarks\n", "a b.example"])
def test_a_wrong_blocklist_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "list").write_text(content)
    with pytest.raises(ConfigError):
        Blocklist.load([str(tmp_path / "list")])


def test_a_missing_blocklist_and_a_folder_without_lists(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        Blocklist.load([str(tmp_path / "none")])
    with pytest.raises(ConfigError, match="holds no file"):
        Blocklist.load([str(tmp_path)])


def shares(lists: WordLists, texts: list[str], languages: list[str]) -> list[float]:
    return lists.shares(*pack(texts), languages).tolist()


def test_shares_of_listed_words_go_by_language(tmp_path: Path) -> None:
    (tmp_path / "nob").write_text("fæl  # remark\ndritt sekk\nsekk\n\n", encoding="utf-8")
    (tmp_path / "all").write_text("Crap\n", encoding="utf-8")
    lists = WordLists.load([f"nb={tmp_path}/nob", f"{tmp_path}/all"])
    texts = ["FÆL, fæle og «fæl»!", "dritt sekk", "dritt pose crap", "crap fæl", ""]
    assert shares(lists, texts, ["nob", "nob", "nob", "nno", "nob"]) == [
        0.5, 1.0, round(1 / 3, 6), 0.5, 0.0,
    ]  # fmt: skip
    # Norwegian that is neither is judged as Bokmål.
    assert shares(lists, ["sekk"], ["nor"]) == [1.0]


def reference_share(text: str, entries: list[list[str]]) -> float:
    """Slow and readable: mark each word that is part of an entry."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    marked = [False] * len(words)
    for i in range(len(words)):
        for entry in entries:
            if words[i : i + len(entry)] == entry:
                marked[i : i + len(entry)] = [True] * len(entry)
    return round(sum(marked) / max(len(words), 1), 6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["en", "to", "TRE", "fø1", ",", ". ", "-"]), max_size=14),
    st.lists(
        st.lists(st.sampled_from(["en", "to", "tre", "fø1"]), min_size=1, max_size=4),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
def test_shares_are_those_of_the_reference(words: list[str], entries: list[list[str]]) -> None:
    text = " ".join(words)
    lists = WordLists({"nob": [" ".join(entry) for entry in entries]})
    assert shares(lists, [text], ["nob"]) == [reference_share(text, entries)]


@pytest.mark.parametrize(
    ("content", "specification", "error"),
    [
        (b"ord\n", "xx=FILE", UsageError),
        (b"# none\n", "FILE", ConfigError),
        (b"one two three four five\n", "FILE", ConfigError),
        (b"...\n", "FILE", ConfigError),
        (b"\xff\xfe\n", "FILE", ConfigError),
        (b"ord\n", "nob=FILE.not", InputMissingError),
    ],
)
def test_a_wrong_word_list_is_refused(
    tmp_path: Path, content: bytes, specification: str, error: type[NorcliError]
) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(error):
        WordLists.load([specification.replace("FILE", str(tmp_path / "list"))])


def reference_score(model: LinearModel, text: str) -> float:
    """The documented format, in Python integers."""
    words = []
    for word in "".join(c if c.isalnum() else " " for c in text.lower()).split():
        value = 0xCBF29CE484222325
        for c in word:
            value = (value ^ ord(c)) * 0x100000001B3 % 2**64
        words.append(value)
    bits = len(model.weights).bit_length() - 1
    weights = []
    for i in range(len(words)):
        gram = 0
        for n in range(min(model.orders, len(words) - i)):
            gram = (gram * 0xD6E8FEB86659FD93 + words[i + n]) % 2**64
            weights.append(float(model.weights[gram * 0x9E3779B97F4A7C15 % 2**64 >> (64 - bits)]))
    mean = sum(weights) / len(weights) if weights else 0.0
    return 1 / (1 + math.exp(-(model.bias + mean)))


def make_model(orders: int = 2) -> LinearModel:
    weights = np.random.default_rng(1).normal(size=1 << 10).astype(np.float32)
    return LinearModel(weights, 0.25, orders)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["En", "to,", "TRE", "fø1", "-", "Šaddá"]), max_size=10))
def test_linear_scores_are_those_of_the_documented_format(words: list[str]) -> None:
    text = " ".join(words)
    for orders in (1, 2, 4):
        model = make_model(orders)
        assert model([text]) == pytest.approx([reference_score(model, text)])


def test_a_linear_model_is_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    make_model().save(file, {"from": "a test"})
    first = file.read_bytes()
    scorer = load_scorer(str(file))
    texts = ["En god tekst.", "", "xyz " * 50]
    assert score_texts(scorer, texts) == score_texts(make_model(), texts)
    make_model().save(file, {"from": "a test"})
    assert file.read_bytes() == first


@pytest.mark.parametrize(
    ("specification", "error"),
    [
        ("model.onnx", UsageError),
        ("none.safetensors", InputMissingError),
        ("text.safetensors", DataError),
        ("text.bin", DataError),
        ("no_such_module:f", ConfigError),
        ("math:no_such_function", ConfigError),
        ("math:pi", ConfigError),
    ],
)
def test_a_wrong_model_is_refused(
    tmp_path: Path, specification: str, error: type[NorcliError]
) -> None:
    if specification.endswith(".bin"):
        pytest.importorskip("fasttext")
    for name in ("text.safetensors", "text.bin"):
        (tmp_path / name).write_text("this is a text and no model at all")
    path = specification if ":" in specification else str(tmp_path / specification)
    with pytest.raises(error):
        load_scorer(path)


@pytest.mark.parametrize(
    "weights", [np.zeros(10, np.float32), np.zeros(8), np.full(8, np.nan, np.float32)]
)
def test_weights_of_a_wrong_shape_type_or_value_are_refused(
    tmp_path: Path, weights: np.ndarray
) -> None:
    LinearModel(weights, 0.0, 1).save(tmp_path / "m.safetensors", {})
    with pytest.raises(DataError):
        load_scorer(str(tmp_path / "m.safetensors"))


@pytest.mark.parametrize("specification", ["os:getcwd", "builtins:sorted"])
def test_what_a_function_raises_is_told_as_its_own(specification: str) -> None:
    with pytest.raises(ConfigError, match=f"{specification} failed: (TypeError|ValueError): "):
        load_scorer(specification)(["Hei på deg."])


def test_a_function_scores_and_must_give_a_number_for_each_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_quality.py").write_text(
        "def by_length(texts):\n    return [min(len(text) / 10, 1) for text in texts]\n"
        "def wrong(texts):\n    return [7]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert score_texts(load_scorer("my_quality:by_length"), ["12345", "x" * 99]) == [0.5, 1.0]
    with pytest.raises(DataError, match="scores for 2 texts"):
        score_texts(load_scorer("my_quality:wrong"), ["a", "b"])
    sys.modules.pop("my_quality")


def test_the_trainer_makes_a_model_that_tells_its_texts_apart(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    good = [f"Dette er en god tekst nummer {k} om skogen og fjellet." for k in range(30)]
    bad = [f"KJØP NÅ billig tilbud {k} klikk her klikk her gratis" for k in range(30)]
    for name, texts in (("good", good), ("bad", bad)):
        (tmp_path / name).write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    command = [sys.executable, str(root / "tools/train_quality_model.py"),
               *(str(tmp_path / name) for name in ("good", "bad", "m.safetensors")),
               "--bits", "12"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "6 of 6 held-out documents right" in done.stdout
    scores = score_texts(load_scorer(str(tmp_path / "m.safetensors")), [good[0], bad[0]])
    assert scores[0] > 0.5 > scores[1]
