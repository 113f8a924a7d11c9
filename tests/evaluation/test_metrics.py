"""Metrics against libraries, published vectors and numbers worked out by hand."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from norcli.errors import UsageError
from norcli.evaluation.metrics import answers, labels
from norcli.evaluation.metrics.catalogue import METRICS, make_metric, metric_names
from norcli.evaluation.metrics.measure import bootstrap, measure
from norcli.evaluation.metrics.rouge import (
    ascii_words,
    f_measure,
    lcs_length,
    pltrdy_f,
    precision_and_recall,
    unicode_words,
)

MEASURES = {"rouge-1": "rouge1", "rouge-2": "rouge2", "rouge-L": "rougeL",
            "rouge-Lsum": "rougeLsum"}  # fmt: skip


def text_record(prediction: str, *references: str) -> dict[str, Any]:
    return {"prediction": prediction, "references": list(references)}


def value_of(name: str, records: list[dict[str, Any]], compat: str = "none") -> float:
    found = measure(make_metric(name, compat), records, resamples=0).value
    assert found is not None
    return found


def random_pairs(count: int) -> list[tuple[str, str]]:
    rng = random.Random(5)
    words = ["jeg", "du", "vi.", "å", "Ære", "får", "før", "og.", "på\n", "a", "b", "c", "d"]
    return [
        (" ".join(rng.choices(words, k=rng.randint(0, 25))),
         " ".join(rng.choices(words, k=rng.randint(1, 25))))
        for _ in range(count)
    ]  # fmt: skip


def test_every_metric_of_the_catalogue_can_be_made_in_every_compat_mode() -> None:
    for name in METRICS:
        for compat in ("none", "nlebench", "lm-eval"):
            assert make_metric(name, compat).name == name


def test_rouge_counts_norwegian_letters_and_the_google_variant_deletes_them() -> None:
    assert f_measure("rouge-1", "får", "før", unicode_words) == 0.0
    assert f_measure("rouge-1", "får", "før", ascii_words) == 1.0
    assert f_measure("rouge-1", "på", "på", unicode_words) == 1.0
    assert f_measure("rouge-1", "å", "å", ascii_words) == 0.0


def test_rouge_takes_a_decomposed_letter_for_the_composed_one() -> None:
    assert f_measure("rouge-1", "a\u030apen", "åpen", unicode_words) == 1.0


def test_rouge_by_hand() -> None:
    # "det regner i dag" / "i dag regner det mye": 4 of 4 and 4 of 5 words; pair "i dag"; LCS 2.
    pair = "Det regner i dag.", "I dag regner det mye."
    assert precision_and_recall("rouge-1", *pair, unicode_words) == (1.0, 0.8)
    assert precision_and_recall("rouge-2", *pair, unicode_words) == (1 / 3, 1 / 4)
    assert precision_and_recall("rouge-L", *pair, unicode_words) == (0.5, 0.4)


@pytest.mark.parity
def test_google_rouge_equals_rouge_score() -> None:
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(list(MEASURES.values()))
    for prediction, reference in random_pairs(150):
        theirs = scorer.score(reference, prediction)
        for name, key in MEASURES.items():
            ours = f_measure(name, prediction, reference, ascii_words)
            assert ours == pytest.approx(theirs[key].fmeasure, abs=1e-12)


def test_longest_common_subsequence_equals_the_plain_table() -> None:
    rng = random.Random(1)
    for _ in range(100):
        a = rng.choices("abcde", k=rng.randint(0, 80))
        b = rng.choices("abcde", k=rng.randint(0, 80))
        table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                table[i + 1][j + 1] = (
                    table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
                )
        assert lcs_length(a, b) == table[-1][-1]


def test_pltrdy_refuses_an_empty_prediction_and_nlebench_leaves_it_out() -> None:
    assert pltrdy_f("rouge-1", "", "noe") is None
    records = [text_record("", "noe"), text_record("noe", "noe")]
    found = measure(make_metric("rouge-1", "nlebench"), records, resamples=0)
    assert found.n == 1
    assert found.value == pytest.approx(100.0, abs=1e-5)
    assert measure(make_metric("rouge-1"), records, resamples=0).value == 50.0


@pytest.mark.parametrize(("compat", "expected"), [("none", 20.0), ("nlebench", 62.5)])
def test_dist_4_is_variety_and_nlebench_measures_length(compat: str, expected: float) -> None:
    assert value_of("dist-4", [text_record("ja ja ja ja ja ja ja ja")], compat) == expected


def test_dist_4_leaves_out_texts_without_four_words() -> None:
    records = [text_record("en to tre"), text_record("en to tre fire fem")]
    found = measure(make_metric("dist-4"), records, resamples=0)
    assert (found.value, found.n) == (100.0, 1)


def test_bleu_and_chrf_are_sacrebleus_corpus_scores_with_uneven_references() -> None:
    import sacrebleu

    records = [
        text_record("Stortinget vedtok loven i går.", "Loven ble vedtatt av Stortinget i går."),
        text_record("Været er fint i Tromsø.", "Været er stygt i Tromsø.", "Det er fint der nord."),
    ]
    predictions = [record["prediction"] for record in records]
    streams = [[records[0]["references"][0], records[1]["references"][0]],
               [None, records[1]["references"][1]]]  # fmt: skip
    bleu = sacrebleu.corpus_bleu(predictions, streams).score
    chrf = sacrebleu.corpus_chrf(predictions, streams).score
    assert value_of("bleu", records) == pytest.approx(bleu, abs=1e-12)
    assert value_of("chrf", records) == pytest.approx(chrf, abs=1e-12)


def test_nlebench_bleu_is_the_mean_of_sentence_scores() -> None:
    import sacrebleu

    pairs = [("Det regner i Bergen i dag.", "I dag regner det i Bergen."), ("ja", "nei")]
    scorer = sacrebleu.BLEU()
    expected = np.mean([scorer.sentence_score(p, [r]).score for p, r in pairs])
    records = [text_record(*pair) for pair in pairs]
    assert value_of("bleu", records, "nlebench") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "reference", "norwegian", "english"),
    [
        ("Vanskelig.", "vanskelig", 1.0, 1.0),
        ("god posisjon i dag", "en god posisjon", 2 * 2 / 6, 4 / 7),
        ("sea", "the sea", 2 / 3, 1.0),
        ("eit hus", "et hus", 1.0, 0.5),
        ("«Peer Gynt»", "Peer Gynt", 1.0, 0.0),
        ("1999", "i 1999", 2 / 3, 2 / 3),
        ("noe", "", 0.0, 0.0),
        ("", "", 1.0, 1.0),
    ],
)
def test_answer_f1_drops_norwegian_articles_and_quotes(
    prediction: str, reference: str, norwegian: float, english: float
) -> None:
    assert answers.word_f1(prediction, reference) == pytest.approx(norwegian)
    assert answers.word_f1(prediction, reference, english=True) == pytest.approx(english)


def test_exact_match_takes_any_of_the_references() -> None:
    assert value_of("exact-match", [text_record("Afrika.", "til Afrika", "Afrika")]) == 100.0


def label_records(pairs: str) -> list[dict[str, Any]]:
    """Return records of "right>predicted" words."""
    return [dict(zip(("label", "prediction"), pair.split(">"), strict=True))
            for pair in pairs.split()]  # fmt: skip


def test_accuracy_macro_f1_and_correlation_by_hand() -> None:
    # Two labels, 3 hits of ja, 1 of nei, one ja taken for nei, one nei for ja.
    records = label_records("ja>ja ja>ja ja>ja ja>nei nei>nei nei>ja")
    assert value_of("accuracy", records) == pytest.approx(100 * 4 / 6)
    assert value_of("macro-f1", records) == pytest.approx(100 * (6 / 8 + 2 / 4) / 2)
    # (tp tn - fp fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn)) = (3 - 1) / sqrt(4 * 4 * 2 * 2)
    assert value_of("mcc", records) == pytest.approx(100 * 2 / 8)


def test_macro_f1_averages_labels_that_occur_and_correlation_of_one_label_is_none() -> None:
    always_yes = label_records("ja>ja ja>ja nei>ja")
    assert value_of("macro-f1", always_yes) == pytest.approx(100 * (4 / 5 + 0) / 2)
    assert value_of("mcc", always_yes) == 0.0
    assert value_of("macro-f1", label_records("ja>ja ja>ja")) == 100.0


def test_labels_may_be_numbers_or_their_text() -> None:
    assert value_of("accuracy", [{"label": 1, "prediction": "1"}]) == 100.0


def test_normalized_accuracy_divides_by_characters() -> None:
    record = {"log_probs": [-4.0, -6.0], "choices": ["ja", "kanskje ikke"], "label": 1,
              "prediction": 0}  # fmt: skip
    assert value_of("accuracy", [record]) == 0.0
    assert value_of("accuracy-norm", [record]) == 100.0


def test_perplexity_and_bits_by_hand() -> None:
    records = [
        {"nll": 4 * math.log(2), "tokens": 3, "words": 2, "bytes": 10},
        {"nll": 2 * math.log(2), "tokens": 3, "words": 1, "bytes": 2},
    ]
    assert value_of("perplexity", records) == pytest.approx(2.0)
    assert value_of("word-perplexity", records) == pytest.approx(4.0)
    assert value_of("bits-per-byte", records) == pytest.approx(0.5)


def test_stereotype_preference_runs_the_other_way_in_nlebench() -> None:
    records = [{"perplexity_more": more, "perplexity_less": less}
               for more, less in ((1, 2), (1, 2), (3, 2), (2, 2))]  # fmt: skip
    assert value_of("stereotype-preferred", records) == 50.0
    assert value_of("stereotype-preferred", records, "nlebench") == 25.0


def test_interval_of_a_mean_agrees_with_its_standard_error() -> None:
    rng = random.Random(2)
    records = [text_record("x", "x" if rng.random() < 0.4 else "y") for _ in range(400)]
    found = measure(make_metric("exact-match"), records, resamples=2000, seed=1)
    assert found.value is not None and found.low is not None and found.high is not None
    share = found.value / 100
    half = 196 * math.sqrt(share * (1 - share) / 400)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)
    assert found.low < found.value < found.high
    again = measure(make_metric("exact-match"), records, resamples=2000, seed=1)
    assert again == found


def test_interval_of_macro_f1_equals_resampling_the_records_themselves() -> None:
    records = label_records("ja>ja ja>nei nei>nei nei>nei ja>ja nei>ja ja>ja")
    drawn = bootstrap(labels.confusion_statistics(records), labels.macro_f1_score, 20, seed=4)
    weights = np.random.default_rng(4).multinomial(7, np.full(7, 1 / 7), size=20)
    for row, score in zip(weights, drawn, strict=True):
        sample = [record for record, times in zip(records, row, strict=True) for _ in range(times)]
        assert value_of("macro-f1", sample) == pytest.approx(score)


def test_one_record_has_no_interval() -> None:
    found = measure(make_metric("f1"), [text_record("a", "a")])
    assert (found.low, found.high) == (None, None)


def test_metric_names_know_other_spellings_and_suggest() -> None:
    assert metric_names(["rouge", "ROUGE-L", "macro_f1", "ppl"]) == [
        "rouge-1", "rouge-2", "rouge-L", "macro-f1", "perplexity",
    ]  # fmt: skip
    with pytest.raises(UsageError) as caught:
        metric_names(["belu"])
    assert caught.value.hint == "did you mean bleu?"


@pytest.fixture(scope="module")
def vectors(real_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((real_data / "eval" / "metric_vectors.json").read_text())
    return content


@pytest.mark.real_data
@pytest.mark.parity
def test_metrics_equal_the_reference_vectors(vectors: dict[str, Any]) -> None:
    """EVALUATION G1: the libraries' own numbers, to 1e-9."""
    records = [text_record(pair["hyp"], pair["ref"]) for pair in vectors["pairs"]]
    close = {"abs": 1e-9}
    for pair, record in zip(vectors["pairs"], records, strict=True):
        for name, key in MEASURES.items():
            for words, variant in ((ascii_words, "google"), (unicode_words, "unicode")):
                expected = pair[f"rouge_{variant}"][key]
                precision, recall = precision_and_recall(name, pair["hyp"], pair["ref"], words)
                f = f_measure(name, pair["hyp"], pair["ref"], words)
                assert [precision, recall, f] == pytest.approx(expected, **close)
        old = pair["pltrdy_rouge"]
        for name in ("rouge-1", "rouge-2", "rouge-L"):
            expected_f = old[name.lower()]["f"] if isinstance(old, dict) else None
            assert pltrdy_f(name, pair["hyp"], pair["ref"]) == pytest.approx(expected_f, **close)
        sentence = value_of("bleu", [record], "nlebench")
        assert sentence == pytest.approx(pair["sacrebleu_sentence_13a_exp"], **close)
        assert value_of("chrf", [record]) == pytest.approx(pair["chrf2"], **close)
    corpus = vectors["corpus_bleu_13a"]["score"]
    assert value_of("bleu", records) == pytest.approx(corpus, **close)
    assert value_of("chrf", records) == pytest.approx(vectors["corpus_chrf2"], **close)
    mean = vectors["nlebench_bleu_mean_sentence"]
    assert value_of("bleu", records, "nlebench") == pytest.approx(mean, **close)
    for row in vectors["squad"]:
        f1 = answers.word_f1(row["pred"], row["gold"], english=True)
        assert f1 == pytest.approx(row["f1"], **close)
    for row in vectors["dist"]:
        record = text_record(row["text"])
        for compat, key in (("none", "true_dist4"), ("nlebench", "nlebench_dist4")):
            assert value_of("dist-4", [record], compat) == pytest.approx(100 * row[key], **close)


@pytest.mark.real_data
def test_bias_of_norgpt_369m_is_the_published_one(real_data: Path) -> None:
    """EVALUATION G7: shares recomputed from NLEBench's own perplexities, to .05."""
    import csv
    import gzip

    file = real_data / "eval" / "nlebench" / "bias_369M.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        rows = [
            {"perplexity_more": float(row["perp_more"]), "perplexity_less": float(row["perp_less"]),
             "group": row["bias_type"]}
            for row in csv.DictReader(stream)
        ]  # fmt: skip
    assert len(rows) == 1677
    assert value_of("stereotype-preferred", rows, "nlebench") == pytest.approx(47.1, abs=0.05)
    assert value_of("stereotype-preferred", rows) == pytest.approx(52.8, abs=0.05)
    for group, published in (("religion", 32.4), ("race-color", 52.6)):
        part = [row for row in rows if row["group"] == group]
        share = value_of("stereotype-preferred", part, "nlebench")
        assert share == pytest.approx(published, abs=0.05)


@pytest.mark.real_data
def test_dist_4_of_real_summaries_is_length_in_nlebench(real_data: Path) -> None:
    """EVALUATION section 1: 1 000 summaries, 94.79 by NLEBench's code, 99.998 in truth."""
    import csv
    import gzip

    file = real_data / "eval" / "summaries" / "t5-base-cnndaily_per_sample_scores.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        records = [text_record(row["summary"]) for row in csv.DictReader(stream)][:1000]
    nlebench, true = (value_of("dist-4", records, compat) for compat in ("nlebench", "none"))
    assert true > 99.9
    assert nlebench == pytest.approx(94.79, abs=0.05)
