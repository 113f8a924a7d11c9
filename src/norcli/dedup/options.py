"""Options of ``norcli dedup`` and its subcommands, and the survivor policy they name.

Read by the command line before anything heavy is imported: standard library only. The numbers
that follow from a threshold (bands, rows) are worked out in `norcli.dedup.banding`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from norcli.cluster.options import ExecutorOptions
from norcli.errors import UsageError
from norcli.options import (
    INPUT,
    GeneralOptions,
    RecordInputOptions,
    RecordOutputOptions,
    option,
)
from norcli.streams import is_pipe

MATCHING = "Matching"
SURVIVORS = "Survivors"
REPORTS = "Reports"
CONTAMINATION = "Contamination"
INDEXES = "Indexes"
RESOURCES = "Resources"
PASSAGES = "Passages"

DOCUMENT_METHODS = ("url", "exact", "minhash")
"""Methods that drop documents which repeat others."""
PASSAGES_OF = {"lines": "lines", "paragraphs": "paragraphs", "substring": "spans"}
"""Methods that cut repeated passages out of documents, and what they cut."""

MEMORY_UNITS = {"M": 10**6, "G": 10**9, "T": 10**12}
LEAST_MEMORY_BYTES = 200 * 10**6
"""Python with numpy and numba alone takes 150 MB."""

KEEP_POLICIES = ("first", "longest", "newest", "best:FIELD", "source-order:A,B,C")


@dataclass(kw_only=True)
class MatchingOptions:
    """What counts as a duplicate."""

    method: list[str] = option(
        default_factory=lambda: ["minhash"], help="What repeats, in this order: same address, "
        "same text, near duplicates (same text included), passages to cut", group=MATCHING,
        choices=(*DOCUMENT_METHODS, *PASSAGES_OF), metavar="METHOD,...",
    )  # fmt: skip
    threshold: float = option(
        0.7, help="Jaccard similarity of word n-grams from which documents are duplicates",
        group=MATCHING, minimum=0.1, maximum=1.0,
    )  # fmt: skip
    url_key: str = option(
        "url", help="Field that holds the address, for --method url", group=MATCHING,
        metavar="KEY",
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

    @property
    def comparisons(self) -> list[str]:
        """The methods that compare documents, in order; near ones begin with exact ones anyway."""
        steps = [method for method in self.method if method in DOCUMENT_METHODS]
        for place in reversed(range(len(steps))):
            if steps[place] == "exact" and "minhash" in steps[max(place - 1, 0) : place + 2]:
                del steps[place]
        return steps

    @property
    def near(self) -> bool:
        """Whether near duplicates are looked for, so that signatures are needed."""
        return "minhash" in self.method


@dataclass(kw_only=True)
class SurvivorOptions:
    """Which document of a cluster stays."""

    keep: str = option(
        "first", help="Which duplicate survives: " + ", ".join(KEEP_POLICIES), group=SURVIVORS,
        metavar="POLICY",
    )  # fmt: skip
    cluster: str = option(
        "components", help="Join duplicates of duplicates, or only duplicates of the survivor",
        group=SURVIVORS, choices=("components", "star"),
    )  # fmt: skip


@dataclass(kw_only=True)
class PassageOptions:
    """Which repeated passages are cut."""

    min_chars: int = option(
        30, help="Characters in the shortest line or paragraph that is cut", group=PASSAGES,
        minimum=1,
    )  # fmt: skip
    span_words: int = option(
        50, help="Words in the shortest span that --method substring cuts", group=PASSAGES,
        minimum=2,
    )  # fmt: skip
    min_words: int = option(
        10, help="Words that have to be left of a document once passages are cut",
        group=PASSAGES, minimum=0,
    )  # fmt: skip


@dataclass(kw_only=True)
class DedupOptions(
    SurvivorOptions,
    MatchingOptions,
    PassageOptions,
    RecordInputOptions,
    RecordOutputOptions,
    ExecutorOptions,
    GeneralOptions,
):
    """Options of ``norcli dedup``."""

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
    decontaminate: list[str] = option(
        default_factory=list, help="Drop documents that hold passages of these evaluation files",
        group=CONTAMINATION, metavar="FILE,...", complete="file",
    )  # fmt: skip
    decontaminate_ngram: int = option(
        13, help="Words in a passage", group=CONTAMINATION, minimum=2, maximum=64
    )
    decontaminate_hits: int = option(
        1, help="Passages that a document must hold to be dropped", group=CONTAMINATION, minimum=1
    )
    against: list[str] = option(
        default_factory=list, help="Drop also what repeats a document of these saved indexes",
        group=INDEXES, metavar="DIR,...", complete="dir",
    )  # fmt: skip
    save_index: str | None = option(
        None, help="Save an index of what stays to this folder, for --against", group=INDEXES,
        metavar="DIR", complete="dir",
    )  # fmt: skip
    sweep: list[str] = option(
        default_factory=list, help="Write nothing but a table of what these thresholds would drop",
        group=REPORTS, metavar="X,...",
    )  # fmt: skip
    memory: str | None = option(
        None, help="Memory to stay within, such as 4G; signatures beyond go to $TMPDIR",
        group=RESOURCES, metavar="SIZE", default_text="no bound",
    )  # fmt: skip
    resume: bool = option(
        False, help="Keep a journal beside the output, and go on where a killed run stopped",
        group="Output",
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
        if len(set(self.method)) < len(self.method) or not self.method:
            raise UsageError("--method: name each method once")
        if self.mark and self.rejects:
            raise UsageError("--mark drops nothing, so --rejects would stay empty")
        if self.one_pass:
            self._check_one_pass()
        if set(self.method) & set(PASSAGES_OF):
            self._check_passages()
        if "url" in self.method and (self.save_index or self.against):
            raise UsageError("indexes hold no addresses", hint="leave url out of --method")
        self.sweep_thresholds()
        if self.memory_bytes is not None and (self.online or self.cluster == "star"):
            raise UsageError(
                "--memory needs two passes and --cluster components",
                hint="--online and star clusters keep the signatures of survivors in memory",
            )
        if self.resume:
            self._check_resume()

    def _check_resume(self) -> None:
        if self.online:
            raise UsageError("--resume and --online exclude each other",
                             hint="leave --online out")  # fmt: skip
        if "substring" in self.method:
            raise UsageError("--resume does not go with --method substring",
                             hint="run it without --resume")  # fmt: skip
        if set(self.method) & set(PASSAGES_OF) and len(self.method) > 1:
            raise UsageError("--resume goes with one method that cuts passages, and no other",
                             hint="run one method after the other")  # fmt: skip
        if self.one_pass and not set(self.method) & set(PASSAGES_OF):
            raise UsageError("--resume needs input files, not standard input")
        if self.output_format == "parquet":
            raise UsageError("--resume cannot go on inside a Parquet file",
                             hint="write .jsonl.zst instead")  # fmt: skip
        for given, flag in ((self.limit, "--limit"), (self.sweep, "--sweep"),
                            (self.save_index, "--save-index")):  # fmt: skip
            if given:
                raise UsageError(f"--resume and {flag} exclude each other")

    @property
    def one_pass(self) -> bool:
        """Whether documents are handed on as they come.

        With --online, and where a pipe is compared by whole texts or addresses alone: the first
        copy can be told at once then, and two passes would find nothing else.
        """
        if self.online or set(self.method) <= {"lines", "paragraphs"}:
            return True
        needs_all = self.mark or self.clusters or self.save_index or self.keep != "first"
        from_pipe = any(map(is_pipe, self.inputs)) or not (self.inputs or self.files_from)
        return from_pipe and set(self.method) <= {"url", "exact"} and not needs_all

    def _check_one_pass(self) -> None:
        if self.keep != "first":
            why = "--online keeps the first" if self.online else "the first copy of a passage stays"
            raise UsageError(f'{why}; --keep "{self.keep}" has to see all documents',
                             hint="leave --online out" if self.online else None)  # fmt: skip
        for given, flag in ((self.clusters, "--clusters"), (self.save_index, "--save-index"),
                            (self.sweep, "--sweep")):  # fmt: skip
            if given:
                raise UsageError(f"{flag} needs two passes over documents",
                                 hint="leave --online out" if self.online else None)  # fmt: skip

    def _check_passages(self) -> None:
        if self.online and "substring" in self.method:
            raise UsageError("--method substring has to see all documents",
                             hint="leave --online out")  # fmt: skip
        if self.mark and len(self.method) > 1:
            raise UsageError("--mark changes no text, so one method would not see what another cut",
                             hint="mark with one method at a time")  # fmt: skip
        for given, flag in (
            (self.clusters, "--clusters"), (self.save_index, "--save-index"),
            (self.against, "--against"), (self.decontaminate, "--decontaminate"),
            (self.sweep, "--sweep"),
        ):  # fmt: skip
            if given:
                raise UsageError(f"{flag} goes with methods that compare documents only",
                                 hint="cut passages in a run of its own")  # fmt: skip

    @property
    def memory_bytes(self) -> int | None:
        """The bound of --memory in bytes, None for no bound.

        Raises:
            UsageError: It is not a size, or too little to work with.
        """
        if self.memory is None:
            return None
        number, unit = self.memory[:-1], self.memory[-1:].upper()
        if unit not in MEMORY_UNITS or not number.isdecimal():
            raise UsageError(f'--memory: "{self.memory}" is not a size', hint="such as 4G or 800M")
        size = int(number) * MEMORY_UNITS[unit]
        if size < LEAST_MEMORY_BYTES:
            raise UsageError(f"--memory: {self.memory} is too little",
                             hint=f"give {LEAST_MEMORY_BYTES // 10**6}M or more")  # fmt: skip
        return size

    def sweep_thresholds(self) -> list[float]:
        """Return the thresholds of --sweep, in rising order.

        Raises:
            UsageError: One is not a number from 0.1 to 1, or there is nothing to compare.
        """
        thresholds = []
        for text in self.sweep:
            try:
                thresholds.append(float(text))
            except ValueError:
                raise UsageError(f'--sweep: "{text}" is not a number') from None
            if not 0.1 <= thresholds[-1] <= 1.0:
                raise UsageError(f"--sweep: {text} is not a similarity from 0.1 to 1")
        if thresholds and not self.near:
            raise UsageError("--sweep compares thresholds, which only --method minhash has")
        return sorted(thresholds)


@dataclass(kw_only=True)
class _SoughtDocument:
    """The document to explain; a class of its own, so that it comes before the files."""

    document_id: str = option(
        help="Id of the document to explain", group=INPUT, positional=True, metavar="ID",
        in_config=False,
    )  # fmt: skip


@dataclass(kw_only=True)
class ExplainOptions(
    SurvivorOptions, MatchingOptions, RecordInputOptions, GeneralOptions, _SoughtDocument
):
    """Options of ``norcli dedup explain``."""

    context: int = option(
        6, help="Equal words to show around each difference", group=REPORTS, minimum=0
    )

    def as_dedup(self) -> DedupOptions:
        """Return the options of the run that is explained."""
        names = {field.name for field in fields(DedupOptions)} & {
            field.name for field in fields(self)
        }
        return DedupOptions(**{name: getattr(self, name) for name in sorted(names)})


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
