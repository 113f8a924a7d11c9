"""The start-up budget: no heavy module behind any help, on any command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from norcli.cli.registry import REGISTRY

HEAVY = (
    "torch", "transformers", "datatrove", "pyarrow", "numpy", "numba", "rich", "pydantic", "yaml",
    "sentencepiece", "gguf", "orjson", "trafilatura", "zstandard", "tokenizers", "safetensors",
    "peft", "xllamacpp", "sacrebleu", "matplotlib",
)  # fmt: skip

PROBE = """
import sys
from norcli.cli.main import main
code = main({words!r})
heavy = sorted(set({heavy!r}) & set(sys.modules))
sys.stderr.write(f"{{code}} {{len(sys.modules)}} {{','.join(heavy)}}")
"""


def probe(*words: str) -> tuple[int, int, str]:
    code = PROBE.format(words=list(words), heavy=HEAVY)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    status, modules, heavy = result.stderr.decode().rsplit("\n")[-1].split(" ")
    return int(status), int(modules), heavy


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_program_help_imports_nothing_heavy(words: list[str]) -> None:
    status, modules, heavy = probe(*words)
    assert (status, heavy) == (0, "")
    assert modules <= 250


@pytest.mark.parametrize("name", REGISTRY)
def test_command_help_imports_nothing_heavy(name: str) -> None:
    status, modules, heavy = probe(*name.split(), "--help")
    assert (status, heavy) == (0, "")
    assert modules <= 250
