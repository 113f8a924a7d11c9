"""News articles as JSON: a title, a lead, and a body of paragraphs or components.

Schibsted's and VG's newspapers, Polaris' (Sunnmørsposten) and NRK deliver articles so, each with
names of its own; the pieces of running text are put together in the order they are read in, and
pictures, captions, bylines, boxes with links and advertisements are left out. Component layout:
https://github.com/Molnes/Nyhetsjeger (internal/models/articles/third_party_articles.go); the other
names are those of schema.org/NewsArticle and of common editorial systems.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from norcli.corpus.sources.fields import Record, flatten, iso_date, made_id, take_out
from norcli.corpus.sources.layouts import INDUSTRY, Adapted, Layout, provenance

_TITLE = "title|headline|tittel"
_LEAD_ALONE = "lead|leadText|lead_text|ingress|preamble|standfirst"
_LEAD = f"{_LEAD_ALONE}|description|subtitle"
_BODY = "components|body|bodyText|body_text|articleBody|content|paragraphs|brodtekst|text"
_NAMES = {
    "id": "id|articleId|article_id|uuid",
    "url": "url|canonicalUrl|canonical_url|link|links.self|shareUrl",
    "date": "published|publishedAt|published_at|publishDate|datePublished|firstPublished|"
    "changes.published|changes.firstPublished|date|created",
    "section": "section.title|section|category",
    "source": "publication|newspaper|publisher.name|publisher|newsroom|source",
    "lang": "lang|language|inLanguage",
}
# Parts of an article that are no running text, by their type; a type may be "image-gallery".
_LEFT_OUT = re.compile(
    r"image|picture|photo|video|audio|media|gallery|caption|byline|author|embed|iframe|html|"
    r"advert|^ad$|teaser|related|link|newsletter|poll|map|table|(?<!para)graph|chart|fact|score|"
    r"widget",
    re.IGNORECASE,
)
_LINE_TAG = re.compile(r"</?(?:p|h[1-6]|li|ul|ol|div|blockquote|br|tr)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,2000}>")
_SPACES = re.compile(r"[ \t\r\f\v]+")


def plain_text(text: str) -> str:
    """Return the text of a scrap of HTML: a paragraph a line, character references undone."""
    if "<" in text:
        text = _TAG.sub("", _LINE_TAG.sub("\n", text))
    lines = (_SPACES.sub(" ", line).strip() for line in html.unescape(text).split("\n"))
    return "\n".join(line for line in lines if line)


def running_text(part: Any, depth: int = 0) -> Iterator[str]:
    """Yield the pieces of running text in a title, lead or body, however it is nested."""
    if depth > 20:
        return
    if isinstance(part, str):
        if text := plain_text(part):
            yield text
    elif isinstance(part, list):
        for item in part:
            yield from running_text(item, depth + 1)
    elif isinstance(part, dict):
        kind = part.get("type") or part.get("componentType") or part.get("blockType") or ""
        if isinstance(kind, str) and _LEFT_OUT.search(kind):
            return
        for name in ("title", "text", "value", "paragraphs", "items", "content", "children",
                     "components", "body"):  # fmt: skip
            # A heading inside a text component is read; its own title only where it has text, too.
            if name in part and (name != "title" or len(part) > 1):
                yield from running_text(part[name], depth + 1)


def adapt_article(record: Record) -> Iterator[Adapted]:
    """Put title, lead and body together; the title stays a field as well.

    Raises:
        ValueError: There is no running text.
    """
    titles = list(running_text(take_out(record, _TITLE)))
    lead = list(running_text(take_out(record, _LEAD)))
    body = list(running_text(take_out(record, _BODY)))
    pieces = titles[:1] + [piece for piece in lead if piece not in body[:1]] + body
    if not lead and not body:
        raise ValueError("article without lead or body")
    fields = {name: take_out(record, path) for name, path in _NAMES.items()}
    fields["date"] = iso_date(fields["date"])
    fields["title"] = titles[0] if titles else None
    if fields["id"] is None:
        fields["id"] = made_id(fields["url"], fields["date"], *pieces)
    fields["id"] = str(fields["id"])
    kept = {name: value for name, value in record.items() if not isinstance(value, (dict, list))}
    yield Adapted("\n\n".join(pieces), flatten(kept) | flatten(fields))


NEWS_COMPONENTS = Layout(
    name="news",
    needs=(_TITLE, "components"),
    adapt=adapt_article,
    provenance=provenance("news", INDUSTRY, None, copyrighted=True),
)
NEWS = Layout(
    name="news",
    needs=(_TITLE, f"{_LEAD_ALONE}|bodyText|body_text|articleBody|brodtekst"),
    adapt=adapt_article,
    provenance=NEWS_COMPONENTS.provenance,
)
