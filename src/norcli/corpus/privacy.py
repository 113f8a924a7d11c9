"""Personal data in text: e-mail, IP address, phone, fødselsnummer, D-number, account, organization.

Sixth stage of `crawl-filter`. Norwegian numbers are checked by their mod-11 digits and their dates,
so that eleven digits in a row are not yet a person. Names and addresses are not looked for.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np

from norcli.corpus.options import PII_KINDS as KINDS
from norcli.corpus.scan import MARKERS, scan

MASKS = {
    "email": "<EMAIL>", "ip": "<IP>", "national_id": "<NATIONAL_ID>", "account": "<ACCOUNT>",
    "organization": "<ORGANIZATION>", "phone": "<PHONE>",
}  # fmt: skip

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w][\w.+-]{0,63}@(?:[\w](?:[\w-]{0,61}[\w])?\.)+[A-Za-z]{2,24}(?![\w-])"
)
# Numbers begin with the digit and look behind it then: a pattern that begins with a set of
# characters is searched for several times as fast.
_IPV4 = re.compile(r"[0-9](?<![0-9.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9.]*[0-9])")
_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])")
_VERSION_CUE = re.compile(r"(?:versjon(?:en)?|version|utgave|release|\bv\.?) ?$", re.IGNORECASE)
_IP_CUE = re.compile(r"\bip\b|\bIPv4|adress|\bDNS\b|tjener|server|\bping", re.IGNORECASE)
# No chapter has so many sections: "4.2.13.3" is one, 82.50.72.3 is none.
_MOST_SECTIONS = 60
_NATIONAL_ID = re.compile(r"([0-9](?<![0-9]{2})[0-9]{5})[ .-]?([0-9]{5})(?![0-9])")
_ACCOUNT = re.compile(
    r"([0-9](?<![0-9]{2})[0-9]{3})(?:([ .])([0-9]{2})\2([0-9]{5})|([0-9]{7}))(?![0-9])"
)
_ACCOUNT_CUE = re.compile(r"konto|kto|betal|giro|vipps", re.IGNORECASE)
_IBAN = re.compile(
    r"[A-Z](?<!\w[A-Z])[A-Z][0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?(?!\w)"
)
_ORGANIZATION = re.compile(
    r"([89](?<![0-9.,][89])[0-9]{2})([ .]?)([0-9]{3})\2([0-9]{3})(\s?MVA)?(?![0-9])"
)
_ORGANIZATION_CUE = re.compile(
    r"\borg\b|orgnr|organisasjonsn|foretaksn|føretaksn|enhetsreg|einingsreg|\bNO ?$", re.IGNORECASE
)
# Where a phone number may begin: eight digits follow, with signs between at the most.
_PHONE_START = re.compile(r"[(+02-9](?<![\w./-][(+02-9])(?=[0-9(). +]{7})")
_PHONE = re.compile(
    r"(?P<country>\(?(?:\+|00)47\)?[ .]?)?(?:(?P<pairs>[2-9][0-9](?:[ .]?[0-9]{2}){3})|"
    r"(?P<mobile>[489][0-9]{2} ?[0-9]{2} ?[0-9]{3}))(?![\w/-]|[.,][0-9])"
)
_FOREIGN_PHONE = re.compile(
    r"\+(?<![\w+]\+)(?!47)[1-9][0-9]{0,2}(?:[ -]?\(0\))?(?:[ .-]?[0-9]{1,5}){2,6}"
    r"(?![\w+]|[.,-][0-9])"
)
_PHONE_CUE = re.compile(
    r"tlf|telefon|telefovdna|mobil|phone|\bring(?:e|er|te)?\b|\bsms|faks|\bfax|kontakt|\btel\b",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"[0-9] | [0-9]")
_CUE_REACH = 40
# In longer texts only the lines that hold something are searched.
_WHOLE_CHARACTERS = 2000
# Every number of a kind below has eight digits or more, in groups parted by one space or stop.
_DIGIT_RUN = re.compile(r"[0-9+](?:(?<=\+)[0-9]|(?<![+])(?:[ .-]?[0-9]){7})")
# What is added to the day of a D-number, and to the month of test persons (Skatteetaten's and
# NAV's synthetic populations) and of help numbers.
_DAY_SHIFTS = (0, 40)
_MONTH_SHIFTS = (0, 40, 65, 80)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class PersonalDatum(NamedTuple):
    """One find: its kind and where it stands, in characters."""

    kind: str
    start: int
    end: int


def check_digit(digits: str, weights: tuple[int, ...]) -> int:
    """Return the mod-11 check digit of digits; 10 means there is none."""
    remainder = sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11
    return 0 if remainder == 0 else 11 - remainder


def is_national_id(digits: str) -> bool:
    """Whether eleven digits are a valid fødselsnummer, D-number or number of a test person.

    Both check digits and the date must be right (weights: Skatteetaten). Dates are checked without
    the century, which the individual number tells.
    """
    days = [int(digits[:2]) - shift for shift in _DAY_SHIFTS]
    months = [int(digits[2:4]) - shift for shift in _MONTH_SHIFTS]
    if not any(1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] for month in months
               for day in days):  # fmt: skip
        return False
    first = check_digit(digits[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2))
    second = check_digit(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return first == int(digits[9]) and second == int(digits[10])


def is_account(digits: str) -> bool:
    """Whether eleven digits are a valid Norwegian bank account number."""
    return check_digit(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) == int(digits[10])


def is_organization(digits: str) -> bool:
    """Whether nine digits are a valid Norwegian organization number."""
    return check_digit(digits[:8], (3, 2, 7, 6, 5, 4, 3, 2)) == int(digits[8])


def is_iban(text: str) -> bool:
    """Whether an account number in the international form has the right check digits (mod 97)."""
    compact = text.replace(" ", "")
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def find_personal_data(
    text: str, flags: int = MARKERS, kinds: Collection[str] = KINDS
) -> list[PersonalDatum]:
    """Return what is found, in order, without overlaps; earlier kinds of `KINDS` win.

    Args:
        text: Any text.
        flags: Its `scan` flags; without MARKERS there is nothing to find.
        kinds: The kinds to look for.
    """
    if not flags & MARKERS:
        return []
    if len(text) < _WHOLE_CHARACTERS:
        return _find(text, kinds)
    lines, starts, places = _marked_lines(text)
    found = []
    for datum in _find(lines, kinds):
        at = bisect(starts, datum.start) - 1
        shift = places[at] - starts[at]
        found.append(PersonalDatum(datum.kind, datum.start + shift, datum.end + shift))
    return found


def _find(text: str, kinds: Collection[str]) -> list[PersonalDatum]:
    found: list[PersonalDatum] = []
    possible = KINDS if _DIGIT_RUN.search(text) else KINDS[:2]
    for kind in possible:
        if kind in kinds:
            new: list[PersonalDatum] = []
            # A finder of two patterns yields the finds of one after those of the other.
            for start, end in sorted(_FINDERS[kind](text), key=lambda span: (span[0], -span[1])):
                if not new or start >= new[-1].end:
                    new.append(PersonalDatum(kind, start, end))
            found = _merge(found, new)
    return found


def _marked_lines(text: str) -> tuple[str, list[int], list[int]]:
    """Return the lines in which something may be found, for a find never spans two.

    Returns:
        The lines, a blank one where others stood between; where each begins, and where in the text.
    """
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    ends = np.flatnonzero(data == 10) + 1
    offsets = np.concatenate([[0], ends, [len(data)]])
    marked = scan(data, offsets) & MARKERS != 0
    # "123 456 785\nMVA": a number of an organization may say so behind a line end.
    numbers = np.flatnonzero(marked[:-1] & ~marked[1:])
    lines = text.split("\n")
    marked[[k + 1 for k in numbers.tolist() if lines[k + 1].startswith("MVA")]] = True
    sizes = np.fromiter(map(len, lines), np.int64, len(lines)) + 1
    begins = np.cumsum(sizes) - sizes
    chosen = np.flatnonzero(marked)
    pieces, starts, places, at, last = [], [], begins[chosen].tolist(), 0, -2
    for k in chosen.tolist():
        if k != last + 1:
            pieces.append("\n")
            at += 1
        starts.append(at)
        pieces.append(lines[k] + "\n")
        at += len(lines[k]) + 1
        last = k
    return "".join(pieces), starts, places


def _merge(found: list[PersonalDatum], new: list[PersonalDatum]) -> list[PersonalDatum]:
    """Return both in order of place; of two that overlap the one found before stays."""
    if not found:
        return new
    starts = [datum.start for datum in found]
    kept = []
    for datum in new:
        i = bisect(starts, datum.start)
        before_ends = i == 0 or found[i - 1].end <= datum.start
        if before_ends and (i == len(found) or datum.end <= starts[i]):
            kept.append(datum)
    return sorted([*found, *kept], key=lambda datum: datum.start) if kept else found


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text))


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    patterns = [_IPV4] if text.count(".") >= 3 else []
    if text.count(":") >= 3:
        patterns.append(_IPV6)
    for pattern in patterns:
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match.group())
            except ValueError:
                continue
            # Private and documentation addresses name nobody.
            if address.is_global and (address.version == 6 or _is_no_section(text, match)):
                yield match.span()


def _is_no_section(text: str, match: re.Match[str]) -> bool:
    """Whether four numbers are not rather those of a section or a version."""
    if _has_cue(_VERSION_CUE, text, match.start()):
        return False
    largest = max(map(int, match.group().split(".")))
    return largest >= _MOST_SECTIONS or _has_cue(_IP_CUE, text, match.start())


def _national_ids(text: str) -> Iterator[tuple[int, int]]:
    for match in _NATIONAL_ID.finditer(text):
        if is_national_id(match.group(1) + match.group(2)):
            yield match.span()


def _accounts(text: str) -> Iterator[tuple[int, int]]:
    for match in _ACCOUNT.finditer(text):
        bare = match.group(5)
        digits = match.group(1) + (bare or match.group(3) + match.group(4))
        if is_account(digits) and (not bare or _has_cue(_ACCOUNT_CUE, text, match.start())):
            yield match.span()
    yield from _ibans(text)


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        # A word of four capitals may follow: the longest part with right digits counts.
        end = match.end()
        while end - match.start() >= 15:
            if is_iban(text[match.start() : end]):
                yield match.start(), end
                break
            end = text.rfind(" ", match.start(), end)


def _organizations(text: str) -> Iterator[tuple[int, int]]:
    for match in _ORGANIZATION.finditer(text):
        digits = match.group(1) + match.group(3) + match.group(4)
        known = match.group(5) or _has_cue(_ORGANIZATION_CUE, text, match.start())
        if known and is_organization(digits):
            yield match.span()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    for begin in _PHONE_START.finditer(text):
        match = _PHONE.match(text, begin.start()) if begin.start() >= end else None
        if match is None:
            continue
        end = match.end()
        number = match.group("pairs") or match.group("mobile")
        # Eight digits are many things; a mobile number is grouped 3-2-3, others need a word.
        is_mobile = re.fullmatch(r"[49]\d\d \d\d \d{3}", number) is not None
        # Further groups of digits beside it make it a row of a table.
        is_mobile = (
            is_mobile and _BESIDE.search(text[max(0, match.start() - 2) : match.start()]) is None
        )
        is_mobile = is_mobile and _BESIDE.match(text, match.end()) is None
        if match.group("country") or is_mobile or _has_cue(_PHONE_CUE, text, match.start()):
            yield match.span()
    for match in _FOREIGN_PHONE.finditer(text):
        if 8 <= sum(character.isdigit() for character in match.group()) <= 15:
            yield match.span()


def _has_cue(cue: re.Pattern[str], text: str, start: int) -> bool:
    before = text[max(0, start - _CUE_REACH) : start]
    return cue.search(before.rpartition("\n")[2]) is not None


_FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails, "ip": _addresses, "national_id": _national_ids, "account": _accounts,
    "organization": _organizations, "phone": _phones,
}  # fmt: skip


def mask(text: str, found: list[PersonalDatum]) -> str:
    """Return the text with each find replaced by the name of its kind, as ``<EMAIL>``."""
    pieces, position = [], 0
    for datum in found:
        pieces += [text[position : datum.start], MASKS[datum.kind]]
        position = datum.end
    return "".join([*pieces, text[position:]])


def mask_all(
    text: str, found: list[PersonalDatum], kinds: Collection[str] = KINDS
) -> tuple[str, list[PersonalDatum]]:
    """Mask finds, and what is one only now that its neighbour is masked; return all finds too."""
    every = list(found)
    while found:
        text = mask(text, found)
        found = find_personal_data(text, MARKERS, kinds)
        every += found
    return text, every


def tell_places(found: list[PersonalDatum]) -> str:
    """Return where finds stand, in characters: ``email 12-31, phone 40-52``."""
    return ", ".join(f"{datum.kind} {datum.start}-{datum.end}" for datum in found)


def count_kinds(found: list[PersonalDatum]) -> dict[str, int]:
    """Return how often each kind was found, as record fields ``pii_email`` and so on."""
    counts = Counter(datum.kind for datum in found)
    return {f"pii_{kind}": counts[kind] for kind in KINDS if counts[kind]}
