"""``norcli doctor``: what is installed, what this machine has, and which commands can run.

Reports versions from package metadata without importing heavy packages; torch is asked for a GPU
only where it is installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli import __version__
from norcli.cli.command import Command, Outcome
from norcli.console import Console
from norcli.errors import ExitCode
from norcli.options import GeneralOptions, option
from norcli.streams import write_text

BASE = ("numpy", "numba", "orjson", "pyarrow", "zstandard", "sentencepiece", "tokenizers",
        "safetensors", "sacrebleu", "trafilatura", "typer", "rich")  # fmt: skip
EXTRAS: dict[str, tuple[str, ...]] = {
    "train": ("torch", "transformers", "peft"),
    "chat": ("xllamacpp", "prompt_toolkit", "jinja2"),
    "cluster": ("datatrove",),
    "deepspeed": ("deepspeed",),
    "flash": ("flash-attn",),
    "gpu": ("liger-kernel",),
    "align": ("trl",),
}


@dataclass(kw_only=True)
class DoctorOptions(GeneralOptions):
    """Options of ``norcli doctor``."""

    require: list[str] = option(
        default_factory=list, help="Fail unless these extras are complete, or gpu is there",
        group="Checks", metavar="EXTRA,...",
    )  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerator() -> str:
    if importlib.util.find_spec("torch") is None:
        return "not asked: torch is not installed"
    import torch

    if not torch.cuda.is_available():
        return "none found by torch"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _kernel_cache() -> str:
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if folder:
        return f"{folder} (NUMBA_CACHE_DIR)"
    package = Path(__file__).resolve().parents[1]
    if os.access(package, os.W_OK):
        return f"{package} (beside the modules)"
    return "numba's own folder in the user's cache; set NUMBA_CACHE_DIR to choose"


def examine() -> dict[str, Any]:
    """Return everything the report shows."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    packages = {name: _version(name) for name in BASE}
    extras = {
        extra: {package: _version(package) for package in names} for extra, names in EXTRAS.items()
    }
    return {
        "norcli": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "accelerator": _accelerator(),
        "kernel_cache": _kernel_cache(),
        "slurm": shutil.which("sbatch") or "no sbatch on the PATH",
        "base": packages,
        "extras": extras,
    }


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"{key.replace('_', ' '):<14} {value}" for key, value in report.items()
             if not isinstance(value, dict)]  # fmt: skip
    lines += ["", "base install"]
    lines += [f"  {name:<16} {version or 'missing'}" for name, version in report["base"].items()]
    for extra, packages in report["extras"].items():
        complete = all(packages.values())
        lines += ["", f"extra {extra}: " + ("complete" if complete else
                  f"not complete; pip install 'norcli[{extra}]'")]  # fmt: skip
        lines += [f"  {name:<16} {version or 'missing'}" for name, version in packages.items()]
    return "\n".join(lines) + "\n"


def run(options: DoctorOptions, console: Console) -> Outcome:
    """Print the report; fail when a required extra is not complete."""
    report = examine()
    write_text(json.dumps(report) + "\n" if options.json else _as_text(report))
    lacking = [name for name, version in report["base"].items() if version is None]
    for extra in options.require:
        if extra == "gpu" and report["accelerator"].startswith(("none", "not")):
            lacking.append("gpu")
        lacking += [p for p, version in report["extras"].get(extra, {}).items() if version is None]
        if extra not in report["extras"] and extra != "gpu":
            lacking.append(extra)
    if lacking:
        return Outcome(report, f"missing: {', '.join(lacking)}", ExitCode.UNAVAILABLE)
    return Outcome(report)


COMMANDS = {
    "doctor": Command(
        options=DoctorOptions,
        run=run,
        description="Says which packages, extras, processors and job systems are at hand. Exits "
        "with 69 when a package of the base install, or of a required extra, is missing.",
        examples=(
            ("What can this machine do?", "norcli doctor"),
            ("Stop a job early when the training extra is not there",
             "norcli doctor --require train --quiet"),
        ),
    )
}  # fmt: skip
