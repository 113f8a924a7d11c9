"""One dataclass is the source of flags, environment, TOML and their order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from norcli.cli.arguments import parse_arguments
from norcli.cli.configuration import environment_name, merge_options
from norcli.cli.help import command_help
from norcli.cli.registry import REGISTRY, load
from norcli.errors import ConfigError, InputMissingError, UsageError
from norcli.options import (
    GeneralOptions,
    RecordInputOptions,
    option,
    option_fields,
    options_as_toml,
    parse_shard,
)


@dataclass(kw_only=True)
class SampleOptions(RecordInputOptions, GeneralOptions):
    languages: list[str] = option(default_factory=lambda: ["nob"], help="Languages", group="Rules")
    ratio: float = option(0.5, help="Ratio", group="Rules", minimum=0, maximum=1)
    pack: bool = option(True, help="Pack", group="Rules")
    mark: bool = option(False, help="Mark", group="Rules")
    mode: str = option("fast", help="Mode", group="Rules", choices=("fast", "exact"))
    name: str | None = option(None, help="Name", group="Rules")


FIELDS = option_fields(SampleOptions)


def build(*words: str, **environment: str) -> SampleOptions:
    given = parse_arguments("dedup", FIELDS, list(words))
    return merge_options("dedup", SampleOptions, FIELDS, given, environment)


def test_defaults_come_from_the_dataclass() -> None:
    assert build() == SampleOptions()


def test_flags_are_parsed_by_type() -> None:
    options = build("a", "b", "--languages", "nob,nno", "--languages", "sme", "--ratio", "0.25",
                    "--no-pack", "--mark", "-j", "3", "-vv")  # fmt: skip
    assert options.inputs == ["a", "b"]
    assert options.languages == ["nob", "nno", "sme"]
    assert (options.ratio, options.pack, options.mark) == (0.25, False, True)
    assert (options.jobs, options.verbose) == (3, 2)


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[dedup]\nratio = 0.1\nmode = "exact"\nname = "fil"\n')
    options = build("--config", str(file), "--ratio", "0.3", NORCLI_DEDUP_NAME="miljø",
                    NORCLI_DEDUP_RATIO="0.2")  # fmt: skip
    assert (options.ratio, options.name, options.mode) == (0.3, "miljø", "exact")


def test_a_file_named_like_an_option_after_two_dashes_is_an_input() -> None:
    assert build("--", "--ratio").inputs == ["--ratio"]


@pytest.mark.parametrize(
    "words",
    [["--nope"], ["--ratio"], ["--ratio", "x"], ["--ratio", "2"], ["--mode", "slow"], ["-j", "0"]],
)
def test_wrong_flags_are_usage_errors(words: list[str]) -> None:
    with pytest.raises(UsageError):
        build(*words)


@pytest.mark.parametrize(
    "text",
    ["[dedup]\nratios = 1\n", "[dedup]\nratio = 'a'\n", "[dedup\n", "dedup = 3\n",
     "[dedup]\npack = 3\n", "[dedup]\nlanguages = 3\n"],
)  # fmt: skip
def test_wrong_files_are_configuration_errors(text: str, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        build("--config", str(file))


def test_a_missing_configuration_is_a_missing_input() -> None:
    with pytest.raises(InputMissingError):
        build("--config", "/nonexistent.toml")


def test_wrong_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match="NORCLI_DEDUP_RATIO"):
        build(NORCLI_DEDUP_RATIO="mye")


@pytest.mark.parametrize("name", REGISTRY)
def test_print_config_reads_back_to_the_same_options(name: str, tmp_path: Path) -> None:
    options_class = load(name).options
    fields_of = option_fields(options_class)
    some = {int: 1, float: 1.0}
    required = {
        f.name: ["x"] if f.repeated else some.get(f.kind, (*f.info.choices, "x")[0])
        for f in fields_of
        if f.required
    }
    options = options_class(**required)
    file = tmp_path / "run.toml"
    file.write_text(options_as_toml(name, options), encoding="utf-8")
    given = required | {"config": str(file)}
    again = merge_options(name, options_class, fields_of, given, {})
    again.config = None
    assert again == options


@pytest.mark.parametrize("name", REGISTRY)
def test_every_option_is_declared_with_help(name: str) -> None:
    command = load(name)
    for field in option_fields(command.options):
        assert field.info.help and not field.info.help.endswith("."), field.name
        assert "_" not in field.flag
        assert field.info.short in (None, *"hoqvnjc")
    assert {f.name for f in fields(command.options)} == {
        f.name for f in option_fields(command.options)
    }
    assert command.examples, f"{name} has no example"
    assert REGISTRY[name].summary in command_help(name, command)


def test_general_options_mean_the_same_everywhere() -> None:
    general = {f.name: f for f in option_fields(GeneralOptions)}
    for name in REGISTRY:
        own = {f.name: f for f in option_fields(load(name).options)}
        for key, field in general.items():
            assert own[key].info.help == field.info.help, f"{name}: {key}"


def test_environment_names_follow_the_command() -> None:
    assert environment_name("rlhf ppo", FIELDS[0]).startswith("NORCLI_RLHF_PPO_")


@pytest.mark.parametrize("text", ["3/3", "1", "a/2", "-1/2", "0/0", "1/2/3"])
def test_wrong_shards_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)


def test_shards_count_from_zero() -> None:
    assert parse_shard("2/3") == (2, 3)
    assert parse_shard(None) == (0, 1)
