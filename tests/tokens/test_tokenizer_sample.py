"""The sample: bounded, the same for a seed, with the shares asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer_texts import documents

from norcli.errors import UsageError
from norcli.formats.documents import Document, Place
from norcli.tokens.sample import Sample, draw_sample, parse_mix, passages


def read(count: int, seed: int = 0) -> list[Document]:
    return [
        Document(dict(record), record["text"], Place("x", number))
        for number, record in enumerate(documents(count, seed))
    ]


def all_lines(sample: Sample) -> list[str]:
    return list(sample.lines())


def test_a_large_bound_keeps_everything() -> None:
    corpus = read(100)
    sample = draw_sample(corpus, sample_bytes=10**9)
    expected = sorted(line for d in corpus for line in d.text.split("\n") if line.strip())
    assert sorted(all_lines(sample)) == expected
    assert sample.kept_bytes == sample.seen_bytes
    assert sample.documents == 100


@given(st.integers(200, 20_000), st.integers(0, 5))
def test_the_bound_holds_and_the_draw_repeats(bound: int, seed: int) -> None:
    corpus = read(120)
    sample = draw_sample(corpus, sample_bytes=bound, seed=seed)
    sizes = [len(line.encode()) for line in all_lines(sample)]
    assert sum(sizes) == sample.bytes
    assert sample.bytes <= bound or len(sizes) == 1
    again = draw_sample(corpus, sample_bytes=bound, seed=seed)
    assert all_lines(again) == all_lines(sample)


def test_another_seed_draws_another_sample() -> None:
    corpus = read(120)
    first = draw_sample(corpus, sample_bytes=3000, seed=1)
    assert all_lines(first) != all_lines(draw_sample(corpus, sample_bytes=3000, seed=2))


def test_mix_gives_the_shares_and_leaves_others_out() -> None:
    corpus = read(2000)
    mix = parse_mix(["nb=1", "nno=3"])
    sample = draw_sample(corpus, sample_bytes=20_000, mix=mix)
    assert set(sample.kept_bytes) == {"nob", "nno"}
    assert 0.22 < sample.kept_bytes["nob"] / sample.bytes < 0.28
    assert sample.left_out > 0


def test_temperature_lifts_the_small_languages() -> None:
    corpus = read(3000)
    flat = draw_sample(corpus, sample_bytes=50_000)
    lifted = draw_sample(corpus, sample_bytes=50_000, temperature=3.0)
    assert lifted.kept_bytes["sme"] > 2 * flat.kept_bytes["sme"]
    assert 0.9 * 50_000 < lifted.bytes <= 50_000


def test_temperature_gives_the_room_of_small_languages_to_others() -> None:
    corpus = read(200)
    total = draw_sample(corpus, sample_bytes=10**9).bytes
    lifted = draw_sample(corpus, sample_bytes=total, temperature=5.0)
    assert lifted.bytes == total


@given(st.text(alphabet=st.sampled_from("ab \n"), max_size=9000))
def test_passages_lose_nothing_but_white_space(text: str) -> None:
    pieces = list(passages(text))
    assert all(len(piece) <= 2000 and "\n" not in piece for piece in pieces)
    assert "".join(pieces).split() == [] or "".join("".join(pieces).split()) == "".join(
        text.split()
    )


@pytest.mark.parametrize("entries", [["nob"], ["nob=x"], ["nob=0"], ["nob=1", "nb=2"], ["xx=1"]])
def test_a_wrong_mix_is_wrong_usage(entries: list[str]) -> None:
    with pytest.raises(UsageError, match="--mix"):
        parse_mix(entries)
