"""What becomes of records and files that cannot be used: the run stops, or they are counted.

One policy a run, `BadRecords`, decides in the order of the input. Where a piece of input is read in
another process, a `FaultList` collects there and is replayed here, so that any number of jobs
tells, counts and stops alike.
"""

from __future__ import annotations

from typing import Protocol

from norcli.console import Console
from norcli.errors import DataError
from norcli.options import RecordInputOptions


class RecordPolicy(Protocol):
    """Whoever readers tell of what they cannot use."""

    def handle(self, error: DataError) -> None:
        """Take note of a bad record; reading goes on if this returns."""

    def handle_damage(self, error: DataError) -> None:
        """Take note of a file whose rest is lost."""


class FaultList:
    """Faults found in a worker, to be replayed in order by `BadRecords.replay`; can be pickled."""

    def __init__(self) -> None:
        self.faults: list[tuple[DataError, bool]] = []

    def handle(self, error: DataError) -> None:
        """Note a bad record."""
        self.faults.append((error, False))

    def handle_damage(self, error: DataError) -> None:
        """Note a damaged file."""
        self.faults.append((error, True))


class BadRecords:
    """The policy for records that cannot be used: stop at the first, or skip and count.

    Attributes:
        count: Bad records so far.
        damaged_files: Files whose rest was skipped, where a command does that.
        raised: The error that the policy ended the run with.
    """

    def __init__(self, options: RecordInputOptions, console: Console) -> None:
        self._stops = options.on_bad_record == "stop"
        self._most = options.max_bad
        # Commands without the option must not go on behind damage.
        self._stops_at_damage = getattr(options, "on_damaged_file", "stop") == "stop"
        self._console = console
        self.count = 0
        self.damaged_files = 0
        self.raised: DataError | None = None

    def handle(self, error: DataError) -> None:
        """Raise the error, or count and tell it.

        Raises:
            DataError: The policy is to stop, or there are more bad records than --max-bad.
        """
        if self._stops:
            if error.hint is None:
                error.hint = "give --on-bad-record skip to leave such records out"
            self.raised = error
            raise error
        self.count += 1
        self._console.warn(f"{error}; skipped", kind="bad record")
        if self._most is not None and self.count > self._most:
            self.raised = DataError(
                f"more than {self._most} bad records; the last: {error.message}",
                path=error.path, line=error.line,
            )  # fmt: skip
            raise self.raised

    def handle_damage(self, error: DataError) -> None:
        """Raise the error, or count the file and tell that its rest is left out.

        Raises:
            DataError: The policy is to stop, or the command has none.
        """
        if self._stops_at_damage:
            self.raised = error
            raise error
        self._console.warn(f"{error}; the rest of the file is skipped", kind=f"damage {error.path}")
        self.damaged_files += 1

    def replay(self, faults: FaultList) -> None:
        """Handle what a worker found.

        Raises:
            DataError: As `handle` and `handle_damage`.
        """
        for error, is_damage in faults.faults:
            if is_damage:
                self.handle_damage(error)
            else:
                self.handle(error)

    def report(self) -> None:
        """Say at the end how many there were."""
        if self.count > 1:
            self._console.say(f"warning: skipped {self.count} bad records in all")
