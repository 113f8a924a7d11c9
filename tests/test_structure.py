"""The house rules that a script can keep: import direction, sizes, names, generated files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "norcli"
STAGES = ("corpus", "dedup", "tokens", "model", "training", "alignment", "quantize", "evaluation",
          "chat", "hosting", "cluster")  # fmt: skip
FOUNDATION = ("ahead", "columns", "compiled", "errors", "options", "console", "streams", "formats",
              "locks", "memory", "resume")  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def area(module: str) -> str:
    return module.split(".")[1] if module.startswith("norcli.") else ""


def imports(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_imports_go_one_way(file: Path) -> None:
    own = area("norcli." + ".".join(file.relative_to(SOURCE).with_suffix("").parts))
    for name in imports(file):
        target = area(name)
        if own in FOUNDATION:
            assert target in ("", *FOUNDATION), f"{own} imports {name}"
        if own in STAGES:
            assert target != "cli", f"{own} imports {name}"
            assert name.split(".")[0] not in ("typer", "rich") or own == "chat", name


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    if file.parent.name == "cli" and file.name not in ("help.py", "main.py", "doctor.py"):
        assert len(text.splitlines()) <= 150
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{file.name}: {node.name} has {length} lines"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_files_are_named_after_a_concept_and_say_what_they_hold(file: Path) -> None:
    assert file.stem not in ("utils", "helpers", "misc", "common")
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def test_cores_neither_print_nor_exit() -> None:
    for file in FILES:
        if file.parent.name == "cli" or file.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "sys.exit", "exit", "os._exit"), f"{file}: {called}"


def test_generated_files_are_current() -> None:
    result = subprocess.run([sys.executable, "tools/gen_docs.py", "--check"], cwd=ROOT,
                            capture_output=True, check=False)  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()


def test_test_files_have_names_of_their_own() -> None:
    # pytest imports them by bare name, so that two of one name stop the whole run.
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_embedded_sample_is_small() -> None:
    total = sum(f.stat().st_size for f in (ROOT / "examples" / "data").rglob("*") if f.is_file())
    assert total <= 1_500_000
