"""Stand-ins for SLURM's programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

STAND_INS = Path(__file__).parent / "slurm"


@pytest.fixture()
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for SLURM's programs on the PATH; returns the record of the jobs."""
    monkeypatch.setenv("PATH", f"{STAND_INS}:{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_JOBS", str(tmp_path / "jobs"))
    monkeypatch.setenv("STAND_IN_QUEUE", "")
    return tmp_path / "jobs"
