"""Northern Sámi that was written in an old eight-bit character set and read as another.

"Rá¤¤ehus" for Ráđđehus, "ma¹¹el" for maŋŋel: such text is still on the web, in articles of the
1990s and 2000s. It is mended only where that makes several known Sámi words of it, so that "5 ¢",
German quotes, Icelandic and French stay. Character sets and words are data (legacy_sami.toml).
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

TABLES_FILE = Path(__file__).with_name("legacy_sami.toml")

# A text is mended when so many different known words come out, with so many different letters.
LEAST_WORDS = 3
LEAST_LETTERS = 2

_SAMI = frozenset("čđŋšŧžČĐŊŠŦŽ")


class _Repair(NamedTuple):
    """One way in which a text can have gone wrong.

    Attributes:
        letters: Code point that stands in the text → the letter it should be.
        signs: Where they are letters: inside or at the end of a word, or before a small letter.
    """

    letters: dict[int, str]
    signs: re.Pattern[str]


class _Data(NamedTuple):
    repairs: list[_Repair]
    known: frozenset[str]
    trigger: re.Pattern[str]
    word: re.Pattern[str]


def _make_repair(letters: dict[int, str]) -> _Repair:
    signs = f"[{re.escape(''.join(map(chr, letters)))}]"
    return _Repair(letters, re.compile(rf"(?<=[^\W\d_]){signs}+|{signs}+(?=[a-zá])"))


@cache
def _load() -> _Data:
    with TABLES_FILE.open("rb") as stream:
        tables = tomllib.load(stream)
    known = frozenset(tables.pop("evidence")["words"].split())
    found: dict[tuple[tuple[int, str], ...], None] = {}
    for table in tables.values():
        pairs = [(int(item[:2], 16), item[2:]) for item in table["bytes"].split()]
        for charset in table["read_as"]:
            wrong = [(bytes([byte]).decode(charset, "replace"), right) for byte, right in pairs]
            letters = {ord(c): right for c, right in wrong if c not in (right, "\ufffd")}
            found[tuple(letters.items())] = None
    repairs = [_make_repair(dict(items)) for items in found]
    signs = re.escape("".join(map(chr, sorted(trigger_codes(repairs)))))
    # The rare sign first, so that the search passes quickly over everything else.
    trigger = re.compile(rf"([{signs}])(?<=[A-Za-z\x80-\U0010ffff].)(?=[A-Za-z])", re.DOTALL)
    every = re.escape("".join({chr(code) for repair in repairs for code in repair.letters}))
    return _Data(repairs, known, trigger, re.compile(rf"[\w{every}]+"))


def trigger_codes(repairs: list[_Repair] | None = None) -> set[int]:
    """Return the code points that may stand for a letter that only Sámi has."""
    repairs = _load().repairs if repairs is None else repairs
    return {code for repair in repairs for code, right in repair.letters.items() if right in _SAMI}


def may_be_legacy(text: str) -> bool:
    """Whether several signs that may be Sámi letters stand inside words."""
    return len(set(_load().trigger.findall(text))) >= LEAST_LETTERS


def repair_sami(text: str) -> str:
    """Mend Northern Sámi that an old character set spoilt; any other text stays as it is."""
    while may_be_legacy(text) and (repair := _likeliest(text)) is not None:
        text = repair.signs.sub(partial(_translate, repair.letters), text)
    return text


def _translate(letters: dict[int, str], match: re.Match[str]) -> str:
    return match.group().translate(letters)


def _likeliest(text: str) -> _Repair | None:
    """Return the repair that makes most known words, None where none makes enough."""
    repairs, known, _, word_pattern = _load()
    signs = frozenset(map(chr, trigger_codes(repairs)))
    # Words end at least where white space of these kinds is; few runs between hold a sign.
    runs = set(text.replace("\n", " ").split(" "))
    marked = " ".join(run for run in runs if not signs.isdisjoint(run))
    suspects = [word for word in set(word_pattern.findall(marked)) if not signs.isdisjoint(word)]
    best, most = None, LEAST_WORDS - 1
    for repair in repairs:
        words, restored = set(), set()
        for word in suspects:
            right = word.translate(repair.letters).lower()
            if right not in known:
                continue
            if letters := {repair.letters.get(ord(c), "") for c in word} & _SAMI:
                words.add(right)
                restored |= letters
        if len(words) > most and len(restored) >= LEAST_LETTERS:
            best, most = repair, len(words)
    return best
