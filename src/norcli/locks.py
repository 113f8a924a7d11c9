"""One run at a time on one output: a lock that survives kill -9 and reaches across nodes.

Used by `norcli.resume`, by runs of many tasks and by training. What it relies on stands in
docs/concepts/recovery.md.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from norcli.errors import CannotCreateError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class RunLock:
    """One run at a time in a folder: flock, and the owner's name for where flock does not reach.

    A lock that was granted proves the previous owner dead only where the file system passes
    flock on to other nodes (NFS from Linux 2.6.12, Lustre mounted with ``flock``). Elsewhere a
    later run takes over, and the earlier one sees the changed name at its next commit and stops.
    """

    def __init__(self, path: Path, stream: BinaryIO, output: str) -> None:
        self._path = path
        self._stream = stream
        self._output = output
        self._name = f"{socket.gethostname()} {os.getpid()} {time.time_ns()}".encode()

    @classmethod
    def take(cls, folder: Path, output: str) -> RunLock:
        """Lock a folder, made if need be.

        Raises:
            CannotCreateError: Another run holds it, or the folder cannot be made.
        """
        while True:
            try:
                folder.mkdir(exist_ok=True)
                stream = open(folder / "lock", "a+b", buffering=0)  # noqa: SIM115
            except FileNotFoundError:
                continue  # the run that just finished removed the folder between the two lines
            except OSError as error:
                reason = os.strerror(error.errno or 0).lower()
                raise CannotCreateError(f"cannot be made: {reason}", path=folder) from error
            lock = cls(folder / "lock", stream, output)
            if lock._acquired():
                return lock
            stream.close()

    def _acquired(self) -> bool:
        """Lock the file and write our name; False when it was removed meanwhile."""
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise self._refusal() from error
            if self._owner_may_live():
                raise self._refusal(f"rm '{self._path}' if that run is dead") from error
        try:
            if os.fstat(self._stream.fileno()).st_ino != os.stat(self._path).st_ino:
                return False
        except FileNotFoundError:
            return False
        self._stream.truncate(0)
        self._stream.write(self._name)
        return True

    def _owner(self) -> list[str]:
        try:
            return self._path.read_text("ascii", "replace").split()
        except FileNotFoundError:
            return []

    def _owner_may_live(self) -> bool:
        """Without locks: whether the file names a process that is alive, or on another host."""
        owner = self._owner()
        if len(owner) < 2:
            return False
        if owner[0] != socket.gethostname():
            return True
        try:
            os.kill(int(owner[1]), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _refusal(self, hint: str | None = None) -> CannotCreateError:
        owner = self._owner()
        who = f" (process {owner[1]} on {owner[0]})" if len(owner) >= 2 else ""
        return CannotCreateError(f"another run is writing it{who}", path=self._output, hint=hint)

    def check(self) -> None:
        """Check that no other run has taken the folder over.

        Raises:
            CannotCreateError: The lock file names another run.
        """
        if " ".join(self._owner()).encode() != self._name:
            raise self._refusal("start runs of one output one at a time")

    def release(self) -> None:
        """Let the lock go; the file stays for the next run."""
        self._stream.close()

    def remove(self) -> None:
        """Remove the lock and its folder, at the end of a complete run."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._path.parent.rmdir()
        self._stream.close()


@contextmanager
def output_lock(path: str) -> Iterator[None]:
    """Keep two runs off one output, which keeps its own files: the lock stands beside it.

    Raises:
        CannotCreateError: Another run writes the same output.
    """
    output = Path(path)
    lock = RunLock.take(output.with_name(f".{output.name}.lock"), path)
    try:
        yield
    finally:
        lock.remove()
