"""Errors that a user can cause or mend, and the exit code each one ends the program with.

Every stage raises these; only the command line turns them into a message and an exit status. The
numbers follow sysexits(3) for 64-78 and 128+signal for signals; EXIT STATUS of each man page is
made from this file.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of norcli; the same meaning in every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    BUG = 70
    CANNOT_CREATE = 73
    IO = 74
    RESUMABLE = 75
    CONFIG = 78
    SIGINT = 130
    SIGPIPE = 141
    SIGTERM = 143


EXIT_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "success",
    ExitCode.FAILED: "the operation failed, or a requested check failed",
    ExitCode.USAGE: "wrong usage: unknown flag, missing argument, no input on a terminal",
    ExitCode.DATA: "bad input data; the message names file and line",
    ExitCode.NO_INPUT: "an input is missing or cannot be read",
    ExitCode.UNAVAILABLE: "something needed is not there: an optional package, a GPU",
    ExitCode.BUG: "a bug in norcli; rerun with --debug and report the traceback",
    ExitCode.CANNOT_CREATE: "the output exists or cannot be created; see --overwrite",
    ExitCode.IO: "an I/O error, for instance a full disk",
    ExitCode.RESUMABLE: "stopped after a checkpoint: run the same command again to go on",
    ExitCode.CONFIG: "bad configuration: TOML, environment, preset, or a changed resume",
    ExitCode.SIGINT: "stopped by SIGINT (Ctrl-C)",
    ExitCode.SIGPIPE: "the reader of standard output went away",
    ExitCode.SIGTERM: "stopped by SIGTERM with no checkpoint to make",
}


class NorcliError(Exception):
    """A failure with one line for the user, a place, and a hint.

    Args:
        message: What is wrong, lower-case, no full stop, in the user's words.
        path: The file it is wrong in; ``<stdin>`` for a pipe.
        line: 1-based line (or Parquet row) in the decompressed file.
        hint: What to do, on a line of its own; a command in it can be pasted.
        code: Overrides the exit code of the class.
    """

    code: ExitCode = ExitCode.FAILED

    def __init__(
        self,
        message: str,
        *,
        path: object | None = None,
        line: int | None = None,
        hint: str | None = None,
        code: ExitCode | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.line = line
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        """Return ``file:line: message`` as the command line prints it after the program name."""
        place = ""
        if self.path is not None:
            place = f"{self.path}:{self.line}: " if self.line is not None else f"{self.path}: "
        return place + self.message


class UsageError(NorcliError):
    """The command line itself is wrong (exit 2)."""

    code = ExitCode.USAGE


class DataError(NorcliError):
    """An input holds something that cannot be used (exit 65)."""

    code = ExitCode.DATA


class InputMissingError(NorcliError):
    """An input does not exist or cannot be read (exit 66)."""

    code = ExitCode.NO_INPUT


class UnavailableError(NorcliError):
    """An optional package, a device or a service is not there (exit 69)."""

    code = ExitCode.UNAVAILABLE


class CannotCreateError(NorcliError):
    """An output exists already or may not be written (exit 73)."""

    code = ExitCode.CANNOT_CREATE


class IOFailureError(NorcliError):
    """Reading or writing broke off, for instance on a full disk (exit 74)."""

    code = ExitCode.IO


class ResumableStopError(NorcliError):
    """A run stopped on request after a checkpoint; the same command goes on (exit 75)."""

    code = ExitCode.RESUMABLE


class ConfigError(NorcliError):
    """A configuration value is unknown, wrong, or differs from the run to resume (exit 78)."""

    code = ExitCode.CONFIG


def missing_extra(package: str, extra: str) -> UnavailableError:
    """Return the error for an optional package that is not installed.

    Args:
        package: The import that failed, as the user knows it (``torch``).
        extra: The extra of norcli that brings it (``train``).
    """
    return UnavailableError(f"needs {package}", hint=f"pip install 'norcli[{extra}]'")
