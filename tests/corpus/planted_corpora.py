"""Three corpora whose words are the tokens of the report's Table 2, in millionths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Words of V1 to V3: National Library, industry partners, Common Crawl, others.
TABLE_2 = {
    "V1": (3380, 1080, 20_410, 130),
    "V2": (9450, 2220, 36_000, 3330),
    "V3": (21_880, 5760, 51_780, 8580),
}
# As different sources spell them.
NAMES = ("National Library", "industry partners", "common_crawl", "Others")
# Words in Nynorsk and North Sámi, taken from Common Crawl: 1.124 %, 5.217 % and 0.155 %.
VARIETIES = {"V1": (281, 0), "V2": (1000, 40), "V3": (4591, 136)}


def records(step: int = 700) -> list[dict[str, Any]]:
    """Return the documents of all three corpora."""
    made: list[dict[str, Any]] = []

    def add(words: int, **fields: Any) -> None:
        while words > 0:
            size = min(words, step + 37 * (len(made) % 11))
            made.append({"id": f"d{len(made)}", "text": " ".join(["ord"] * size), **fields})
            words -= size

    for corpus, amounts in TABLE_2.items():
        for name, words in zip(NAMES, amounts, strict=True):
            nynorsk, sami = VARIETIES[corpus] if name == "common_crawl" else (0, 0)
            common = {"corpus": corpus, "source_group": name,
                      "copyrighted": name == "industry partners"}  # fmt: skip
            add(nynorsk, lang="nno", **common)
            add(sami, lang="sme", **common)
            add(words - nynorsk - sami, lang="nob", **common)
    return made


def write(path: Path, made: list[dict[str, Any]]) -> str:
    """Write records as JSONL and return the path."""
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in made)
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)
