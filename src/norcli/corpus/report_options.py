"""Options of `stats`, `stats merge` and `mix`."""

from __future__ import annotations

from dataclasses import dataclass

from norcli.errors import UsageError
from norcli.options import (
    INPUT,
    OUTPUT,
    GeneralOptions,
    OutputOptions,
    RecordInputOptions,
    RecordOutputOptions,
    option,
)

COUNTS = "Counts"
REPORT = "Report"
PARTS = "Parts"
AMOUNTS = "Amounts"

FORMATS = ("auto", "text", "markdown", "json", "html")
_FORMAT_OF_SUFFIX = {".md": "markdown", ".json": "json", ".html": "html", ".htm": "html"}


@dataclass(kw_only=True)
class LayoutOptions(OutputOptions):
    """How the report of a corpus is laid out."""

    format: str = option(
        "auto", help="Form of the report; auto goes by the suffix of --output, else text",
        group=OUTPUT, choices=FORMATS,
    )  # fmt: skip
    plots: str | None = option(
        None, help="Draw the figures into this new folder (needs the extra plot)", group=OUTPUT,
        metavar="DIR", complete="dir",
    )  # fmt: skip
    plot_format: list[str] = option(
        default_factory=lambda: ["svg", "png"], help="Files to draw of each figure",
        group=OUTPUT, choices=("svg", "png", "pdf"), default_text="svg,png",
    )  # fmt: skip
    title: str | None = option(
        None, help="Title of the report", group=REPORT, default_text="Corpus statistics"
    )
    runs: list[str] = option(
        default_factory=list, help="Show the funnel and the duplicates between sources from what "
        "crawl-filter and dedup wrote with --stats", group=REPORT, metavar="FILE,...",
        complete="file:.json",
    )  # fmt: skip
    rejects: list[str] = option(
        default_factory=list, help="Show, by source, what the rules dropped: files of --rejects",
        group=REPORT, metavar="FILE,...", complete="file:.jsonl,.gz,.zst",
    )  # fmt: skip
    beside_report: bool = option(
        False, help="Show the corpora V1 to V3 of the NorwAI report beside this one", group=REPORT
    )

    def chosen_format(self, as_json: bool) -> str:
        """Return the form to write: --json, --format, or what the output's suffix says."""
        if as_json or self.format != "auto":
            return "json" if as_json else self.format
        dot = self.output.rfind(".")
        return _FORMAT_OF_SUFFIX.get(self.output[dot:].lower() if dot >= 0 else "", "text")


@dataclass(kw_only=True)
class StatsOptions(RecordInputOptions, LayoutOptions, GeneralOptions):
    """Options of `norcli stats`."""

    tokenizer: str | None = option(
        None, help="Count tokens with this tokenizer: a directory, a SentencePiece .model or a "
        "tokenizer.json", group=COUNTS, metavar="PATH", complete="file",
    )  # fmt: skip
    sentences: bool = option(False, help="Count sentences as well", group=COUNTS)
    corpus: str | None = option(
        None, help='Name of the corpus, for records without a field "corpus"', group=COUNTS,
        metavar="NAME",
    )  # fmt: skip


@dataclass(kw_only=True)
class MergeOptions(LayoutOptions, GeneralOptions):
    """Options of `norcli stats merge`."""

    inputs: list[str] = option(
        default_factory=list, help="Counts to add up: files of norcli stats --json", group=INPUT,
        positional=True, metavar="FILE", complete="file:.json", in_config=False,
    )  # fmt: skip


@dataclass(kw_only=True)
class MixOptions(RecordInputOptions, RecordOutputOptions, GeneralOptions):
    """Options of `norcli mix`."""

    recipe: str | None = option(
        None, help="Take parts and amounts from a recipe: v1, v2, v3 or a TOML file", group=PARTS,
        metavar="RECIPE", complete="file:.toml",
    )  # fmt: skip
    by: str = option(
        "source", help="Field whose values are the parts", group=PARTS, metavar="FIELD"
    )
    shares: list[str] = option(
        default_factory=list, help="Shares of the output, adding up to 1 at most; the parts not "
        "named share the rest", group=AMOUNTS, metavar="PART=SHARE,...",
    )  # fmt: skip
    weights: list[str] = option(
        default_factory=list, help="Proportions of the output; parts not named are left out",
        group=AMOUNTS, metavar="PART=WEIGHT,...",
    )  # fmt: skip
    epochs: list[str] = option(
        default_factory=list, help="How often each part is read; parts not named are read once",
        group=AMOUNTS, metavar="PART=EPOCHS,...",
    )  # fmt: skip
    unit: str | None = option(
        None, help="What amounts are of", group=AMOUNTS,
        choices=("tokens", "words", "bytes", "documents"),
        default_text="tokens with --tokenizer, else words",
    )  # fmt: skip
    total: str | None = option(
        None, help="Amount to make, in the unit, such as 500K, 25M or 1.5B", group=AMOUNTS,
        metavar="AMOUNT", default_text="what repeats nothing",
    )  # fmt: skip
    max_epochs: float = option(
        4.0, help="Refuse to read a part more often than this", group=AMOUNTS, minimum=0.0
    )
    tokenizer: str | None = option(
        None, help="Count tokens with this tokenizer: a directory, a .model or tokenizer.json",
        group=AMOUNTS, metavar="PATH", complete="file",
    )  # fmt: skip
    order: str = option(
        "interleaved", help="Parts mixed evenly from beginning to end, or one after another",
        group=OUTPUT, choices=("interleaved", "concatenated"),
    )  # fmt: skip

    def chosen_unit(self, of_recipe: str | None) -> str:
        """Return what amounts are of: --unit, tokens with a tokenizer, the recipe's, or words.

        Args:
            of_recipe: The recipe's unit.

        Raises:
            UsageError: Tokens are wanted and no tokenizer is named, or the recipe's amounts are of
                something else and there is no total to scale them to.
        """
        unit = self.unit or ("tokens" if self.tokenizer is not None else of_recipe or "words")
        if unit == "tokens" and self.tokenizer is None:
            raise UsageError("amounts are in tokens: name a --tokenizer",
                             hint="or give --unit words and a --total")  # fmt: skip
        if of_recipe not in (None, unit) and self.total is None:
            raise UsageError(f"the recipe's amounts are in {of_recipe}: give a --total in {unit}")
        return unit
