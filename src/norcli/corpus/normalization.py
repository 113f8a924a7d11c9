"""Text made uniform: NFC, spoilt encodings mended, invisible characters and stray spaces out.

Second stage of `crawl-filter` (report section 3.2, "normalization"). Meaning is kept: quotes,
dashes, case and Sámi letters stay as written, and paragraphs stay apart by one empty line.
Boilerplate is the business of `norcli.corpus.boilerplate`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import NamedTuple

import numpy as np

from norcli.corpus import scan
from norcli.corpus.legacy_sami import may_be_legacy, repair_sami
from norcli.corpus.packing import encode, join

_LINE_ENDS = re.compile(f"\r\n?|[{scan.LINE_ENDS}]")
_INVISIBLE = re.compile(
    f"[{scan.dropped_pattern()}]"
    # A zero-width joiner makes one picture of several; anywhere else it is a left-over.
    "|\u200d(?![\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff])"
)
_SPACES = re.compile(f"[\t \u3000{scan.WIDE_SPACES}]+")
_SPACE_AT_LINE_END = re.compile(" ?\n ?")
_BLANK_LINES = re.compile("\n{3,}")
_DOUBTFUL = scan.COMPOSITION | scan.MOJIBAKE | scan.LEGACY


def _windows_bytes() -> dict[str, int]:
    """Windows-1252 as browsers read it: the five bytes it leaves open stand for themselves."""
    read = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(128, 256)}
    return {chr(byte): byte for byte in range(128, 160)} | {c: byte for byte, c in read.items()}


class _Misreading(NamedTuple):
    """UTF-8 read in another character set.

    Attributes:
        bytes: The byte that each character stood for.
        pairs: What letters and signs of U+0080 to U+02FF and U+2000 to U+2FFF became.
        signs: One of them stands in every evidence; looking for them alone is far quicker.
        evidence: What is nearly always among it, and never in Nordic, German or English text.
    """

    bytes: dict[str, int]
    pairs: re.Pattern[str]
    signs: str
    evidence: re.Pattern[str]

    def is_in(self, text: str) -> bool:
        """Whether a text has traces of it."""
        if not any(sign in text for sign in self.signs):
            return False
        return self.evidence.search(text) is not None


def _misreading(byte_of: dict[str, int], signs: str, evidence: str) -> _Misreading:
    tail = "[" + re.escape("".join(c for c, byte in byte_of.items() if byte < 0xC0)) + "]"
    two = "[" + re.escape("".join(c for c, byte in byte_of.items() if 0xC2 <= byte < 0xCC)) + "]"
    three = "[" + re.escape("".join(c for c, byte in byte_of.items() if byte == 0xE2)) + "]"
    pairs = re.compile(f"{two}{tail}|{three}{tail}{tail}")
    pattern = re.compile(evidence.replace("TAIL", tail), re.DOTALL)
    return _Misreading(byte_of, pairs, signs, pattern)


def _bytes_of(charset: str) -> dict[str, int]:
    return {bytes([byte]).decode(charset): byte for byte in range(128, 256)}


_MISREADINGS = (
    _misreading(_windows_bytes(), "ÃâÂ", "ÃTAIL|â(?:€|\x80)TAIL|Â[\xa0«»§°·©®´¨¤£½]"),
    # "f√∏r" and "f├©r" for før: nobody writes a root or a corner of a frame inside a word.
    _misreading(_bytes_of("mac_roman"), "√", r"√TAIL(?:(?<=[^\W\d_]..)|(?=[^\W\d_]))"),
    _misreading(_bytes_of("cp850"), "├", r"├TAIL(?:(?<=[^\W\d_]..)|(?=[^\W\d_]))"),
)


def repair_mojibake(text: str) -> str:
    """Mend UTF-8 that was read as Windows-1252, Mac Roman or DOS text, up to three times over.

    Only a text with unmistakable traces ("Ã¥", "â€™") is touched: «KOM NÅ» has the two characters
    of a double-encoded "Ż", and must stay.
    """
    for _ in range(3):
        before = text
        for misreading in _MISREADINGS:
            if misreading.is_in(text):
                text = misreading.pairs.sub(partial(_mend, misreading.bytes), text)
        if text == before:
            break
    return text


def _mend(byte_of: dict[str, int], match: re.Match[str]) -> str:
    try:
        return bytes(byte_of[character] for character in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return match.group()


def normalize_text(text: str) -> str:
    """Return a text in the form all later stages expect; applying it twice changes nothing."""
    while True:
        result = _tidy(repair_sami(repair_mojibake(text)))
        # What stood between two halves of a spoilt letter may be gone now.
        if result == text or not _may_be_spoilt(result):
            return result
        text = result


def _may_be_spoilt(text: str) -> bool:
    return any(misreading.is_in(text) for misreading in _MISREADINGS) or may_be_legacy(text)


def _needs_care(text: str, tidied: str, flags: int) -> bool:
    """Whether a flagged text needs more than the dropping and collapsing that a kernel does."""
    if flags & scan.COMPOSITION and not unicodedata.is_normalized("NFC", tidied):
        return True
    if flags & scan.MOJIBAKE and repair_mojibake(text) != text:
        return True
    if flags & scan.LEGACY and repair_sami(text) != text:
        return True
    # Two characters may have come together that change each other.
    if not flags & scan.CHARACTERS or not _may_be_spoilt(tidied):
        return False
    return repair_mojibake(tidied) != tidied or repair_sami(tidied) != tidied


def _tidy(text: str) -> str:
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    text = _SPACES.sub(" ", text)
    text = _SPACE_AT_LINE_END.sub("\n", text)
    return _BLANK_LINES.sub("\n\n", text).strip("\n ")


class NormalizedBatch(NamedTuple):
    """Normalized texts.

    Attributes:
        texts: The texts as they are now.
        encoded: The same as UTF-8.
        flags: The `scan` flags that each had before.
        sizes: The UTF-8 bytes that each had before.
    """

    texts: list[str]
    encoded: list[bytes]
    flags: list[int]
    sizes: list[int]


def normalize_batch(texts: list[str]) -> NormalizedBatch:
    """Normalize many texts, each as `normalize_text` does."""
    encoded = encode(texts)
    buffer, offsets = join(encoded)
    flags = scan.scan(buffer, offsets)
    tidied = list(texts)
    chosen = np.flatnonzero(flags & (scan.SPACES | scan.CHARACTERS))
    if len(chosen):
        output = np.empty(int((offsets[chosen + 1] - offsets[chosen]).sum()), np.uint8)
        ends = np.empty(len(chosen), np.int64)
        scan.tidy_texts(buffer, offsets, chosen, scan.load_tables().actions, output, ends)
        data, start = output.tobytes(), 0
        for i, end in zip(chosen.tolist(), ends.tolist(), strict=True):
            encoded[i] = data[start:end]
            tidied[i] = encoded[i].decode("utf-8")
            start = end
    for i in np.flatnonzero(flags & _DOUBTFUL).tolist():
        if _needs_care(texts[i], tidied[i], int(flags[i])):
            tidied[i] = normalize_text(texts[i])
            (encoded[i],) = encode([tidied[i]])
    return NormalizedBatch(tidied, encoded, flags.tolist(), np.diff(offsets).tolist())
