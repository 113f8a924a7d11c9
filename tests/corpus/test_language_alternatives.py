"""Other language identifiers: labels, pieces and stretches, fastText files, heliport."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from norcli.corpus.language import alternatives
from norcli.corpus.language.alternatives import (
    PredictedLanguages,
    language_of_label,
    load_identifier,
)
from norcli.corpus.language.identifier import SHIPPED_MODEL, LanguageIdentifier
from norcli.corpus.languages import LanguageJudge
from norcli.errors import DataError, InputMissingError, UnavailableError, UsageError

NYNORSK = "Eg veit ikkje kvifor ho flytta, men no bur dei i eit lite hus ved sjøen."
ENGLISH = "I do not know why she moved, but now they live in a small house by the sea."


def guess(texts: Sequence[str]) -> list[tuple[str, float]]:
    """A predictor that knows two words."""
    return [
        ("nno", 0.95) if "ikkje" in t else ("eng", 0.9) if "the" in t else ("und", 0.3)
        for t in texts
    ]


@pytest.mark.parametrize(
    ("label", "language"),
    [("__label__nob_Latn", "nob"), ("__label__nn", "nno"), ("nb", "nob"), ("no", "nor"),
     ("sme", "sme"), ("__label__se", "sme"), ("fin", "und"), ("zxx", "und"), ("und", "und")],
)  # fmt: skip
def test_labels_become_codes(label: str, language: str) -> None:
    assert language_of_label(label) == language


def test_stretches_are_joined_from_pieces() -> None:
    identifier = PredictedLanguages(guess)
    text = f"{NYNORSK}\nJa visst, seier ho.\n{NYNORSK}\n\n{ENGLISH} {ENGLISH}\n"
    whole, nothing = identifier.segment_batch([text, " \n"])
    assert (whole.lang, whole.score) == ("nno", 0.95)
    assert [(s.lang, text[s.start : s.end]) for s in whole.segments] == [
        ("nno", f"{NYNORSK}\nJa visst, seier ho.\n{NYNORSK}"),
        ("eng", f"{ENGLISH} {ENGLISH}"),
    ]
    assert (nothing.lang, nothing.segments) == ("und", [])


def test_a_file_of_our_own_is_read(tmp_path: Path) -> None:
    copy = tmp_path / "own.safetensors"
    copy.write_bytes(SHIPPED_MODEL.read_bytes())
    assert isinstance(load_identifier(str(copy)), LanguageIdentifier)
    assert isinstance(load_identifier(), LanguageIdentifier)


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_a_file_that_is_no_model_is_bad_data(tmp_path: Path, suffix: str) -> None:
    if suffix == ".bin":
        pytest.importorskip("fasttext")
    (tmp_path / f"x{suffix}").write_text("no model")
    with pytest.raises(DataError):
        load_identifier(str(tmp_path / f"x{suffix}"))


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputMissingError):
        load_identifier(str(tmp_path / "missing.ftz"))
    with pytest.raises(UsageError, match="langid"):
        load_identifier("langid")
    monkeypatch.setitem(sys.modules, "heliport", None)
    monkeypatch.setitem(sys.modules, "fasttext", None)
    (tmp_path / "x.bin").write_text("")
    for model, extra in (("heliport", "heliport"), (str(tmp_path / "x.bin"), "fasttext")):
        with pytest.raises(UnavailableError) as caught:
            load_identifier(model)
        assert caught.value.hint == f"pip install 'norcli[{extra}]'"


def test_probabilities_of_labels_for_one_language_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def predict(line: str, k: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        asked.append(line)
        return ("__label__da", "__label__nb", "__label__nob_Latn"), (0.4, 0.3, 0.25)

    package = SimpleNamespace(load_model=lambda path: SimpleNamespace(predict=predict))
    monkeypatch.setitem(sys.modules, "fasttext", package)
    (tmp_path / "x.bin").write_text("")
    identifier = load_identifier(str(tmp_path / "x.bin"))
    assert identifier.label_batch(["to\nlinjer \ud800"]) == (["nob"], [pytest.approx(0.55)])
    assert asked == ["to linjer ?"]


def test_a_score_is_made_of_heliports_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"a b": ("nob", 1.0), "c": ("ksh", 0.0)}

    class Heliport:
        def identify_with_score(self, text: str) -> tuple[str, float]:
            return answers[text]

    monkeypatch.setitem(sys.modules, "heliport", SimpleNamespace(Identifier=Heliport))
    found = load_identifier("heliport").label_batch(["a\nb", "c"])
    assert found == (["nob", "und"], [pytest.approx(10 / 11), 0.5])


def write_fasttext(path: Path, words: dict[str, int], labels: list[str]) -> None:
    """Write a supervised fastText model of words that each speak for one label.

    Training one is no test: fastText's own ends in NaN on small texts now and then. The layout
    (version 12) is that of fasttext.cc, args.cc, dictionary.cc and densematrix.cc of fastText.
    """
    size = len(labels)
    out = [struct.pack("<ii", 793712314, 12)]
    # dim ws epoch minCount neg wordNgrams loss=softmax model=supervised bucket minn maxn rate, t
    out.append(struct.pack("<12id", size, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100, 1e-4))
    entries = [("</s>", 0), *((word, 0) for word in words), *((label, 1) for label in labels)]
    out.append(struct.pack("<iiiqq", len(entries), len(words) + 1, size, 100, -1))
    out += [name.encode() + b"\0" + struct.pack("<qb", 9, kind) for name, kind in entries]
    vectors = np.zeros((len(words) + 1, size), "<f4")
    vectors[np.arange(1, len(words) + 1), list(words.values())] = 1
    for matrix in (vectors, 20 * np.eye(size, dtype="<f4")):
        out.append(struct.pack("<?qq", False, *matrix.shape) + matrix.tobytes())
    path.write_bytes(b"".join(out))


def test_a_fasttext_file_decides_over_pages(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    words = {"ikkje": 0, "kvifor": 0, "dei": 0, "the": 1, "why": 1, "she": 1}
    write_fasttext(tmp_path / "model.bin", words, ["__label__nno_Latn", "__label__en"])
    text = f"{NYNORSK}\n{NYNORSK}\n\n{ENGLISH}\n{ENGLISH}"
    [page] = LanguageJudge(["nno"], str(tmp_path / "model.bin")).judge([text])
    assert page.stretches == "eng 0.51, nno 0.49"
    assert page.kept_text == f"{NYNORSK}\n{NYNORSK}"


@pytest.mark.slow
def test_heliport_itself_tells_half_pages_apart() -> None:
    pytest.importorskip("heliport")
    text = f"{NYNORSK}\n{NYNORSK}\n\n{ENGLISH}\n{ENGLISH}"
    [found] = alternatives.load_identifier("heliport").segment_batch([text])
    assert [segment.lang for segment in found.segments] == ["nno", "eng"]
