"""Damaged files: a seeded stretch of tools/fuzz_readers.py, and what longer runs of it found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "fuzz_readers.py"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_readers", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz: Any = load_tool()
SEEDS = fuzz.make_seeds()


@pytest.mark.parametrize("start", range(0, 1000, 100))
def test_damaged_files_are_read_or_told(tmp_path: Path, start: int) -> None:
    for seed in range(start, start + 100):
        fuzz.fuzz_once(seed, SEEDS, tmp_path)


@pytest.mark.parametrize(
    "seed",
    [
        49,  # packed data under the name of plain lines: shards cut it
        65,  # an empty page belonged to no shard
        18714,  # a Parquet column whose name is not UTF-8
        26044,  # a Parquet text that is not UTF-8
        1122084,  # a date with a time zone of many digits
        1137182,  # Parquet under the name of plain lines was told by each shard
    ],
)
def test_what_was_found_stays_mended(tmp_path: Path, seed: int) -> None:
    fuzz.fuzz_once(seed, SEEDS, tmp_path)
