"""The main text of a parsed page: trafilatura says where it is, the page says what all of it is.

Trafilatura finds the text of nearly any page, but leaves out terms of definition lists, headings,
preformatted text and paragraphs in unusual elements: on manuals, a third of the words. Here the
smallest element that holds nearly all it found is taken whole, but for what by its tag or name is
no text (menus, cookie banners, sharing buttons, «Les også») and lists of links.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

MAX_DEPTH = 500
"""Elements within one another; deeper pages are faulty or hostile."""
MAX_PATHS = 4_000_000
"""Elements times their greatest depth: what some steps of an extraction grow with."""

_OUTSIDE_TAGS = frozenset(
    ("nav", "footer", "aside", "form", "button", "script", "style", "noscript", "template",
     "dialog", "iframe", "object", "svg", "select", "textarea", "input", "canvas", "audio",
     "video", "map", "head", "menu")
)  # fmt: skip
_OUTSIDE_ROLES = frozenset(
    ("navigation", "dialog", "alertdialog", "search", "contentinfo", "complementary", "menu",
     "menubar")
)  # fmt: skip
# Words of class and id, whole ones. The first are never text; the second also name boxes of text in
# manuals, and count where there is little text in them, or mostly links.
_NEVER_TEXT = re.compile(
    r"cookie|consent|gdpr|samtykke|informasjonskapsl|newsletter|nyhe(?:ts|its)brev|annonse|advert|"
    r"reklame|paywall|abonner|breadcrumb|brodsmule|\b(?:shar(?:e|ing)|del|dele|deling|ads?|"
    r"sponsor(?:ed)?|comments?|kommentarer|popup|modal|login|skip)\b",
    re.IGNORECASE,
)
_SELDOM_TEXT = re.compile(
    r"most-?read|mest-?lest|les-?ogsa|\b(?:related|relatert\w*|teasers?|pagination|pager|sidebar|"
    r"sidefelt|social|menu|meny|nav(?:bar|igation|header|footer)?|docnav|toc|byline|footer|banner)\b",
    re.IGNORECASE,
)
_HUMP = re.compile("(?<=[a-z])(?=[A-Z])|_")
# Elements that a page's maker has marked as its text.
_MARKED_NAMES = re.compile(
    r"\b(?:article|artikkel|story|post|entry|content|innhold|innhald|brodtekst|body-?text)\b",
    re.IGNORECASE,
)
_BLOCK_TAGS = frozenset(
    ("address", "article", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
     "html", "legend", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody",
     "td", "tfoot", "th", "thead", "tr", "ul")
)  # fmt: skip
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
# What is kept of the main element without trafilatura's word for it, however short.
_STRUCTURE = _HEADINGS | {"p", "dt", "dd", "li", "td", "th", "pre", "caption", "blockquote"}
_LINKED = 0.5
_HELD = 0.85
_LINKED_NEIGHBOURS = 0.3
_LEAST_CHARACTERS = 40
_SIGNIFICANT = 12
_EDGE = 30
_BOX_CHARACTERS = 150
_LEAST_PAGE = 200
_LOOK = 2000  # pieces of text, elements, or letters of an attribute looked at to judge one element
_MOST_COMPARED = 1 << 31  # characters: a bound on what a page of many small blocks may cost
_MOST_JOINED = 2 * 10**10  # characters: the same for a page of many inline elements
# Trafilatura dissolves all other elements. libxml2 keeps each one's text as a piece of its own, and
# lxml joins the pieces in steps, which takes the square of their number.
_KEPT_BY_TRAFILATURA = frozenset(
    ("blockquote", "div", "h1", "h2", "h3", "h4", "h5", "h6", "p", "pre", "table", "td", "th", "tr")
)


class Block(NamedTuple):
    """A stretch of text between block elements.

    Attributes:
        element: The innermost block element that it stands in.
        text: Its text, white space collapsed but in ``pre``.
        linked: Share of its characters in links.
    """

    element: Any
    text: str
    linked: float


def measure_tree(tree: Any) -> tuple[int, int]:
    """Return how many elements there are, and how many stand within one another at most."""
    count = deepest = depth = 0
    for event, _ in _events(tree):
        depth += 1 if event == "start" else -1
        count += event == "start"
        deepest = max(deepest, depth)
    return count, deepest


def _events(tree: Any) -> Iterator[tuple[str, Any]]:
    from lxml.etree import iterwalk

    yield from iterwalk(tree, events=("start", "end"))


def prune(tree: Any) -> None:
    """Take out of a page what by its tag, role or name is no main text, in place."""
    _cut_long_values(tree)
    doomed = [element for element in tree.iter() if _is_outside(element)]
    for element in doomed:
        parent = element.getparent()
        if parent is None or element.tag in ("html", "body", "main", "article"):
            continue
        _drop(element, parent)


def _cut_long_values(tree: Any) -> None:
    """Keep the beginnings of attributes: they are searched hundreds of times for words."""
    for element in tree.iter():
        for name, value in element.items():
            if len(value) > _LOOK:
                element.set(name, value[:_LOOK])


def _is_outside(element: Any) -> bool:
    tag = element.tag
    if not isinstance(tag, str):
        return False
    if tag == "header":
        # Of the page, not of the article: without a main heading.
        inside = any(ancestor.tag in ("article", "main") for ancestor in element.iterancestors())
        return not inside and next(element.iter("h1"), None) is None
    if tag in _OUTSIDE_TAGS:
        # A form around the whole page is ASP.NET's way.
        return tag != "form" or not _has_paragraphs(element)
    role = element.get("role")
    if role is not None and role in _OUTSIDE_ROLES:
        return True
    names = _names(element)
    if len(names) < 2:
        return False
    names = _HUMP.sub("-", names)
    if _NEVER_TEXT.search(names) is not None:
        return not _has_paragraphs(element)
    return _SELDOM_TEXT.search(names) is not None and not _is_text(element)


def _names(element: Any) -> str:
    """Return the class and the id of an element."""
    return f"{element.get('class') or ''} {element.get('id') or ''}"


def _has_paragraphs(element: Any) -> bool:
    """Whether an element holds so many paragraphs of text that its name must mislead."""
    paragraphs = islice(element.iter("p"), _LOOK)
    return sum(len("".join(islice(p.itertext(), _LOOK))) > 200 for p in paragraphs) >= 3


def _is_text(element: Any) -> bool:
    """Whether an element holds a paragraph's worth of text, and few links."""
    characters = sum(map(len, islice(element.itertext(), _LOOK)))
    links = islice(element.iter("a"), _LOOK)
    linked = sum(len("".join(islice(link.itertext(), _LOOK))) for link in links)
    return characters - linked >= _BOX_CHARACTERS and linked < _LINKED_NEIGHBOURS * characters


def _drop(element: Any, parent: Any) -> None:
    if element.tail:
        before = element.getprevious()
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
    parent.remove(element)


class _Reader:
    """Collects the blocks of a tree in their order."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._pieces: list[str] = []
        self._linked = 0
        self._stack: list[Any] = []
        self._links = 0
        self._preformatted = 0

    def read(self, tree: Any) -> list[Block]:
        for event, element in _events(tree):
            tag = element.tag
            if event == "start":
                self._start(element, tag)
            else:
                self._end(element, tag)
        self._flush()
        return self.blocks

    def _start(self, element: Any, tag: Any) -> None:
        if tag in _BLOCK_TAGS:
            self._flush()
            self._stack.append(element)
            self._preformatted += tag == "pre"
        elif tag == "br":
            self._flush() if not self._preformatted else self._add("\n")
        elif tag == "a":
            self._links += 1
        if isinstance(tag, str):
            self._add(element.text)

    def _end(self, element: Any, tag: Any) -> None:
        if tag in _BLOCK_TAGS:
            self._flush()
            self._stack.pop()
            self._preformatted -= tag == "pre"
        elif tag == "a":
            self._links -= 1
        self._add(element.tail)

    def _add(self, text: str | None) -> None:
        if text:
            self._pieces.append(text)
            self._linked += len(text) if self._links else 0

    def _flush(self) -> None:
        raw, linked = "".join(self._pieces), self._linked
        self._pieces, self._linked = [], 0
        if not self._preformatted:
            text = " ".join(raw.split())
        else:
            text = "\n".join(line.rstrip() for line in raw.strip("\n").split("\n")).rstrip()
        if text and self._stack:
            self.blocks.append(Block(self._stack[-1], text, linked / len(raw)))


def read_blocks(tree: Any) -> list[Block]:
    """Return the blocks of a tree in their order."""
    return _Reader().read(tree)


def _squeeze(text: str) -> str:
    return "".join(text.split())


def extract_main_text(tree: Any) -> str:
    """Return the main text of a page, a line for each block; empty where there is none.

    Args:
        tree: The page as lxml parses it; it is changed.
    """
    import trafilatura

    prune(tree)
    found = None
    if _can_be_joined(tree):
        found = trafilatura.extract(
            copy.deepcopy(tree), include_comments=False, include_tables=True, deduplicate=False
        )
    blocks = read_blocks(tree)
    if len(blocks) * len(found or "") > _MOST_COMPARED:
        return found or ""
    hits = _find_again(blocks, found) if found else _guess(blocks)
    container = _smallest_holder(tree, blocks, hits)
    if container is None:
        return found or ""
    container = _widen(container, blocks)
    inside = _numbers_inside(container, blocks)
    kept = _choose(blocks, hits, inside, _is_marked(container))
    heading = _title_before(blocks, inside, kept)
    chosen = ([heading] if heading is not None else []) + kept
    text = _join([blocks[k] for k in chosen])
    # Where the page's blocks do not hold what trafilatura saw, trafilatura is right.
    return text if len(_squeeze(text)) >= 0.9 * len(_squeeze(found or "")) else found or ""


def _can_be_joined(tree: Any) -> bool:
    """Whether a page is one that trafilatura is done with in seconds; nearly every page is."""
    pieces = sum(element.tag not in _KEPT_BY_TRAFILATURA for element in tree.iter())
    return pieces * len(tree.text_content()) <= _MOST_JOINED


def _find_again(blocks: list[Block], found: str) -> list[bool]:
    """Return which blocks trafilatura took; it may leave words inside them out."""
    # Marks of tables are its own.
    whole = _squeeze(found)
    plain = whole.replace("|", "")
    hits = []
    for block in blocks:
        text = _squeeze(block.text)
        hits.append(
            len(text) >= _SIGNIFICANT
            and (text[:_EDGE] in whole or text[-_EDGE:] in whole or text in plain)
        )
    return hits


def _guess(blocks: list[Block]) -> list[bool]:
    """Return which blocks are sentences, where trafilatura finds nothing; none if they are few."""
    hits = [
        len(block.text) >= _LEAST_CHARACTERS and block.linked < _LINKED and block.text[-1] in ".!?"
        for block in blocks
    ]
    characters = sum(len(block.text) for block, hit in zip(blocks, hits, strict=True) if hit)
    return hits if characters >= _LEAST_PAGE else [False] * len(blocks)


def _smallest_holder(tree: Any, blocks: list[Block], hits: list[bool]) -> Any:
    """Return the deepest element that holds nearly all characters of the hits."""
    held = _sums(tree, [(block.element, len(block.text), 0)
                        for block, hit in zip(blocks, hits, strict=True) if hit])  # fmt: skip
    total = held.get(tree, (0, 0))[0]
    if not total:
        return None
    holder = tree
    while True:
        heavier = [child for child in holder if held.get(child, (0, 0))[0] >= _HELD * total]
        # One paragraph is no container: its neighbours belong to it.
        if not heavier or heavier[0].tag in ("p", "pre", "li", "td", "dd", "blockquote"):
            return holder
        holder = heavier[0]


def _widen(container: Any, blocks: list[Block]) -> Any:
    """Return the marked element around what was found; where none is, as far as text goes on.

    Manuals are sections within sections, of which trafilatura may take one: elements around it are
    taken in as long as what they add is not mostly links.
    """
    for element in (container, *container.iterancestors()):
        if _is_marked(element):
            return element
    weights = _sums(
        container.getroottree().getroot(),
        [(b.element, len(b.text), len(b.text) if b.linked >= _LINKED else 0) for b in blocks],
    )
    for element in container.iterancestors():
        inner, outer = weights.get(container, (0, 0)), weights.get(element, (0, 0))
        if outer[1] - inner[1] > _LINKED_NEIGHBOURS * (outer[0] - inner[0]):
            break
        container = element
    return container


def _is_marked(element: Any) -> bool:
    if element.tag in ("article", "main") or element.get("role") == "main":
        return True
    if element.get("itemprop") == "articleBody":
        return True
    names = _names(element)
    return element.tag in ("div", "section", "td") and _MARKED_NAMES.search(names) is not None


def _sums(tree: Any, parts: list[tuple[Any, int, int]]) -> dict[Any, tuple[int, int]]:
    """Add two numbers of some elements up for each element that holds any of them."""
    sums: dict[Any, tuple[int, int]] = {}
    for element, first, second in parts:
        before = sums.get(element, (0, 0))
        sums[element] = (before[0] + first, before[1] + second)
    for element in reversed(list(tree.iter())):
        parent = element.getparent()
        if element in sums and parent is not None:
            before, own = sums.get(parent, (0, 0)), sums[element]
            sums[parent] = (before[0] + own[0], before[1] + own[1])
    return sums


def _numbers_inside(container: Any, blocks: list[Block]) -> list[int]:
    members = set(container.iter())
    return [k for k, block in enumerate(blocks) if block.element in members]


def _choose(blocks: list[Block], hits: list[bool], inside: list[int], is_marked: bool) -> list[int]:
    """Return the numbers of the blocks to keep: no lists of links, no headings above nothing."""
    first = next(k for k in inside if hits[k])
    last = next(k for k in reversed(inside) if hits[k])
    wanted = []
    for k in inside:
        block = blocks[k]
        tag = block.element.tag
        if hits[k] or tag in _HEADINGS:
            wanted.append(k)
        elif block.linked < _LINKED and any(c.isalnum() for c in block.text):
            # Short lines are text between text, or where the page's maker says that all of it is.
            between = first <= k <= last
            structured = tag in _STRUCTURE and (between or is_marked)
            if len(block.text) >= _LEAST_CHARACTERS or structured or (between and is_marked):
                wanted.append(k)
    kept = []
    # A heading stays where text follows before a heading of its rank or a higher one.
    followed: str | None = None
    for k in reversed(wanted):
        tag = blocks[k].element.tag
        if tag not in _HEADINGS:
            followed = "h6"
        elif followed is None or tag > followed:
            continue
        else:
            followed = tag if tag < followed else followed
        kept.append(k)
    return kept[::-1]


def _title_before(blocks: list[Block], inside: list[int], kept: list[int]) -> int | None:
    """Return the page's only main heading where it stands before the main element."""
    titles = [k for k, block in enumerate(blocks) if block.element.tag == "h1"]
    if len(titles) != 1 or not kept or titles[0] in kept or titles[0] >= inside[0]:
        return None
    return titles[0] if titles[0] >= inside[0] - _LEAST_CHARACTERS else None


def _join(blocks: list[Block]) -> str:
    """Put blocks on lines, the cells of a row on one."""
    lines: list[str] = []
    row: Any = None
    for block in blocks:
        parent = block.element.getparent() if block.element.tag in ("td", "th") else None
        if parent is not None and parent is row:
            lines[-1] += " | " + block.text
        elif block.element.tag == "li" and not block.text.startswith(("-", "•", "–")):
            lines.append(f"- {block.text}")
        else:
            lines.append(block.text)
        row = parent
    return "\n".join(lines)
