"""The blocklist hook of `crawl-filter`: addresses whose pages are not wanted.

Reads what such lists come as: a domain a line (it and what is below it), an address without or with
scheme (everything under it), hosts files (``0.0.0.0 domain``), Adblock domains (``||domain^``), and
folders in the manner of the University of Toulouse's lists, with files named domains and urls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from norcli.errors import ConfigError, InputMissingError

FOLDER_FILES = ("domains", "urls")
_HOSTS_LINE = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(\S+)")
_NOT_BLOCKED = frozenset(("localhost", "localhost.localdomain", "local", "broadcasthost"))
_BOUNDARY = frozenset("/?#&;=")


class Blocked(NamedTuple):
    """Why an address is blocked: the entry, and the file it stands in."""

    entry: str
    source: str


class Blocklist:
    """Domains and the beginnings of addresses."""

    def __init__(self) -> None:
        self._domains: dict[str, str] = {}
        # Host → beginnings of what follows it, each with its file.
        self._prefixes: dict[str, list[tuple[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._domains) + sum(map(len, self._prefixes.values()))

    @classmethod
    def load(cls, paths: Sequence[str]) -> Blocklist:
        """Read lists from files and folders.

        Raises:
            InputMissingError: One is not there or cannot be read.
            ConfigError: One has a line that is no domain or address, or nothing at all in it.
        """
        blocklist = cls()
        for name in paths:
            before = len(blocklist)
            for file, label in _files_of(Path(name)):
                for number, line in _lines(file):
                    blocklist._add(line, label, file, number)
            if len(blocklist) == before:
                raise ConfigError("has no domains or addresses in it", path=name)
        return blocklist

    def _add(self, line: str, label: str, file: Path, number: int) -> None:
        if hosts := _HOSTS_LINE.fullmatch(line):
            line = hosts.group(1)
            if line in _NOT_BLOCKED:
                return
        line = line.removeprefix("||").removesuffix("^").removeprefix("*.")
        parts = _parts_of(line)
        if parts is None or any(c.isspace() for c in line) or not _is_host(parts[0]):
            raise ConfigError(f'"{line}" is neither a domain nor an address', path=str(file),
                              line=number)  # fmt: skip
        host, rest = parts
        if rest in ("", "/"):
            self._domains.setdefault(host, label)
        else:
            self._prefixes.setdefault(host, []).append((rest, label))

    def find(self, url: str) -> Blocked | None:
        """Return the entry that blocks an address, None where none does."""
        parts = _parts_of(url)
        if parts is None:
            return None
        host, rest = parts
        domain = host
        while domain:
            if (label := self._domains.get(domain)) is not None:
                return Blocked(domain, label)
            domain = domain.partition(".")[2]
        for prefix, label in self._prefixes.get(host, ()):
            if rest.startswith(prefix) and (
                len(rest) == len(prefix)
                or prefix[-1] in _BOUNDARY
                or rest[len(prefix)] in _BOUNDARY
            ):
                return Blocked(host + prefix, label)
        return None


def _files_of(path: Path) -> Iterator[tuple[Path, str]]:
    if not path.is_dir():
        yield path, path.name
        return
    found = sorted(file for file in path.rglob("*") if file.name in FOLDER_FILES and file.is_file())
    if not found:
        raise ConfigError(f"holds no file named {' or '.join(FOLDER_FILES)}", path=str(path))
    for file in found:
        yield file, f"{file.parent.name}/{file.name}"


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                # A number sign may also begin the fragment of an address.
                text = re.split(r"(?:^|\s)[#!]", line, maxsplit=1)[0].strip()
                if text:
                    yield number, text
    except OSError as error:
        raise InputMissingError(f"cannot be read: {error.strerror}", path=str(file)) from error


def _parts_of(url: str) -> tuple[str, str] | None:
    """Return the host in ASCII and small letters, without "www.", and what follows it."""
    url = url.strip()
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").removeprefix("www.")
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError:  # UnicodeError as well
        return None
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    return host, rest


def _is_host(host: str) -> bool:
    return bool(host) and re.fullmatch(r"[a-z0-9_.:-]+", host) is not None
