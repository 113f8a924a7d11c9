"""Markdown of a model as styled lines: parsed by markdown-it, laid out by rich.

Everything that was written stays to be seen: HTML is text, links and pictures show their address,
line ends stay line ends. Entities (``&#8238;``) are decoded by the parser, so texts are cleaned
after parsing, too; no escape sequence but rich's styles leaves this file. Imported only when an
answer is to be rendered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.theme import Theme as RichTheme

from norcli.chat.sanitize import SIGNS
from norcli.chat.themes import Theme

COLOR_SYSTEMS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT,
                 "truecolor": ColorSystem.TRUECOLOR}  # fmt: skip
# A last line of nothing but marks may become anything: a heading's underline, a list, a fence.
ONLY_MARKS = re.compile(r"(?:^|\n)[ \t]*[-=+*#>`~_|\d.):]*[ \t]*\Z")
OPEN_MARKS = re.compile(r"[*_`~\[]+\Z")
CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
CODE = ("fence", "code_block")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list, table or piece of code that stands by itself.

    Attributes:
        tokens: As markdown-it gives them.
        start: Its first line in the source, from 0.
    """

    tokens: Sequence[Token]
    start: int

    @property
    def kind(self) -> str:
        """The type of its first token, ``fence`` or ``bullet_list_open``."""
        return self.tokens[0].type


def make_parser() -> MarkdownIt:
    """Return a parser that leaves nothing out of what it parses."""
    parser = MarkdownIt("commonmark", {"html": False})
    # Definitions of links are not shown by any renderer, but here they were written to be read.
    return parser.enable(["table", "strikethrough"]).disable(["reference"])


def parse_blocks(parser: MarkdownIt, source: str) -> list[Block]:
    """Cut a text into its blocks."""
    blocks: list[Block] = []
    tokens: list[Token] = []
    for token in parser.parse(source):
        tokens.append(_safe(token))
        if token.level == 0 and token.nesting <= 0:
            lines = tokens[0].map
            blocks.append(Block(tokens, lines[0] if lines else 0))
            tokens = []
    return blocks


def _safe(token: Token) -> Token:
    token.content = token.content.translate(SIGNS)
    token.info = token.info.translate(SIGNS)
    for name, value in token.attrs.items():
        token.attrs[name] = value.translate(SIGNS) if isinstance(value, str) else value
    if token.children:
        token.children = [_safe(child) for child in token.children]
    if token.type == "softbreak":
        token.type = "hardbreak"
    elif token.type == "image":
        token.type, token.tag = "text", ""
        token.content, token.children = f"{token.content} ({token.attrs.get('src', '')})", None
    return token


def unfinished(parser: MarkdownIt, source: str) -> str:
    """Return a text that is still growing as it will most likely stand.

    Marks at its end wait for what follows; bold and code that are open are closed for now, so
    that the text does not change its look when the closing mark comes.
    """
    leaf = next((t.type for t in reversed(parser.parse(source)) if t.nesting == 0), "")
    held = ONLY_MARKS.sub("", source)
    if leaf in CODE:
        return held
    held = OPEN_MARKS.sub("", held)
    start = max(held.rfind("\n\n"), 0)
    bare = CODE_SPAN.sub("", held[start:])
    if "`" in bare:
        return held.rstrip() + "`"
    for mark in ("**", "~~"):
        if bare.count(mark) % 2:
            held = held.rstrip() + mark
    return held


class _Code(CodeBlock):
    """Code without a box around it, so that it can be copied as it is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(str(self.text).rstrip("\n"), self.lexer_name, theme=self.theme,
                     background_color="default", word_wrap=True)  # fmt: skip


class _Heading(Heading):
    """A heading at the left, like all else."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Markdown(Markdown):
    """Tokens that were parsed before, laid out with this project's elements."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements, "fence": _Code, "code_block": _Code, "heading_open": _Heading,
    }  # fmt: skip

    def __init__(self, tokens: Sequence[Token], code_theme: str) -> None:
        super().__init__("", code_theme=code_theme, hyperlinks=False)
        self.parsed = list(tokens)


class Layout:
    """Turns blocks into lines for a terminal.

    Args:
        theme: The look.
    """

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._console = Console(
            force_terminal=True, legacy_windows=False, theme=RichTheme(dict(theme.styles)),
            emoji=False, markup=False, highlight=False, force_jupyter=False,
        )  # fmt: skip
        self._colors = COLOR_SYSTEMS.get(self._console.color_system or "", ColorSystem.STANDARD)

    def lines(self, block: Block, width: int) -> list[str]:
        """Return a block as lines with styles, each complete in itself.

        Args:
            block: What to lay out.
            width: Longest line in cells.
        """
        options = self._console.options.update(width=width, height=None)
        rendered: Any = _Markdown(block.tokens, self._theme.code)
        rows = self._console.render_lines(rendered, options, pad=False)
        return _without_outer_blanks(["".join(self._styled(row)) for row in rows])

    def _styled(self, row: list[Segment]) -> Iterator[str]:
        end = len(row)
        while end and not row[end - 1].text.strip():
            end -= 1
        for position, segment in enumerate(row[:end], 1):
            text = segment.text.rstrip() if position == end else segment.text
            style = segment.style
            yield style.render(text, color_system=self._colors) if style else text


def _without_outer_blanks(lines: list[str]) -> list[str]:
    filled = [position for position, line in enumerate(lines) if line]
    return lines[filled[0] : filled[-1] + 1] if filled else []
