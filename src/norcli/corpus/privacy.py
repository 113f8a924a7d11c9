"""Personal data in text: e-mail, IP address, phone, fødselsnummer, D-number, account, organization.

Sixth stage of `crawl-filter`. Norwegian numbers are checked by their mod-11 digits and their dates,
so that eleven digits in a row are not yet a person. Test persons (month + 40 or + 80) pass. Names
and addresses are not looked for.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from norcli.corpus.scan import MARKERS

KINDS = ("email", "ip", "national_id", "account", "organization", "phone")
MASKS = {
    "email": "<EMAIL>", "ip": "<IP>", "national_id": "<NATIONAL_ID>", "account": "<ACCOUNT>",
    "organization": "<ORGANIZATION>", "phone": "<PHONE>",
}  # fmt: skip

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w][\w.+-]{0,63}@(?:[\w](?:[\w-]{0,61}[\w])?\.)+[A-Za-z]{2,24}(?![\w-])"
)
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])")
_NATIONAL_ID = re.compile(r"(?<!\d)(\d{6})[ .]?(\d{5})(?!\d)")
_ACCOUNT = re.compile(r"(?<!\d)(\d{4})([ .])(\d{2})\2(\d{5})(?!\d)|(?<!\d)(\d{11})(?!\d)")
_ACCOUNT_CUE = re.compile(r"konto|kto|betal|giro|IBAN|vipps", re.IGNORECASE)
_ORGANIZATION = re.compile(r"(?<![\d.,])([89]\d\d)([ .]?)(\d{3})\2(\d{3})(\s?MVA)?(?![\d])")
_ORGANIZATION_CUE = re.compile(r"org|foretak|føretak|enhet|NO\s?$", re.IGNORECASE)
_PHONE = re.compile(
    r"(?<![\w./-])(?P<country>(?:\+|00)47[ .]?)?(?:(?P<pairs>[2-9]\d(?:[ .]?\d\d){3})|"
    r"(?P<mobile>[489]\d\d ?\d\d ?\d{3}))(?![\w/-]|[.,]\d)"
)
_PHONE_CUE = re.compile(
    r"tlf|telefon|telefovdna|mobil|phone|ring|sms|faks|fax|kontakt|nummer|tel\b", re.IGNORECASE
)
_CUE_REACH = 40
# Every number of a kind below has eight digits or more, in groups parted by one space or stop.
_DIGIT_RUN = re.compile(r"\d(?:[ .]?\d){7}")


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
    """Whether eleven digits are a valid fødselsnummer or D-number (day + 40).

    Both check digits and the date must be right (weights: Skatteetaten). Dates are checked without
    the century, which the individual number tells.
    """
    day, month = int(digits[:2]), int(digits[2:4])
    if day > 40:
        day -= 40
    if not (
        1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    ):
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


def find_personal_data(text: str, flags: int = MARKERS) -> list[PersonalDatum]:
    """Return what is found, in order, without overlaps; earlier kinds of `KINDS` win.

    Args:
        text: Any text.
        flags: Its `scan` flags; without MARKERS there is nothing to find.
    """
    if not flags & MARKERS:
        return []
    found: list[PersonalDatum] = []
    kinds = KINDS if _DIGIT_RUN.search(text) else KINDS[:2]
    for kind in kinds:
        for start, end in _FINDERS[kind](text):
            if all(end <= other.start or start >= other.end for other in found):
                found.append(PersonalDatum(kind, start, end))
    return sorted(found, key=lambda datum: datum.start)


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
            if address.is_global:
                yield match.span()


def _national_ids(text: str) -> Iterator[tuple[int, int]]:
    for match in _NATIONAL_ID.finditer(text):
        if is_national_id(match.group(1) + match.group(2)):
            yield match.span()


def _accounts(text: str) -> Iterator[tuple[int, int]]:
    for match in _ACCOUNT.finditer(text):
        bare = match.group(5)
        digits = bare or match.group(1) + match.group(3) + match.group(4)
        if is_account(digits) and (not bare or _has_cue(_ACCOUNT_CUE, text, match.start())):
            yield match.span()


def _organizations(text: str) -> Iterator[tuple[int, int]]:
    for match in _ORGANIZATION.finditer(text):
        digits = match.group(1) + match.group(3) + match.group(4)
        known = match.group(5) or _has_cue(_ORGANIZATION_CUE, text, match.start())
        if known and is_organization(digits):
            yield match.span()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _PHONE.finditer(text):
        number = match.group("pairs") or match.group("mobile")
        # Eight digits are many things; a mobile number is grouped 3-2-3, others need a word.
        is_mobile = re.fullmatch(r"[49]\d\d \d\d \d{3}", number) is not None
        if match.group("country") or is_mobile or _has_cue(_PHONE_CUE, text, match.start()):
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


def count_kinds(found: list[PersonalDatum]) -> dict[str, int]:
    """Return how often each kind was found, as record fields ``pii_email`` and so on."""
    counts = Counter(datum.kind for datum in found)
    return {f"pii_{kind}": counts[kind] for kind in KINDS if counts[kind]}
