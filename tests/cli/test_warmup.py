"""After `norcli warmup` into an empty cache, no command compiles anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from norcli.corpus.classifier import LinearModel

ROOT = Path(__file__).resolve().parents[2]
CRAWL = ROOT / "examples" / "data" / "crawl"
MODEL = ROOT / "tests" / "cases" / "quantize" / "models" / "tiny"
KERNEL = re.compile(r"^@(?:kernel$|njit\(cache=True)", re.MULTILINE)
COMMANDS = (
    f"crawl-filter {CRAWL}/mc4.jsonl {CRAWL}/news.jsonl.gz {CRAWL}/html/*/*.html array.json"
    " -o kept.jsonl --rejects dropped.jsonl --sentences --toxic-words words.txt --mixed trim"
    " --remove optout.txt --pii mask --quality-model quality.safetensors",
    f"crawl-filter {CRAWL}/mc4.jsonl -o annotated.jsonl --annotate",
    "crawl-filter annotated.jsonl -o again.jsonl --from-annotations",
    "stats kept.jsonl --sentences",
    "dedup kept.jsonl -o unique.jsonl --method url,exact,minhash,lines --rejects doubles.jsonl",
    "dedup kept.jsonl kept.jsonl -o paragraphs.jsonl --method paragraphs,substring --span-words 8",
    "dedup kept.jsonl kept.jsonl -o online.jsonl --online --decontaminate test.json",
    "dedup kept.jsonl --memory 500M -o indexed.jsonl --save-index index",
    "dedup kept.jsonl --against index -o new.jsonl --mark --cluster star",
    "dedup kept.jsonl --sweep 0.6,0.9",
    "dedup explain sha256:0 kept.jsonl",
    "mix kept.jsonl unique.jsonl -o mixed.jsonl --by lang --epochs nob=2",
    f"quantize {MODEL} -o 'tiny-{{type}}.gguf' --type Q4_K_M,Q5_0,Q5_1,Q4_1,Q3_K_M,Q8_0 --report",
)


def files_in(cache: Path) -> set[str]:
    """Return the names of compiled kernels."""
    return {path.name for path in cache.rglob("*.nb?")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_warming_up_no_command_compiles_anything(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT / "src")}

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            f"{sys.executable} -m norcli {command}", shell=True, cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    (tmp_path / "array.json").write_text('[{"text": "Hei på deg"}, {"text": "Ha det bra"}]')
    (tmp_path / "words.txt").write_text("stygt ord\n")
    (tmp_path / "optout.txt").write_text("https://x.example/1\n")
    (tmp_path / "test.json").write_text(json.dumps([{"text": "en to tre fire fem " * 5}]))
    LinearModel(np.zeros(2, np.float32), 9.0, 2).save(tmp_path / "quality.safetensors", {})
    assert run("warmup").returncode == 0
    warm = files_in(cache)
    for path in (ROOT / "src").rglob("*.py"):
        if KERNEL.search(path.read_text(encoding="utf-8")):
            compiled = any(name.startswith(f"{path.stem}.") for name in warm)
            assert compiled, f"{path} has kernels that norcli warmup does not compile"
    for command in COMMANDS:
        result = run(command)
        assert result.returncode == 0 or "explain" in command, (command, result.stderr)
        new = files_in(cache) - warm
        assert not new, f"{command} compiled {sorted(new)}"
