"""Blocks of lines against the same records parsed one by one: the same notes and signatures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.dedup.banding import choose_banding
from norcli.dedup.blocks import BlockSigner, Signed
from norcli.dedup.reading import Lines, Reading, Records
from norcli.dedup.signatures import Signer
from norcli.errors import DataError
from norcli.formats.documents import Place, parse_json_line, record_text
from norcli.formats.lines import LineBlock

SIGNER = Signer(5, choose_banding(0.7, 64), 0)
texts = st.one_of(st.text(max_size=60), st.text(alphabet='aåÅčŋ –"\\/\n\t😀漢', max_size=200))
others = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.lists(st.integers(), max_size=2), st.just({"a": [1, "\\"]}),
)  # fmt: skip
records = st.fixed_dictionaries(
    {}, optional={"text": texts | others, "id": others, "source": others, "lang": others,
                  "score": others, "annet": others},
)  # fmt: skip


def line_of(record: dict[str, Any], kind: int) -> bytes:
    line = json.dumps(record, ensure_ascii=kind % 2 == 0)
    if kind == 2:
        line = line.replace('"text"', '"te\\u0078t"')
    if kind == 3:
        line = line[:-1] + ', "id": "two"}' if record else line
    if kind == 4:
        line = line[:-2]
    return line.encode("utf-8", "surrogatepass")


def one_by_one(lines: list[bytes], signer: BlockSigner) -> Signed:
    readings: list[Reading] = []
    bad: list[tuple[int, DataError]] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        place = Place("x.jsonl", 7 + number)
        try:
            record = parse_json_line(line, place)
            readings.append(Reading(place, line, record, record_text(record, "text", place)))
        except DataError as error:
            bad.append((len(readings), error))
    return signer.sign(Records(readings, bad))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(records, st.integers(0, 5)), max_size=8),
    st.sampled_from(["global", "lang"]), st.sampled_from([None, "score", "source"]),
    st.booleans(),
)  # fmt: skip
def test_a_block_is_signed_as_its_records_are(
    made: list[tuple[dict[str, Any], int]], scope: str, merit: str | None, blank: bool
) -> None:
    signer = BlockSigner(SIGNER, "text", scope, merit)
    lines = [line_of(record, kind) for record, kind in made] + ([b" "] if blank else [])
    block = LineBlock(7, b"\n".join(lines))
    found, expected = signer.sign(Lines("x.jsonl", block)), one_by_one(lines, signer)
    for name in ("text_hashes", "shingles", "lanes", "keys"):
        ours, theirs = getattr(found.signatures, name), getattr(expected.signatures, name)
        assert ours.tolist() == theirs.tolist()
    assert (found.ids, found.id_ends.tolist()) == (expected.ids, expected.id_ends.tolist())
    assert (found.without_id, found.sources) == (expected.without_id, expected.sources)
    assert (found.values, found.letters.tolist()) == (expected.values, expected.letters.tolist())
    assert [(n, str(e)) for n, e in found.bad] == [(n, str(e)) for n, e in expected.bad]


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_documents_of_a_unit_are_cut_whole(count: int) -> None:
    lines = b"\n".join(orjson.dumps({"id": str(n) * n, "text": f"tekst {n}"}) for n in range(3))
    signed = BlockSigner(SIGNER, "text").sign(Lines("x.jsonl", LineBlock(1, lines)))
    first = signed.first(count)
    assert len(first) == len(first.sources) == len(first.letters) == count
    assert first.ids == b"0" * 0 + b"1" * (count - 1)
    assert (first.signatures.lanes == signed.signatures.lanes[:count]).all()
    assert first.id_ends.dtype == np.uint64
