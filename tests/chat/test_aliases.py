"""Names for models in chat.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from norcli.chat.aliases import resolve_alias
from norcli.chat.options import ChatOptions
from norcli.errors import ConfigError, InputMissingError

GOOD = '[models.norsk]\nmodel = "a.gguf"\ntemplate = "norwai-en"\nsystem = "Kort."\ntemperature = 1'


def test_name_brings_its_options_and_the_command_line_goes_first(tmp_path: Path) -> None:
    file = tmp_path / "chat.toml"
    file.write_text(GOOD)
    options = resolve_alias(ChatOptions(model="norsk"), file)
    assert (options.model, options.template, options.system) == ("a.gguf", "norwai-en", "Kort.")
    assert options.temperature == 1.0
    assert resolve_alias(ChatOptions(model="norsk", temperature=0.5), file).temperature == 0.5
    assert resolve_alias(ChatOptions(model="b/norsk"), file).model == "b/norsk"
    with pytest.raises(InputMissingError) as failure:
        resolve_alias(ChatOptions(model="nynorsk"), file)
    assert failure.value.hint == f"names in {file}: norsk"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models", "is not valid TOML"),
        ("[other]\n", '"other" is not known here'),
        ("[models.norsk]\n", 'names no "model"'),
        ('[models.norsk]\nmodel = "a"\ntemprature = 1', '"temprature" is not known'),
        ('[models.norsk]\nmodel = "a"\ntemperature = "x"', "takes a number"),
        ('[models.norsk]\nmodel = "a"\ntemplate = "x"', "is not one of"),
    ],
)
def test_bad_file_is_a_bad_configuration(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "chat.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as failure:
        resolve_alias(ChatOptions(model="norsk"), file)
    assert failure.value.path == str(file)
