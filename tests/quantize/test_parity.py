"""The --check option: passes on a true file, names the line of a false one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_models import train_sentencepiece

from norcli.cli.quantize import run
from norcli.console import Console
from norcli.errors import DataError, ExitCode, NorcliError, UsageError
from norcli.quantize.options import QuantizeOptions
from norcli.quantize.parity import check_files

Model = Callable[[str], Path]


@pytest.mark.parity
def test_check_passes_on_equal_tokens(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    output = str(tmp_path / "m.gguf")
    options = QuantizeOptions(model=str(model("gpt2-192")), output=output, check=True)
    assert run(options, Console.silent()).exit_code == ExitCode.OK


@pytest.mark.parity
def test_check_names_the_line_that_differs(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    directory = tmp_path / "m"
    shutil.copytree(model("gpt2-192"), directory)
    path = train_sentencepiece(
        tmp_path, normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True
    )
    shutil.copy(path, directory / "tokenizer.model")
    options = QuantizeOptions(model=str(directory), output=str(tmp_path / "m.gguf"), check=True)
    with pytest.raises(NorcliError, match="spaces") as caught:
        run(options, Console.silent())
    assert caught.value.code == ExitCode.FAILED


def test_check_of_a_damaged_file_says_so(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(DataError, match="cannot load"):
        check_files(
            str(model("gpt2-192")), "tokenizer.model", [str(tmp_path / "bad.gguf")],
            Console.silent(),
        )  # fmt: skip


def test_check_needs_a_file(model: Model) -> None:
    with pytest.raises(UsageError, match="--check needs a file"):
        run(QuantizeOptions(model=str(model("gpt2")), check=True), Console.silent())
