"""Options of ``norcli dedup`` and its subcommands, and the survivor policy they name.

Read by the command line before anything heavy is imported: standard library only. The numbers
that follow from a threshold (bands, rows) are worked out in `norcli.dedup.banding`.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.errors import UsageError
from norcli.options import GeneralOptions, RecordInputOptions, RecordOutputOptions, option

MATCHING = "Matching"
SURVIVORS = "Survivors"
REPORTS = "Reports"
RESOURCES = "Resources"

KEEP_POLICIES = ("first", "longest", "newest", "best:FIELD", "source-order:A,B,C")


@dataclass(kw_only=True)
class MatchingOptions:
    """What counts as a duplicate."""

    method: str = option(
        "minhash", help="Find near duplicates (and exact ones first), or exact ones only",
        group=MATCHING, choices=("minhash", "exact"),
    )  # fmt: skip
    threshold: float = option(
        0.7, help="Jaccard similarity of word n-grams from which documents are duplicates",
        group=MATCHING, minimum=0.1, maximum=1.0,
    )  # fmt: skip
    ngram: int = option(5, help="Words in an n-gram", group=MATCHING, minimum=1, maximum=64)
    num_perm: int = option(
        256, help="MinHash values per document", group=MATCHING, minimum=16, maximum=4096
    )
    bands: int | None = option(
        None, help="Bands of the MinHash index", group=MATCHING, minimum=1,
        default_text="from the threshold",
    )  # fmt: skip
    rows: int | None = option(
        None, help="MinHash values per band", group=MATCHING, minimum=1,
        default_text="from the threshold",
    )  # fmt: skip
    scope: str = option(
        "global", help="Compare all documents, or only those of the same lang or source",
        group=MATCHING, choices=("global", "lang", "source"),
    )  # fmt: skip


@dataclass(kw_only=True)
class DedupOptions(MatchingOptions, RecordInputOptions, RecordOutputOptions, GeneralOptions):
    """Options of ``norcli dedup``."""

    keep: str = option(
        "first", help="Which duplicate survives: " + ", ".join(KEEP_POLICIES), group=SURVIVORS,
        metavar="POLICY",
    )  # fmt: skip
    cluster: str = option(
        "components", help="Join duplicates of duplicates, or only duplicates of the survivor",
        group=SURVIVORS, choices=("components", "star"),
    )  # fmt: skip
    online: bool = option(
        False, help="Stream: drop what repeats an earlier document, in one pass", group=SURVIVORS
    )
    mark: bool = option(False, help="Drop nothing; add dedup_ fields to each record", group=REPORTS)
    rejects: str | None = option(
        None, help="Write dropped records, with reason and survivor, to this file", group=REPORTS,
        metavar="FILE", complete="file",
    )  # fmt: skip
    clusters: str | None = option(
        None, help="Write the clusters (id, survivor, similarity) to this file", group=REPORTS,
        metavar="FILE", complete="file:.parquet,.jsonl",
    )  # fmt: skip
    spool_gib: int = option(
        64, help="GiB of standard input to keep in $TMPDIR for the second pass, at most",
        group=RESOURCES, minimum=1,
    )  # fmt: skip

    def check(self) -> None:
        """Check what single options cannot tell.

        Raises:
            UsageError: An unknown policy, or options that exclude each other.
        """
        parse_policy(self.keep)
        if self.shard is not None:
            raise UsageError(
                "--shard would miss the duplicates between shards",
                hint="give all files to one run; --jobs uses more cores",
            )
        if (self.bands is None) != (self.rows is None):
            raise UsageError("--bands and --rows go together")
        if self.online and parse_policy(self.keep)[0] != "first":
            raise UsageError(
                f'--online keeps the first; --keep "{self.keep}" has to see all documents',
                hint="leave --online out",
            )
        if self.mark and self.rejects:
            raise UsageError("--mark drops nothing, so --rejects would stay empty")
        if self.online and self.clusters:
            raise UsageError("--clusters needs two passes", hint="leave --online out")


def parse_policy(keep: str) -> tuple[str, tuple[str, ...]]:
    """Split a survivor policy into its name and its arguments.

    Raises:
        UsageError: There is no such policy, or an argument is missing.
    """
    name, colon, rest = keep.partition(":")
    arguments = tuple(part.strip() for part in rest.split(",") if part.strip())
    takes_one, takes_many = name == "best", name == "source-order"
    known = name in ("first", "longest", "newest", "best", "source-order")
    fits = len(arguments) == 1 if takes_one else bool(arguments) if takes_many else not colon
    if not (known and fits):
        raise UsageError(f'--keep: "{keep}" is not one of {", ".join(KEEP_POLICIES)}')
    return name, arguments
