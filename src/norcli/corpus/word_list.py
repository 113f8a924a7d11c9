"""The word-list hook of `crawl-filter`: which share of a text's words is on a list of the user's.

Meant for toxic language: no list is shipped, as what is toxic is a decision for those who build a
corpus, and the known lists for Norwegian have no licence that allows it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from norcli.corpus.language.codes import LANGUAGES, NORWEGIAN, normalize_code
from norcli.corpus.language.identifier import pack
from norcli.corpus.word_kernel import GRAM, LONGEST, add_key, hash_words, listed_shares
from norcli.errors import ConfigError, InputMissingError, UsageError

EVERY = "every language"


class WordLists:
    """Lists of words, one for each language and one for all; entries may be up to four words."""

    def __init__(self, entries: dict[str, list[str]]) -> None:
        """Lay the words out as hash tables.

        Args:
            entries: Language code, or `EVERY`, → words and rows of words.
        """
        common = entries.get(EVERY, [])
        self._tables = {code: _table([*common, *words]) for code, words in entries.items()}

    @classmethod
    def load(cls, specifications: Sequence[str]) -> WordLists:
        """Read files of words, one entry a line, ``#`` before remarks.

        Args:
            specifications: ``FILE`` for every language, ``nob=FILE`` for one.

        Raises:
            UsageError: A language is unknown.
            InputMissingError: A file cannot be read.
            ConfigError: A file has no words, is not UTF-8, or has an entry of too many words.
        """
        entries: dict[str, list[str]] = {}
        for specification in specifications:
            code, equals, path = specification.rpartition("=")
            if equals and code not in LANGUAGES:
                try:
                    code = normalize_code(code)
                except ValueError as error:
                    raise UsageError(
                        f"--toxic-words: {error}", hint="write nob=FILE, or FILE for every language"
                    ) from error
            entries.setdefault(code or EVERY, []).extend(_read_entries(path))
        return cls(entries)

    def shares(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        languages: Sequence[str],
    ) -> npt.NDArray[np.float64]:
        """Return the share of listed words of each text, rounded as it is compared, (T,).

        Args:
            buffer: Texts end to end as UTF-8.
            offsets: Start of each text and the end of the last, (T + 1,).
            languages: The language of each.
        """
        shares = np.zeros(len(languages))
        groups: dict[str, list[int]] = {}
        for i, language in enumerate(languages):
            code = "nob" if language == NORWEGIAN else language
            groups.setdefault(code if code in self._tables else EVERY, []).append(i)
        for code, numbers in groups.items():
            if code in self._tables:
                table, longest = self._tables[code]
                listed_shares(buffer, offsets, np.array(numbers), table, longest, shares)
        return shares.round(6)


def _read_entries(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            lines = [line.partition("#")[0].strip() for line in stream]
    except OSError as error:
        raise InputMissingError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8", path=path) from error
    for number, line in enumerate(lines, 1):
        words = len(_hashes(line))
        if words > LONGEST or (line and not words):
            wrong = f"{words} words, of at most {LONGEST}" if words else "no letters"
            raise ConfigError(f'entry "{line}" has {wrong}', path=path, line=number)
    entries = [line for line in lines if line]
    if not entries:
        raise ConfigError("has no words in it", path=path)
    return entries


def _hashes(entry: str) -> list[int]:
    buffer, _ = pack([entry])
    hashes = np.empty(len(buffer) // 2 + 2, np.uint64)
    return [int(value) for value in hashes[: hash_words(buffer, 0, len(buffer), hashes)]]


def _table(entries: Sequence[str]) -> tuple[npt.NDArray[np.uint64], int]:
    table = np.zeros(1 << (4 * len(entries)).bit_length(), np.uint64)
    longest = 1
    for entry in entries:
        hashes = _hashes(entry)
        value = 0
        for word in hashes:
            value = (value * int(GRAM) + word) % (1 << 64)
        add_key(table, np.uint64(value))
        longest = max(longest, len(hashes))
    return table, longest


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    WordLists({EVERY: ["hei", "på deg"]}).shares(*pack(["Hei på deg."]), ["nob"])
