"""Text made uniform: NFC, double-encoded UTF-8 mended, invisible characters and stray spaces out.

Second stage of `crawl-filter` (report section 3.2, "normalization"). Meaning is kept: quotes,
dashes, case and Sámi letters stay as written, and paragraphs stay apart by one empty line.
Boilerplate is the business of `norcli.corpus.boilerplate`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import numpy as np

from norcli.corpus import scan
from norcli.corpus.language.identifier import pack

_LINE_ENDS = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200c\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]"
    # A zero-width joiner makes one picture of several; anywhere else it is a left-over.
    "|\u200d(?![\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff])"
)
_SPACES = re.compile("[\t \xa0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_SPACE_AT_LINE_END = re.compile(" ?\n ?")
_BLANK_LINES = re.compile("\n{3,}")

# Windows-1252 as browsers read it: the five bytes it leaves open stand for themselves.
_BYTE_OF = {
    bytes([byte]).decode("cp1252", "ignore") or chr(byte): byte for byte in range(0x80, 0x100)
} | {chr(byte): byte for byte in range(0x80, 0xA0)}
_TAIL = "[" + re.escape("".join(c for c, byte in _BYTE_OF.items() if byte < 0xC0)) + "]"
_PAIR = re.compile(f"[ÂÃÄÅÆÇÈÉÊË]{_TAIL}|â{_TAIL}{_TAIL}")
# What double encoding nearly always leaves, and Nordic, German and English text never has.
_EVIDENCE = re.compile(f"Ã{_TAIL}|â(?:€|\x80){_TAIL}|Â[\xa0«»§°·©®´¨¤£½]")


def repair_mojibake(text: str) -> str:
    """Mend UTF-8 that was read as Latin-1 or Windows-1252 and encoded again, up to three times.

    Only a text with unmistakable traces ("Ã¥", "â€™") is touched: «KOM NÅ» has the two characters
    of a double-encoded "Ż", and must stay.
    """
    for _ in range(3):
        if _EVIDENCE.search(text) is None:
            return text
        mended = _PAIR.sub(_mend_pair, text)
        if mended == text:
            return text
        text = mended
    return text


def _mend_pair(match: re.Match[str]) -> str:
    try:
        return bytes(_BYTE_OF[character] for character in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return match.group()


def normalize_text(text: str) -> str:
    """Return a text in the form all later stages expect; applying it twice changes nothing."""
    result = _tidy(repair_mojibake(text))
    # What stood between two halves of a double-encoded letter may be gone now.
    while result != text and _EVIDENCE.search(result) is not None:
        text, result = result, _tidy(repair_mojibake(result))
    return result


def _tidy(text: str) -> str:
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    text = _SPACES.sub(" ", text)
    text = _SPACE_AT_LINE_END.sub("\n", text)
    return _BLANK_LINES.sub("\n\n", text).strip("\n ")


class NormalizedBatch(NamedTuple):
    """Normalized texts, and the `scan` flags and UTF-8 bytes each had before."""

    texts: list[str]
    flags: list[int]
    sizes: list[int]


def normalize_batch(texts: list[str]) -> NormalizedBatch:
    """Normalize many texts, each as `normalize_text` does."""
    buffer, offsets = pack(texts)
    flags = scan.scan(buffer, offsets)
    thorough = flags & (scan.CHARACTERS | scan.COMPOSITION | scan.MOJIBAKE) != 0
    texts = list(texts)
    for i in np.flatnonzero(thorough).tolist():
        texts[i] = normalize_text(texts[i])
    chosen = np.flatnonzero((flags & scan.SPACES != 0) & ~thorough)
    if len(chosen):
        output = np.empty(int((offsets[chosen + 1] - offsets[chosen]).sum()), np.uint8)
        ends = np.empty(len(chosen), np.int64)
        scan.tidy_spaces(buffer, offsets, chosen, output, ends)
        data, start = output.tobytes(), 0
        for i, end in zip(chosen.tolist(), ends.tolist(), strict=True):
            texts[i] = data[start:end].decode("utf-8")
            start = end
    return NormalizedBatch(texts, flags.tolist(), np.diff(offsets).tolist())
