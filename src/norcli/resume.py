"""The journal of a run that may be killed and goes on: what ``--resume`` keeps beside an output.

Outputs grow as parts in the folder ``OUTPUT.resume``; each commit syncs them and appends one
checksummed line with their lengths and the run's state. After a kill at any moment the last whole
line says where to go on; whatever the parts hold beyond it is cut off. The finished run renames
its parts into place and removes the folder. Described in docs/concepts/recovery.md.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import orjson

from norcli import __version__
from norcli.console import Console
from norcli.errors import (
    ConfigError,
    IOFailureError,
    ResumableStopError,
    UsageError,
)
from norcli.formats.compression import compressed
from norcli.locks import RunLock
from norcli.options import option_fields
from norcli.streams import (
    BLOCK_BYTES,
    Interruption,
    check_output,
    is_pipe,
    remove_stale,
    sync_folder,
)

FORMAT = 1
COMPACT_BYTES = 1 << 22
"""The journal is rewritten with its last lines when it has grown by this much."""
KEPT_LINES = 2

_DIGEST_DIGITS = 16
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)

# Options that say how a run goes or reports, never what it writes.
INCIDENTAL_OPTIONS = frozenset({
    "config", "print_config", "dry_run", "json", "stats", "jobs", "quiet", "verbose", "progress",
    "color", "log_format", "debug", "overwrite", "resume", "executor", "tasks", "work_dir",
    "cluster_file",
})  # fmt: skip


def effective_config(options: Any, incidental: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the options that decide what a run writes, and norcli's version.

    Args:
        options: An options dataclass.
        incidental: Further names to leave out, beyond `INCIDENTAL_OPTIONS`.
    """
    left_out = INCIDENTAL_OPTIONS | incidental
    values = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name not in left_out
    }
    return {**values, "norcli_version": __version__}


def watched_files(options: Any, inputs: Iterable[str], outputs: Iterable[str]) -> list[str]:
    """Return all files that a run reads: its inputs, and what options such as --rules name.

    Args:
        options: An options dataclass; files and folders are told by how they are completed.
        inputs: The input files.
        outputs: Files that options name because they are written.
    """
    found, written = dict.fromkeys(inputs), set(outputs)
    for field in option_fields(type(options)):
        value = getattr(options, field.name)
        kind = (field.info.complete or "").partition(":")[0]
        if kind not in ("file", "dir") or field.name in INCIDENTAL_OPTIONS:
            continue
        for path in value if isinstance(value, list) else [value]:
            if path is None or path in written or path == "-":
                continue
            folder = sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)]
            found |= dict.fromkeys(str(file) for file in folder if file.is_file())
    return list(found)


def config_digest(config: Mapping[str, Any]) -> str:
    """Return a hash of a configuration that does not depend on the order of its keys."""
    return hashlib.sha256(orjson.dumps(config, option=orjson.OPT_SORT_KEYS)).hexdigest()


def stamp_inputs(paths: Sequence[str]) -> list[list[Any]]:
    """Return ``[path, bytes, modification time in ns]`` of each input.

    Raises:
        UsageError: One is standard input, which cannot be read a second time.
    """
    stamps = []
    for path in paths:
        if is_pipe(path):
            raise UsageError("--resume needs input files, not standard input or another pipe")
        status = os.stat(path)
        stamps.append([path, status.st_size, status.st_mtime_ns])
    return stamps


class PartStream:
    """One output while it grows: takes plain bytes, compresses by the final name's suffix.

    Each commit ends a gzip member or zstd frame, so that the file can be cut there. The same
    bytes with commits at the same places give the same file.
    """

    def __init__(self, path: Path, final: str, committed: int) -> None:
        self._final = final
        self.raw: BinaryIO = open(path, "ab", buffering=BLOCK_BYTES)  # noqa: SIM115
        self.raw.truncate(committed)
        self.raw.seek(0, os.SEEK_END)
        self._member = ExitStack()
        self._inside: BinaryIO | None = None

    def write(self, data: bytes) -> int:
        """Append bytes; they count once they are committed."""
        if data and self._inside is None:
            self._inside = self._member.enter_context(compressed(self.raw, self._final))
        return self._inside.write(data) if self._inside is not None else 0

    def end_member(self, even_empty: bool = False) -> None:
        """End the compressed member, if one was begun; ``even_empty`` begins one if need be."""
        if even_empty and self._inside is None:
            self._inside = self._member.enter_context(compressed(self.raw, self._final))
        self._inside = None
        self._member.close()

    def sync(self) -> int:
        """Bring everything to the disk and return the length."""
        self.end_member()
        self.raw.flush()
        os.fsync(self.raw.fileno())
        return self.raw.tell()

    def close(self) -> None:
        """Close without regard to what is not committed."""
        # Whatever a compressor still has to say goes behind the committed length, full disk or not.
        with suppress(Exception):
            self._member.close()
        with suppress(OSError):
            self.raw.close()


class Journal:
    """An unfinished run on disk; made by `Journal.open`, used in a ``with`` block.

    Attributes:
        state: What the last commit saved; ``{}`` in a new run.
        units_done: Units of work committed so far.
        is_resumed: Whether an earlier run's work was found.
        is_complete: Whether all work was committed, and only `finish` is left to do.
        is_damaged: Whether an earlier run's files were cut so short that it begins anew.
    """

    def __init__(self, folder: Path, parts: Mapping[str, str], lock: RunLock) -> None:
        self.folder = folder
        self.state: dict[str, Any] = {}
        self.units_done = 0
        self.is_resumed = False
        self.is_complete = False
        self.is_damaged = False
        self._parts = dict(parts)
        self._sizes = dict.fromkeys(parts, 0)
        self._streams: dict[str, PartStream] = {}
        self._lock = lock
        self._header = b""
        self._last_lines: list[bytes] = []
        self._log: BinaryIO | None = None
        self._grown = 0

    @classmethod
    def open(
        cls,
        output: str,
        *,
        parts: Mapping[str, str],
        config: Mapping[str, Any],
        inputs: Sequence[str],
        overwrite: bool,
        console: Console,
    ) -> Journal:
        """Begin a run, or find the one that the same command left unfinished.

        Args:
            output: The main output; the folder is named after it.
            parts: Name of each output file and the path it gets in the end.
            config: Whatever decides the outputs' bytes; see `effective_config`.
            inputs: Files the run reads, rules and lists included; watched by size and time.
            overwrite: Replace outputs, and discard an unfinished run of another configuration.
            console: Told when a run goes on.

        Raises:
            UsageError: An output or input is a pipe, or an output is Parquet.
            CannotCreateError: An output exists (exit 73), or another run is writing it.
            ConfigError: The unfinished run has another configuration or other inputs (exit 78).
        """
        _check_parts(parts)
        header = run_header(config, inputs, parts)
        check_output(output, overwrite=True)
        folder = Path(f"{output}.resume")
        lock = RunLock.take(folder, output)
        journal = cls(folder, parts, lock)
        try:
            journal._recover(header, overwrite)
            if not journal.is_complete:
                for path in parts.values():
                    check_output(path, overwrite)
                    remove_stale(Path(path))
            journal._begin(header)
        except BaseException:
            journal._close_files()
            if (folder / "journal").exists():
                lock.release()
            else:
                lock.remove()
            raise
        if journal.is_damaged:
            console.warn(f"{folder}: the unfinished run's files are damaged; begins anew")
        elif journal.is_resumed:
            console.say(f"goes on after unit {journal.units_done} of an earlier run")
        return journal

    def open_part(self, name: str) -> BinaryIO:
        """Open one of the outputs for appending, cut to its committed length.

        The stream takes plain bytes: compression follows the suffix of the final path.
        """
        path = self.folder / f"part-{name}"
        self._streams[name] = PartStream(path, self._parts[name], self._sizes[name])
        return cast(BinaryIO, self._streams[name])

    def commit(self, state: Mapping[str, Any], units: int = 1) -> None:
        """Make everything written so far count.

        For equal bytes whatever kills come between, commit at places that the input decides
        (every so many units), not the clock.

        Args:
            state: Kept with the commit and given back as `state`; JSON values.
            units: Units of work done since the last commit.

        Raises:
            CannotCreateError: Another run has taken the output over.
            IOFailureError: The disk is full.
        """
        self.units_done += units
        self.state = dict(state)
        self._commit(complete=False)

    def _commit(self, complete: bool) -> None:
        self._lock.check()
        with _DiskErrors(self.folder):
            self._sizes.update({name: part.sync() for name, part in self._streams.items()})
            self._append({"units": self.units_done, "sizes": self._sizes, "state": self.state,
                          "complete": complete})  # fmt: skip

    def finish(self) -> None:
        """Give all outputs their names and remove the folder.

        What was written after the last commit is committed first. A kill in between is made good
        by the next run, which finds the journal complete.
        """
        with _DiskErrors(self.folder):
            if not self.is_complete:
                for name in self._parts:
                    if name not in self._streams:
                        self.open_part(name)
                    self._streams[name].end_member(even_empty=self._sizes[name] == 0)
                self._commit(complete=True)
                self.is_complete = True
            for name, path in self._parts.items():
                part_file = self.folder / f"part-{name}"
                if part_file.exists():
                    os.replace(part_file, path)
                    sync_folder(Path(path).parent)
        self._close_files()
        # The journal goes last: while it is there, a next run knows that this one is complete.
        for stray in self.folder.iterdir():
            if stray.name not in ("journal", "lock"):
                _remove(stray)
        (self.folder / "journal").unlink()
        self._lock.remove()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go; a signal becomes a stop that the same command resumes (exit 75)."""
        self._release()
        if isinstance(error, Interruption):
            raise ResumableStopError(
                f"stopped after unit {self.units_done}", hint="run the same command again to go on"
            ) from error
        _DiskErrors(self.folder).__exit__(kind, error, traceback)

    def _recover(self, header: dict[str, Any], overwrite: bool) -> None:
        """Take up what the folder holds, if it belongs to the same run."""
        found = self._entries()
        if not found:
            return
        difference = run_difference(found[0][0], header)
        if difference is not None and not overwrite:
            raise ConfigError(
                f"an unfinished run differs: {difference}", path=self.folder,
                hint=f"run it with its own options, or discard it: rm -r '{self.folder}'",
            )  # fmt: skip
        if difference is not None:
            return
        for entry, line in reversed(found[1:]):
            if entry["complete"] or self._is_backed(entry["sizes"]):
                self.state, self.units_done = entry["state"], entry["units"]
                self._sizes.update(entry["sizes"])
                self.is_complete = entry["complete"]
                self._last_lines = [line]
                self.is_resumed = True
                return
        self.is_damaged = len(found) > 1

    def _entries(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return the whole lines from the beginning; the first damaged one ends them."""
        try:
            data = (self.folder / "journal").read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for line in data.split(b"\n")[:-1]:
            digest, _, text = line.partition(b" ")
            if digest != _digest(text):
                break
            found.append((orjson.loads(text), line))
        return found

    def _is_backed(self, sizes: Mapping[str, int]) -> bool:
        """Whether the parts are as long as a commit says; a power failure may have cut them."""
        for name, size in sizes.items():
            file = self.folder / f"part-{name}"
            if (file.stat().st_size if file.exists() else 0) < size:
                return False
        return True

    def _begin(self, header: Mapping[str, Any]) -> None:
        """Write the journal anew, its header and the line to go on from; drop everything else."""
        kept = {"journal", "lock", *(f"part-{name}" for name in self._parts if self.is_resumed)}
        for stray in self.folder.iterdir():
            if stray.name not in kept:
                _remove(stray)
        self._header = _line(header)
        with _DiskErrors(self.folder):
            self._rewrite()

    def _rewrite(self) -> None:
        if self._log is not None:
            self._log.close()
        fresh = self.folder / "journal.new"
        with fresh.open("wb") as stream:
            stream.write(b"".join(line + b"\n" for line in [self._header, *self._last_lines]))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, self.folder / "journal")
        sync_folder(self.folder)
        self._log = open(self.folder / "journal", "ab", buffering=0)  # noqa: SIM115
        self._grown = 0

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = _line(entry)
        self._last_lines = [*self._last_lines[1 - KEPT_LINES :], line]
        if self._grown > COMPACT_BYTES:
            self._rewrite()
            return
        assert self._log is not None, "open() opens it"
        self._log.write(line + b"\n")
        os.fsync(self._log.fileno())
        self._grown += len(line) + 1

    def _close_files(self) -> None:
        for part in self._streams.values():
            part.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _release(self) -> None:
        self._close_files()
        self._lock.release()


class _DiskErrors:
    """Turns a full disk within the block into the error that says how to go on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise IOFailureError(
                f"cannot be written: {os.strerror(error.errno).lower()}", path=self._folder,
                hint="make room and run the same command again; it goes on",
            ) from error  # fmt: skip


def _check_parts(parts: Mapping[str, str]) -> None:
    for path in parts.values():
        if path == "-":
            raise UsageError("--resume needs an output file", hint="name it with -o FILE")
        if path.endswith(".parquet"):
            raise UsageError(f"--resume cannot go on inside a Parquet file: {path}",
                             hint="write .jsonl.zst instead")  # fmt: skip
        if Path(path).exists() and not Path(path).is_file():
            raise UsageError(f"--resume needs plain output files: {path}")
    if len(set(parts.values())) < len(parts):
        raise UsageError("two outputs have the same name")


def run_header(
    config: Mapping[str, Any], inputs: Sequence[str], parts: Mapping[str, str]
) -> dict[str, Any]:
    """Return what makes a run the same run: configuration, inputs and outputs, as JSON values.

    Raises:
        UsageError: An input is a pipe.
    """
    header = {"format": FORMAT, "digest": config_digest(config), "config": dict(config),
              "inputs": stamp_inputs(inputs), "parts": dict(parts)}  # fmt: skip
    plain: dict[str, Any] = orjson.loads(orjson.dumps(header))
    return plain


def run_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return the first thing in which two headers differ, in the user's words; None if equal."""
    if old.get("format") != new["format"]:
        return f"its journal has format {old.get('format')}"
    if old["digest"] != new["digest"]:
        for name in sorted({*old["config"], *new["config"]}):
            before, now = old["config"].get(name), new["config"].get(name)
            if before != now:
                return f"{name} was {_shown(before)}, is {_shown(now)}"
    if old["parts"] != new["parts"]:
        return f"it writes {', '.join(sorted(old['parts'].values()))}"
    before, now = old["inputs"], new["inputs"]
    for was, is_ in zip(before, now, strict=False):
        if was[0] != is_[0]:
            return f"it reads {was[0]} where {is_[0]} is given"
        if was != is_:
            return f"{was[0]} has changed since"
    if len(before) != len(now):
        return f"it reads {len(before)} files, not {len(now)}"
    return None


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


def _line(entry: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
    return _digest(text) + b" " + text


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:_DIGEST_DIGITS].encode()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
