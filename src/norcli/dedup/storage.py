"""An index on disk: the signatures of documents kept, for later runs to compare with.

``--save-index`` writes a folder and ``--against`` reads it, so that a new crawl is deduplicated
against the corpus of last year without its texts. The folder holds numpy arrays, the ids, and
``index.json`` with the format's version, the options that signatures depend on, and a checksum of
every file; format version 2 is described in norcli-formats(5).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from norcli.dedup.banding import Banding
from norcli.dedup.ids import IdStore
from norcli.dedup.options import DedupOptions
from norcli.dedup.signatures import Signatures
from norcli.dedup.spilling import SpilledSignatures
from norcli.errors import ConfigError, DataError
from norcli.streams import atomic_directory, require_directory

FORMAT = "norcli-dedup-index"
VERSION = 2
ARRAYS = ("text_hashes", "shingles", "lanes", "keys")
FILES = {"ids.bin", "id_ends.npy", *(f"{name}.npy" for name in ARRAYS)}
HASH_BLOCK_BYTES = 1 << 20
ROWS_AT_ONCE = 1 << 14


def settings_of(options: DedupOptions, banding: Banding | None) -> dict[str, Any]:
    """Return the settings that signatures depend on; indexes with others cannot be compared."""
    method = "minhash" if options.near else "exact"
    settings: dict[str, Any] = {"method": method, "scope": options.scope}
    if banding is not None:
        settings |= {"ngram": options.ngram, "num_perm": banding.num_perm, "seed": options.seed,
                     "bands": banding.bands, "rows": banding.rows}  # fmt: skip
    return settings


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while block := stream.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _write_header(stream: BinaryIO, rows: int, like: npt.NDArray[Any]) -> None:
    """Write the header of a .npy file for so many rows of one kind."""
    header = np.lib.format.header_data_from_array_1_0(like)
    np.lib.format.write_array_header_1_0(stream, header | {"shape": (rows, *like.shape[1:])})


def save_index(
    path: str, overwrite: bool, settings: dict[str, Any],
    signatures: Signatures | SpilledSignatures, ids: IdStore, rows: npt.NDArray[np.int64],
) -> None:  # fmt: skip
    """Write an index, some documents at a time.

    Args:
        path: The folder to make.
        overwrite: Whether to replace one that exists.
        settings: From `settings_of`.
        signatures: Of all documents.
        ids: Theirs.
        rows: int64, the documents kept.

    Raises:
        CannotCreateError: It exists already.
        IOFailureError: The disk is full.
    """
    with atomic_directory(path, overwrite=overwrite) as folder:
        with ExitStack() as stack:
            arrays = {name: stack.enter_context((folder / f"{name}.npy").open("wb"))
                      for name in ARRAYS}  # fmt: skip
            ends = stack.enter_context((folder / "id_ends.npy").open("wb"))
            content, written = stack.enter_context((folder / "ids.bin").open("wb")), 0
            for name, stream in arrays.items():
                _write_header(stream, len(rows), getattr(signatures.take(rows[:0]), name))
            _write_header(ends, len(rows), np.empty(0, np.uint64))
            for begin in range(0, len(rows), ROWS_AT_ONCE):
                some = rows[begin : begin + ROWS_AT_ONCE]
                part = signatures.take(some)
                for name, stream in arrays.items():
                    stream.write(getattr(part, name).tobytes())
                pieces = [ids.raw(number) for number in some.tolist()]
                lengths = np.array([len(piece) for piece in pieces], np.uint64)
                ends.write((np.cumsum(lengths) + np.uint64(written)).tobytes())
                content.write(b"".join(pieces))
                written += int(lengths.sum())
        files = {file.name: _digest(file) for file in sorted(folder.iterdir())}
        header = {"format": FORMAT, "version": VERSION, "documents": len(rows),
                  "settings": settings, "blake2b_128": files}  # fmt: skip
        (folder / "index.json").write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")


@dataclass(slots=True)
class StoredIndex:
    """An index read back."""

    signatures: Signatures
    ids: IdStore


def _read_header(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    file = folder / "index.json"
    try:
        header: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("is not an index: it has no index.json", path=folder,
                        hint="make one with norcli dedup --save-index") from None  # fmt: skip
    except ValueError as error:
        raise DataError(f"not valid JSON: {error}", path=file) from error
    if not isinstance(header, dict):
        raise DataError(f"is not a {FORMAT}", path=file)
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise DataError(
            f"is not a {FORMAT} of version {VERSION} but "
            f"{header.get('format')} {header.get('version')}", path=file,
        )  # fmt: skip
    theirs, files = header.get("settings"), header.get("blake2b_128")
    if not isinstance(theirs, dict) or not isinstance(files, dict) or files.keys() != FILES:
        raise DataError("is damaged: settings or checksums are missing", path=file,
                        hint="make the index anew, or fetch it again")  # fmt: skip
    for name in sorted(settings.keys() | theirs.keys()):
        if settings.get(name) != theirs.get(name):
            flag = "--" + name.replace("_", "-")
            raise ConfigError(
                f"was made with {name} {theirs.get(name)}, this run has {settings.get(name)}",
                path=folder, hint=f"give {flag} {theirs.get(name)}, or make the index anew",
            )  # fmt: skip
    return header


def read_index(path: str, settings: dict[str, Any]) -> StoredIndex:
    """Read an index and check that it is whole and fits this run.

    Raises:
        InputMissingError: There is no such folder.
        DataError: It is not an index, or a file in it is damaged.
        ConfigError: It was made with other settings.
    """
    folder = require_directory(path, "an index of norcli dedup")
    header = _read_header(folder, settings)
    for name, expected in header["blake2b_128"].items():
        file = folder / name
        if not file.is_file() or _digest(file) != expected:
            raise DataError("is damaged: its checksum is wrong", path=file,
                            hint="make the index anew, or fetch it again")  # fmt: skip
    arrays: list[npt.NDArray[Any]] = [np.load(folder / f"{name}.npy") for name in ARRAYS]
    ids = IdStore()
    ids.extend((folder / "ids.bin").read_bytes(), np.load(folder / "id_ends.npy"))
    counts = {len(ids), *(len(array) for array in arrays)}
    if counts != {header.get("documents")}:
        raise DataError("is damaged: its files hold different numbers of documents", path=folder,
                        hint="make the index anew, or fetch it again")  # fmt: skip
    return StoredIndex(Signatures(*arrays), ids)
