"""The peer's side of crawl_filter.py: datatrove's filters, with heliport for the language.

    python crawl_filter_peer.py speed INPUT.jsonl OUTPUT_FOLDER CONFIG.json
    python crawl_filter_peer.py rules INPUT.jsonl OUTPUT.json CONFIG.json

Run by an interpreter that has datatrove[processing], spaCy and heliport; prints CPU seconds as
JSON. CONFIG holds FineWeb-2's settings for a language under the names of its configuration files.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

LETTERS = re.compile(r"[^\W_]+")
KEPT = ("nob", "nno")


def make_filters(config: dict[str, Any]) -> dict[str, Any]:
    """Return the filters as FineWeb-2's pipeline sets them up."""
    from datatrove.pipeline.filters import (
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    return {
        "repetition": GopherRepetitionFilter(
            language="nob", dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0,
            dup_line_frac=config["dup_line_frac"], top_n_grams=config["top_n_grams"],
            dup_n_grams=config["dup_n_grams"],
        ),
        "fineweb": FineWebQualityFilter(
            language="nob", short_line_thr=999, char_duplicates_ratio=0.1,
            line_punct_thr=config["line_punct_thr"], new_line_ratio=config["new_line_ratio"],
        ),
        "quality": GopherQualityFilter(
            language="nob", max_avg_word_length=config["max_avg_word_length"],
            min_avg_word_length=config["min_avg_word_length"], stop_words=config["stopwords"],
            max_non_alpha_words_ratio=config["max_non_alpha_words_ratio"], min_stop_words=2,
        ),
    }  # fmt: skip


def run_speed(source: Path, folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Run the whole pipeline in one process, as shipped: spaCy's tokenizer, JSONL to JSONL."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from heliport import Identifier

    class HeliportFilter(BaseFilter):
        name = "heliport"

        def __init__(self) -> None:
            super().__init__()
            self.identifier = Identifier()

        def filter(self, doc: Any) -> bool:
            return self.identifier.identify(doc.text.replace("\n", " ")) in KEPT

    filters = make_filters(config)
    language = HeliportFilter()
    # Models and tokenizers are loaded before the clock starts.
    for loaded in filters.values():
        loaded.filter(type("Document", (), {"text": "Det er en dag og en natt."})())
    language.identifier.identify("Det er en dag.")
    steps = [
        JsonlReader(str(source.parent), glob_pattern=source.name),
        language,
        *filters.values(),
        JsonlWriter(str(folder / "kept"), compression=None),
    ]
    executor = LocalPipelineExecutor(steps, tasks=1, logging_dir=str(folder / "logs"))
    started = time.process_time()
    executor._run_for_rank(0)
    seconds = time.process_time() - started
    kept = sum(len(path.read_bytes().splitlines()) for path in (folder / "kept").iterdir())
    return {"seconds": seconds, "kept": kept}


class WhiteSpaceTokens:
    """norcli's words: white space parts them; letters and digits only, small letters.

    A token without letters or digits is left as it is where the rule counts tokens
    (`with_signs`), and left out where it counts words.
    """

    def __init__(self, with_signs: bool) -> None:
        self.with_signs = with_signs

    def __call__(self, text: str, language: str) -> list[str]:
        words = []
        for token in re.split("[ \n]+", text):
            letters = "".join(LETTERS.findall(token)).lower()
            if letters:
                words.append(letters)
            elif self.with_signs and token:
                words.append(token)
        return words


def run_rules(source: Path, config: dict[str, Any], same_words: bool) -> dict[str, Any]:
    """Judge each document by one rule at a time; ``same_words`` gives datatrove norcli's words."""
    from datatrove.pipeline.filters import (
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    if same_words:
        gopher_repetition_filter.split_into_words = WhiteSpaceTokens(with_signs=False)
        fineweb_quality_filter.split_into_words = WhiteSpaceTokens(with_signs=False)
        gopher_quality_filter.split_into_words = WhiteSpaceTokens(with_signs=True)
    judges = dict(single_rules(config))
    decide = make_filters(config)
    found = []
    for line in source.open(encoding="utf-8"):
        document = type("Document", (), {"text": json.loads(line)["text"]})()
        broken = [name for name, judge in judges.items() if judge.filter(document) is not True]
        dropped = any(judge.filter(document) is not True for judge in decide.values())
        found.append({"broken": broken, "dropped": dropped})
    return {"documents": found}


def single_rules(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return a filter for each rule, all its other rules off; named as in norcli's rules."""
    from datatrove.pipeline.filters import (
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    def repetition(**one: Any) -> Any:
        off = {"dup_line_frac": 0, "dup_para_frac": 0, "dup_line_char_frac": 0,
               "dup_para_char_frac": 0, "top_n_grams": (), "dup_n_grams": ()}  # fmt: skip
        return GopherRepetitionFilter(language="nob", **{**off, **one})

    def fineweb(**one: Any) -> Any:
        off = {"line_punct_thr": -1, "short_line_thr": 999, "char_duplicates_ratio": 999,
               "new_line_ratio": 999}  # fmt: skip
        return FineWebQualityFilter(language="nob", **{**off, **one})

    def quality(**one: Any) -> Any:
        off = dict.fromkeys(("min_doc_words", "max_doc_words", "min_avg_word_length",
                             "max_avg_word_length", "max_symbol_word_ratio",
                             "max_bullet_lines_ratio", "max_ellipsis_lines_ratio",
                             "max_non_alpha_words_ratio", "min_stop_words"))  # fmt: skip
        return GopherQualityFilter(language="nob", **{**off, **one})

    rules = [
        ("max_duplicate_line_ratio", repetition(dup_line_frac=config["dup_line_frac"])),
        ("min_terminal_line_ratio", fineweb(line_punct_thr=config["line_punct_thr"])),
        ("max_duplicate_line_character_ratio", fineweb(char_duplicates_ratio=0.1)),
        ("max_line_break_ratio", fineweb(new_line_ratio=config["new_line_ratio"])),
        ("min_words", quality(min_doc_words=50)),
        ("max_words", quality(max_doc_words=100_000)),
        ("min_mean_word_length", quality(min_avg_word_length=config["min_avg_word_length"])),
        ("max_mean_word_length", quality(max_avg_word_length=config["max_avg_word_length"])),
        ("max_symbol_ratio", quality(max_symbol_word_ratio=0.1)),
        ("max_bullet_line_ratio", quality(max_bullet_lines_ratio=0.9)),
        ("max_ellipsis_line_ratio", quality(max_ellipsis_lines_ratio=0.3)),
        ("min_alphabetic_ratio",
         quality(max_non_alpha_words_ratio=config["max_non_alpha_words_ratio"])),
        ("min_stop_words", quality(min_stop_words=2, stop_words=config["stopwords"])),
    ]  # fmt: skip
    rules += [
        (f"max_top_{n}gram_ratio", repetition(top_n_grams=[(n, x)]))
        for n, x in config["top_n_grams"]
    ]
    rules += [
        (f"max_duplicate_{n}gram_ratio", repetition(dup_n_grams=[(n, x)]))
        for n, x in config["dup_n_grams"]
    ]
    return rules


def main() -> None:
    mode, source, target, config_file = (
        sys.argv[1],
        Path(sys.argv[2]),
        Path(sys.argv[3]),
        sys.argv[4],
    )
    config = json.loads(Path(config_file).read_text("utf-8"))
    if mode == "speed":
        print(json.dumps(run_speed(source, target, config)))
    else:
        result = run_rules(source, config, same_words=mode == "rules-same-words")
        target.write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
