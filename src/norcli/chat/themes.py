"""How answers look: the named sets of styles behind ``--theme``.

Style names are those of rich's Markdown; code is coloured by Pygments. Where colour is not wanted
(NO_COLOR, --color never, no terminal) no theme is used at all and the text comes as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Theme:
    """One look.

    Attributes:
        code: Pygments style of code blocks.
        styles: Style of each part of Markdown, in rich's words.
        prompt: Style of the prompt, in prompt_toolkit's words.
        status: Style of the status beside it.
    """

    code: str
    styles: Mapping[str, str]
    prompt: str
    status: str


def _theme(code: str, heading: str, accent: str, quiet: str, prompt: str, status: str) -> Theme:
    styles = {
        "markdown.h1": f"bold underline {heading}",
        "markdown.h2": f"bold {heading}",
        "markdown.code": accent,
        "markdown.link": "underline",
        "markdown.link_url": quiet,
        "markdown.block_quote": quiet,
        "markdown.hr": quiet,
        "markdown.table.border": quiet,
        "markdown.table.header": f"bold {heading}",
        "markdown.item.bullet": accent,
        "markdown.item.number": accent,
    }
    styles |= {f"markdown.h{level}": f"bold {heading}" for level in range(3, 7)}
    return Theme(code, MappingProxyType(styles), prompt, status)


THEMES: Mapping[str, Theme] = MappingProxyType({
    # The sixteen colours that a person has chosen for the terminal, light or dark.
    "terminal": _theme("ansi_dark", "cyan", "cyan", "dim", "bold ansicyan", "noreverse ansigray"),
    "dark": _theme("monokai", "#8ecae6", "#ffb703", "#8d99ae", "bold #8ecae6",
                   "noreverse #8d99ae"),
    "light": _theme("friendly", "#00509d", "#9a3b00", "#6c757d", "bold #00509d",
                    "noreverse #6c757d"),
    # No colour, weight and lines only.
    "mono": _theme("bw", "", "bold", "dim", "bold", "noreverse"),
})  # fmt: skip
