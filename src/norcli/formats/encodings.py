"""Text that is not UTF-8, told by its byte order mark: UTF-16 and UTF-32 are decoded on the way.

Windows programs save "Unicode text" so. Other encodings have no mark and are refused by whoever
reads the text, with the place; nothing is guessed here.
"""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO, cast

from norcli.formats.compression import DerivedStream, peek_magic, reading
from norcli.streams import BLOCK_BYTES

# The mark of UTF-32 begins with that of UTF-16, so it is tried first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def is_wide(head: bytes) -> bool:
    """Whether a file's first four bytes hold the mark of UTF-16 or UTF-32."""
    return _encoding(head) is not None


def decode_wide(head: bytes) -> bytes:
    """Return the beginning of a file as UTF-8 where it is UTF-16 or UTF-32, else as it is."""
    encoding = _encoding(head)
    if encoding is None:
        return head
    return codecs.getincrementaldecoder(encoding)("replace").decode(head).encode("utf-8", "replace")


def _encoding(head: bytes) -> str | None:
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


class _Utf8Stream(DerivedStream):
    """A stream in another encoding, read as UTF-8; what cannot be decoded becomes U+FFFD."""

    def __init__(self, source: BinaryIO, encoding: str) -> None:
        super().__init__(source)
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ended = False

    def next_bytes(self, wanted: int) -> bytes:
        text = ""
        while not text and not self._ended:
            data = self.source.read(BLOCK_BYTES)
            self._ended = not data
            text = self._decoder.decode(data, final=self._ended)
        return text.encode("utf-8", "replace")


def utf8_text(stream: BinaryIO, name: str) -> BinaryIO:
    """Return a stream of UTF-8 without a byte order mark.

    Raises:
        DataError: The compressed data are damaged at their very start.
    """
    with reading(name):
        head, stream = peek_magic(stream)
    encoding = _encoding(head)
    if encoding is not None:
        return cast(BinaryIO, io.BufferedReader(_Utf8Stream(stream, encoding), BLOCK_BYTES))
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    return stream
