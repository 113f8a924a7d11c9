"""A run of many tasks on disk: its plan, what its tasks made, and the proof that it is whole.

``--work-dir`` holds ``plan.json`` and a folder for each stage. A task writes in a folder of its
own, renames what it made, and last of all writes a manifest with lengths and SHA-256; a part
without a manifest does not exist for later stages, and one that differs from it stops them with
the name of the task to run again.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from norcli.errors import (
    CannotCreateError,
    ConfigError,
    DataError,
    InputMissingError,
    ResumableStopError,
)
from norcli.locks import RunLock
from norcli.resume import run_difference, stamp_inputs
from norcli.streams import atomic_file, file_sha256

DIGITS = 5
"""Tasks are numbered with as many digits as datatrove's completions and logs."""

_PLAN = "plan.json"
_DISCARDED = "discarded.json"


class Stage(NamedTuple):
    """One step of a run: tasks that do not wait for each other."""

    name: str
    tasks: int

    @property
    def kind(self) -> str:
        """What it does: its name without the numbers of a stage that is there several times."""
        return self.name.strip("-0123456789")


class Made(NamedTuple):
    """What a task made: its files, by name, and its counts."""

    files: dict[str, Path]
    stats: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of many tasks.

    Attributes:
        folder: Where everything is kept, an absolute path.
        command: The command of norcli that is run.
        options: Its options, as JSON values.
        header: What makes it the same run: configuration, inputs and outputs.
        stages: In their order; each waits for the one before.
        started_in: The folder that relative paths begin in.
    """

    folder: Path
    command: str
    options: dict[str, Any]
    header: dict[str, Any]
    stages: tuple[Stage, ...]
    started_in: str

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read the plan of a run.

        Raises:
            InputMissingError: The folder holds no plan.
        """
        try:
            plan = orjson.loads((folder / _PLAN).read_bytes())
        except FileNotFoundError:
            raise InputMissingError("no run of norcli is in this folder", path=folder) from None
        except orjson.JSONDecodeError as error:
            raise DataError(f"is damaged: {error}", path=folder / _PLAN) from error
        stages = tuple(Stage(*stage) for stage in plan.pop("stages"))
        return cls(folder=folder.absolute(), stages=stages, **plan)

    def prepare(self, overwrite: bool) -> None:
        """Write the plan, or find the equal one of a run that is to go on.

        Raises:
            ConfigError: The folder holds a run of another configuration.
            CannotCreateError: The folder holds something else, or cannot be made.
        """
        if (self.folder / _DISCARDED).exists():
            self._clear()  # a kill came between
        if self.is_planned:
            difference = self._difference()
            if difference is not None and not overwrite:
                raise ConfigError(
                    f"another run is in this folder: {difference}", path=self.folder,
                    hint="name another --work-dir, or give --overwrite to discard it",
                )  # fmt: skip
            if difference is None and not (self.is_complete and overwrite) and not self._is_spent:
                return
            self._clear()
        elif self.folder.is_dir() and not all(map(_is_own, os.listdir(self.folder))):
            raise CannotCreateError("holds something else; name an empty folder with --work-dir",
                                    path=self.folder)  # fmt: skip
        plan = {
            "command": self.command,
            "options": self.options,
            "header": self.header,
            "stages": [list(stage) for stage in self.stages],
            "started_in": self.started_in,
        }
        with atomic_file(str(self.folder / _PLAN), overwrite=True) as stream:
            stream.write(orjson.dumps(plan, option=orjson.OPT_INDENT_2))

    @property
    def is_planned(self) -> bool:
        """Whether the folder holds a run, this one or another."""
        return (self.folder / _PLAN).exists()

    @property
    def has_begun(self) -> bool:
        """Whether the folder holds the same run, begun and not yet complete."""
        return self.is_planned and not (self._difference() or self.is_complete or self._is_spent)

    def _difference(self) -> str | None:
        """Return how the run in the folder differs from this one."""
        old = Run.load(self.folder)
        difference = run_difference(old.header, self.header)
        if difference is None and old.stages != self.stages:
            return f"it has {_tasks(old)} tasks, not {_tasks(self)}"
        return difference

    def _clear(self) -> None:
        """Remove a run; under another name its plan says so until all of it is gone."""
        if self.is_planned:
            os.replace(self.folder / _PLAN, self.folder / _DISCARDED)
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
        (self.folder / _DISCARDED).unlink()

    def lock(self) -> RunLock:
        """Keep other launches off the folder; see `RunLock`."""
        return RunLock.take(self.folder, str(self.folder))

    def stage(self, name: str) -> Stage:
        """Return a stage by its name.

        Raises:
            InputMissingError: There is no such stage.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = ", ".join(stage.name for stage in self.stages)
        raise InputMissingError(f'no stage "{name}"; there are {names}', path=self.folder)

    @property
    def is_complete(self) -> bool:
        """Whether the last stage is done."""
        return self.is_done(self.stages[-1].name, 0)

    @property
    def _is_spent(self) -> bool:
        """Whether it was complete once, but its outputs were taken away or changed since."""
        if self.is_complete or not self.manifest_path(self.stages[0].name, 0).exists():
            return False
        files = self.manifest(self.stages[0].name, 0)["files"].values()
        return any(file["removed"] for file in files)

    def check_inputs(self) -> None:
        """Check that the inputs are still those that were planned for.

        Raises:
            ConfigError: One has changed.
            InputMissingError: One is gone.
        """
        for stamp in self.header["inputs"]:
            if not os.path.exists(stamp[0]):
                raise InputMissingError("no such file; it was there at the start", path=stamp[0])
            if stamp_inputs([stamp[0]]) != [stamp]:
                raise ConfigError("has changed since the run was started", path=stamp[0],
                                  hint="start anew with --overwrite")  # fmt: skip

    def manifest_path(self, stage: str, number: int) -> Path:
        """Return where a task's manifest is, once it is done."""
        return self.folder / stage / "manifests" / f"{number:0{DIGITS}}.json"

    def manifest(self, stage: str, number: int) -> dict[str, Any]:
        """Return a task's manifest: ``files`` (path, bytes, sha256 by name) and ``stats``.

        Raises:
            ResumableStopError: The task has not been done; the hint says how to run it.
        """
        try:
            found: dict[str, Any] = orjson.loads(self.manifest_path(stage, number).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError) as error:
            raise self.not_whole(stage, number, "has not been done") from error
        return found

    def is_done(self, stage: str, number: int) -> bool:
        """Whether a task's manifest is there and its files are as long as it says."""
        try:
            files = self.manifest(stage, number)["files"].values()
        except ResumableStopError:
            return False
        return all(
            file["removed"] or _size(self._where(file["path"])) == file["bytes"] for file in files
        )

    def unfinished(self, stage: Stage) -> list[int]:
        """Return the tasks of a stage that are still to do."""
        return [number for number in range(stage.tasks) if not self.is_done(stage.name, number)]

    def part(self, stage: str, number: int, name: str) -> tuple[Path, dict[str, Any]]:
        """Return a file that a task made, and what its manifest says of it; not verified.

        Raises:
            ResumableStopError: The task has not been done, or its file has another length.
        """
        file = self.manifest(stage, number)["files"][name]
        path = self._where(file["path"])
        if _size(path) != file["bytes"]:
            raise self.not_whole(stage, number, f"{path.name} is not {file['bytes']} bytes long")
        return path, file

    def verified(self, stage: str, number: int, name: str) -> bytes:
        """Return the content of a part.

        Raises:
            ResumableStopError: It is not what the task wrote; the task is to do from then on.
        """
        import hashlib

        path, file = self.part(stage, number, name)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise self.not_whole(stage, number, f"{path.name} is not what the task wrote")
        return content

    def verified_path(self, stage: str, number: int, name: str) -> Path:
        """Return where a part is, once all of it has been checked.

        Raises:
            ResumableStopError: It is not what the task wrote; the task is to do from then on.
        """
        path, file = self.part(stage, number, name)
        if file_sha256(path) != file["sha256"]:
            raise self.not_whole(stage, number, f"{path.name} is not what the task wrote")
        return path

    def not_whole(self, stage: str, number: int, reason: str) -> ResumableStopError:
        """Return the error for a task whose result cannot be used, and count it as not done."""
        self.manifest_path(stage, number).unlink(missing_ok=True)
        return ResumableStopError(
            f"task {number} of stage {stage} has to run again: {reason}", path=self.folder,
            hint=f"run the same command again, or: {self.rerun(stage, number)}",
        )  # fmt: skip

    def rerun(self, stage: str, number: int) -> str:
        """Return the command that runs one task."""
        return f"norcli launch task {self.folder} {stage} {number}"

    @contextmanager
    def working_folder(self, stage: str, number: int) -> Iterator[Path]:
        """Give a task a folder to write in that no other process uses; removed afterwards.

        Raises:
            CannotCreateError: Another process runs the same task.
        """
        (self.folder / stage / "parts").mkdir(parents=True, exist_ok=True)
        (self.folder / stage / "manifests").mkdir(parents=True, exist_ok=True)
        folder = self.folder / stage / f"running-{number:0{DIGITS}}"
        lock = RunLock.take(folder, f"{self.folder}: task {number} of stage {stage}")
        try:
            _empty(folder)
            yield folder
        finally:
            _empty(folder)
            lock.remove()

    def record(self, stage: str, number: int, made: Made) -> None:
        """Move what a task made to its place and write the manifest.

        Args:
            stage: The task's stage.
            number: The task.
            made: Files in the working folder, or already under a final name elsewhere.
        """
        running = self.folder / stage / f"running-{number:0{DIGITS}}"
        files = {}
        for name, path in made.files.items():
            place = str(path.absolute())
            if path.parent == running:
                place = f"{stage}/parts/{number:0{DIGITS}}-{path.name}"
                os.replace(path, self._where(place))
            files[name] = {"path": place, "bytes": _size(self._where(place)),
                           "sha256": file_sha256(self._where(place)), "removed": False}  # fmt: skip
        manifest = {"task": number, "stage": stage, "files": files, "stats": made.stats}
        self._write_manifest(stage, number, manifest)

    def tidy(self) -> None:
        """Remove the parts of a complete run, and what killed tasks left of their folders.

        May be called again at any time: whatever a kill left over goes then.
        """
        if not self.is_complete:
            return
        for stage in self.stages[:-1]:
            self._remove_parts(stage)
        for stage in self.stages:
            for folder in (self.folder / stage.name).glob("running-*"):
                with suppress(CannotCreateError):  # a task that is just ending removes its own
                    lock = RunLock.take(folder, str(folder))
                    _empty(folder)
                    lock.remove()

    def _remove_parts(self, stage: Stage) -> None:
        """Remove the files a stage made in the run's folder; what they were stays on record."""
        parts = self.folder / stage.name / "parts"
        if not parts.exists():
            return
        for number in range(stage.tasks):
            manifest = self.manifest(stage.name, number)
            for file in manifest["files"].values():
                file["removed"] = not os.path.isabs(file["path"])
            self._write_manifest(stage.name, number, manifest)
        shutil.rmtree(parts, ignore_errors=True)

    def _write_manifest(self, stage: str, number: int, manifest: Mapping[str, Any]) -> None:
        path = str(self.manifest_path(stage, number))
        with atomic_file(path, overwrite=True) as stream:
            stream.write(orjson.dumps(manifest))

    def _where(self, path: str) -> Path:
        return self.folder / path  # an absolute path stays as it is


def _is_own(name: str) -> bool:
    """Whether a file may stand in the folder of a run that has not begun."""
    return name in ("lock", "jobs.json", "stats.json") or name.startswith(f"{_PLAN}.tmp.")


def _tasks(run: Run) -> str:
    return " + ".join(str(stage.tasks) for stage in run.stages)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != "lock":
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def option_values(options: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return an options dataclass as JSON values.

    Args:
        options: The dataclass.
        names: Only these fields; all by default.
    """
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if not names or field.name in names
    }
