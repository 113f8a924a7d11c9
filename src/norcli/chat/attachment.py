"""A text file that a request is about, read by /read: what --input-text is outside a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from norcli.chat.transcript import read_text_file
from norcli.errors import DataError

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
    text = read_text_file(path, LARGEST_BYTES).strip()
    if not text or "\0" in text:
        raise DataError("is empty" if not text else "is no text", path=path)
    return Attachment(path, text)
