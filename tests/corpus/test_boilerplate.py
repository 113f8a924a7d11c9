"""Lines that belong to the page go, lines of the text stay."""

from __future__ import annotations

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
