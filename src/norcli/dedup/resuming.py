"""``--resume``: dedup goes on where a killed run stopped, with the same bytes.

Of two passes, the first appends what it learned of each unit to a part of the journal, the second
the outputs themselves; each commits after so many units, where the input says so and not the clock.
What is decided in between follows from the first pass and is worked out again. Where lines are cut
in one pass, the hashes seen are kept. See `norcli.resume` for the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from norcli.console import Console
from norcli.dedup.blocks import BlockSigner, Signed
from norcli.dedup.collecting import sign_units
from norcli.dedup.options import DedupOptions
from norcli.dedup.reading import Lines, Records
from norcli.dedup.signatures import Signatures
from norcli.dedup.statistics import DedupResult
from norcli.errors import DataError
from norcli.formats.documents import input_paths
from norcli.resume import Journal, effective_config, watched_files

COMMIT_UNITS = 32
"""Units, of about 1 MiB each, between two commits."""
LENGTH_BYTES = 8

_Arrays = list[tuple[str, tuple[int, ...]]]


class _Journaled:
    """What an unfinished run left, and what this one adds to it; used in a ``with`` block.

    Args:
        options: Of the run; its inputs and outputs have to be files.
        console: Told when a run goes on.
        name: Of the part that holds what was learned of the input.

    Raises:
        UsageError: An input or output is a pipe, or an output is Parquet.
        CannotCreateError: An output exists, or another run is writing it.
        ConfigError: The unfinished run has other options or inputs.
    """

    def __init__(self, options: DedupOptions, console: Console, name: str) -> None:
        named = {"output": options.output, "rejects": options.rejects,
                 "clusters": options.clusters}  # fmt: skip
        self._outputs = {name: path for name, path in named.items() if path is not None}
        # What was learned is a part like the outputs, but goes with the folder in the end.
        learned = os.path.join(f"{options.output}.resume", f"{name}-part")
        inputs = watched_files(options, input_paths(options), self._outputs.values())
        self.journal = Journal.open(
            options.output, parts={**self._outputs, name: learned},
            config=effective_config(options), inputs=inputs, overwrite=options.overwrite,
            console=console,
        )  # fmt: skip
        self._uncommitted = 0

    def __enter__(self) -> Self:
        self.journal.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self.journal.__exit__(*failure)

    @property
    def bytes_out(self) -> int:
        """Bytes of output that an earlier run wrote."""
        return int(self.journal.state.get("bytes_out", 0))

    def open_part(self, name: str) -> BinaryIO | None:
        """Open an output to go on with; None for one that was not asked for."""
        return self.journal.open_part(name) if name in self._outputs else None

    def _end_unit(self, state: dict[str, Any]) -> None:
        self._uncommitted += 1
        if self._uncommitted == COMMIT_UNITS:
            self._commit(state)

    def _commit(self, state: dict[str, Any]) -> None:
        self.journal.commit(state, self._uncommitted)
        self._uncommitted = 0

    @property
    def result(self) -> DedupResult | None:
        """What an earlier run counted that did all but the renaming."""
        counts = self.journal.state.get("result")
        return DedupResult(**counts) if self.journal.is_complete and counts else None

    def finish(self, result: DedupResult) -> None:
        """Give all outputs their names."""
        if not self.journal.is_complete:
            # Committed together with the end, for what says where to go on is behind by now.
            self.journal.state = self.journal.state | {"result": result.as_dict()}
            self.journal.units_done += self._uncommitted
        self.journal.finish()


class Resumption(_Journaled):
    """The two passes of a run that compares documents."""

    def __init__(self, options: DedupOptions, console: Console) -> None:
        super().__init__(options, console, "signed")

    def sign(
        self, blocks: BlockSigner, units: Iterator[Lines | Records], jobs: int
    ) -> Iterator[Signed]:
        """Yield the units of the first pass: those an earlier run signed, then the others."""
        journal = self.journal
        done = int(journal.state.get("signed", 0))
        part = journal.open_part("signed")
        with (journal.folder / "part-signed").open("rb") as earlier:
            for _ in range(done):
                next(units, None)  # read past it, as the reader counts what it reads
                yield _read_signed(earlier)
        for signed in sign_units(blocks, units, jobs):
            _write_signed(part, signed)
            done += 1
            self._end_unit({"signed": done})
            yield signed
        if "written" not in journal.state:
            self._commit({"signed": done, "written": 0, "bytes_out": 0})

    @property
    def written(self) -> int:
        """Units of the second pass that an earlier run wrote."""
        return int(self.journal.state.get("written", 0))

    def wrote_unit(self, written: int, bytes_out: int) -> None:
        """Take note of a unit of the second pass.

        Args:
            written: Units written so far.
            bytes_out: Bytes of output so far.
        """
        state = self.journal.state | {"written": written, "bytes_out": bytes_out}
        self._end_unit(state)


class CutResumption(_Journaled):
    """The one pass of a run that cuts lines or paragraphs.

    What was learned are the hashes seen, for those of documents that were dropped do not count.
    """

    def __init__(self, options: DedupOptions, console: Console) -> None:
        super().__init__(options, console, "seen")

    @property
    def documents(self) -> int:
        """Documents that an earlier run decided about."""
        return int(self.journal.state.get("documents", 0))

    @property
    def counted(self) -> DedupResult:
        """What it counted of them."""
        return DedupResult(**self.journal.state.get("counted", {}))

    def seen(self) -> npt.NDArray[np.uint64]:
        """Return the hashes that it saw, and open their part to go on with."""
        self._seen = self.journal.open_part("seen")
        content = (self.journal.folder / "part-seen").read_bytes()
        return np.frombuffer(content, np.uint64)

    def see(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Keep further hashes."""
        self._seen.write(hashes.tobytes())

    def wrote_batch(self, result: DedupResult, bytes_out: int) -> None:
        """Take note of a batch of documents.

        Args:
            result: Counts so far.
            bytes_out: Bytes of output so far.
        """
        self._end_unit({"documents": result.records_in, "counted": result.as_dict(),
                        "bytes_out": bytes_out})  # fmt: skip


def _arrays_of(signed: Signed) -> dict[str, Any]:
    arrays = {f"signatures.{one.name}": getattr(signed.signatures, one.name)
              for one in fields(Signatures)}  # fmt: skip
    if signed.found is not None:
        arrays |= {"found.0": signed.found[0], "found.1": signed.found[1]}
    if signed.urls is not None:
        arrays["urls"] = signed.urls
    return arrays | {"id_ends": signed.id_ends, "letters": signed.letters}


def _write_signed(part: BinaryIO, signed: Signed) -> None:
    """Append what is known of a unit: the length of a header in JSON, the header, the arrays."""
    arrays = {name: np.ascontiguousarray(one) for name, one in _arrays_of(signed).items()}
    header = json.dumps({
        "arrays": [[name, one.dtype.str, one.shape] for name, one in arrays.items()],
        "ids": len(signed.ids), "sources": signed.sources, "values": signed.values,
        "bad": [[before, error.message, error.path, error.line, error.hint]
                for before, error in signed.bad],
    }, default=str).encode()  # fmt: skip
    part.write(len(header).to_bytes(LENGTH_BYTES, "little") + header)
    part.write(signed.ids)
    part.write(bytes(signed.without_id))
    for one in arrays.values():
        part.write(one.tobytes())


def _read_signed(part: BinaryIO) -> Signed:
    header = json.loads(part.read(int.from_bytes(part.read(LENGTH_BYTES), "little")))
    ids, without_id = part.read(header["ids"]), part.read(len(header["sources"]))
    arrays: dict[str, Any] = {}
    for name, kind, shape in header["arrays"]:
        dtype = np.dtype(kind)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        # A copy, since numpy's arrays over bytes may not be written to.
        arrays[name] = np.frombuffer(part.read(size), dtype).reshape(shape).copy()
    signatures = Signatures(*(arrays[f"signatures.{one.name}"] for one in fields(Signatures)))
    found = (arrays["found.0"], arrays["found.1"]) if "found.0" in arrays else None
    bad = [(before, DataError(message, path=path, line=line, hint=hint))
           for before, message, path, line, hint in header["bad"]]  # fmt: skip
    return Signed(
        signatures, found, ids, arrays["id_ends"], without_id, header["sources"],
        header["values"], arrays["letters"], arrays.get("urls"), bad,
    )  # fmt: skip
