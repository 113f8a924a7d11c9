"""Blocks of lines: the parts of a file together are the file, wherever it is cut."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from norcli.formats import lines
from norcli.formats.documents import shard_parts
from norcli.formats.lines import part_blocks


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_a_file_with_lines_longer_than_blocks_are_the_file(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 64)
    chance = random.Random(seed)
    sizes = [chance.choice([0, 3, 20, 63, 64, 65, 200, 900]) for _ in range(60)]
    data = b"".join(b"%04d" % number + b"x" * size + b"\n" for number, size in enumerate(sizes))
    file = tmp_path / "in.jsonl"
    file.write_bytes(data)
    for count in (2, 3, 7, 50):
        found, numbers = b"", []
        for index in range(count):
            for part in shard_parts([str(file)], f"{index}/{count}"):
                for block in part_blocks(part):
                    found += block.data
                    numbers.append((block.first_line, block.data[:4]))
        assert found == data
        assert all(b"%04d" % (first - 1) == start for first, start in numbers)
