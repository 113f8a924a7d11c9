"""A damaged index is an error of one line, whatever byte of it is wrong."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from norcli.console import Console
from norcli.dedup.options import DedupOptions
from norcli.dedup.pipeline import run_dedup
from norcli.errors import ConfigError, DataError, InputMissingError, NorcliError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    lines = [json.dumps({"id": n, "text": f"dokument nummer {n} om elva"}) for n in range(20)]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = DedupOptions(inputs=[str(folder / "in.jsonl")], output=str(folder / "out.jsonl"),
                           save_index=str(folder / "index"))  # fmt: skip
    run_dedup(options, Console.silent())
    return folder


def against(folder: Path, index: Path, **more: Any) -> int:
    options = DedupOptions(inputs=[str(folder / "in.jsonl")], output="/dev/null",
                           against=[str(index)], **more)  # fmt: skip
    return run_dedup(options, Console.silent()).records_out


@pytest.fixture()
def index(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved / "index", tmp_path / "index")
    return tmp_path / "index"


def test_a_whole_index_is_read(saved: Path, index: Path) -> None:
    assert against(saved, index) == 0


@pytest.mark.parametrize("seed", range(30))
def test_one_wrong_byte_is_noticed(saved: Path, index: Path, seed: int) -> None:
    random_ = random.Random(seed)
    file = random_.choice(sorted(index.iterdir()))
    data = bytearray(file.read_bytes())
    kind = random_.choice(["flip", "cut", "grow"])
    if kind == "flip":
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    elif kind == "cut":
        del data[random_.randrange(len(data)) :]
    else:
        data += b"x"
    file.write_bytes(bytes(data))
    with pytest.raises((DataError, ConfigError)) as caught:
        against(saved, index)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"version": 99}, {"format": "noe"}, {"settings": None}, {"blake2b_128": {}}, {"documents": 3}],
)
def test_another_version_or_header_is_refused(saved: Path, index: Path, changes: Any) -> None:
    header = json.loads((index / "index.json").read_text(encoding="utf-8"))
    (index / "index.json").write_text(json.dumps(header | changes), encoding="utf-8")
    with pytest.raises(DataError):
        against(saved, index)


@pytest.mark.parametrize("more", [{"ngram": 3}, {"seed": 1}, {"num_perm": 128}, {"scope": "lang"},
                                  {"method": ["exact"]}, {"threshold": 0.9}])  # fmt: skip
def test_other_settings_are_refused_with_the_flag_to_give(
    saved: Path, index: Path, more: Any
) -> None:
    with pytest.raises(ConfigError) as caught:
        against(saved, index, **more)
    assert (caught.value.hint or "").startswith("give --")


def test_what_is_missing_is_named(saved: Path, index: Path) -> None:
    (index / "lanes.npy").unlink()
    with pytest.raises(NorcliError, match=r"lanes\.npy"):
        against(saved, index)
    (index / "index.json").unlink()
    with pytest.raises(DataError, match="is not an index"):
        against(saved, index)
    with pytest.raises(InputMissingError):
        against(saved, index.parent / "nothing")
