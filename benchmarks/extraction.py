"""Main text of web pages: how much of it is found, and how much else, beside plain trafilatura.

    python benchmarks/extraction.py REAL_DATA [--pages N]

REAL_DATA is a folder with crawl/ as tests with NORCLI_REAL_DATA use it; examples/data/crawl/html is
measured too. The truth is made by hand, for each page layout once: which element holds the text
(`LAYOUTS`), and which elements inside it do not belong to it. Its lines are the texts of the
innermost blocks. Per page, precision is the share of extracted words that are in the truth, recall
the share of the truth's words that are extracted (both with multiplicity); line precision and
recall count whole lines found in the other text, white space aside. All are means over pages.
Trafilatura runs as it comes (`extract(page)`); both are timed in the same run.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lxml.html
import trafilatura
from recording import record

from norcli.corpus.boilerplate import BoilerplateLines
from norcli.corpus.extraction import decode_page, extract_page
from norcli.corpus.normalization import normalize_text
from norcli.formats.warc import parse_http, read_warc

ROOT = Path(__file__).resolve().parent.parent
LEAST_WORDS = 20  # of the truth; shorter pages are menus and stubs

# Part of the address or path → elements that hold the text, and elements in them that do not.
LAYOUTS = {
    "handbook-": (
        "//body",
        "//*[@id='banner' or @id='title' or @class='toc' or contains(@class, 'docnav')]",
    ),
    "gimp-nn": ("//body", "//div[@class='navheader' or @class='navfooter' or @class='toc']"),
    "office-": (
        "//*[@id='DisplayArea']",
        "//*[@class='related' or @class='relatedtopics' or @class='relatedbody']",
    ),
    ".example": (
        "//article | //*[contains(@class, 'blog-post')] | //*[@id='content' or @id='innhold']"
        " | //*[@class='hero'] | //*[@itemprop='articleBody']",
        "//nav | //aside | //footer | //button | //form | //time | //*[@id='comments']"
        "| //*[contains(@class, 'share') or contains(@class, 'annonse')"
        " or contains(@class, 'byline')"
        " or contains(@class, 'cookie') or contains(@class, 'related') or contains(@class, 'dat')"
        " or contains(@class, 'meta') or contains(@class, 'ad ') or @class='facts']",
    ),
}
BLOCKS = frozenset(
    [
        "p",
        "div",
        "li",
        "dt",
        "dd",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "td",
        "th",
        "pre",
        "blockquote",
        "section",
        "article",
        "ul",
        "ol",
        "dl",
        "table",
        "tr",
        "tbody",
        "thead",
        "figure",
        "figcaption",
        "body",
        "main",
        "header",
        "center",
        "address",
        "caption",
        "details",
        "summary",
        "hr",
    ]
)


def truth_of(page: str, name: str) -> list[str] | None:
    """Return the lines that belong to the text, None where no layout is known."""
    layout = next((rule for part, rule in LAYOUTS.items() if part in name), None)
    if layout is None:
        return None
    tree = lxml.html.fromstring(page.split("?>", 1)[-1] if page.startswith("<?xml") else page)
    for element in tree.xpath("//script | //style | //noscript | " + layout[1]):
        element.drop_tree()
    found = tree.xpath(layout[0])
    # An element inside another one found is found with it.
    outer = [e for e in found if not any(parent in found for parent in e.iterancestors())]
    return [line for element in outer for line in lines_of(element)]


def lines_of(element: lxml.html.HtmlElement) -> list[str]:
    lines: list[str] = [""]

    def walk(node: lxml.html.HtmlElement) -> None:
        is_block = node.tag in BLOCKS
        if is_block or node.tag == "br":
            lines.append("")
        if isinstance(node.tag, str):
            lines[-1] += node.text or ""
            for child in node:
                walk(child)
        if is_block:
            lines.append("")
        lines[-1] += node.tail or ""

    tail, element.tail = element.tail, None
    walk(element)
    element.tail = tail
    cleaned = (" ".join(normalize_text(line).split()) for line in lines)
    return [line for line in cleaned if any(character.isalnum() for character in line)]


def words_of(text: str) -> Counter[str]:
    return Counter("".join(c if c.isalnum() else " " for c in text.lower()).split())


def score(text: str, truth: list[str]) -> dict[str, float]:
    got, wanted = words_of(text), words_of(" ".join(truth))
    common = (got & wanted).total()
    lines = [line for line in text.split("\n") if any(c.isalnum() for c in line)]
    whole_truth, whole_text = ("".join("".join(x).split()) for x in (truth, text))
    # Marks of lists and tables are the extractor's, not the page's.
    inside = sum("".join(line.split()).strip("|-•*") in whole_truth for line in lines)
    covered = sum("".join(line.split()) in whole_text for line in truth)
    return {
        "precision": common / max(got.total(), 1),
        "recall": common / max(wanted.total(), 1),
        "line precision": inside / max(len(lines), 1),
        "line recall": covered / len(truth),
    }


def by_trafilatura(page: bytes) -> str:
    return trafilatura.extract(decode_page(page)) or ""


def by_norcli(page: bytes) -> str:
    return BOILERPLATE.remove(normalize_text(extract_page(page).text))[0]


BOILERPLATE = BoilerplateLines()
EXTRACTORS: dict[str, Callable[[bytes], str]] = {
    "trafilatura": by_trafilatura,
    "norcli": by_norcli,
}


def read_pages(data: Path) -> dict[str, list[tuple[str, bytes]]]:
    sets: dict[str, list[tuple[str, bytes]]] = {
        "sample": [
            (str(file), file.read_bytes())
            for file in sorted((ROOT / "examples/data/crawl/html").rglob("*.html"))
        ]
    }
    with (data / "crawl/web.warc.gz").open("rb") as stream:
        for warc_record in read_warc(stream, "web.warc.gz"):
            if warc_record.type != "response" or warc_record.content is None:
                continue
            response = parse_http(warc_record.content)
            if "html" in response.headers.get("content-type", ""):
                url = warc_record.url or ""
                site = url.split("/")[3].partition("-")[0]
                sets.setdefault(site, []).append((url, response.body))
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="REAL_DATA")
    parser.add_argument("--pages", type=int, default=60, help="pages of each site at most")
    arguments = parser.parse_args()
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    figures: dict[str, object] = {}
    for site, pages in read_pages(arguments.data).items():
        step = max(len(pages) // arguments.pages, 1)
        truths = [(page, truth_of(decode_page(page), url)) for url, page in pages[::step]]
        known = [(page, truth) for page, truth in truths
                 if truth and words_of(" ".join(truth)).total() >= LEAST_WORDS]  # fmt: skip
        if not known:
            continue
        for name, extract in EXTRACTORS.items():
            start = time.process_time()
            texts = [extract(page) for page, _ in known]
            seconds = time.process_time() - start
            scores = [score(text, truth) for text, (_, truth) in zip(texts, known, strict=True)]
            figures[f"{site} {name}"] = {
                key: round(100 * statistics.mean(s[key] for s in scores), 1) for key in scores[0]
            } | {"pages": len(known), "ms a page": round(1000 * seconds / len(known), 1)}
    record("extraction", figures)


if __name__ == "__main__":
    main()
