"""Standard input and output, atomic outputs and signals: what every command does alike.

Standard output is claimed at the start, so that a library's stray print ends on standard error
and pipes carry data alone. Outputs are written under a temporary name in the same folder, synced
and renamed: a final name always holds a complete result.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from norcli.errors import (
    CannotCreateError,
    DataError,
    InputMissingError,
    IOFailureError,
    UsageError,
)

STDIN_NAME = "<stdin>"
STDOUT_NAME = "<stdout>"
BLOCK_BYTES = 1 << 18
WRITEBACK_BYTES = 1 << 23
"""An output is sent to the disk in pieces of so much."""

_stdout: BinaryIO | None = None
_last_input: BinaryIO | None = None


def claim_stdout() -> None:
    """Keep the real standard output for data; whatever else writes to it goes to stderr.

    File descriptor 1 itself is redirected, so that C libraries and child processes cannot write
    between records either.
    """
    global _stdout
    if _stdout is not None:
        return
    sys.stdout.flush()
    data_descriptor = os.dup(1)
    os.dup2(2, 1)
    is_terminal = os.isatty(data_descriptor)
    _stdout = os.fdopen(data_descriptor, "wb", buffering=BLOCK_BYTES if not is_terminal else 1024)


def stdout_binary() -> BinaryIO:
    """Return the stream for data, claimed or, in tests and from Python, the plain one."""
    return _stdout if _stdout is not None else sys.stdout.buffer


def stdout_is_terminal() -> bool:
    """Whether data would be shown to a person."""
    return stdout_binary().isatty()


def write_text(text: str) -> None:
    """Write a report to standard output and flush it."""
    stream = stdout_binary()
    # A path in it may hold bytes that are no UTF-8.
    stream.write(text.encode("utf-8", "replace"))
    stream.flush()


def refuse_terminal(what: str) -> None:
    """Refuse to write something binary to a terminal.

    Raises:
        UsageError: Standard output is a terminal.
    """
    if stdout_is_terminal():
        raise UsageError(f"refusing to write {what} to a terminal", hint="use -o FILE or redirect")


def open_input(path: str) -> BinaryIO:
    """Open a file, or standard input for ``-``, for reading bytes (not decompressed).

    Raises:
        InputMissingError: There is no such file, or it may not be read.
        DataError: It is a directory.
        UsageError: Standard input is a terminal.
    """
    if path == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise InputMissingError("standard input is closed")
        if sys.stdin.isatty():
            raise UsageError("no input: name a file, or pipe data in")
        return sys.stdin.buffer
    if os.path.isdir(path):
        raise DataError("is a directory, not a file", path=path, hint="name the files in it")
    global _last_input
    try:
        _last_input = open(path, "rb", buffering=BLOCK_BYTES)  # noqa: SIM115
        return _last_input
    except FileNotFoundError:
        raise InputMissingError("no such file", path=path) from None
    except OSError as error:
        raise InputMissingError(f"cannot be read: {os.strerror(error.errno or 0)}",
                                path=path) from error  # fmt: skip


def is_pipe(path: str) -> bool:
    """Whether an input can be read only once: standard input, a named pipe, ``<(command)``."""
    return path == "-" or _is_special(Path(path))


def input_position() -> tuple[str, int] | None:
    """Return the input file opened last and how many of its bytes were read, for progress.

    None where there is none yet; compressed bytes count as they lie on disk.
    """
    if _last_input is None:
        return None
    try:
        offset = os.path.getsize(_last_input.name) if _last_input.closed else _last_input.tell()
    except (OSError, ValueError):
        return None
    return _last_input.name, offset


def require_directory(path: str, what: str) -> Path:
    """Return an existing directory.

    Args:
        path: Where it should be.
        what: What it holds, for the message (``a model directory``).

    Raises:
        InputMissingError: There is nothing there.
        DataError: It is a file.
    """
    directory = Path(path)
    if not directory.exists():
        raise InputMissingError(f"no such directory; expected {what}", path=path)
    if not directory.is_dir():
        raise DataError(f"is a file; expected {what}", path=path)
    return directory


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hex digits."""
    import hashlib

    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_output(path: str, overwrite: bool, hint: str | None = None) -> None:
    """Check, before any work, that an output can be made.

    Raises:
        CannotCreateError: It exists and may not be replaced, or its folder is not there.
    """
    if path == "-":
        return
    target = Path(path)
    if target.exists() and not overwrite and not _is_special(target):
        raise CannotCreateError(
            "exists already", path=path, hint=hint or "give --overwrite to replace it"
        )
    parent = target.parent
    if not parent.is_dir():
        raise CannotCreateError("its folder does not exist", path=path,
                                hint=f"mkdir -p {parent}")  # fmt: skip
    if not os.access(parent, os.W_OK):
        raise CannotCreateError("its folder may not be written to", path=path)


def check_distinct(**outputs: str | None) -> None:
    """Check, before any work, that no output would replace another.

    Args:
        outputs: Name of each option and its path; pipes and devices may be named twice.

    Raises:
        UsageError: Two of them are one file, or both standard output.
    """
    options: dict[Path | None, str] = {}
    for option, path in outputs.items():
        if path is None or (path != "-" and _is_special(Path(path))):
            continue
        other = options.setdefault(None if path == "-" else Path(path).resolve(), option)
        if other != option:
            fault = "cannot both be standard output" if path == "-" else "must be different files"
            raise UsageError(f"--{other} and --{option} {fault}")


def _is_special(path: Path) -> bool:
    """Pipes and devices such as /dev/null are written to directly."""
    return path.exists() and not path.is_file() and not path.is_dir()


def temporary_name(path: Path) -> Path:
    """Return the name a result has until it is complete: ``NAME.tmp.HOST.PID``."""
    return path.with_name(f"{path.name}.tmp.{os.uname().nodename}.{os.getpid()}")


def _replaced_name(path: Path) -> Path:
    """Return the name a directory has while another takes its place: ``NAME.old.HOST.PID``."""
    return path.with_name(f"{path.name}.old.{os.uname().nodename}.{os.getpid()}")


def remove_stale(path: Path) -> None:
    """Remove what dead processes of this host left beside an output.

    Temporary files go. A directory that was being replaced goes back to its place where the
    process died before the new one was there. Nothing is known of the processes of other hosts,
    so their files stay.
    """
    for stale in _left_by_the_dead(path, "old"):
        if not path.exists():
            os.rename(stale, path)
    for stale in (*_left_by_the_dead(path, "old"), *_left_by_the_dead(path, "tmp")):
        _remove(stale)


def _remove(path: Path) -> None:
    """Remove a file, a link, or a directory with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _left_by_the_dead(path: Path, mark: str) -> list[Path]:
    begin = f"{path.name}.{mark}.{os.uname().nodename}."
    found = []
    for file in path.parent.glob(f"{glob.escape(begin)}*"):
        suffix = file.name.removeprefix(begin)
        if suffix.isdigit() and not _is_alive(int(suffix)):
            found.append(file)
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _SteadyFile(io.FileIO):
    """A file that the disk takes while more is written, so that little is left to sync at the end.

    A reader finds its bytes in memory as before: what the disk has not taken yet is not let go.
    """

    _sent = 0

    def write(self, data: Any, /) -> int:
        count = super().write(data)
        end = self.tell()
        if end - self._sent >= WRITEBACK_BYTES and hasattr(os, "posix_fadvise"):
            with suppress(OSError):  # advice, which some file systems do not take
                os.posix_fadvise(
                    self.fileno(), self._sent, end - self._sent, os.POSIX_FADV_DONTNEED
                )
            self._sent = end
        return count


@contextmanager
def atomic_file(path: str, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Write a file that appears under its name only when it is complete.

    ``-`` writes to standard output, and a pipe or device is written to directly.

    Raises:
        CannotCreateError: The output exists, or its folder is missing.
        IOFailureError: The disk is full, or writing failed.
    """
    if path == "-":
        yield stdout_binary()
        stdout_binary().flush()
        return
    check_output(path, overwrite)
    target = Path(path)
    if _is_special(target):
        with target.open("wb") as special:
            yield special
        return
    remove_stale(target)
    temporary = temporary_name(target)
    try:
        with io.BufferedWriter(_SteadyFile(str(temporary), "wb"), BLOCK_BYTES) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename not in (None, str(temporary)):
            raise
        raise _write_failure(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a directory that appears under its name only when it is complete.

    Yields the temporary directory to write into.

    Raises:
        CannotCreateError: The output exists, or its folder is missing.
        IOFailureError: The disk is full, or writing failed.
    """
    check_output(path, overwrite)
    target = Path(path)
    remove_stale(target)
    temporary = temporary_name(target)
    try:
        temporary.mkdir()
        yield temporary
        sync_folder(temporary, with_files=True)
        replace_directory(temporary, target)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise _write_failure(error, path) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_file(file: Path) -> None:
    """Force a finished file to the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path, *, with_files: bool = False) -> None:
    """Force the names in a folder to the disk, and with them all files below it if asked to.

    File systems that cannot sync folders are left alone.
    """
    if with_files:
        for file in folder.rglob("*"):
            if file.is_file():
                sync_file(file)
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_directory(source: Path, target: Path) -> None:
    """Rename a complete directory over an existing one, which is moved away first."""
    if target.is_dir():
        old = _replaced_name(target)
        os.rename(target, old)
        os.rename(source, target)
        _remove(old)
    else:
        target.unlink(missing_ok=True)
        os.rename(source, target)


def _write_failure(error: OSError, path: str) -> IOFailureError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return IOFailureError(f"cannot be written: {reason.lower()}", path=path)


class Interruption(BaseException):
    """A signal asked the run to stop at once; carries the signal number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class StopRequest:
    """Set by the first signal inside `stop_requests`; polled by training loops at each step."""

    def __init__(self) -> None:
        self.signum: int | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signum is not None


_stop_request: StopRequest | None = None
_last_signal: int | None = None


def last_signal() -> int | None:
    """Return the signal that came last, if any did."""
    return _last_signal


def _on_signal(signum: int, frame: FrameType | None) -> None:
    global _last_signal
    _last_signal = signum
    if _stop_request is not None and not _stop_request.requested:
        _stop_request.signum = signum
        return
    raise Interruption(signum)


def install_signal_handlers() -> None:
    """Turn SIGINT, SIGTERM and SIGUSR1 into an `Interruption`, or a `StopRequest` where polled.

    SIGINT is taken even where a shell started the job with it ignored.
    """
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, _on_signal)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Let the first signal only be noted, so that a step can end and a checkpoint be written.

    The second signal interrupts at once.
    """
    global _stop_request
    previous, _stop_request = _stop_request, StopRequest()
    try:
        yield _stop_request
    finally:
        _stop_request = previous
