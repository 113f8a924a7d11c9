"""Addresses of one page are equal, those of different pages are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from norcli.dedup.urls import normalize_url, url_hashes


@pytest.mark.parametrize(
    "other",
    [
        "http://www.nrk.no/nordland/sak-1.234",
        "HTTPS://NRK.no:443/nordland/sak-1.234/",
        "nrk.no/nordland/sak-1.234",
        "//www.nrk.no/nordland/./x/../sak-1.234",
        "https://nrk.no./nordland/sak-1.234?utm_source=fb&fbclid=Iw&gclid=1#kommentarer",
        "https://bruker:ord@nrk.no/nordland/sak%2d1.234;jsessionid=AB12",
        " https://nrk.no/nordland/sak-1.234\n",
        "https://nrk.no/nordland/sak-1.234?",
    ],
)
def test_addresses_of_one_page(other: str) -> None:
    assert normalize_url(other) == normalize_url("https://nrk.no/nordland/sak-1.234")
    assert normalize_url(other) == "nrk.no/nordland/sak-1.234"


def test_parameters_that_choose_the_page_stay_in_any_order() -> None:
    first = normalize_url("https://a.no/sok?q=%C3%B8l&side=2&utm_medium=x")
    assert first == normalize_url("http://a.no/sok?side=2&q=øl")
    assert first != normalize_url("https://a.no/sok?q=%C3%B8l&side=3")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("https://a.no/side", "https://b.no/side"),
        ("https://a.no/Side", "https://a.no/side"),
        ("https://a.no:8080/x", "https://a.no/x"),
        ("https://a.no/a%2Fb", "https://a.no/a/b"),
        ("https://a.no/#!/en", "https://a.no/#!/to"),
        ("ftp://a.no/x", "https://a.no/x"),
        ("https://m.a.no/x", "https://a.no/x"),
        ("https://a.no/?a=1%262", "https://a.no/?a=1&2"),
    ],
)
def test_addresses_of_different_pages(one: str, two: str) -> None:
    assert normalize_url(one) != normalize_url(two)


def test_international_names_are_punycode() -> None:
    assert normalize_url("https://www.blåbær.no/") == "xn--blbr-roah.no"
    assert normalize_url("http://xn--blbr-roah.no") == "xn--blbr-roah.no"


@pytest.mark.parametrize(
    "odd", ["http://[::1", "http://a:b:c/", "http://a.no:99999/", "ikke en url"]
)
def test_what_is_no_address_is_compared_as_it_stands(odd: str) -> None:
    assert normalize_url(odd)


def test_no_address_has_no_hash() -> None:
    hashes = url_hashes(["http://a.no", "https://www.a.no/", None, "", 5, "b.no"])
    assert (hashes[0] == hashes[1]).all()
    assert not hashes[2:5].any()
    assert (hashes[5] != hashes[0]).any()
    assert hashes.dtype == np.uint64


@given(st.text())
def test_every_text_has_a_form_that_stays(text: str) -> None:
    once = normalize_url(text)
    if once is None:
        assert not text.split()
    else:
        assert isinstance(once, str)
        assert url_hashes([text]).any()


@given(st.text(alphabet="abø/%2?&=.é-~+ ", max_size=30))
def test_a_normal_form_is_its_own(path: str) -> None:
    once = normalize_url("https://a.no/" + path)
    assert once is not None
    assert normalize_url(once) == once
