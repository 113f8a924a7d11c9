"""Language identification: the compiled kernel against a readable one, decisions, segments."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.corpus.language import kernel
from norcli.corpus.language.codes import ALIASES, LANGUAGES, normalize_code
from norcli.corpus.language.identifier import SHIPPED_MODEL, LanguageIdentifier, pack
from norcli.corpus.language.model import CLASSES, Calibration, Model, load_model, save_model
from norcli.corpus.languages import LanguageJudge

# Written for this test; the Sámi sentences say what the first article of the Universal
# Declaration of Human Rights says.
SAMPLES = {
    "nob": "Jeg vet ikke hvorfor hun flyttet, men nå bor de i et lite hus ved sjøen.",
    "nno": "Eg veit ikkje kvifor ho flytta, men no bur dei i eit lite hus ved sjøen.",
    "dan": "Jeg ved ikke hvorfor hun flyttede, men nu bor de i et lille hus ved havet.",
    "swe": "Jag vet inte varför hon flyttade, men nu bor de i ett litet hus vid havet.",
    "deu": "Ich weiß nicht, warum sie umgezogen ist, aber jetzt wohnen sie am Meer.",
    "eng": "I do not know why she moved, but now they live in a small house by the sea.",
    "sme": "Buot olbmot leat riegádan friddjan ja olmmošárvvu ja olmmošvuoigatvuođaid dáfus.",
    "smj": "Gájkka ulmutja li riegádam friddja ja avta árvvusattjan ja avta riektájn.",
    "sma": "Gaajhkh almetjh leah frijje reakadamme jïh dej leah seamma aarvoe jïh reaktah.",
}


@cache
def shipped() -> LanguageIdentifier:
    return LanguageIdentifier.load()


@pytest.fixture
def identifier() -> LanguageIdentifier:
    return shipped()


def reference_symbols(text: str) -> list[int]:
    """Fold a text as kernel.read_symbols does, from Unicode's own tables."""
    tokens = re.split(r"[\x00-\x20]+", text)
    words: list[list[int]] = [[]]
    for character in " ".join(t for t in tokens if "@" not in t and "://" not in t):
        code = ord(character)
        low = character.lower()
        if character.isascii() and character.isdigit():
            if words[-1][-1:] != [kernel.DIGITS]:
                words[-1].append(kernel.DIGITS)
        elif character.isascii() and character.isalpha():
            words[-1].append(ord(low))
        elif code in (0xAD, 0x2060, 0xFEFF) or 0x300 <= code < 0x370 or 0x200B <= code <= 0x200F:
            continue
        elif 0xC0 <= code < 0x250 and code not in (0xD7, 0xF7):
            words[-1].append(ord(low))
        else:
            assert code < 0xC0 or 0x2000 <= code < 0x2C00 or code in (0xD7, 0xF7), hex(code)
            words.append([])
    symbols = [kernel.BOUNDARY]
    for word in words:
        if word:
            symbols += [*word, kernel.BOUNDARY]
    return symbols


def reference_features(symbols: list[int]) -> list[tuple[int, ...]]:
    """Return the n-grams that kernel.hash_features hashes, unhashed."""
    features: list[tuple[int, ...]] = []
    words: list[list[int]] = [[]]
    for symbol in symbols[1:]:
        if symbol == kernel.BOUNDARY:
            words.append([])
        else:
            words[-1].append(symbol)
    for word in filter(None, words):
        padded = [kernel.BOUNDARY, *word, kernel.BOUNDARY]
        for order in range(kernel.MIN_ORDER, kernel.MAX_ORDER + 1):
            features += [tuple(padded[i : i + order]) for i in range(len(padded) - order + 1)]
        if len(word) > kernel.MAX_ORDER - 2:
            features.append((-1, *word))
    return features


def reference_bucket(feature: tuple[int, ...], bits: int) -> int:
    value = 0x811C9DC5
    if feature[0] == -1:
        value, feature = 0x5BD1E995, feature[1:]
    for symbol in feature:
        value = ((value ^ symbol) * 0x01000193) & 0xFFFFFFFF
    return ((value * 0x9E3779B1) & 0xFFFFFFFF) >> (32 - bits)


def kernel_symbols(data: bytes) -> list[int]:
    symbols = np.empty(len(data) + 2, np.uint16)
    count, _ = kernel.read_symbols(
        np.frombuffer(data, np.uint8), 0, len(data), symbols, kernel.NO_PIECES
    )
    return symbols[:count].tolist()


LETTERS = st.text(
    st.one_of(
        st.sampled_from(" @:/\n"),
        st.characters(min_codepoint=9, max_codepoint=0x7E),
        st.sampled_from("æøåÆØÅäöÄÖßáčđŋšŧžÁČĐŊŠŦŽïÏéÉüÜǩǨǯǮʼ’–«»…§°½×÷\xad\u200b\u0301ÿŸıĿŀ"),
        st.characters(min_codepoint=0xC0, max_codepoint=0x17E),
    ),
    max_size=400,
)
# Unicode lower-cases these to something else than one letter of the same block.
UNUSUAL = str.maketrans("", "", "İıſŸʼ\u0149\u01c5")


@given(LETTERS)
@settings(max_examples=300, deadline=None)
def test_symbols_and_features_equal_the_readable_reference(text: str) -> None:
    text = text.translate(UNUSUAL)
    symbols = reference_symbols(text)
    assert kernel_symbols(text.encode()) == symbols
    buckets = np.empty(7 * len(symbols), np.uint32)
    count = kernel.hash_features(np.array(symbols, np.uint16), len(symbols), 17, buckets)
    expected = Counter(reference_bucket(f, 17) for f in reference_features(symbols))
    assert Counter(buckets[:count].tolist()) == expected


@given(st.lists(LETTERS, max_size=5))
@settings(max_examples=50, deadline=None)
def test_sums_equal_a_plain_addition_of_rows(texts: list[str]) -> None:
    weights = np.random.default_rng(1).integers(-127, 128, (1 << 10, 16), np.int8)
    weights[:, kernel.FEATURES] = 0
    rows = (weights.view(np.uint8) ^ 0x80).view("<u8")
    # Words that are remembered, and one beyond 256 features: lanes emptied.
    texts = [f"{text} {text}{text * 3}" for text in (t.translate(UNUSUAL) for t in texts)]
    buffer, offsets = pack(texts)
    sums = np.empty((len(texts), 16), np.int64)
    kernel.sum_texts(buffer, offsets, rows, 10, *kernel.new_memory(), sums)
    for i, text in enumerate(texts):
        buckets = [reference_bucket(f, 10) for f in reference_features(reference_symbols(text))]
        assert sums[i, kernel.FEATURES] == len(buckets)
        assert sums[i, :15].tolist() == weights[buckets, :15].astype(np.int64).sum(axis=0).tolist()


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_well_formed_symbols(data: bytes) -> None:
    symbols = kernel_symbols(data)
    assert symbols[0] == symbols[-1] == kernel.BOUNDARY
    assert len(symbols) <= len(data) + 2
    pairs = list(pairwise(symbols))
    assert (kernel.BOUNDARY, kernel.BOUNDARY) not in pairs
    assert (kernel.DIGITS, kernel.DIGITS) not in pairs


def test_latin_capitals_fold_as_unicode_says() -> None:
    blocks = [*range(0xC0, 0x180), *range(0x1CD, 0x1F0), *range(0x1F8, 0x220)]
    blocks += [*range(0x1E00, 0x1E96), *range(0x1EA0, 0x1F00)]
    for code in blocks:
        character = chr(code)
        if unicodedata.category(character) == "Lu" and character not in "İẞ":
            assert kernel_symbols(character.encode())[1:-1] == [ord(character.lower())], character
        elif unicodedata.category(character) == "Ll" and character not in "ı":
            assert kernel_symbols(character.encode())[1:-1] == [code], character


def test_addresses_are_left_out() -> None:
    text = "se Kari.N@nrk.no eller(https://nrk.no/a?b=1) og a:b @x"
    assert bytes(kernel_symbols(text.encode())) == b" se og a b "


def test_letters_of_other_scripts_are_one_symbol() -> None:
    assert kernel_symbols("Мир 中文 😀".encode()) == [
        32, *[kernel.FOREIGN] * 3, 32, *[kernel.FOREIGN] * 2, 32,
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_recognized(identifier: LanguageIdentifier, language: str) -> None:
    answer = identifier.identify(SAMPLES[language])
    assert answer.lang == language
    assert answer.score == pytest.approx(answer.probabilities[language])
    assert answer.score > 0.8


@pytest.mark.parametrize(
    "text",
    [
        "Не знаю, почему она переехала, но теперь они живут у моря.",
        "她为什么搬家我不知道。",
        "No sé por qué se mudó, pero ahora viven en una casa pequeña junto al mar.",
        "Ik weet niet waarom ze is verhuisd, maar nu wonen ze in een klein huis aan zee.",
        "Ma ei tea, miks ta kolis, aga nüüd elavad nad väikeses majas mere ääres.",
        "Je ne sais pas pourquoi elle a déménagé, mais ils habitent au bord de la mer.",
    ],
)
def test_other_languages_are_undetermined(identifier: LanguageIdentifier, text: str) -> None:
    assert identifier.identify(text).lang == "und"


@pytest.mark.parametrize("text", ["", " \n\t", "… – !", "\u200b"])
def test_a_text_without_letters_is_undetermined(identifier: LanguageIdentifier, text: str) -> None:
    answer = identifier.identify(text)
    assert (answer.lang, answer.score) == ("und", 0.0)
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_case_and_digits_do_not_matter(identifier: LanguageIdentifier) -> None:
    a = identifier.identify("ØYVIND KJØPTE 12 ÆPLER I 1984")
    b = identifier.identify("Øyvind kjøpte 7 æpler i 2021")
    assert a == b


def test_a_batch_gives_what_single_texts_give(identifier: LanguageIdentifier) -> None:
    texts = [*SAMPLES.values(), "", "ja", SAMPLES["nob"] * 50]
    assert identifier.identify_batch(texts) == [identifier.identify(text) for text in texts]
    assert identifier.identify_batch([]) == []
    names, scores = identifier.label_batch(texts)
    assert list(zip(names, scores, strict=True)) == [
        (answer.lang, answer.score) for answer in identifier.identify_batch(texts)
    ]


def test_lone_surrogates_do_no_harm(identifier: LanguageIdentifier) -> None:
    assert identifier.identify(SAMPLES["nob"] + "\ud800").lang == "nob"


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_probabilities_are_a_distribution(text: str) -> None:
    answer = shipped().identify(text)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert 0 <= answer.score <= 1
    assert answer.lang in (*LANGUAGES, "nor", "und")


def tiny_model(bias: dict[str, float], margin: float) -> Model:
    """A model that answers its bias, whatever the text."""
    return Model(
        weights=np.zeros((16, len(CLASSES)), np.int8),
        scales=np.ones(len(CLASSES), np.float32),
        bias=np.array([bias.get(name, -20.0) for name in CLASSES], np.float32),
        calibration=Calibration(length_exponent=0.5, temperature=1.0, margin=margin),
        classes=CLASSES,
        provenance={"input_sha256": "0" * 64},
    )


@pytest.mark.parametrize(
    ("bias", "lang", "score"),
    [
        ({"nob": 0.0}, "nob", 1.0),
        ({"nob": 0.0, "nno": 0.0}, "nor", 1.0),
        ({"nob": 0.0, "dan": 0.0}, "und", 0.0),
        ({"other": 0.0}, "und", 1.0),
        ({"nob": 0.0, "other": 0.0}, "und", 0.5),
        ({"nob": 1.0, "nno": 0.0}, "nob", 0.731),
    ],
)
def test_decisions_below_the_margin(bias: dict[str, float], lang: str, score: float) -> None:
    answer = LanguageIdentifier(tiny_model(bias, margin=0.6)).identify("tekst")
    assert answer.lang == lang
    assert answer.score == pytest.approx(score, abs=1e-3)


def test_models_survive_a_file_and_bytes_repeat(tmp_path: Path) -> None:
    model = tiny_model({"nob": 1.0}, margin=0.25)
    save_model(model, tmp_path / "a")
    save_model(model, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read = load_model(tmp_path / "a")
    assert read.calibration == model.calibration
    assert read.provenance == model.provenance
    assert read.bias.tolist() == model.bias.tolist()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a model at all")
    with pytest.raises(ValueError, match="x: "):
        LanguageIdentifier.load(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        LanguageIdentifier.load(tmp_path / "missing")


def test_the_shipped_model_is_small_and_says_where_it_is_from() -> None:
    assert SHIPPED_MODEL.stat().st_size <= 1_500_000
    model = load_model(SHIPPED_MODEL)
    assert model.classes == CLASSES
    assert len(model.provenance["input_sha256"]) == 64
    assert "seed" in model.provenance["options"]


def test_a_page_half_nynorsk_half_english_says_so(identifier: LanguageIdentifier) -> None:
    first = SAMPLES["nno"] + " Dei har aldri angra på det."
    second = SAMPLES["eng"] + " They have never been sorry for it."
    segments = identifier.segments(f"  {first}\n\n{second}\n")
    assert [segment.lang for segment in segments] == ["nno", "eng"]
    text = f"  {first}\n\n{second}\n"
    assert [text[s.start : s.end] for s in segments] == [first, second]


def test_languages_within_a_line_are_told_apart(identifier: LanguageIdentifier) -> None:
    text = " ".join([SAMPLES["nob"], SAMPLES["sme"], SAMPLES["sme"], SAMPLES["nob"]])
    segments = identifier.segments(text)
    assert [segment.lang for segment in segments] == ["nob", "sme", "nob"]


def test_a_short_piece_goes_with_its_neighbours(identifier: LanguageIdentifier) -> None:
    text = f"{SAMPLES['swe']}\nOK\n{SAMPLES['swe']}"
    assert [(s.start, s.end) for s in identifier.segments(text)] == [(0, len(text))]


@given(st.text(max_size=300))
@settings(max_examples=100, deadline=None)
def test_segments_cover_all_but_white_space(text: str) -> None:
    white = "".join(map(chr, range(33)))
    end = 0
    for segment in shipped().segments(text):
        assert not text[end : segment.start].strip(white)
        assert text[segment.start : segment.end].strip(white) == text[segment.start : segment.end]
        assert segment.start < segment.end
        end = segment.end
    assert not text[end:].strip(white)


@pytest.mark.parametrize(
    ("code", "language"),
    [("nb", "nob"), ("nn", "nno"), ("se", "sme"), ("no", "nor"), ("SV", "swe"), ("nob", "nob"),
     ("nb-NO", "nob"), ("nno_Latn", "nno"), (" en ", "eng"), ("und", "und")],
)  # fmt: skip
def test_codes_are_normalized(code: str, language: str) -> None:
    assert normalize_code(code) == language


def test_an_unknown_code_lists_those_accepted() -> None:
    with pytest.raises(ValueError, match='unknown language "xx"') as caught:
        normalize_code("xx")
    for code in (*LANGUAGES, *ALIASES):
        assert code in str(caught.value)


def test_codes_import_nothing_heavy() -> None:
    program = (
        "import sys, norcli.corpus.language.codes;"
        "sys.exit(bool({'numpy', 'numba', 'safetensors'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_training_repeats_to_the_byte_and_learns(tmp_path: Path) -> None:
    texts = {**SAMPLES, "other": "je ne sais pas pourquoi elle habite dans une petite maison"}
    words = {language: text.split() for language, text in texts.items()}
    random = np.random.default_rng(0)
    with gzip.open(tmp_path / "in.jsonl.gz", "wt", encoding="utf-8") as out:
        for language in sorted(words) * 60:
            text = " ".join(random.choice(words[language], 9))
            out.write(json.dumps({"lang": language, "text": text}) + "\n")
    trainer = Path(__file__).parents[2] / "tools/train_langid.py"
    for name in ("a", "b"):
        subprocess.run(
            [sys.executable, trainer, tmp_path / "in.jsonl.gz", tmp_path / name, "--epochs", "5"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    trained = LanguageIdentifier.load(tmp_path / "a")
    found, _ = trained.label_batch([SAMPLES[language] for language in LANGUAGES])
    assert sum(a == b for a, b in zip(found, LANGUAGES, strict=True)) >= 8
    assert len(trained.provenance["input_sha256"]) == 64


@pytest.mark.real_data
@pytest.mark.parametrize("language", ["nob", "nno"])
def test_parliament_sentences_are_recognized(identifier: LanguageIdentifier, language: str) -> None:
    name = f"text/sentences_talk_of_norway_cleaned_10k_{language}.txt.gz"
    with gzip.open(Path(os.environ["NORCLI_REAL_DATA"]) / name, "rt", encoding="utf-8") as lines:
        found = identifier.identify_batch(lines.read().splitlines()[:3000])
    assert sum(answer.lang == language for answer in found) > 0.96 * len(found)


@pytest.mark.real_data
def test_news_summaries_are_recognized(identifier: LanguageIdentifier) -> None:
    articles = json.loads(
        (Path(os.environ["NORCLI_REAL_DATA"]) / "eval/norsumm/dev.json").read_text("utf-8")
    )
    for language, key in (("nob", "summaries_nb"), ("nno", "summaries_nn")):
        texts = [t for article in articles for s in article[key] for t in s.values()]
        found = identifier.identify_batch(texts)
        assert sum(answer.lang == language for answer in found) >= 0.98 * len(found)


@pytest.mark.real_data
def test_real_pages_half_nynorsk_half_english_say_so(identifier: LanguageIdentifier) -> None:
    data = Path(os.environ["NORCLI_REAL_DATA"])
    name = "text/sentences_talk_of_norway_cleaned_10k_nno.txt.gz"
    nynorsk = gzip.decompress((data / name).read_bytes()).decode().splitlines()
    treebank = gzip.decompress((data / "ud/en_ewt-ud-dev.conllu.gz").read_bytes()).decode()
    english = [line[9:] for line in treebank.splitlines() if line.startswith("# text = ")]
    english = [text for text in english if len(text) > 60 and "@" not in text]
    pages = []
    for i in range(0, 400, 4):
        first, second = "\n".join(nynorsk[i : i + 4]), "\n".join(english[i : i + 4])
        pages.append((f"{first}\n\n{second}", len(first)))
    found = identifier.segment_batch([text for text, _ in pages])
    exact = [
        [s.lang for s in answer.segments] == ["nno", "eng"] and answer.segments[0].end == length
        for answer, (_, length) in zip(found, pages, strict=True)
    ]
    assert sum(exact) >= 0.93 * len(exact)
    judged = LanguageJudge(["nno"]).judge([text for text, _ in pages])
    assert sum("nno 0." in page.stretches for page in judged) >= 0.97 * len(judged)
