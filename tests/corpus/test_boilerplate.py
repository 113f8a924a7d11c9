"""Lines that belong to the page go, lines of the text stay."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from norcli.corpus.boilerplate import BoilerplateLines

LINES = BoilerplateLines()


@pytest.mark.parametrize(
    "line",
    [
        "Annonse",
        "ANNONSE:",
        "Les også: Slik gikk det",
        "» Les også: Slik gikk det",
        "Del på Facebook",
        "Artikkelen fortsetter under annonsen",
        "Godta alle",
        "© 2021 Avisa",
        "Foto: Ola Nordmann / NTB",
        "Vi bruker informasjonskapsler for å gi deg en bedre opplevelse.",
        "Vi brukar informasjonskapslar (cookies) på denne nettstaden. Godta alle",
        "This website uses cookies to improve your experience.",
        "Læs også: Nyt museum",
        "Alle rettigheter forbeholdt",
        "Hopp til hovedinnhold",
        "• Skriv ut",
        "Du må aktivere JavaScript for å se innholdet",
        "Publisert 2019-05-07 kl. 06.30",
        "Sist oppdatert: fredag 3. mai 2019",
        "Berre nødvendige",
        "Juoge facebookis",
        "Nyhetsbrev",
    ],
)
def test_boilerplate(line: str) -> None:
    assert LINES.matches(line)
    assert LINES.remove(f"Før.\n{line}\nEtter.") == ("Før.\nEtter.", 1)


@pytest.mark.parametrize(
    "line",
    [
        "Annonsene i avisa ble færre i 2020.",
        "Hun rakk også å lese boka.",
        "Han la igjen en kommentar.",
        "Informasjonskapsler er små filer som nettleseren lagrer på maskinen din.",
        "Fotografen tok bildet.",
        "Del oppgaven i to.",
        "Endret ved forskrift 19 aug 2013 nr. 1036 (i kraft 20 aug 2013).",
        "Publisert materiale fra 2019 viser det samme.",
        "Skrevet ble det, i 2014.",
        "Kommentaren vakte oppsikt.",
        "",
    ],
)
def test_running_text(line: str) -> None:
    assert not LINES.matches(line)
    text = f"Før.\n{line}\nEtter."
    assert LINES.remove(text) == (text, 0)


def test_paragraphs_stay_one_empty_line_apart() -> None:
    assert LINES.remove("En.\n\nAnnonse\n\nTo.\n\nDel") == ("En.\n\nTo.", 2)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("smj", ["lågå ienep", "åhtså", "åhtsåt"]),
        ("sma", ["lohkh vielie", "ohtsedh", "juakah"]),
    ],
)
def test_lines_of_small_languages_are_made_of_words_that_are_written(
    language: str, lines: list[str], real_data: Path
) -> None:
    with gzip.open(real_data / "langid/sentences.jsonl.gz", "rt", encoding="utf-8") as sentences:
        records = map(json.loads, sentences)
        text = "\n".join(r["text"].lower() for r in records if r["lang"] == language)
    for line in lines:
        assert LINES.matches(line)
        assert re.search(rf"\b{line}\b", text), line
