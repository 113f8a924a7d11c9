"""Options of ``norcli tokenize-train`` and ``norcli tokenize``.

Standard library only: the command line reads its flags from these dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.options import OUTPUT, GeneralOptions, RecordInputOptions, option

SAMPLE = "Sample"
VOCABULARY = "Vocabulary"
TOKENS = "Tokens"


@dataclass(kw_only=True)
class TokenizeTrainOptions(RecordInputOptions, GeneralOptions):
    """Options of ``norcli tokenize-train``."""

    output: str = option(
        help="Directory to write the tokenizer to", group=OUTPUT, short="o", metavar="DIR",
        complete="dir",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Replace an output that exists", group=OUTPUT, in_config=False
    )
    vocab_size: int = option(
        64000, help="Number of pieces, with special and byte pieces", group=VOCABULARY, minimum=300,
        maximum=1_000_000,
    )  # fmt: skip
    character_coverage: float = option(
        0.9999, help="Share of the text's characters that get a piece; the rest become bytes",
        group=VOCABULARY, minimum=0.9, maximum=1.0,
    )  # fmt: skip
    required_chars: str | None = option(
        None, help="Characters that get a piece in any case", group=VOCABULARY, metavar="CHARS",
        default_text="ASCII and the letters of the Nordic languages, Sámi and German",
    )  # fmt: skip
    pad: bool = option(False, help="Add a padding piece <pad> with id 3", group=VOCABULARY)
    sample_bytes: int = option(
        100_000_000, help="Train on at most this many bytes of text, drawn at random",
        group=SAMPLE, minimum=1000, metavar="BYTES",
    )  # fmt: skip
    mix: list[str] = option(
        default_factory=list, help="Share of each language in the sample, as nob=70,nno=20,sme=10",
        group=SAMPLE, metavar="LANG=SHARE",
    )  # fmt: skip
    temperature: float | None = option(
        None, help="Sample languages by size to the power 1/X; above 1 lifts the small ones",
        group=SAMPLE, minimum=1.0, default_text="by size, as they come",
    )  # fmt: skip
    language_key: str = option(
        "lang", help="Field that holds the language", group=SAMPLE, metavar="KEY"
    )
    measure_on: list[str] = option(
        default_factory=list, help="Measure on these files instead of on part of the sample",
        group=SAMPLE, metavar="FILE", complete="file",
    )  # fmt: skip


@dataclass(kw_only=True)
class TokenizeOptions(RecordInputOptions, GeneralOptions):
    """Options of ``norcli tokenize``."""

    output: str = option(
        help="Directory to write the token shards to", group=OUTPUT, short="o", metavar="DIR",
        complete="dir",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Replace an output that exists", group=OUTPUT, in_config=False
    )
    tokenizer: str = option(
        help="Directory of the tokenizer, or its .model or .json file", group=TOKENS,
        metavar="DIR", complete="dir",
    )  # fmt: skip
    bos: bool = option(
        False, help="Put <s> before each document, beside the </s> after it", group=TOKENS
    )
    shard_tokens: int = option(
        1 << 28, help="End a shard with the first document that reaches this many tokens",
        group=TOKENS, minimum=1, metavar="N",
    )  # fmt: skip
    language_key: str = option(
        "lang", help="Field that holds the language, for the counts", group=TOKENS, metavar="KEY"
    )
