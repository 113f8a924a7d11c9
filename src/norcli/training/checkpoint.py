"""Checkpoints and finished models: directories that appear whole or not at all.

A run directory holds ``run.json`` (what the run is), ``checkpoints/step-NNNNNN/`` (loadable model
directories with the optimizer's state), ``checkpoints/latest`` (the name of the newest) and, when
the run is complete, the model itself; ``training.json`` is written last and marks that. No pickle
anywhere. The format is described in docs/concepts/checkpoints-and-resume.md.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from norcli.console import Console
from norcli.errors import CannotCreateError, ConfigError, DataError
from norcli.streams import (
    check_output,
    file_sha256,
    remove_stale,
    sync_file,
    sync_folder,
    temporary_name,
)

RUN_FILE = "run.json"
COMPLETE_FILE = "training.json"
CHECKPOINTS = "checkpoints"
LATEST = "latest"
STATE_FILE = "state.json"
MANIFEST_FILE = "manifest.json"
OPTIMIZER_FILE = "optimizer.safetensors"

# Tokenizer files of a model directory, as sentencepiece and transformers name them.
TOKENIZER_FILES = (
    "tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come; everything but the weights and the optimizer's state.

    Attributes:
        step: Finished optimizer steps.
        tokens: Targets learnt so far.
        unlogged_loss: Summed loss since the last logged line, so that the next one is the same.
        unlogged_tokens: Targets since then.
    """

    step: int = 0
    tokens: int = 0
    unlogged_loss: float = 0.0
    unlogged_tokens: int = 0


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, synced to the disk, with keys in the order given."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    temporary = temporary_name(path)
    temporary.write_text(text, encoding="utf-8")
    sync_file(temporary)
    os.replace(temporary, path)


def copy_tokenizer(source: str | Path, target: Path) -> None:
    """Copy the tokenizer files of a directory, or of the file's directory."""
    place = Path(source)
    folder = place if place.is_dir() else place.parent
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)


def save_model_directory(
    model: Any,
    tokenizer_dir: str | Path,
    path: Path,
    extra: Mapping[str, str] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> None:
    """Write a Hugging Face model directory: config, weights in safetensors, tokenizer.

    The caller makes the directory appear under its final name when it is complete.

    Args:
        model: A transformers (or peft) model.
        tokenizer_dir: Where its tokenizer files are.
        path: An existing directory.
        extra: More files to write: name and text.
        weights: The state to save, where the model's own is spread over devices.
    """
    model.save_pretrained(path, state_dict=weights)
    copy_tokenizer(tokenizer_dir, path)
    for name, text in (extra or {}).items():
        (path / name).write_text(text, encoding="utf-8")


class RunDirectory:
    """The output directory of a training run.

    Args:
        path: The directory, made when missing.
        identity: What the run is: settings, data, model, tokenizer; plain JSON values. A run is
            continued only with an equal identity.
        console: For warnings about damaged checkpoints.
    """

    def __init__(self, path: str, identity: Mapping[str, Any], console: Console) -> None:
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        self.console = console

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / CHECKPOINTS

    def open(self, overwrite: bool) -> None:
        """Begin the run or take it up again.

        Raises:
            CannotCreateError: The directory holds a complete run or something else.
            ConfigError: It holds an unfinished run of another configuration.
        """
        if self.path.exists() and not self.path.is_dir():
            raise CannotCreateError("is a file, not a directory", path=self.path)
        run_file = self.path / RUN_FILE
        if self.path.is_dir() and any(self.path.iterdir()):
            if not run_file.is_file():
                raise CannotCreateError(
                    "exists and holds no training run", path=self.path,
                    hint="give another directory",
                )  # fmt: skip
            if not overwrite:
                self._check_unfinished(run_file)
                return
            shutil.rmtree(self.path)
        if not self.path.exists():
            check_output(str(self.path), overwrite=False)
        self.path.mkdir(exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)
        write_json(run_file, self.identity)

    def _check_unfinished(self, run_file: Path) -> None:
        if (self.path / COMPLETE_FILE).exists():
            raise CannotCreateError("holds a complete run", path=self.path,
                                    hint="give --overwrite to replace it")  # fmt: skip
        try:
            before = json.loads(run_file.read_text(encoding="utf-8"))
        except ValueError:
            raise DataError("is not valid JSON", path=run_file,
                            hint="give --overwrite to start anew") from None  # fmt: skip
        changes = _differences(before, self.identity)
        if changes:
            raise ConfigError(
                f"holds an unfinished run with another configuration: {'; '.join(changes[:3])}",
                path=self.path,
                hint="repeat the first command to continue it, or give --overwrite to start anew",
            )
        remove_stale(run_file)

    def save(
        self,
        progress: Progress,
        write_weights: Callable[[Path], None],
        optimizer: dict[str, Tensor],
        keep: int,
    ) -> Path:
        """Write a checkpoint; it takes its name when every byte is on the disk.

        Args:
            progress: How far the run has come.
            write_weights: Writes the model directory into the path it is given.
            optimizer: The optimizer's state.
            keep: How many of the newest checkpoints stay.
        """
        name = f"step-{progress.step:06d}"
        final = self.checkpoints / name
        temporary = temporary_name(final)
        remove_stale(final)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            write_weights(temporary)
            save_file(optimizer, temporary / OPTIMIZER_FILE)
            write_json(temporary / STATE_FILE, asdict(progress))
            write_json(temporary / MANIFEST_FILE, _checksums(temporary))
            _settle(temporary)
            shutil.rmtree(final, ignore_errors=True)
            os.rename(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._point_at(name)
        self.prune(max(keep, 1))
        return final

    def _point_at(self, name: str) -> None:
        pointer = self.checkpoints / LATEST
        temporary = temporary_name(pointer)
        temporary.write_text(name + "\n", encoding="utf-8")
        sync_file(temporary)
        os.replace(temporary, pointer)

    def prune(self, keep: int) -> None:
        """Remove all but the newest checkpoints; the folder itself when none is kept."""
        for old in self._names()[: -keep or None]:
            shutil.rmtree(self.checkpoints / old, ignore_errors=True)
        if keep == 0:
            shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _names(self) -> list[str]:
        """Return the complete checkpoints, oldest first."""
        if not self.checkpoints.is_dir():
            return []
        folders = self.checkpoints.glob("step-*")
        return sorted(f.name for f in folders if f.name.removeprefix("step-").isdigit())

    def newest(self) -> tuple[Path, Progress] | None:
        """Return the newest checkpoint whose checksums are right, None to start from nothing.

        A damaged one is passed over with a warning.
        """
        for name in reversed(self._names()):
            folder = self.checkpoints / name
            damage = _damage(folder)
            if damage is None:
                state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
                return folder, Progress(**state)
            self.console.warn(f"{folder}: {damage}; going back to the checkpoint before it")
        return None

    def finish(self, write_model: Callable[[Path], None], report: Mapping[str, Any]) -> None:
        """Put the finished model into the run directory; ``training.json`` comes last."""
        temporary = temporary_name(self.path / "model")
        remove_stale(self.path / "model")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            write_model(temporary)
            _settle(temporary)
            for entry in sorted(temporary.iterdir()):
                target = self.path / entry.name
                if target.is_dir():
                    shutil.rmtree(target)
                os.replace(entry, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        write_json(self.path / COMPLETE_FILE, report)


def _settle(folder: Path) -> None:
    """Sync the files of a folder, and give them the mode that other new files get.

    safetensors makes its files readable to their owner only, which colleagues on a cluster and
    web servers stumble over.
    """
    mode = 0o666 & folder.stat().st_mode
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(mode)
    sync_folder(folder, with_files=True)


def load_optimizer_state(checkpoint: Path) -> dict[str, Tensor]:
    """Return the optimizer's state of a checkpoint."""
    state: dict[str, Tensor] = load_file(checkpoint / OPTIMIZER_FILE)
    return state


def load_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Return the weights of a model directory, of one file or several.

    Raises:
        DataError: It holds no safetensors.
    """
    files = sorted(checkpoint.glob("model*.safetensors"))
    if not files:
        raise DataError("holds no model.safetensors", path=checkpoint)
    weights: dict[str, Tensor] = {}
    for file in files:
        weights.update(load_file(file))
    return weights


def _checksums(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        for file in sorted(folder.iterdir())
    }


def _damage(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint; None when its checksums are right."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{MANIFEST_FILE} is missing or damaged"
    for name, entry in manifest.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            return f"{name} is missing or cut off"
        if file_sha256(file) != entry["sha256"]:
            return f"{name} is damaged: its checksum does not fit"
    return None


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    """List what differs between two configurations, by dotted name."""
    if isinstance(before, dict) and isinstance(now, dict):
        found: list[str] = []
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}.{key}" if name else key
            found += _differences(before.get(key), now.get(key), inner)
        return found
    return [] if before == now else [f"{name} was {_short(before)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "…"
