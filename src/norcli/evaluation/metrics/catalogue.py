"""All metrics by name, with a line of help each; the metric itself is made on demand.

What `norcli eval tasks` lists and ``--metrics`` accepts. Importing this costs nothing: numpy and
sacrebleu come with the first metric that is made.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from norcli.errors import UsageError

if TYPE_CHECKING:
    from norcli.evaluation.metrics.measure import Metric

METRICS: dict[str, str] = {
    "bleu": "corpus BLEU (13a); with --compat nlebench the mean of sentence BLEU",
    "chrf": "corpus chrF2",
    "rouge-1": "F of words shared with the reference; æ, ø and å are letters",
    "rouge-2": "F of word pairs shared",
    "rouge-L": "F of the longest common subsequence of words",
    "rouge-Lsum": "ROUGE-L with lines as sentences",
    "dist-4": "share of distinct 4-grams in a text; with --compat nlebench its length proxy",
    "exact-match": "equal to a reference without case, punctuation and articles",
    "f1": "F1 of the words of a short answer, as SQuAD",
    "accuracy": "share of right labels or choices",
    "accuracy-norm": "accuracy of choices with log-probabilities divided by their length",
    "macro-f1": "mean F1 of the labels",
    "mcc": "Matthews' correlation coefficient",
    "perplexity": "exp of the mean negative log-likelihood of a token",
    "word-perplexity": "the same for a word",
    "bits-per-byte": "negative log-likelihood in bits for each byte; compares all tokenizers",
    "stereotype-preferred": "share of CrowS pairs where the stereotype is likelier; 50 is even",
}

ALIASES = {"rouge-l": "rouge-L", "rougel": "rouge-L", "rouge1": "rouge-1", "rouge2": "rouge-2",
           "rouge-lsum": "rouge-Lsum", "rougelsum": "rouge-Lsum", "dist4": "dist-4",
           "em": "exact-match", "acc": "accuracy", "acc-norm": "accuracy-norm",
           "ppl": "perplexity", "bpb": "bits-per-byte", "macrof1": "macro-f1"}  # fmt: skip


def metric_names(names: Sequence[str]) -> list[str]:
    """Return the metrics' names as the catalogue spells them; ``rouge`` is ROUGE-1, -2 and -L.

    Raises:
        UsageError: A name is unknown.
    """
    found: list[str] = []
    for given in names:
        name = given.lower().replace("_", "-")
        if name == "rouge":
            found += ["rouge-1", "rouge-2", "rouge-L"]
            continue
        name = ALIASES.get(name, name)
        if name not in METRICS:
            close = difflib.get_close_matches(name, METRICS, n=1)
            raise UsageError(
                f'unknown metric "{given}"',
                hint=f"did you mean {close[0]}?" if close else "norcli eval tasks lists them",
            )
        found.append(name)
    return list(dict.fromkeys(found))


def make_metric(name: str, compat: str = "none") -> Metric:
    """Return a metric by its name.

    Args:
        name: A key of `METRICS`.
        compat: ``none``, ``nlebench`` or ``lm-eval``: whose way of computing to repeat.
    """
    nlebench, english = compat == "nlebench", compat == "lm-eval"
    if name.startswith("rouge"):
        from norcli.evaluation.metrics.rouge import rouge

        variant = {"none": "unicode", "nlebench": "pltrdy", "lm-eval": "google"}[compat]
        return rouge(name, variant)
    if name in ("bleu", "chrf"):
        from norcli.evaluation.metrics import overlap

        if name == "chrf":
            return overlap.chrf()
        return overlap.sentence_bleu() if nlebench else overlap.bleu()
    if name == "dist-4":
        from norcli.evaluation.metrics.distinct import distinct

        return distinct(4, nlebench=nlebench)
    if name in ("exact-match", "f1"):
        from norcli.evaluation.metrics import answers

        return (answers.exact_match if name == "exact-match" else answers.answer_f1)(
            english=english
        )
    from norcli.evaluation.metrics import labels, likelihood

    if name == "stereotype-preferred":
        return likelihood.stereotype_preferred(nlebench=nlebench)
    makers = {
        "accuracy": labels.accuracy,
        "accuracy-norm": labels.accuracy_norm,
        "macro-f1": labels.macro_f1,
        "mcc": labels.matthews,
        "perplexity": likelihood.perplexity,
        "word-perplexity": likelihood.word_perplexity,
        "bits-per-byte": likelihood.bits_per_byte,
    }
    return makers[name]()
