"""Measures are what their names say, and rules go by language."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.corpus.language.identifier import pack
from norcli.corpus.quality import PROTECTED, QualityMeter, Rules, Violation
from norcli.corpus.quality_kernel import MEASURES
from norcli.corpus.rule_files import shipped_rules
from norcli.errors import ConfigError

RULES = Rules.load()
METER = QualityMeter(RULES.stop_words, RULES.settings)
NORWEGIAN = (
    "Det er en fin dag, og vi går en tur langs elva. Noen har med seg hunden, andre har kaffe på "
    "termos. Etter en time setter vi oss på en stein og ser på båtene som kommer inn fra fjorden."
)


def measure(text: str, lang: str = "nob") -> dict[str, float]:
    return dict(zip(MEASURES, METER.measure(*pack([text]), [lang])[0].tolist(), strict=True))


def near(value: float) -> object:
    """Return a value as measures are given: to six decimals."""
    return pytest.approx(value, abs=1e-6)


def test_words_characters_and_lines() -> None:
    got = measure("Blåbær og š-ord.\nTo linjer – ja!\n\n#tag … ...")
    assert got["words"] == 7  # Blåbær og š-ord To linjer ja tag
    assert got["characters"] == len("Blåbær og š-ord.\nTo linjer – ja!\n\n#tag … ...")
    assert got["mean_word_length"] == near((6 + 2 + 4 + 2 + 6 + 2 + 3) / 7)
    assert got["lines"] == 3
    assert got["terminal_line_ratio"] == 1.0
    assert got["ellipsis_line_ratio"] == near(1 / 3)
    assert got["symbol_ratio"] == near(2 / 7)  # one number sign, two ellipses: the larger counts
    assert got["longest_word"] == 6
    assert got["sentence_ends"] == 4
    assert got["line_break_ratio"] == near(3 / 7)
    assert got["alphabetic_ratio"] == near(7 / 10)


def test_a_markdown_heading_is_no_symbol() -> None:
    assert measure("## Forskrift\n# Om loven")["symbol_ratio"] == 0.0


def test_bullets_digits_braces_and_replacement_characters() -> None:
    got = measure("- en\n• to\n* tre\nfire 44 {x} \ufffd")
    assert got["bullet_line_ratio"] == 0.75
    assert got["digit_ratio"] == near(2 / 14)
    assert got["brace_ratio"] == near(2 / 29)
    assert got["replacement_ratio"] == near(1 / 29)


def test_stop_words_are_counted_once_each_in_any_case() -> None:
    assert measure("OG og Og, er")["stop_words"] == 2
    assert measure("ja lea LEAT ahte", "sme")["stop_words"] == 4
    assert measure("ja lea LEAT ahte", "und")["stop_words"] == 0


def test_repeated_lines_and_paragraphs() -> None:
    got = measure("a b\nc d\n\na b\nc d\n\na b")
    assert got["duplicate_line_ratio"] == near(3 / 5)
    assert got["duplicate_line_character_ratio"] == near(9 / 15)
    assert got["duplicate_paragraph_ratio"] == near(1 / 3)
    assert got["duplicate_paragraph_character_ratio"] == near(6 / 15)


def expected_ngrams(words: list[str]) -> dict[str, float]:
    """Gopher's definitions as datatrove writes them, word by word in plain Python."""
    whole = max(len(" ".join(words)), 1)
    result = {}
    for n in range(2, 5):
        grams = [" ".join(words[k : k + n]) for k in range(len(words) - n + 1)]
        counts = Counter(grams)
        gram, most = counts.most_common(1)[0] if counts else ("", 0)
        size = most * len(gram)
        result[f"top_{n}gram_ratio"] = size / whole if most > 1 else 0.0
    for n in range(5, 11):
        seen, repeated, k = set(), 0, 0
        while k <= len(words) - n:
            gram = tuple(words[k : k + n])
            if gram in seen:
                repeated += sum(map(len, gram))
                k += n
            else:
                seen.add(gram)
                k += 1
        result[f"duplicate_{n}gram_ratio"] = repeated / whole
    return result


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["a", "bb", "åå", "dddd", "e"]), max_size=80))
def test_repeated_ngrams_are_gophers(words: list[str]) -> None:
    got = measure(" ".join(words))
    for name, value in expected_ngrams(words).items():
        assert got[name] == near(value), name


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_measures_do_not_depend_on_the_batch(texts: list[str]) -> None:
    together = METER.measure(*pack(texts), ["nob"] * len(texts)).tolist()
    assert together == [list(measure(text).values()) for text in texts]


def broken(text: str, lang: str = "nob", rules: Rules | None = None) -> str | None:
    (violation,) = check(lang, text, rules if rules is not None else RULES)
    return violation.rule if violation else None


def check(lang: str, text: str, rules: Rules) -> list[Violation | None]:
    return rules.check(lang, METER.measure(*pack([text]), [lang]), [text])


def test_running_text_breaks_no_rule() -> None:
    assert broken(NORWEGIAN) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("For kort.", "min_words"),
        (
            NORWEGIAN + "\n" + "\n".join(["Kjøp billige varer på nett i dag!"] * 20),
            "max_duplicate_line_ratio",
        ),
        (" ".join(["a"] * 100), "min_mean_word_length"),
        (NORWEGIAN + " lorem ipsum: Lorem ipsum dolor sit amet.", "placeholder_text"),
        ("\ufffd" * 3 + NORWEGIAN, "max_replacement_ratio"),
        ("\n".join(NORWEGIAN.replace(",", "").replace(".", "").split()), "min_terminal_line_ratio"),
        (" ".join(f"{k} {k * 7} {k * 13} er" for k in range(40)), "min_mean_word_length"),
        (
            " ".join(["bestillingsnummer katalogvarer"] * 3 + [f"vare{k}x" for k in range(60)]),
            "min_stop_words",
        ),
    ],
)
def test_text_that_is_none_breaks_a_rule(text: str, rule: str) -> None:
    assert broken(text) == rule


SAMI = (
    "Sámedikki dievasčoahkkimis mearriduvvui ahte giellaguovddážiidda juolluduvvo ruhta. "
    "Eanadoallošiehtadallamat álget čakčamánus."
)


def test_sami_and_nynorsk_have_thresholds_of_their_own_never_stricter_than_bokmaal() -> None:
    assert broken(SAMI, "nob") == "min_words"
    assert broken(SAMI, "sme") is None
    file = shipped_rules()
    inherited = {"min_main_language_share", "min_sentence_ends", "placeholder_text",
                 "toxic_words", "min_quality_model"}  # fmt: skip
    bokmaal = file.tables["nob"]
    for code in PROTECTED:
        own = file.tables[code]
        assert file.provenance[code] and file.provenance[code] != file.provenance["nob"]
        assert set(own) == set(file.tables["default"]) - inherited
        assert all(own[k] <= bokmaal[k] for k in own if k.startswith("min_"))
        assert all(own[k] >= bokmaal[k] for k in own if k.startswith("max_"))
        assert own["min_words"] < bokmaal["min_words"]


def test_a_threshold_tuned_for_bokmaal_drops_no_sami_or_nynorsk(tmp_path: Path) -> None:
    tuned = tmp_path / "rules.toml"
    tuned.write_text(
        "[nob]\n" + "\n".join(f"{rule} = 0" for rule in RULES.thresholds["nob"] if "max_" in rule)
    )
    rules = Rules.load(str(tuned))
    assert broken(NORWEGIAN, "nob", rules) is not None
    for code in PROTECTED:
        assert rules.thresholds[code] == RULES.thresholds[code]
        assert broken(NORWEGIAN, code, rules) == broken(NORWEGIAN, code)


@pytest.mark.real_data
def test_the_shipped_thresholds_are_those_derived_from_text() -> None:
    import importlib.util
    import os
    import sys

    tool = Path(__file__).resolve().parents[2] / "tools" / "derive_rules.py"
    spec = importlib.util.spec_from_file_location("derive_rules", tool)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["derive_rules"] = module
    spec.loader.exec_module(module)
    derived = module.derive_all(Path(os.environ["NORCLI_REAL_DATA"]))
    shipped = shipped_rules().tables
    assert {code: shipped[code] for code in derived} == derived


def test_rules_are_tuned_by_a_file_and_switched_off(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[default]\nmin_words = 4\n[nob]\nmin_words = 3\n[nno]\nmin_words = false\n")
    rules = Rules.load(str(file))
    assert rules.threshold("nob", "min_words") == 3
    assert rules.threshold("eng", "min_words") == 4
    assert rules.threshold("sme", "min_words") == 10  # [default] is for languages without a table
    assert rules.threshold("nno", "min_words") is None
    assert (
        broken("Denne teksten er egentlig altfor kort, men regelen er endret.", "nob", rules)
        is None
    )
    assert Rules.load(None, ["min_words"]).threshold("sme", "min_words") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default]\nmin_wrods = 3", 'no rule "min_wrods"'),
        ("[nor-west]\nmin_words = 3", 'no language "nor-west"'),
        ("[default]\nmin_words = 'x'", "takes a number or false"),
        ("min_words = 3", "must be a table"),
        ("[default]\nmin_words = true", "takes a number or false"),
        ("[default]\nplaceholder_text = 2", "takes true or false"),
        ("[default", "cannot be read as TOML"),
        ("[settings]\nshort = 3", 'no setting "short"'),
        ("[settings]\nshort_line = 'x'", "takes a whole number"),
        ("[settings]\nbullet_characters = '\U0001f642'", "below U.10000"),
        ("[stop_words]\nxyz = 'a'", 'no language "xyz"'),
        ("[stop_words]\nnob = ['a']", "in one string"),
    ],
)
def test_a_wrong_rules_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        Rules.load(str(file))
    assert caught.value.path == str(file)


def test_an_unknown_rule_to_disable_is_told() -> None:
    with pytest.raises(ConfigError, match='no rule "min_wrods"'):
        Rules.load(None, ["min_wrods"])
    with pytest.raises(ConfigError, match="no such file"):
        Rules.load("/no/such/rules.toml")


def test_warming_up_compiles_the_kernels() -> None:
    from norcli.corpus import scan
    from norcli.corpus.quality import warm_up
    from norcli.corpus.quality_kernel import measure_texts

    warm_up()
    for kernel in (scan.scan_texts, scan.tidy_texts, measure_texts):
        assert kernel.signatures


def test_shares_of_lines_are_not_judged_in_a_text_of_few_lines() -> None:
    headline = NORWEGIAN.rstrip(".")
    assert measure(headline)["terminal_line_ratio"] == 0.0
    assert broken(headline) is None
    assert broken("\n".join([headline, headline[:150], headline[:140], headline[:130]])) == (
        "min_terminal_line_ratio"
    )


@pytest.mark.real_data
@pytest.mark.parametrize("lang", ["sme", "smj", "sma"])
def test_sami_text_is_kept(lang: str) -> None:
    import gzip
    import json
    import os

    with gzip.open(f"{os.environ['NORCLI_REAL_DATA']}/langid/sentences.jsonl.gz", "rt") as stream:
        records = [json.loads(line) for line in stream if f'"{lang}"' in line[:40]]
    sentences = [record["text"] for record in records if record["lang"] == lang][:6000]
    texts = [" ".join(sentences[k : k + 10]) for k in range(0, len(sentences), 10)]
    lost = [text for text in texts if broken(text, lang) is not None]
    assert len(texts) == 600
    assert len(lost) <= 0.02 * len(texts)
