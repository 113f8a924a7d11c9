"""Run the command cases: tests/cases/<command>/<case>/{cmd,in,out,err,exit}.

Each `cmd` is one bash line, run in a fresh folder that holds a copy of the case's other files.
`out` is standard output exactly; in `err` a `...` inside a line matches anything and a line `...`
matches any number of lines. A missing `out` or `err` means that it is not looked at; a missing
`exit` means 0. Set NORCLI_CASES_UPDATE=1 to write `out` and `exit` anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"
PARTS = ("cmd", "in", "out", "err", "exit")


def find_cases() -> list[Path]:
    return sorted(file.parent for file in CASES.glob("*/*/cmd"))


def pattern_of(expected: str) -> re.Pattern[str]:
    lines = []
    for line in expected.splitlines():
        if line == "...":
            lines.append("(?:.*\n)*?")
        else:
            lines.append(".*".join(re.escape(piece) for piece in line.split("...")) + "\n")
    return re.compile("".join(lines) + r"\Z")


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NORCLI_") or "REAL" in k}
    scripts = str(Path(sys.executable).parent)
    return kept | {
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "CASES": str(CASES),
        "EXAMPLES": str(HERE.parent / "examples"),
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
    }


@pytest.mark.parametrize("case", find_cases(), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_case(case: Path, tmp_path: Path) -> None:
    for file in case.iterdir():
        if file.name in PARTS:
            continue
        target = tmp_path / file.name
        if file.is_dir():
            shutil.copytree(file, target)
        else:
            shutil.copy(file, target)
    source = case / "in"
    result = subprocess.run(
        ["bash", "-c", (case / "cmd").read_text(encoding="utf-8")],
        cwd=tmp_path,
        env=environment(),
        input=source.read_bytes() if source.exists() else b"",
        capture_output=True,
        timeout=110,
        check=False,
    )
    out = result.stdout.decode("utf-8")
    err = result.stderr.decode("utf-8")
    if os.environ.get("NORCLI_CASES_UPDATE") == "1":
        (case / "out").write_text(out, encoding="utf-8")
        (case / "exit").write_text(f"{result.returncode}\n", encoding="utf-8")
    code = int((case / "exit").read_text()) if (case / "exit").exists() else 0
    told = f"stdout:\n{out}\nstderr:\n{err}"
    assert result.returncode == code, told
    assert "Traceback" not in err, told
    if (case / "out").exists():
        assert out == (case / "out").read_text(encoding="utf-8"), told
    if (case / "err").exists():
        expected = (case / "err").read_text(encoding="utf-8")
        assert pattern_of(expected).match(err), f"expected:\n{expected}\n{told}"
    leftovers = [path.name for path in tmp_path.rglob("*.tmp.*")]
    assert leftovers == [], f"temporary files left behind: {leftovers}"


def test_every_command_has_cases_of_success_and_failure() -> None:
    from norcli.cli.registry import top_level

    for name in top_level():
        codes = [
            int((case / "exit").read_text()) if (case / "exit").exists() else 0
            for case in find_cases()
            if case.parent.name == name
        ]
        assert 0 in codes, f"{name} has no case that succeeds"
        assert any(codes), f"{name} has no case that fails"
