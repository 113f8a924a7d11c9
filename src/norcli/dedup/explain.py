"""Why a document was dropped: its survivor, estimated and exact similarity, and the differences.

``norcli dedup explain ID``. Runs the decision again with the same options, then reads the texts
of the document's cluster and compares them word by word.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from norcli.console import Console
from norcli.dedup.collecting import collect
from norcli.dedup.deciding import decide
from norcli.dedup.options import PASSAGES_OF, ExplainOptions
from norcli.dedup.pipeline import banding_of
from norcli.dedup.reading import RecordSource
from norcli.dedup.shingles import shingle_texts
from norcli.dedup.statistics import DedupResult
from norcli.dedup.writing import parsed
from norcli.errors import DataError, UsageError

MOST_MEMBERS = 20
"""Members of a cluster that are listed."""


@dataclass
class Explanation:
    """What is known about one document.

    Attributes:
        role: ``unique``, ``survivor`` or ``duplicate``.
        survivor: Id of the document that stays for it.
        jaccard_estimated: From the signatures; None for unique documents.
        jaccard_exact: Of the two sets of n-grams; None for unique documents.
        members: Places and ids of the documents in the cluster.
        differences: The words that differ, with some around them.
    """

    id: str
    place: str
    role: str
    cluster_size: int
    survivor: str
    survivor_place: str
    method: str | None
    jaccard_estimated: float | None
    jaccard_exact: float | None
    members: list[str]
    differences: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    def as_text(self, colored: bool = False) -> str:
        """Return the explanation for people, what differs in red and green if `colored`."""
        lines = [f"{self.id} ({self.place}) is {self.role}"]
        if self.role == "duplicate":
            lines.append(f"survivor   {self.survivor} ({self.survivor_place})")
            lines.append(f"method     {self.method}")
        if self.jaccard_estimated is not None:
            what = "survivor" if self.role == "duplicate" else "most similar duplicate"
            lines.append(f"similarity to the {what}: estimated {self.jaccard_estimated:.4f}, "
                         f"exact {self.jaccard_exact:.4f}")  # fmt: skip
        if self.cluster_size > 1:
            lines.append(f"cluster    {self.cluster_size} documents")
            lines += [f"  {member}" for member in self.members]
        if self.differences:
            lines.append("differences (- survivor, + this document)" if self.role == "duplicate"
                         else "differences (- this document, + duplicate)")  # fmt: skip
            lines += [f"  {_colored(line) if colored else line}" for line in self.differences]
        return "\n".join(lines) + "\n"


def _colored(line: str) -> str:
    """Return a line of differences with what goes in red and what comes in green."""
    line = re.sub(r"\[-(.*?)-\](?= |$)", "\x1b[31m[-\\1-]\x1b[0m", line)
    return re.sub(r"\{\+(.*?)\+\}(?= |$)", "\x1b[32m{+\\1+}\x1b[0m", line)


def exact_jaccard(first: str, second: str, ngram: int) -> float:
    """Return the Jaccard similarity of the word n-grams of two texts; 1 for two without any."""
    texts = [first.encode("utf-8", "surrogatepass"), second.encode("utf-8", "surrogatepass")]
    shingles, starts, hashes = shingle_texts(texts, ngram)
    one, two = set(shingles[: starts[1]].tolist()), set(shingles[starts[1] :].tolist())
    if not one | two:
        return float(bool((hashes[0] == hashes[1]).all()))
    return len(one & two) / len(one | two)


def word_differences(first: str, second: str, context: int) -> list[str]:
    """Return the passages in which two texts differ, as lines ``[-gone-] {+come+}``."""
    ours, theirs = first.split(), second.split()
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    lines = []
    for group in matcher.get_grouped_opcodes(context):
        words = []
        for kind, i, j, k, m in group:
            if kind == "equal":
                words += ours[i:j]
                continue
            if i < j:
                words.append("[-" + " ".join(ours[i:j]) + "-]")
            if k < m:
                words.append("{+" + " ".join(theirs[k:m]) + "+}")
        lines.append(" ".join(words))
    return lines


def explain(options: ExplainOptions, console: Console) -> Explanation:
    """Explain what a run of dedup with the same options does with one document.

    Raises:
        DataError: No document has this id.
        UsageError: The method cuts passages.
    """
    run = options.as_dedup()
    run.check()
    if set(run.method) & set(PASSAGES_OF):
        raise UsageError("explain tells about methods that compare documents",
                         hint="what was cut is counted in the dedup_removed_ fields")  # fmt: skip
    banding = banding_of(run)
    source = RecordSource(run, console)
    try:
        collected = collect(source, run, banding, console)
        decisions = decide(collected, run, banding, DedupResult())
        wanted = options.document_id.encode("utf-8", "surrogatepass")
        ids = collected.ids
        number = next((n for n in range(len(ids)) if ids.raw(n) == wanted), None)
        if number is None:
            raise DataError(f'no document has the id "{options.document_id}"',
                            hint="ids stand in the id field, or in --rejects")  # fmt: skip
        survivor = int(decisions.survivors[number])
        members = np.flatnonzero(decisions.survivors == survivor)
        texts, places = {}, {}
        for n, (place, item) in enumerate(source.again()):
            if decisions.survivors[n] == survivor:
                places[n] = f"{place.path}:{place.line}"
                texts[n] = str(parsed(item, run.text_key)[run.text_key])
    finally:
        source.close()
    # A survivor is compared with the duplicate most like it.
    others = [n for n in members.tolist() if n != number]
    estimates = decisions.jaccard
    other = survivor if survivor != number else max(others, key=lambda n: estimates[n], default=-1)
    role = "duplicate" if survivor != number else "survivor" if others else "unique"
    explanation = Explanation(
        id=options.document_id, place=places[number], role=role, cluster_size=len(members),
        survivor=ids[survivor], survivor_place=places[survivor], method=None,
        jaccard_estimated=None, jaccard_exact=None,
        members=[f"{ids[n]} ({places[n]})" for n in members[:MOST_MEMBERS].tolist()],
        differences=[],
    )  # fmt: skip
    if other < 0:
        return explanation
    dropped = number if role == "duplicate" else other
    explanation.method = "exact" if decisions.exact[dropped] else "minhash"
    if decisions.same_url[dropped]:
        explanation.method = "url"
    explanation.jaccard_estimated = round(float(estimates[dropped]), 4)
    explanation.jaccard_exact = round(exact_jaccard(texts[number], texts[other], run.ngram), 4)
    explanation.differences = word_differences(texts[survivor], texts[dropped], options.context)
    return explanation
