"""Documents of the same URL: two crawls of one page, however its address was written.

``--method url``. Addresses are compared without what does not choose the page: scheme (http,
https), a leading ``www.``, the default port, user name, fragment (but ``#!`` pages stay apart),
tracking and session parameters, order of parameters, percent signs where none are needed, and a
final slash. International names are compared as punycode. Documents without an address are never
duplicates here. The rules are written down in docs/guide/dedup.md.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes, urlsplit

import numpy as np
import numpy.typing as npt

# What search engines, mail campaigns and social networks append to links to follow readers, and
# session numbers of common servers.
_TRACKING = re.compile(
    r"utm_\w+|(fb|[gdy])clid|gclsrc|[gw]braid|msclkid|twclid|ttclid|li_fat_id|igshid|igsh|mc_[ce]id|"
    r"_ga|_gl|_hsenc|_hsmi|__hs[a-z]+|mkt_tok|oly_(anon|enc)_id|vero_(id|conv)|s_kwcid|s_cid|"
    r"wt[._](mc|zmc)(_\w+)?|xtor|at_(medium|campaign|custom\d)|pk_\w+|mtm_\w+|ns_\w+|icid|ncid|"
    r"cmpid|ref_(src|url)|spm|phpsessid|jsessionid|aspsessionid\w*|cfid|cftoken",
    re.IGNORECASE,
)
_SESSION_IN_PATH = re.compile(r";(jsessionid|phpsessid)=[^/;]*", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443", "ftp": "21"}


def _host(name: str) -> str:
    """Return a host name in lower case, as punycode, without www and a final dot."""
    host = name.lower().rstrip(".").removeprefix("www.")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:  # not a name that can be registered; its letters are all we have
        return host


def _escaped(part: str, safe: str) -> str:
    """Return a part of an address with percent signs exactly where they are needed."""
    return quote(unquote_to_bytes(part), safe=safe)


def normalize_url(url: str) -> str | None:
    """Return the form in which addresses of one page are equal; None for no address at all."""
    text = "".join(url.split())
    if not text:
        return None
    if not _SCHEME.match(text):
        text = "http://" + text.removeprefix("//")
    try:
        parts = urlsplit(text)
        name = parts.hostname or ""
        port = str(parts.port or "")
    except ValueError:  # brackets or a port that are none
        return text
    scheme = parts.scheme.lower()
    host = _host(name)
    if port and port != _PORTS.get(scheme):
        host += f":{port}"
    if scheme not in ("http", "https"):
        host = f"{scheme}://{host}"
    path = _SESSION_IN_PATH.sub("", parts.path)
    # %2F is a letter of a name, not a boundary between folders.
    segments = "/".join(_escaped(part, "!$&'()*+,;=:@~") for part in path.split("/"))
    path = posixpath.normpath("/" + segments.lstrip("/")).rstrip("/")
    kept = sorted(
        _escaped(pair, "!$'()*,;:@/?~=+")
        for pair in parts.query.split("&")
        if pair and not _TRACKING.fullmatch(pair.partition("=")[0])
    )
    query = "?" + "&".join(kept) if kept else ""
    fragment = "#" + parts.fragment if parts.fragment.startswith("!") else ""
    return f"{host}{path}{query}{fragment}"


def url_hashes(
    urls: Sequence[object], scopes: npt.NDArray[np.uint64] | None = None
) -> npt.NDArray[np.uint64]:
    """Return the 128-bit hash of each normalized address; zeros where there is none.

    Args:
        urls: Addresses; what is no text counts as none.
        scopes: uint64 [urls], mixed in, so that only addresses of one scope can be equal.

    Returns:
        uint64 [urls, 2].
    """
    hashes = np.zeros((len(urls), 2), np.uint64)
    for row, url in enumerate(urls):
        normal = normalize_url(url) if isinstance(url, str) else None
        if normal is not None:
            digest = hashlib.blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=16)
            hashes[row] = np.frombuffer(digest.digest(), np.uint64)
            if scopes is not None:
                hashes[row] ^= scopes[row]
    return hashes
