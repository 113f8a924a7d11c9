"""Sentences end where readers see an end: abbreviations, ordinals and speech go on."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.corpus.sentences import sentence_spans, split_sentences


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
    ],
)
def test_sentences_of_a_line(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences


def test_a_line_end_is_a_boundary_and_empty_lines_are_none() -> None:
    assert split_sentences("Overskrift uten punktum\n\n  Første setning. Andre ") == [
        "Overskrift uten punktum", "Første setning.", "Andre",
    ]  # fmt: skip


@given(st.text(st.sampled_from('aA1.!?… \n«»"nrkl'), max_size=60))
def test_spans_are_in_order_and_lose_only_space(text: str) -> None:
    spans = sentence_spans(text)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


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
