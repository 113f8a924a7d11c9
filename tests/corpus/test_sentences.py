"""Sentences end where readers see an end: abbreviations, ordinals and speech go on."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_sentences import reference_spans

from norcli.corpus.sentences import (
    count_sentences,
    read_words,
    sentence_spans,
    split_batch,
    split_sentences,
)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Vi feirer 17. mai hvert år.", "Det er gøy."],
        ["Se f.eks. Bergen, Oslo osv.", "Der regner det."],
        ["«Hva gjør du?» spurte hun.", "Han svarte ikke."],
        ["Dr. A. Hansen kom kl. 12.30.", "Møtet tok bl.a. Per ordet i."],
        ["Prisen var 12.5 mill. kroner!", "Hvorfor?", "Ingen vet…", "Slik er det."],
        ["Det var i 1999.", "Siden har ingen sett han."],
        ["Mun lean sápmelaš.", "Don leat dáppe."],
        ["§ 1. Formålet med loven er klart.", "Den gjelder alle."],
        ["Det er jf. lova § 3 nr. 2.", "Eg les ho m.a. i dag."],
        ["Han sa ja (det var lov.)", "Så gikk han."],
        ["– Nei! ropte hun.", "– Hva så? spurte han."],
        ["«Vi drar.»", "«Nå?»", "Ingen svarte."],
        ["Det kostet 70 mill. kr.", "Det er mye."],
        ["Se www.norge.no.", "Der står alt.", "https://norge.no er adressen."],
        ["H.C. Andersen og A. I. Rabin møttes.", "I U.S.A. og her."],
        ["Eg er med i SV.", "Du er i NRK."],
        ["1. Bland mel og vann.", "2. Rør.", "3. Stek i 20 min. på 200 grader."],
        ["Så bra :-)", "Neste gang kommer jeg 😀", "Hei!"],
        ["Wir wohnen im 6. Stock.", "Am 5. Mai war der 18. Jahrestag.", "Es war 1990.", "Gut."],
        ["Der 3. Oktober, z.B. in Berlin, usw.", "Er kam um 12.30 Uhr."],
        ["Han föddes den 3 maj, dvs. för länge sedan.", "Hon sade bl.a. ja."],
        ["Han kom d. 17. 5. 2020 til Kbh. og blev der.", "Hun gik."],
        ["Mr. Smith met Dr. Jones at 5 p.m. on Jan. 5.", "No. 5 is alive.", "Did he?", "No."],
        ["Gč. 3. kap. dán lágas.", "Dat lea omd. Romssas, su. 40 km.", "Mun lean su.", "Son lea."],
        ["Dä lij jnv.", "Sij lij da.", "Dat la nr. 3."],
        ["i am here.", "you are there.", "what now?", "nothing."],
        ["Kongen kom kl. 12… og dro.", "Vent..."],
    ],
)
def test_sentences_of_a_line(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences


def test_a_line_end_is_a_boundary_and_empty_lines_are_none() -> None:
    assert split_sentences("Overskrift uten punktum\n\n  Første setning. Andre ") == [
        "Overskrift uten punktum", "Første setning.", "Andre",
    ]  # fmt: skip


PIECES = [
    *"aAéxXi1290.!?…:;=()[]«»\"'’–-§²文ǅ😀\t\x85\u200d\ufe0f`/&",
    *(" ", " ", " ", "\n", ". ", ". ", "? ", "... ", ":) ", ":-)", "http://x", "www.a.b", "x" * 23),
    *("kr", "f.eks", "17", "2020", "Mai", "mai", "Det", "han", "H.C", "SV", "den", "im", "no",
      "osv", "dr", "sa", "s", "su", "St"),
]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_the_kernel_decides_as_the_reference(text: str) -> None:
    assert sentence_spans(text) == reference_spans(text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=24).map("".join)))
def test_sentences_are_the_text_but_for_space(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    spans = sentence_spans(text)
    assert all(start < end for start, end in spans)
    edges = [0, *itertools.chain.from_iterable(spans), len(text)]
    assert edges == sorted(edges)
    # Between sentences there is white space only, so that spans and gaps together are the text.
    gaps = "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    assert not gaps.strip()
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=6))
def test_a_batch_is_cut_as_its_texts_are(texts: list[str]) -> None:
    batch = split_batch(texts)
    assert batch == [split_sentences(text) for text in texts]
    assert count_sentences(texts).tolist() == [len(sentences) for sentences in batch]


def test_the_lists_are_small_letters_and_no_word_is_two_kinds_of_abbreviation() -> None:
    words = read_words()
    for listed in words.values():
        assert all(word == word.lower() and len(word) < 24 for word in listed)
    kinds = [words[kind] for kind in ("joining", "units", "ending")]
    assert sum(map(len, kinds)) == len(frozenset.union(*kinds))


# Development files of Universal Dependencies, ten sentences joined by spaces; the numbers to beat
# are the best library of each language, measured on the test files.
BEST = {"no_bokmaal": 0.945, "no_nynorsk": 0.912, "sme_giella": 0.996, "da_ddt": 0.940,
        "sv_talbanken": 0.957, "de_gsd": 0.897, "en_ewt": 0.738}  # fmt: skip


@pytest.mark.real_data
@pytest.mark.parametrize("treebank", BEST)
def test_boundaries_of_the_treebanks(treebank: str) -> None:
    (file,) = Path(os.environ["NORCLI_REAL_DATA"]).glob(f"ud/{treebank}*.gz")
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        sentences = [line[9:].strip() for line in stream if line.startswith("# text = ")]
    right = found = wanted = 0
    for first in range(0, len(sentences), 10):
        block = sentences[first : first + 10]
        ends, position = set(), -1
        for sentence in block:
            position += len(sentence) + 1
            ends.add(position)
        predicted = {end for _, end in sentence_spans(" ".join(block))}
        right += len(ends & predicted)
        found += len(predicted)
        wanted += len(ends)
    assert 2 * right / (found + wanted) > BEST[treebank]
