"""The language codes norcli speaks: ISO 639-3 in data, the usual two-letter ones on input.

Read by the options of every command that takes languages, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LANGUAGES: tuple[str, ...] = ("nob", "nno", "sme", "smj", "sma", "dan", "swe", "deu", "eng")

NORWEGIAN = "nor"  # Norwegian, but Bokmål or Nynorsk cannot be told
UNDETERMINED = "und"  # another language, or too little to say

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "nb": "nob",
        "nn": "nno",
        "no": NORWEGIAN,
        "se": "sme",
        "da": "dan",
        "sv": "swe",
        "de": "deu",
        "en": "eng",
    }
)


def normalize_code(code: str) -> str:
    """Return the ISO 639-3 code for what a user or another corpus calls a language.

    Case does not matter, and a region or script after `-` or `_` is left out: `nb`, `nb-NO` and
    `nob_Latn` are all `nob`.

    Raises:
        ValueError: The language is none that norcli tells apart; the message lists those it does.
    """
    primary = code.strip().lower().replace("_", "-").split("-", 1)[0]
    language = ALIASES.get(primary, primary)
    if language in LANGUAGES or language in (NORWEGIAN, UNDETERMINED):
        return language
    accepted = ", ".join((*LANGUAGES, NORWEGIAN, UNDETERMINED, *ALIASES))
    raise ValueError(f'unknown language "{code}" (accepted: {accepted})')
