"""Every script in examples/ runs, at tiny settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = str(Path(sys.executable).parent)


def run(script: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "JOBS": "1", "OMP_NUM_THREADS": "1",
        **settings,
    }  # fmt: skip
    return subprocess.run([str(ROOT / "examples" / script), *words], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_quickstart_goes_from_pages_to_an_answer_and_repeats_cleanly(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    settings = {"PRETRAIN_EPOCHS": "1", "SFT_EPOCHS": "1", "RLHF_STEPS": "1"}
    first = run("00-quickstart.sh", str(out), **settings)
    assert first.returncode == 0, first.stderr
    for stage in ("crawl-filter", "dedup", "pretrain", "sft", "rlhf", "quantize", "eval", "chat"):
        assert f"\n{stage} " in first.stdout, first.stdout
    assert "Hva er Norges lengste elv?" in first.stdout
    assert str(out / "model-Q8_0.gguf") in first.stdout
    report = json.loads((out / "report.json").read_text())
    assert {task["task"] for task in report["tasks"]} >= {"closed-book-qa", "perplexity"}
    model = (out / "model-Q8_0.gguf").read_bytes()
    again = run("00-quickstart.sh", str(out), **settings)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("is complete") == 9
    assert (out / "model-Q8_0.gguf").read_bytes() == model


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_corpus_script_reports_on_the_sample(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    result = run("10-corpus.sh", str(ROOT / "examples" / "data"), str(out))
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert any(line[:2] == ["My", "corpus"] and "0.00K" in line for line in lines)
    assert "Figure 1 A: totals by source group (tokens)" in result.stdout
    assert "Duplicates between sources" in result.stdout and "max_duplicate_line_ratio" in (
        result.stdout
    )
    counts = json.loads((out / "counts.json").read_text())
    pairs = {(row["a"], row["b"]): row["documents"] for row in counts["source_pairs"]}
    assert pairs["mC4", "Kvardagsbloggen"] == pairs["Kvardagsbloggen", "mC4"] == 5
    assert counts["funnel"]["documents_out"] == counts["total"]["documents"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4 and "http" not in page.replace("http-equiv", "")
    assert (out / "figures" / "figure-1a.svg").exists()
    assert "figures/figure-1a.svg" in (out / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_corpus_script_takes_any_folder(tmp_path: Path) -> None:
    data = tmp_path / "mine"
    data.mkdir()
    source = (ROOT / "examples" / "data" / "crawl" / "mc4.jsonl").read_bytes().splitlines(True)
    (data / "en.jsonl").write_bytes(b"".join(source[:30]))
    (data / "to.jsonl").write_bytes(b"".join(source[10:]))
    result = run("10-corpus.sh", str(data), str(tmp_path / "out"), VOCAB_SIZE="600")
    assert result.returncode == 0, result.stderr
    assert "Duplicates between sources" in result.stdout
    wrong = run("10-corpus.sh", str(tmp_path / "nei"))
    assert wrong.returncode == 2 and "usage" in wrong.stderr


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.timeout(900)
def test_real_data_script_runs(real_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "crawl").mkdir(parents=True)
    (data / "text").mkdir()
    (data / "crawl" / "web.warc.gz").symlink_to(real_data / "crawl" / "web.warc.gz")
    for name in ("gimp_help_nn.jsonl.gz", "sentences_talk_of_norway_cleaned_10k_nob.txt.gz"):
        (data / "text" / name).symlink_to(real_data / "text" / name)
    result = run("90-real-data.sh", str(data), str(tmp_path / "out"), MAX_TOKENS="8192",
                 SFT_EPOCHS="0.2")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("bits-per-byte") == 3
    assert (tmp_path / "out" / "base-Q4_K_M.gguf").exists()


def test_real_data_script_asks_for_its_folder(tmp_path: Path) -> None:
    result = run("90-real-data.sh", str(tmp_path / "nei"))
    assert result.returncode == 2
    assert "usage" in result.stderr
