"""Personal data is found by its form and its check digits, and nothing else is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from norcli.corpus import scan
from norcli.corpus.language.identifier import pack
from norcli.corpus.privacy import (
    check_digit,
    count_kinds,
    find_personal_data,
    is_account,
    is_national_id,
    is_organization,
    mask,
    mask_all,
    tell_places,
)


def national_id(birth: str, individual: int) -> str | None:
    """Make a number with right check digits; None where there is none (a digit would be 10)."""
    nine = f"{birth}{individual:03d}"
    first = check_digit(nine, (3, 7, 6, 1, 8, 9, 4, 5, 2))
    if first == 10:
        return None
    second = check_digit(f"{nine}{first}", (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return None if second == 10 else f"{nine}{first}{second}"


def some_national_id(birth: str) -> str:
    return next(filter(None, (national_id(birth, k) for k in range(100, 200))))


def account(ten: str) -> str:
    return ten + str(check_digit(ten, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)))


def kinds(text: str) -> list[tuple[str, str]]:
    flags = int(scan.scan(*pack([text]))[0])
    return [(d.kind, text[d.start : d.end]) for d in find_personal_data(text, flags)]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Skriv til ola.nordmann@epost.no.", "email", "ola.nordmann@epost.no"),
        ("Post: kari@sámi.example!", "email", "kari@sámi.example"),
        ("Fra 81.166.122.10 i går", "ip", "81.166.122.10"),
        ("DNS er 8.8.8.8", "ip", "8.8.8.8"),
        ("over 2001:700:300:1803::de:2 her", "ip", "2001:700:300:1803::de:2"),
        ("Ring +47 22 33 44 55 nå", "phone", "+47 22 33 44 55"),
        ("Tlf. 73595000", "phone", "73595000"),
        ("Tlf.: 73 59 50 00, åpent", "phone", "73 59 50 00"),
        ("Mobil 912 34 567", "phone", "912 34 567"),
        ("eg heiter Per, 412 34 567.", "phone", "412 34 567"),
        ("0047 91234567", "phone", "0047 91234567"),
        ("Sverige: +46 70-123 45 67.", "phone", "+46 70-123 45 67"),
        ("ring (+47) 22 33 44 55", "phone", "(+47) 22 33 44 55"),
        ("IBAN NO93 8601 1117 947 takk", "account", "NO93 8601 1117 947"),
        ("DE89370400440532013000", "account", "DE89370400440532013000"),
        ("Org.nr. 974 767 880", "organization", "974 767 880"),
        ("NO 974767880 MVA", "organization", "974767880 MVA"),
    ],
)
def test_finds(text: str, kind: str, found: str) -> None:
    assert kinds(text) == [(kind, found)]


@pytest.mark.parametrize(
    "text",
    [
        "Den 17.05.2020 og 2020-05-17 kl. 12:30:45",
        "Ruter 192.168.1.1, 127.0.0.1 og 10.0.0.5",
        "Kapittel 1.2.3 og 12.3.4.5.6",
        "Det kostet 12 500 000 kroner i 1999",
        "ISBN 978-82-02-12345-6",
        "Innbyggere: 22334455",
        "FOR-2020-02-13-688 nr. 12345678",
        "Se avsnitt 4.2.13.3 og versjon 88.0.4324.150",
        "66 977 20 738 ″ 50 ″ 100",
        "3 400 22 100 23 000 i fjor",
        "RINGERIKE 56 52 3312 og saksnummer 20201234",
        "IBAN NO94 8601 1117 947",  # wrong check digits
        "Borgerlig forening 974767880",
        "fra 1990 til 1995, 2000-2005, pris 12345678,50",
        "Nummer 974767881 i Enhetsregisteret",  # wrong check digit
        "klokka 10::20",
        "@norcli og a@b",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize("birth", ["010190", "311299", "290200", "410190", "711299"])
def test_national_ids_and_d_numbers_are_found_with_and_without_space(birth: str) -> None:
    number = some_national_id(birth)
    assert is_national_id(number)
    assert kinds(f"Fødselsnummer {number}.") == [("national_id", number)]
    spaced = f"{number[:6]} {number[6:]}"
    assert kinds(f"nr {spaced},") == [("national_id", spaced)]


@pytest.mark.parametrize("birth", ["320190", "001290", "310490", "011390", "300290", "019690"])
def test_a_wrong_date_is_no_national_id(birth: str) -> None:
    assert not is_national_id(some_national_id(birth))


@given(st.integers(0, 9), st.integers(0, 10))
def test_one_changed_digit_is_no_national_id(replacement: int, place: int) -> None:
    number = some_national_id("150685")
    changed = number[:place] + str(replacement) + number[place + 1 :]
    assert is_national_id(changed) == (changed == number)


def test_accounts_need_their_grouping_or_a_word() -> None:
    number = account("1503402345")
    assert is_account(number)
    grouped = f"{number[:4]}.{number[4:6]}.{number[6:]}"
    assert kinds(f"Betal til {grouped}") == [("account", grouped)]
    assert kinds(f"Kontonummer {number}") == [("account", number)]
    assert kinds(f"Løpenummer {number}") == []
    wrong = grouped[:-1] + str((int(grouped[-1]) + 1) % 10)
    assert kinds(f"Betal til {wrong}") == []


def test_a_published_organization_number_is_valid() -> None:
    # NTNU's, from Enhetsregisteret.
    assert is_organization("974767880")
    assert not is_organization("974767881")


def test_masking_keeps_the_rest_and_counts_are_fields() -> None:
    text = "Ring +47 22334455 eller ola@epost.no og kari@epost.no."
    found = find_personal_data(text)
    assert mask(text, found) == "Ring <PHONE> eller <EMAIL> og <EMAIL>."
    assert count_kinds(found) == {"pii_email": 2, "pii_phone": 1}


def test_a_hyphen_behind_the_date_and_numbers_of_test_persons() -> None:
    number = some_national_id("010190")
    assert kinds(f"{number[:6]}-{number[6:]}") == [("national_id", f"{number[:6]}-{number[6:]}")]
    for month in ("41", "66", "81"):  # January of NAV's and Skatteetaten's made-up people
        made_up = some_national_id(f"01{month}90")
        assert kinds(made_up) == [("national_id", made_up)]


def test_only_the_kinds_asked_for_are_found() -> None:
    text = "Ring +47 22334455 eller skriv til ola@epost.no."
    assert [d.kind for d in find_personal_data(text, kinds=["phone"])] == ["phone"]
    assert find_personal_data(text, kinds=[]) == []


def test_places_are_told_in_characters() -> None:
    text = "På Ås: ring +47 22334455 eller ola@epost.no."
    found = find_personal_data(text)
    assert tell_places(found) == "phone 12-24, email 31-43"
    assert text[12:24] == "+47 22334455"
    assert text[31:43] == "ola@epost.no"


PLANTED = {
    "email": lambda k: f"navn.{k}@firma{k}.example.no",
    "ip": lambda k: f"{81 + k % 40}.{k % 256}.{(7 * k) % 256}.{k % 250 + 1}",
    "national_id": lambda k: some_national_id(f"{k % 28 + 1:02d}{k % 12 + 1:02d}{k % 100:02d}"),
    "account": lambda k: f"konto {next(a for a in map(account, _tens(k)) if len(a) == 11)}",
    "phone": lambda k: f"+47 9{k % 10}{k % 7} {k % 90 + 10} {k % 900 + 100}",
}


def _tens(k: int) -> list[str]:
    return [f"86{j}3{k:06d}" for j in range(10)]


@pytest.mark.parametrize("kind", PLANTED)
def test_nearly_all_that_is_planted_is_found(kind: str) -> None:
    """Into 200 sentences each; addresses of one kind may be private by chance."""
    found = sum(
        kind in [d.kind for d in find_personal_data(f"Dette er {PLANTED[kind](k)}, sier de.")]
        for k in range(200)
    )
    assert found >= 198


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("0123456789 .:@+-47abconto/\nNOtlf"), max_size=60))
def test_masking_never_leaves_a_find(text: str) -> None:
    masked, found = mask_all(text, find_personal_data(text))
    assert find_personal_data(masked) == []
    assert bool(found) == (masked != text)


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789 .:@+-47abconto/\n"), max_size=40))
def test_finds_never_overlap_and_the_flags_never_hide_one(text: str) -> None:
    thorough = find_personal_data(text)
    assert all(a.end <= b.start for a, b in itertools.pairwise(thorough))
    flags = int(scan.scan(*pack([text]))[0])
    assert find_personal_data(text, flags) == thorough


LINES = (
    "Skriv til kari@example.no i dag.", "Org.nr. 974 760 673", "MVA", "MVA 12", "Ingenting her.",
    "", "tlf. 22 33 44 55", "Ring\t+47 98 76 54 32, å ja", "konto 1234.56.78903", "82.150.72.3",
    "NO9386011117947", "fødd 01.01.1990 123 45 678", "a:b:c:d", "1 2 3 4 5 6 7 8",
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_in_long_texts_only_some_lines_are_searched_with_the_same_finds(lines: list[str]) -> None:
    text = "\n".join(lines)
    whole = find_personal_data(text)
    padding = "\nIngenting å finne på denne linja, som er lang.\n" * 60
    long = find_personal_data(text + padding + text)
    moved = len(text + padding)
    again = [datum._replace(start=datum.start + moved, end=datum.end + moved) for datum in whole]
    assert long == [*whole, *again]
