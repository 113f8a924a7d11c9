"""A text file that a request is about, read by /read: what --input-text is outside a session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from norcli.errors import DataError, InputMissingError

# No context is longer; a larger file is none that somebody wants to ask about.
LARGEST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text and where it comes from."""

    path: Path
    text: str

    @property
    def about(self) -> str:
        """The file in a few words."""
        return f"{self.path.name}, {len(self.text)} characters"


def read_attachment(path: Path) -> Attachment:
    """Read a text file.

    Raises:
        InputMissingError: It is not there, or no file.
        DataError: It is empty, too large, or no text.
    """
    if path.exists() and not path.is_file():
        raise InputMissingError("is no file", path=path)
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InputMissingError(f"cannot be read: {reason}", path=path) from error
    if len(data) > LARGEST_BYTES:
        raise DataError("is larger than 16 MiB", path=path)
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError("is no text in UTF-8", path=path,
                        hint="convert it first: iconv -f LATIN1 -t UTF-8") from error  # fmt: skip
    if not text or "\0" in text:
        raise DataError("is empty" if not text else "is no text", path=path)
    return Attachment(path, text)
