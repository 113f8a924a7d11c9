"""Options of `crawl-filter` and its subcommands; those of `stats` are in `report_options`."""

from __future__ import annotations

from dataclasses import dataclass

from norcli.cluster.options import ExecutorOptions
from norcli.options import (
    INPUT,
    GeneralOptions,
    RecordInputOptions,
    RecordOutputOptions,
    option,
)

LAYOUTS = (
    "auto", "records", "mc4", "oscar", "culturax", "hplt", "hplt2", "ncc", "mimir", "news",
    "transcripts", "tweets", "reddit",
)  # fmt: skip
PROVENANCE = "Provenance"
LANGUAGE = "Language"
RULES = "Rules"
CLEANING = "Cleaning"

PII_KINDS = ("email", "ip", "national_id", "account", "organization", "phone")


@dataclass(kw_only=True)
class FilterOptions(RecordInputOptions):
    """What to read, and how to decide over it."""

    input_format: str = option(
        "auto", help="Format of the input; auto goes by suffix, then by the first bytes",
        group=INPUT, choices=("auto", "jsonl", "json", "parquet", "text", "document", "html",
                              "subtitles", "warc"),
    )  # fmt: skip
    layout: str = option(
        "auto", help="Corpus whose fields the records have; records takes them as they stand",
        group=INPUT, choices=LAYOUTS,
    )  # fmt: skip
    max_record_mib: int = option(
        256, help="Pass over lines longer than this, in MiB, as bad records", group=INPUT,
        minimum=1, metavar="N",
    )  # fmt: skip
    remove: str | None = option(
        None, help="Remove documents whose id or address stands in this file, one a line",
        group=INPUT, metavar="FILE", complete="file",
    )  # fmt: skip
    on_bad_record: str = option(
        "skip", help="What to do with a record that cannot be read", group=INPUT,
        choices=("stop", "skip"),
    )  # fmt: skip
    on_damaged_file: str = option(
        "stop", help="What to do with a file that breaks off; skip keeps what was read before",
        group=INPUT, choices=("stop", "skip"),
    )  # fmt: skip
    languages: list[str] = option(
        default_factory=lambda: ["nob", "nno", "sme", "smj", "sma"],
        help="Languages to keep, comma-separated; nb, nn, se and the like are understood",
        group=LANGUAGE, metavar="CODES", default_text="nob,nno,sme,smj,sma",
    )  # fmt: skip
    min_lang_score: float | None = option(
        None, help="Drop documents whose language is less certain than this", group=LANGUAGE,
        minimum=0.0, maximum=1.0, default_text="per language, from the rules",
    )  # fmt: skip
    lid_model: str = option(
        "builtin", help="What identifies languages: builtin, heliport, or a fastText file",
        group=LANGUAGE, metavar="NAME|FILE", complete="file:.bin,.ftz,.safetensors",
    )  # fmt: skip
    mixed: str = option(
        "drop", help="Pages partly in other languages: drop, or trim to the languages kept",
        group=LANGUAGE, choices=("drop", "trim"),
    )  # fmt: skip
    rules: str | None = option(
        None, help="Override thresholds with this TOML file", group=RULES, metavar="FILE",
        complete="file:.toml",
    )  # fmt: skip
    disable: list[str] = option(
        default_factory=list, help="Switch a rule off; repeatable", group=RULES, metavar="RULE"
    )
    from_annotations: bool = option(
        False, help="Decide from the measures that --annotate wrote, without measuring again",
        group=RULES,
    )  # fmt: skip
    blocklist: list[str] = option(
        default_factory=list, help="Drop pages whose address stands in these files or folders",
        group=RULES, metavar="PATH", complete="file",
    )  # fmt: skip
    toxic_words: list[str] = option(
        default_factory=list, help="Drop texts with many words of these lists, FILE or LANG=FILE",
        group=RULES, metavar="FILE", complete="file",
    )  # fmt: skip
    quality_model: str | None = option(
        None, help="Score texts with a .safetensors, fastText .bin or module:function, and judge",
        group=RULES, metavar="MODEL", complete="file:.safetensors,.bin,.ftz",
    )  # fmt: skip
    pii: str = option(
        "mask", help="Personal data: count it, mask it, drop its documents, or leave it",
        group=CLEANING, choices=("tag", "mask", "drop", "off"),
    )  # fmt: skip
    pii_kinds: list[str] = option(
        default_factory=lambda: list(PII_KINDS), help="Kinds of personal data to look for",
        group=CLEANING, metavar="KINDS", choices=PII_KINDS, default_text="all of them",
    )  # fmt: skip
    sentences: bool = option(
        False, help='Add the sentences as a list, field "sentences"', group=CLEANING
    )
    source: str | None = option(
        None, help="Set the field source of every record that has none", group=PROVENANCE
    )
    source_group: str | None = option(
        None, help="Set the field source_group (the report's Table 2) where there is none",
        group=PROVENANCE,
    )  # fmt: skip
    license: str | None = option(
        None, help="Set the field license of every record that has none", group=PROVENANCE
    )
    copyrighted: str | None = option(
        None, help="Set the field copyrighted of every record that has none",
        group=PROVENANCE, choices=("yes", "no"),
    )  # fmt: skip


@dataclass(kw_only=True)
class CrawlFilterOptions(FilterOptions, RecordOutputOptions, ExecutorOptions, GeneralOptions):
    """Options of `norcli crawl-filter`."""

    rejects: str | None = option(
        None, help="Write dropped records, each with the reason, to this file (.jsonl, .gz, .zst)",
        group="Output", metavar="FILE", complete="file:.jsonl,.gz,.zst",
    )  # fmt: skip
    resume: bool = option(
        False, help="Keep a journal beside the output, and go on where a killed run stopped",
        group="Output",
    )  # fmt: skip
    annotate: bool = option(
        False, help="Write the measures (quality_...) and the decision, and drop nothing",
        group=RULES,
    )  # fmt: skip


@dataclass(kw_only=True)
class SampleOptions(FilterOptions, GeneralOptions):
    """Options of `norcli crawl-filter sample`."""

    reason: str | None = option(
        None, help="Show only what this rule dropped", group="Sample", metavar="RULE"
    )
    limit: int | None = option(20, help="Show at most this many records", group=INPUT, minimum=1)
    characters: int = option(
        400, help="Show this many characters of each text", group="Sample", minimum=0
    )
