"""A small text written for these tests: a few sentences each in five languages."""

from __future__ import annotations

import random

NOB = """Fjellet lå stille under snøen, og bare en ørn kretset over dalen.
Byen våknet sent den morgenen, for tåka hadde lagt seg tett over havna.
Hun kjøpte brød, ost og et glass syltetøy i den lille butikken ved kirken.
Regjeringen la fram et forslag om å bygge flere boliger langs jernbanen.
Elevene leste høyt fra bøkene sine mens læreren skrev årstall på tavla.
Det gamle huset ved elva ble malt rødt hvert femte år.
Fiskerne dro ut før soloppgang og kom tilbake med torsk og sei.
Været skiftet fort: først sol, så regn, og til slutt hagl.
«Vi går tur i morgen,» sa bestefar, «uansett hvordan været blir.»
I 1905 ble unionen oppløst; 17. mai feires fortsatt hvert år.
Barna samlet skjell på stranda og bygde et slott av sand.
Toget til Trondheim går klokka 14.25 fra spor 3.
Forskerne målte temperaturen i havet gjennom hele vinteren.
Naboen lånte bort stigen sin og fikk en kurv epler til takk.
Bøndene slo graset tidlig fordi sommeren var uvanlig varm."""
NNO = """Fjorden låg blank, og båten glei sakte mot land.
Ho las dikt for borna kvar kveld før dei sovna.
Kommunen vil ha fleire lærarar i dei små skulane.
Vi åt grautmat og drakk mjølk attmed omnen.
Ingen visste kvar dei gamle stigane eigentleg gjekk.
Dei fyrste eplane vart mogne i september."""
SME = """Buorre beaivi, mu namma lea Máret.
Mánát stohket olgun go muohta šealggui.
Čáhci lea galmmas ja beaivváš báitá."""
SWE = """Katten sov på den varma stenen hela eftermiddagen.
Vi tog båten till ön och badade i det klara vattnet.
Skolan börjar klockan åtta och slutar vid tre."""
ENG = """The river runs north through the valley before it reaches the sea.
She wrote a short letter and left it on the kitchen table."""

SENTENCES = {
    language: text.split("\n")
    for language, text in (("nob", NOB), ("nno", NNO), ("sme", SME), ("swe", SWE), ("eng", ENG))
}


def documents(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Records put together from the sentences, of all languages, some with odd spacing."""
    draw = random.Random(seed)
    records = []
    for number in range(count):
        language = draw.choices(list(SENTENCES), weights=[6, 3, 1, 1, 1])[0]
        lines = draw.choices(SENTENCES[language], k=draw.randint(1, 6))
        joint = draw.choice(["\n", "\n\n", " ", "  ", "\n "])
        records.append({"id": f"d{number}", "text": joint.join(lines), "lang": language})
    return records
